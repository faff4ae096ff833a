//! Which rows a statement is about, as SQL with its parameters.

use std::collections::BTreeSet;

use clickhouse::Client;
use clickhouse::query::Query;
use serde::Serialize;

/// A statement with the names of thousands of packages is longer than ClickHouse's default allows.
const QUERY_BYTES_MAX: &str = "67108864";

/// Which rows are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    /// All of every computer's newest scan.
    All,
    /// All of these computers' newest scans.
    Computers(Vec<String>),
    /// Those of these names.
    Names(Names),
}

/// Names of rows as they are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Linux.
    pub(super) products: BTreeSet<String>,
    /// Windows, as reported: with and without the prefix.
    pub(super) kbs: BTreeSet<String>,
    /// Windows, where no KB was reported.
    pub(super) titles: BTreeSet<String>,
    /// Windows: installed ones by which those are judged.
    pub(super) context_kbs: BTreeSet<String>,
    pub(super) context_titles: BTreeSet<String>,
}

/// A piece of SQL with its parameters.
#[derive(Debug, Default)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) parameters: Vec<Parameter>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Parameter {
    Text(String),
    Texts(Vec<String>),
    Times(Vec<i64>),
}

impl Sql {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), parameters: Vec::new() }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.text.push('?');
        self.parameters.push(Parameter::Text(text.to_owned()));
    }

    /// `column` is one of `texts`.
    pub(super) fn is_one_of<'t>(
        &mut self,
        column: &str,
        texts: impl IntoIterator<Item = &'t String>,
    ) {
        let texts: Vec<String> = texts.into_iter().cloned().collect();
        if texts.is_empty() {
            // An empty set has no type.
            self.push("0");
        } else {
            self.push(column);
            self.push(" IN ?");
            self.parameters.push(Parameter::Texts(texts));
        }
    }

    pub(super) fn query(&self, client: &Client) -> Query {
        let query = client.query(&self.text).with_setting("max_query_size", QUERY_BYTES_MAX);
        self.parameters.iter().fold(query, |query, parameter| query.bind(parameter))
    }
}

impl Filter {
    /// Whether a row is concerned.
    pub(super) fn concerned(&self, sql: &mut Sql) {
        match self {
            Self::All => sql.push("1"),
            Self::Computers(computers) => sql.is_one_of("SourceComputerId", computers),
            Self::Names(names) => {
                sql.push("(OSType = 'Linux' AND ");
                sql.is_one_of("Product", &names.products);
                sql.push(" OR OSType != 'Linux' AND ");
                Names::windows(sql, &names.kbs, &names.titles);
                sql.push(")");
            }
        }
    }

    /// Whether a row is needed to judge those.
    pub(super) fn context(&self, sql: &mut Sql) {
        match self {
            Self::All | Self::Computers(_) => sql.push("0"),
            Self::Names(names) => {
                sql.push("(OSType != 'Linux' AND UpdateState = 'Installed' AND ");
                Names::windows(sql, &names.context_kbs, &names.context_titles);
                sql.push(")");
            }
        }
    }

    /// Certainly nothing is concerned.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::All => false,
            Self::Computers(computers) => computers.is_empty(),
            Self::Names(names) => {
                names.products.is_empty() && names.kbs.is_empty() && names.titles.is_empty()
            }
        }
    }
}

impl Names {
    fn windows(sql: &mut Sql, kbs: &BTreeSet<String>, titles: &BTreeSet<String>) {
        sql.push("(");
        sql.is_one_of("KBID", kbs);
        sql.push(" OR KBID = '' AND ");
        sql.is_one_of("Title", titles);
        sql.push(")");
    }
}

/// Neighbouring computers, as many as have rows for one piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(super) first: String,
    pub(super) last: String,
    /// Rows that are concerned.
    pub(crate) rows: u64,
}

impl Chunk {
    /// One computer.
    pub(crate) fn of(computer: &str) -> Self {
        Self { first: computer.to_owned(), last: computer.to_owned(), rows: 0 }
    }

    /// Reaches to the end of `other`, which does not begin before this one.
    pub(crate) fn extend(&mut self, other: &Self) {
        if self.last < other.last {
            self.last.clone_from(&other.last);
        }
        self.rows += other.rows;
    }

    pub(super) fn within(&self, sql: &mut Sql) {
        sql.push("SourceComputerId BETWEEN ");
        sql.text(&self.first);
        sql.push(" AND ");
        sql.text(&self.last);
    }
}
