//! What the demo shows of the tables: compliance, and some of the sample queries.

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

/// Samples of `sink/queries`; the titles and originals are theirs.
const SAMPLES: [&str; 4] = [
    include_str!("../../../../sink/queries/update/windows-computers-that-need-updates.sql"),
    include_str!(
        "../../../../sink/queries/update/linux-computers-missing-critical-or-security-updates.sql"
    ),
    include_str!(
        "../../../../sink/queries/update/critical-or-security-updates-where-updates-are-manual.sql"
    ),
    include_str!("../../../../sink/queries/update-run-progress/failed-updates-by-product.sql"),
];

/// The sample search for one computer, with its name in the place of `COMPUTER01.contoso.com`.
const COMPUTER_SAMPLE: (&str, &str, &str) = (
    "Missing updates for a specific computer",
    "Type=Update UpdateState=Needed Optional=false Computer=\"COMPUTER01.contoso.com\" | select \
     Computer,Title,KBID,Product,UpdateSeverity,PublishedDate",
    "SELECT Computer, Title, ProductVersion, Classification, ClassificationSource, PackageRepository \
     FROM Update WHERE UpdateState = 'Needed' AND NOT Optional AND Computer = ? ORDER BY Title",
);

/// A sample's title, its first original and its query.
fn parts(sample: &str) -> (String, String, String) {
    let comment = |line: &&str| line.starts_with("--");
    let text = |line: &str| line.trim_start_matches("--").trim().to_owned();
    let title = sample.lines().next().map(text).unwrap_or_default();
    let original: Vec<String> = sample
        .lines()
        .skip_while(|line| !line.starts_with("-- Original ("))
        .skip(1)
        .take_while(|line| line.starts_with("--   "))
        .map(text)
        .collect();
    let sql: Vec<&str> = sample.lines().skip_while(comment).collect();
    (title, original.join(" "), sql.join("\n"))
}

/// Prints the compliance summary.
pub(super) async fn compliance(client: &Client) -> anyhow::Result<()> {
    for (heading, query) in COMPLIANCE {
        print(client, heading, query, None, ALL_ROWS).await?;
    }
    Ok(())
}

/// Prints the sample searches.
pub(super) async fn samples(client: &Client) -> anyhow::Result<()> {
    for (title, original, query) in SAMPLES.into_iter().map(parts) {
        print(client, &format!("{title}\n> {original}"), &query, None, SOME_ROWS).await?;
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
