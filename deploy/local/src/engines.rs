//! Where `make engines` put the engines.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Names another place for the engines, as it does for `engines/fetch.sh`.
const ENGINES: &str = "PATCHLINE_ENGINES";

/// The engines' directory. Whether an engine is in it shows when it is asked for: a stack with
/// `KAFKA_BOOTSTRAP` set needs no Kafka here.
#[derive(Debug, Clone)]
pub struct Engines {
    root: PathBuf,
}

impl Engines {
    /// `PATCHLINE_ENGINES`, or `.cache/engines` of the checkout that this crate was built from.
    pub fn locate() -> Result<Engines> {
        let root = match std::env::var_os(ENGINES) {
            Some(root) => PathBuf::from(root),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/engines"),
        };
        match root.canonicalize() {
            Ok(root) => Ok(Engines { root }),
            Err(_) => Err(Error::NoEngine {
                engine: "an engine",
                path: root,
                variable: "KAFKA_BOOTSTRAP and CLICKHOUSE_URL",
            }),
        }
    }

    /// The directory of Kafka's jars.
    pub fn kafka_libs(&self) -> Result<PathBuf> {
        let libs = self.root.join("kafka/libs");
        // The key is written last, so that half an installation does not count.
        if self.root.join("kafka/.key").is_file() {
            return Ok(libs);
        }
        Err(Error::NoEngine { engine: "Kafka", path: libs, variable: "KAFKA_BOOTSTRAP" })
    }

    /// `libchdb.so`, the ClickHouse engine.
    pub fn chdb(&self) -> Result<PathBuf> {
        let packages = self.root.join("clickhouse/node_modules/@chdb");
        let library = std::fs::read_dir(&packages)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().join("libchdb.so")))
            .find(|path| path.is_file());
        match library {
            Some(library) if self.root.join("clickhouse/.key").is_file() => Ok(library),
            _ => Err(Error::NoEngine {
                engine: "the ClickHouse engine",
                path: packages,
                variable: "CLICKHOUSE_URL",
            }),
        }
    }
}
