//! What the demo shows of the tables: compliance, and sample searches of the original service's
//! documentation in SQL.

use anyhow::Context;
use clickhouse::Client;

/// Rows of a result that are shown: of what sums up, all; of what lists, enough to see what it is.
const ALL_ROWS: u32 = 20;
const SOME_ROWS: u32 = 6;

/// A heading and its query.
type Question = (&'static str, &'static str);

/// Of each computer its newest scan.
const COMPLIANCE: [Question; 3] = [
    (
        "Computers by state",
        "SELECT multiIf(RestartPending, 'restart pending', TotalUpdatesMissing > 0, 'updates needed', \
             'up to date') AS State, \
             count() AS Computers, countIf(OSType = 'Linux') AS Linux, countIf(OSType = 'Windows') AS Windows \
         FROM (SELECT * FROM UpdateSummary ORDER BY TimeGenerated DESC LIMIT 1 BY SourceComputerId) \
         GROUP BY State ORDER BY Computers DESC",
    ),
    (
        "Missing updates by classification, and who says so",
        "SELECT Classification, count() AS Missing, uniqExact(SourceComputerId) AS Computers, \
             countIf(ClassificationSource = 'catalog') AS catalog, \
             countIf(ClassificationSource = 'agent') AS agent, \
             countIf(ClassificationSource = 'default') AS default \
         FROM Update WHERE UpdateState = 'Needed' AND Approved AND NOT Optional \
         GROUP BY Classification ORDER BY Missing DESC",
    ),
    (
        "Missing updates by system",
        "SELECT OSFullName AS System, uniqExact(SourceComputerId) AS Computers, count() AS Updates, \
             countIf(UpdateState = 'Needed') AS Needed, \
             countIf(UpdateState = 'Needed' AND Classification = 'Security Updates') AS Security \
         FROM Update GROUP BY System ORDER BY System",
    ),
];

/// What the documents in `seeds/` say of a search, the search as they write it, and in SQL.
const SAMPLES: [(&str, &str, &str); 4] = [
    (
        "Windows-based server computers that need updates",
        "Type:Update OSType!=Linux UpdateState=Needed Optional=false Approved!=false | measure count() by Computer",
        "SELECT Computer, count() AS count FROM Update \
         WHERE OSType != 'Linux' AND UpdateState = 'Needed' AND NOT Optional AND Approved \
         GROUP BY Computer ORDER BY count DESC, Computer",
    ),
    (
        "List of all the Linux machines which have a package update available which addresses Critical or \
         Security vulnerability",
        "Type=Update and OSType=Linux and UpdateState!=\"Not needed\" and (Classification=\"Critical \
         Updates\" OR Classification=\"Security Updates\") | measure count() by Computer",
        "SELECT Computer, count() AS count FROM Update \
         WHERE OSType = 'Linux' AND UpdateState != 'Not needed' \
         AND Classification IN ('Critical Updates', 'Security Updates') \
         GROUP BY Computer ORDER BY count DESC, Computer",
    ),
    (
        "Critical or security updates needed by machines where updates are manually applied",
        "Type=Update UpdateState=Needed Optional=false (Classification=\"Security Updates\" OR \
         Classification=\"Critical Updates\") Computer IN {Type=UpdateSummary \
         WindowsUpdateSetting=Manual | Distinct Computer} | Distinct KBID",
        "SELECT DISTINCT KBID FROM Update WHERE UpdateState = 'Needed' AND NOT Optional \
         AND Classification IN ('Security Updates', 'Critical Updates') \
         AND Computer IN (SELECT Computer FROM UpdateSummary WHERE WindowsUpdateSetting = 'Manual') \
         ORDER BY KBID",
    ),
    (
        "Linux server with updates that failed an update run",
        "Type:UpdateRunProgress InstallationStatus=failed | measure count() by Computer, Product, UpdateRunName",
        "SELECT Computer, Product, UpdateRunName, count() AS count FROM UpdateRunProgress \
         WHERE OSType = 'Linux' AND InstallationStatus ILIKE 'failed' \
         GROUP BY Computer, Product, UpdateRunName ORDER BY count DESC, Computer, Product",
    ),
];

/// The sample search for one computer, with its name in the place of `COMPUTER01.contoso.com`.
const COMPUTER_SAMPLE: (&str, &str, &str) = (
    "Missing updates for a specific computer",
    "Type=Update UpdateState=Needed Optional=false Computer=\"COMPUTER01.contoso.com\" | select \
     Computer,Title,KBID,Product,UpdateSeverity,PublishedDate",
    "SELECT Computer, Title, ProductVersion, Classification, ClassificationSource, PackageRepository \
     FROM Update WHERE UpdateState = 'Needed' AND NOT Optional AND Computer = ? ORDER BY Title",
);

/// Prints the compliance summary.
pub(super) async fn compliance(client: &Client) -> anyhow::Result<()> {
    for (heading, query) in COMPLIANCE {
        print(client, heading, query, None, ALL_ROWS).await?;
    }
    Ok(())
}

/// Prints the sample searches.
pub(super) async fn samples(client: &Client) -> anyhow::Result<()> {
    for (what, search, query) in SAMPLES {
        print(client, &format!("{what}\n> {search}"), query, None, SOME_ROWS).await?;
    }
    Ok(())
}

/// Prints what is stored of one computer, and what it misses.
pub(super) async fn computer(client: &Client, name: &str) -> anyhow::Result<()> {
    let rows = "SELECT Computer, OSFullName AS System, TimeGenerated AS Scanned, UpdateState, \
        count() AS Updates FROM Update WHERE Computer = ? GROUP BY ALL ORDER BY UpdateState";
    print(client, &format!("Updates of {name}"), rows, Some(name), ALL_ROWS).await?;
    let (what, search, query) = COMPUTER_SAMPLE;
    let search = search.replace("COMPUTER01.contoso.com", name);
    print(client, &format!("{what}\n> {search}"), query, Some(name), SOME_ROWS).await
}

async fn print(
    client: &Client,
    heading: &str,
    query: &str,
    computer: Option<&str>,
    rows: u32,
) -> anyhow::Result<()> {
    let question = client
        .query(query)
        .with_setting("output_format_pretty_row_numbers", "0")
        .with_setting("output_format_pretty_color", "0")
        .with_setting("output_format_pretty_max_rows", rows.to_string());
    let question = computer.into_iter().fold(question, |question, name| question.bind(name));
    let failed = || format!("cannot run the query {query}");
    let mut answer = question.fetch_bytes("PrettyCompactMonoBlock").with_context(failed)?;
    let table = answer.collect().await.with_context(failed)?;
    let table = String::from_utf8_lossy(&table);
    println!("\n{heading}\n{}", if table.is_empty() { "(no rows)" } else { table.trim_end() });
    Ok(())
}
