//! The server: what its tables are, and the answer to a query.

use clickhouse::{Client, Row};
use serde::Deserialize;

use crate::catalog::Catalog;

/// Where the server is and what a query may cost.
#[derive(Debug, Clone)]
pub struct Server {
    /// Address, as `http://host:8123`.
    pub url: String,
    /// Database.
    pub database: String,
    /// User.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// Seconds after which the server gives a query up; 0 for never.
    pub time_max_s: u64,
    /// Rows after which the server cuts an answer off; 0 for never.
    pub rows_max: u64,
    /// Whether the query may change anything.
    pub write: bool,
}

#[derive(Row, Deserialize)]
struct CatalogRow {
    table: String,
    name: String,
    r#type: String,
}

impl Server {
    /// A client of that database.
    #[must_use]
    pub fn client(&self) -> Client {
        let mut client = Client::default()
            .with_product_info("patchline-query", env!("CARGO_PKG_VERSION"))
            .with_url(&self.url)
            .with_database(&self.database);
        if let Some(user) = &self.user {
            client = client.with_user(user);
        }
        if let Some(password) = &self.password {
            client = client.with_password(password);
        }
        client
    }

    /// A client that may only do what it was allowed to.
    #[must_use]
    pub fn limited(&self) -> Client {
        let mut client = self
            .client()
            .with_setting("max_execution_time", self.time_max_s.to_string())
            // A query that this program wrote can be longer than one that was typed.
            .with_setting("max_query_size", (4 * 1024 * 1024).to_string());
        if self.rows_max > 0 {
            client = client
                .with_setting("max_result_rows", self.rows_max.to_string())
                .with_setting("result_overflow_mode", "break")
                .with_setting("output_format_pretty_max_rows", self.rows_max.to_string());
        }
        if !self.write {
            // 2, not 1: settings that a query brings along change nothing.
            client = client.with_setting("readonly", "2");
        }
        client
    }

    /// The tables of the database.
    ///
    /// # Errors
    /// The server cannot be asked, or refuses.
    pub async fn catalog(&self) -> Result<Catalog, clickhouse::error::Error> {
        let mut rows = self
            .client()
            .query(
                "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() \
                 ORDER BY table, position",
            )
            .fetch::<CatalogRow>()?;
        let mut catalog = Catalog::default();
        while let Some(row) = rows.next().await? {
            catalog.add(&row.table, &row.name, &row.r#type);
        }
        Ok(catalog)
    }
}
