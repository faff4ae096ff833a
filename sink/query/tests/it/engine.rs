//! The engine, with the sink's tables and a small fleet in them.

use std::path::Path;
use std::sync::OnceLock;

use patchline_local::stack::{CLICKHOUSE_URL, variable};
use patchline_local::{ClickHouse, ClickHouseOptions};
use patchline_query::client::Server;
use patchline_query::{Catalog, Language, Options, translate};
use patchline_sink::config::ClickHouseConfig;
use serde_json::{Map, Value};
use tokio::runtime::Runtime;

/// A row, by names of columns.
pub(crate) type Row = Map<String, Value>;

pub(crate) struct Engine {
    runtime: Runtime,
    pub(crate) server: Server,
    pub(crate) catalog: Catalog,
    _own: Option<ClickHouse>,
}

/// One for all tests of this program; it ends with it.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let (url, own) = match variable(CLICKHOUSE_URL) {
            Some(url) => (url, None),
            None => {
                // The last run's is left for whoever looks into a failure, until this run begins.
                let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("query-it");
                let _ = std::fs::remove_dir_all(&path);
                let own = ClickHouse::start(&path, ClickHouseOptions::default()).unwrap();
                (own.url(), Some(own))
            }
        };
        let database = format!("query_{}", std::process::id());
        let server = Server {
            url: url.clone(),
            database: database.clone(),
            user: None,
            password: None,
            time_max_s: 120,
            rows_max: 0,
            write: false,
        };
        let runtime = Runtime::new().unwrap();
        let catalog = runtime.block_on(async {
            let config = ClickHouseConfig { url, database, ..ClickHouseConfig::default() };
            patchline_sink::migrate::migrate(&config).await.unwrap();
            for statement in include_str!("fleet.sql").split(";\n") {
                if !statement.trim().is_empty() {
                    server.client().query(statement.trim()).execute().await.unwrap();
                }
            }
            server.catalog().await.unwrap()
        });
        Engine { runtime, server, catalog, _own: own }
    })
}

impl Engine {
    /// The answer to SQL with parameters.
    pub(crate) fn sql(
        &self,
        sql: &str,
        parameters: &[(String, String)],
    ) -> Result<Vec<Row>, String> {
        let text = self.text(sql, parameters, "JSONEachRow")?;
        Ok(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    fn text(
        &self,
        sql: &str,
        parameters: &[(String, String)],
        format: &str,
    ) -> Result<String, String> {
        let answer = self.runtime.block_on(async {
            let mut request = self
                .server
                .limited()
                .with_setting("output_format_json_quote_64bit_integers", "0")
                .query(&sql.replace('?', "??"));
            for (name, value) in parameters {
                request = request.param(name, value);
            }
            request.fetch_bytes(format)?.collect().await
        });
        let answer = answer.map_err(|error| format!("{error}\n{sql}"))?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// The answer to a text.
    pub(crate) fn ask(
        &self,
        text: &str,
        language: Language,
        options: &Options,
    ) -> Result<Vec<Row>, String> {
        let translation = translate(text, language, &self.catalog, options)
            .map_err(|error| format!("{error}\n{text}"))?;
        self.sql(&translation.sql, &[])
    }

    /// The rows of a KQL text, values in the order of their columns.
    pub(crate) fn kql(&self, text: &str) -> Vec<Vec<Value>> {
        let options = Options::default();
        let translation = translate(text, Language::Kql, &self.catalog, &options);
        let sql = translation.unwrap_or_else(|error| panic!("{error}")).sql;
        let text =
            self.text(&sql, &[], "JSONCompactEachRow").unwrap_or_else(|error| panic!("{error}"));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
