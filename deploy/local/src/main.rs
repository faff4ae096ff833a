//! `patchline-local`: the local stack, one subcommand a part.

mod demo;
mod front;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(name = "patchline-local", about = "The local stack of Patchline, on loopback", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the embedded ClickHouse engine over ClickHouse's HTTP interface.
    Clickhouse(front::Args),
    /// Run the whole data path, send a fleet's reports through it, and show what became of them.
    Demo(demo::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let stderr = std::io::stderr;
    let colours = stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(stderr).init();
    let ended = match cli.command {
        Command::Clickhouse(args) => front::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Demo(args) => demo::run(&args),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("patchline-local: {error:#}");
        ExitCode::FAILURE
    })
}
