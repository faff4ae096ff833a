//! The ClickHouse front as a child process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Process, Result, free_port, is_ok, port_was_taken, program_beside_us, require_free};

/// How the front is started; the default suits a test.
#[derive(Debug, Clone)]
pub struct ClickHouseOptions {
    /// The binary `patchline-local`; by default the one in the `target` directory that the running
    /// program is in.
    pub program: Option<PathBuf>,
    /// A free one by default. A restart keeps it.
    pub port: Option<u16>,
    /// How long the first answer may take.
    pub start_timeout: Duration,
    /// How long a clean stop may take before it becomes a kill.
    pub stop_timeout: Duration,
    /// More flags of `patchline-local clickhouse`.
    pub arguments: Vec<String>,
}

impl Default for ClickHouseOptions {
    fn default() -> ClickHouseOptions {
        ClickHouseOptions {
            program: None,
            port: None,
            start_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(40),
            arguments: Vec::new(),
        }
    }
}

/// A running front over the tables in one directory. Dropped, it is killed; the tables stay.
#[derive(Debug)]
pub struct ClickHouse {
    directory: PathBuf,
    program: PathBuf,
    port: u16,
    options: ClickHouseOptions,
    process: Option<Process>,
}

impl ClickHouse {
    /// Starts the front over `directory` and waits until it answers. Tables are in `data` there,
    /// the log in `clickhouse.log`.
    pub fn start(directory: &Path, options: ClickHouseOptions) -> Result<ClickHouse> {
        let program = match &options.program {
            Some(program) => program.clone(),
            None => program_beside_us("patchline-local")?,
        };
        let mut clickhouse = ClickHouse {
            directory: directory.to_owned(),
            program,
            port: 0,
            options,
            process: None,
        };
        match clickhouse.options.port {
            Some(port) => clickhouse.port = port,
            None => clickhouse.port = free_port()?,
        }
        match clickhouse.launch() {
            Err(error) if clickhouse.options.port.is_none() && port_was_taken(&error) => {
                clickhouse.port = free_port()?;
                clickhouse.launch()?;
            }
            launched => launched?,
        }
        Ok(clickhouse)
    }

    /// For clients: `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where the front logs.
    pub fn log(&self) -> PathBuf {
        self.directory.join("clickhouse.log")
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Stops it cleanly: running requests end, the engine closes.
    pub fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.terminate(self.options.stop_timeout).map(drop),
            None => Ok(()),
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill(),
            None => Ok(()),
        }
    }

    /// Stops it if it runs, and starts it again on the same port and directory.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()
    }

    fn launch(&mut self) -> Result<()> {
        require_free(self.port)?;
        let mut command = Command::new(&self.program);
        command
            .arg("clickhouse")
            .arg("--path")
            .arg(self.directory.join("data"))
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .args(&self.options.arguments);
        let mut process = Process::spawn("the ClickHouse front", command, &self.log())?;
        let port = self.port;
        process.wait_until(self.options.start_timeout, || is_ok(port, "/ping"))?;
        self.process = Some(process);
        Ok(())
    }
}
