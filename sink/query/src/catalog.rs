//! The tables that a query may name, and what is in their columns.

use std::collections::BTreeMap;

/// The tables of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    tables: BTreeMap<String, Vec<TableColumn>>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Its type, as ClickHouse writes it.
    pub engine_type: String,
}

impl Catalog {
    /// Adds a column at the end of a table.
    pub fn add(&mut self, table: &str, column: &str, engine_type: &str) {
        let column = TableColumn { name: column.to_owned(), engine_type: engine_type.to_owned() };
        self.tables.entry(table.to_owned()).or_default().push(column);
    }

    /// A table of exactly this name, or, where case does not count, of a name that differs in case.
    #[must_use]
    pub fn table(&self, name: &str, ignore_case: bool) -> Option<(&str, &[TableColumn])> {
        if let Some((name, columns)) = self.tables.get_key_value(name) {
            return Some((name, columns));
        }
        if !ignore_case {
            return None;
        }
        let found = self.tables.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(name, columns)| (name.as_str(), columns.as_slice()))
    }

    /// Names of the tables for analysts, which begin with a capital; the storage behind them does not.
    pub fn views(&self) -> impl Iterator<Item = &str> {
        self.tables
            .keys()
            .map(String::as_str)
            .filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
    }
}
