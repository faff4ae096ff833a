//! How long the sample queries take on a large fleet.
//!
//! `cargo bench -p patchline-sink --bench queries`, with `COMPUTERS=` for the size: 50,000 of 200 updates each by
//! default, ten million rows in `Update`. ClickHouse makes the rows itself. Each query runs once to warm up and
//! three times more, its result thrown away by the server; a query is marked that misses the aim, 200 ms for one
//! computer and a second for a fleet. The engine's CPU time tells what a busy machine hides. Nothing is asserted.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark is a test that prints"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use patchline_local::{ClickHouse, ClickHouseOptions};
use patchline_sink::config::ClickHouseConfig;
use patchline_sink::migrate::migrate;

const UPDATES: u64 = 200;
const DATABASE: &str = "bench";

/// Computers whose rows are made by one INSERT.
const CHUNK: u64 = 5_000;

/// Values that have something to find, for parameters whose original value stands for one of the user's.
const PARAMETERS: [(&str, &str); 7] = [
    ("Computer", "host-777.contoso.com"),
    ("ComputerName", "host-777.contoso.com"),
    ("VMUUID", "00000000-0000-4000-8000-000000000777"),
    ("UpdateRunName", "Deployment-7"),
    ("SearchValue", "host-777."),
    ("ClusterArmId", "/subscriptions/7/clusters/east"),
    ("UserId", "user-7@contoso.com"),
];

/// Two computers in five have Windows. Ids are spread, as real ones are.
const COMPUTER: &str = "\
    intDiv(number, {each}) + {first} AS c, number % {each} AS n, c % 5 < 2 AS Windows, \
    lower(hex(MD5(toString(c)))) AS SourceComputerId, concat('host-', toString(c), '.contoso.com') AS Computer, \
    if(Windows, 'Windows', 'Linux') AS OSType, 'AOI-7' AS ManagementGroupName, \
    if(c % 3 = 0, concat('/subscriptions/7/resourceGroups/g', toString(c % 40), \
        '/providers/Microsoft.Compute/virtualMachines/host-', toString(c)), '') AS ResourceId, \
    if(c % 3 = 0, 'Azure', 'Non-Azure') AS ComputerEnvironment, \
    concat('00000000-0000-4000-8000-', leftPad(toString(c), 12, '0')) AS VMUUID, \
    if(Windows, 'OpsManager', 'Linux') AS SourceSystem, \
    toDateTime64({now}, 3, 'UTC') - c % 3600 AS Newest, toInt64(c) AS SourceOffset";

/// Table, rows a computer, and what else its rows have.
const TABLES: [(&str, u64, &str); 7] = [
    (
        "update_rows",
        UPDATES,
        "Newest AS TimeGenerated, Newest + 1 AS TimeReceived, \
         (n * 7 + c % 9) % 1000 AS u, u % 11 = 0 AND (n + c) % 3 > 0 AS Needed, \
         if(Windows, concat(lower(hex(MD5(toString(u)))), '-', toString(u)), '') AS UpdateID, \
         if(Windows, concat('Windows Server ', toString(2008 + u % 12)), concat('package-', toString(n))) AS Product, \
         if(Windows, '', if(u % 5 = 0, 'noarch', 'x86_64')) AS ProductArch, \
         if(Windows, '', concat('0:1.', toString(u % 40), '-', toString(u % 9), '.el7')) AS ProductVersion, \
         if(Needed, 'Needed', if(Windows, 'Installed', 'Not needed')) AS UpdateState, \
         if(Windows, concat('Security Update for Windows Server (KB', toString(4000000 + u), ')'), Product) AS Title, \
         if(Windows, toString(4000000 + u), '') AS KBID, \
         multiIf(u % 4 = 0, 'Security Updates', u % 29 = 0, 'Critical Updates', Windows, 'Update Rollups', \
             'Other Updates') AS Classification, 'catalog' AS ClassificationSource, \
         concat('PLSA-', toString(u)) AS AdvisoryIDs, AdvisoryIDs AS BulletinID, \
         concat('https://advisories.contoso.com/', AdvisoryIDs) AS BulletinUrl, \
         if(u % 4 = 0, concat('CVE-2018-', toString(u)), '') AS CVENumbers, \
         if(Windows, 'Important', '') AS MSRCSeverity, if(Windows, '', 'Medium') AS PackageSeverity, \
         Newest - u * 86400 AS PublishedDate, u % 17 = 0 AS Optional, u % 19 > 0 AS Approved, \
         if(Windows, 'Windows Server 2016', ['Ubuntu', 'CentOS Linux', 'SUSE'][c % 3 + 1]) AS OSName, \
         '7' AS OSVersion, OSName AS OSFullName, \
         generateUUIDv4(c) AS ReportId, toUInt128(toUnixTimestamp64Milli(Newest)) * toUInt128(18446744073709551616) + c \
         AS ScanVersion",
    ),
    (
        "computer_scans",
        1,
        "toUInt128(toUnixTimestamp64Milli(Newest)) * toUInt128(18446744073709551616) + c AS ScanVersion",
    ),
    (
        "update_summary_rows",
        6,
        "Newest - n * 43200 AS TimeGenerated, TimeGenerated + 1 AS TimeReceived, '7' AS OsVersion, \
         toInt32(c % 3) AS CriticalUpdatesMissing, toInt32(c % 7) AS SecurityUpdatesMissing, \
         toInt32(c % 9) AS OtherUpdatesMissing, toInt32(c % 19) AS TotalUpdatesMissing, \
         if(Windows, ['Disabled', 'Notify before installation', 'Scheduled installation'][c % 3 + 1], '') \
             AS WindowsUpdateSetting, \
         if(Windows AND c % 2 = 0, 'http://wsus.contoso.com:8530', '') AS WSUSServer, generateUUIDv4(n) AS ReportId",
    ),
    (
        "update_run_progress_rows",
        24,
        "Newest - intDiv(n, 3) * 3600 + n AS TimeGenerated, TimeGenerated + 1 AS TimeReceived, \
         concat('Deployment-', toString(c % 50)) AS UpdateRunName, toString(intDiv(n, 3)) AS UpdateId, \
         concat('Update ', toString((c + intDiv(n, 3)) % 1000)) AS Title, Title AS Product, \
         ['NotStarted', 'InProgress', if((c + n) % 40 = 0, 'Failed', 'Succeeded')][n % 3 + 1] AS InstallationStatus, \
         generateUUIDv4(n) AS ReportId",
    ),
    (
        "heartbeat_rows",
        48,
        "Newest - n * 1800 AS TimeGenerated, TimeGenerated + 1 + n % 3 AS TimeReceived, \
         'Windows Server 2016' AS OSName, '10' AS OSMajorVersion, 'Direct Agent' AS Category, \
         concat('10.', toString(c % 250), '.', toString(intDiv(c, 250)), '.1') AS ComputerIP, \
         [ComputerIP] AS ComputerPrivateIPs, if(c % 20 = 0, 'security', 'security,updates') AS Solutions, \
         generateUUIDv4(n) AS ReportId",
    ),
    (
        "event_rows",
        20,
        "Newest - n * 4000 AS TimeGenerated, TimeGenerated + 1 AS TimeReceived, (c * 31 + n * 17) % 23 AS k, \
         multiIf(c % 1000 = 1 AND n < 3, 'Microsoft-Windows-SDDC-Management/Operational', \
             c % 1000 = 1 AND n = 3, 'Microsoft-Windows-Health/Operational', \
             k % 5 = 0, 'Operations Manager', \
             k % 7 = 0, 'Microsoft-Windows-Windows Firewall With Advanced Security/Firewall', 'System') AS EventLog, \
         if(k % 2 = 0, 'Microsoft-Windows-WindowsUpdateClient', 'Service Control Manager') AS Source, \
         toInt32(multiIf(c % 1000 = 1 AND n < 3, [3000, 3002, 3003][n + 1], k % 5 = 0, 2000 + k, k % 7 = 0, 2008, 30 + k)) \
             AS EventID, \
         ['Error', 'Warning', 'Information', 'Information'][k % 4 + 1] AS EventLevelName, \
         multiIf(EventID = 3000, '{\"m_servers\":[{\"m_name\":\"a\",\"m_totalPhysicalMemoryInBytes\":8,\
             \"m_usedPhysicalMemoryInBytes\":4,\"m_totalProcessorsUsedPercentage\":7}]}', \
             EventID = 3002, '{\"VolumeList\":[{\"m_Label\":\"V1\",\"m_Size\":8,\"m_SizeUsed\":4,\"m_TotalIops\":1.5}]}', \
             EventLog LIKE '%Health%', '{\"ArmId\":\"a\",\"CorrelationId\":\"b\",\"IsLastMessage\":\"true\",\"Fault\":{}}', \
             'Windows Update started downloading an update.') AS RenderedDescription, \
         if(c % 1000 = 1, '<ClusterName>east</ClusterName><ArmId>/subscriptions/7/clusters/east</ArmId>', '') \
             AS EventData, generateUUIDv4(n) AS ReportId",
    ),
    (
        "office_activity_rows",
        10,
        "'tenant' AS OfficeTenantKey, 'tenant' AS OfficeTenantId, Newest - n * 7000 AS TimeGenerated, \
         TimeGenerated + 1 AS TimeReceived, ['OneDrive', 'SharePoint', 'Exchange'][n % 3 + 1] AS OfficeWorkload, \
         ['FileDownloaded', 'FileAccessed', 'FileUploaded', 'New-TransportRule'][(n + c) % 4 + 1] AS Operation, \
         'SharePointFileOperation' AS RecordType, concat('user-', toString(c % 9000), '@contoso.com') AS UserId, \
         concat('file-', toString(c % 5000), if(c % 50 = 0, '.exe.pdf', '.docx')) AS SourceFileName, \
         concat('https://contoso.sharepoint.com/', SourceFileName) AS OfficeObjectId, '[]' AS Parameters, \
         generateUUIDv4(n) AS ReportId",
    ),
];

struct Bench {
    engine: ClickHouse,
    client: clickhouse::Client,
    computers: u64,
    /// The same for all tables: a scan has one time.
    now: u64,
}

impl Bench {
    /// Makes the rows of every table.
    async fn fill(&self) {
        for (table, each, rows) in TABLES {
            let mut names: Vec<String> = self
                .client
                .query("SELECT name FROM system.columns WHERE database = ? AND table = ? AND default_kind = ''")
                .bind(DATABASE)
                .bind(table)
                .fetch_all()
                .await
                .unwrap();
            // What the rows do not say keeps its default.
            let says = |name: &str| {
                let ends =
                    |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
                let named = |text: &&str| {
                    text.split(" AS ").any(|rest| rest.strip_prefix(name).is_some_and(ends))
                };
                [COMPUTER, rows].iter().any(named)
            };
            names.retain(|name| says(name));
            let mut first = 0;
            while first < self.computers {
                let chunk = CHUNK.min(self.computers - first);
                let computer = COMPUTER
                    .replace("{each}", &each.to_string())
                    .replace("{first}", &first.to_string())
                    .replace("{now}", &self.now.to_string());
                let columns = names.join(", ");
                let insert = format!(
                    "INSERT INTO {table} ({columns}) SELECT {columns} FROM \
                     (SELECT {computer}, {rows} FROM numbers({})) SETTINGS max_insert_threads = 1",
                    chunk * each
                );
                let made = self.client.query(&insert.replace('?', "??")).execute().await;
                made.unwrap_or_else(|error| panic!("{table}: {error}"));
                first += chunk;
            }
            let optimize = format!("OPTIMIZE TABLE {table} FINAL");
            self.client.query(&optimize).execute().await.unwrap();
        }
        let rows: u64 = self.client.query("SELECT count() FROM Update").fetch_one().await.unwrap();
        assert_eq!(rows, self.computers * UPDATES, "rows in Update");
    }

    /// Runs a query whose result nobody reads. Gives how long it took and how many rows it read.
    fn run(&self, sql: &str) -> (Duration, u64) {
        let mut path = format!("/?database={DATABASE}");
        for (name, value) in PARAMETERS {
            if sql.contains(&format!("{{{name}:")) {
                path.push_str(&format!("&param_{name}={value}"));
            }
        }
        let body = format!("{}\nFORMAT Null", sql.trim_end());
        let url = self.engine.url();
        let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        let started = Instant::now();
        write!(stream, "POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let took = started.elapsed();
        assert!(
            answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"),
            "{answer}\n{sql}"
        );
        let (_, rest) = answer.split_once("\"read_rows\":\"").unwrap();
        (took, rest.split('"').next().unwrap().parse().unwrap())
    }
}

/// CPU seconds that the process has taken.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // In hundredths of a second, on every Linux there is.
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

fn samples() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
    let files = |folder: PathBuf| {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let mut samples: Vec<(String, String)> = files(folder.clone())
        .into_iter()
        .flat_map(files)
        .map(|path| {
            let name = path.strip_prefix(&folder).unwrap().with_extension("");
            (name.display().to_string(), std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    samples.sort();
    samples
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let computers: u64 = std::env::var("COMPUTERS").map_or(50_000, |text| text.parse().unwrap());
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-queries");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    let engine = ClickHouse::start(&directory, ClickHouseOptions::default()).unwrap();
    let config = ClickHouseConfig {
        url: engine.url(),
        database: DATABASE.to_owned(),
        timeout_ms: 600_000,
        ..ClickHouseConfig::default()
    };
    migrate(&config).await.unwrap();
    let client = clickhouse::Client::default().with_url(&config.url).with_database(DATABASE);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let bench = Bench { engine, client, computers, now };
    let started = Instant::now();
    bench.fill().await;
    println!(
        "{computers} computers of {UPDATES} updates: {} rows in Update, made in {:.0} s\n",
        computers * UPDATES,
        started.elapsed().as_secs_f64()
    );

    let only = std::env::var("ONLY").unwrap_or_default();
    println!(
        "{:<75} {:>12} {:>9} {:>9} {:>7}",
        "query", "rows read", "least ms", "median ms", "CPU ms"
    );
    let mut missed = 0;
    for (name, text) in samples().into_iter().filter(|(name, _)| name.contains(&only)) {
        let (_, rows) = bench.run(&text);
        let before = cpu(bench.engine.pid().unwrap());
        let mut times: Vec<f64> =
            (0..3).map(|_| bench.run(&text).0.as_secs_f64() * 1000.0).collect();
        let cpu = (cpu(bench.engine.pid().unwrap()) - before) * 1000.0 / 3.0;
        times.sort_by(f64::total_cmp);
        let one = ["{Computer:", "{ComputerName:", "{VMUUID:"].iter().any(|it| text.contains(it));
        let aim = if one { 200.0 } else { 1000.0 };
        let mark = if times[1] > aim { "  over" } else { "" };
        missed += usize::from(!mark.is_empty());
        println!("{name:<75} {rows:>12} {:>9.0} {:>9.0} {cpu:>7.0}{mark}", times[0], times[1]);
    }
    println!("\n{missed} over the aim: 200 ms for one computer, 1,000 ms for the fleet");
    drop(bench);
    let _ = std::fs::remove_dir_all(&directory);
}
