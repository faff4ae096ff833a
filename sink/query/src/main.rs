//! `patchline-query`: asks Patchline's tables in SQL, KQL or the old log-search language.

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use patchline_query::client::Server;
use patchline_query::{Catalog, Language, Options, Translation, text, translate};

/// Asks Patchline's tables in SQL, KQL or the log-search language before it.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// The query; `-` reads it from the standard input
    text: String,
    /// sql, kql or search; by default what the text looks like
    #[arg(long)]
    language: Option<Language>,
    /// How rows are printed; by default a table on a terminal and CSV elsewhere
    #[arg(long)]
    format: Option<Format>,
    /// Print the SQL instead of running it
    #[arg(long)]
    explain: bool,
    /// A value for `{name:Type}` in SQL, or for a `let` of that name in KQL
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// What now() and ago() count from, as 2017-07-01T10:00:00Z; by default the server's clock
    #[arg(long, value_parser = moment)]
    now: Option<i64>,
    /// How far back a query looks that says nothing about time itself, as 24h or 7d; by default all the way
    #[arg(long, value_parser = timespan)]
    timespan: Option<i64>,
    /// Address of ClickHouse
    #[arg(long, env = "CLICKHOUSE_URL", default_value = "http://localhost:8123")]
    url: String,
    /// Database of the sink
    #[arg(long, env = "CLICKHOUSE_DATABASE", default_value = "patchline")]
    database: String,
    /// User of ClickHouse; the password comes from CLICKHOUSE_PASSWORD
    #[arg(long, env = "CLICKHOUSE_USER")]
    user: Option<String>,
    /// Seconds after which the server gives up; 0 for never
    #[arg(long, default_value_t = 60)]
    time_max_s: u64,
    /// Rows after which the answer may be cut off; 0 for never
    #[arg(long, default_value_t = 100_000)]
    rows_max: u64,
    /// Let SQL change data; without it the server refuses
    #[arg(long)]
    write: bool,
}

/// ClickHouse prints all of them.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For reading
    Table,
    /// With a line of names
    Csv,
    /// An object a line
    Json,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("patchline-query: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let mut input = String::new();
    let query = match cli.text.as_str() {
        "-" => {
            std::io::stdin().read_to_string(&mut input).context("reading the standard input")?;
            input.as_str()
        }
        text => text,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ask(cli, query))
}

async fn ask(cli: &Cli, query: &str) -> anyhow::Result<()> {
    let server = Server {
        url: cli.url.clone(),
        database: cli.database.clone(),
        user: cli.user.clone(),
        password: std::env::var("CLICKHOUSE_PASSWORD").ok(),
        time_max_s: cli.time_max_s,
        rows_max: cli.rows_max,
        write: cli.write,
    };
    let language = cli.language.unwrap_or_else(|| Language::of(query));
    let catalog = match language {
        Language::Sql => Catalog::default(),
        _ => server
            .catalog()
            .await
            .with_context(|| format!("asking {} for the tables of `{}`", cli.url, cli.database))?,
    };
    let options = Options {
        now_us: cli.now,
        timespan_ticks: cli.timespan,
        parameters: cli.parameters.clone(),
    };
    let Translation { sql, notes } = translate(query, language, &catalog, &options)?;
    for note in notes.iter() {
        eprintln!("note: {note}");
    }
    if cli.explain {
        println!("{sql}");
        return Ok(());
    }
    let format = cli.format.unwrap_or_else(|| match std::io::stdout().is_terminal() {
        true => Format::Table,
        false => Format::Csv,
    });
    let format = match format {
        Format::Table => "PrettyCompactMonoBlock",
        Format::Csv => "CSVWithNames",
        Format::Json => "JSONEachRow",
    };
    let colour = if std::io::stdout().is_terminal() { "1" } else { "0" };
    // The client takes a lone question mark for a parameter.
    let mut request = server
        .limited()
        .with_setting("output_format_pretty_color", colour)
        .query(&sql.replace('?', "??"));
    if language == Language::Sql {
        for (name, value) in &cli.parameters {
            request = request.param(name, value);
        }
    }
    let asking = || format!("asking {}", cli.url);
    let mut answer = request.fetch_bytes(format).with_context(asking)?;
    let mut out = std::io::stdout().lock();
    while let Some(bytes) = answer.next().await.with_context(asking)? {
        match out.write_all(&bytes) {
            // Whoever reads has read enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.context("writing the answer")?,
        }
    }
    Ok(())
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a parameter is written as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn moment(written: &str) -> Result<i64, String> {
    text::moment(written)
        .ok_or_else(|| format!("`{written}` is no date; write one as 2017-07-01T10:00:00Z"))
}

fn timespan(written: &str) -> Result<i64, String> {
    text::length(written)
        .ok_or_else(|| format!("`{written}` is no length of time; write one as 24h or 7d"))
}
