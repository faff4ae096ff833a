//! The named queries: the files of `queries/`, each with what it takes in the comment at its head.
//!
//! ```sql
//! -- What it answers.
//! -- Parameter os: Linux | Windows          one of these, or empty
//! -- Parameter search: part of the name     any text
//! -- Required: computer                     parameters that must not be empty
//! -- Sort: Computer, -LastSeen              columns to sort by; the first is the default, - is descending
//! -- Key: SourceComputerId                  what makes the order of rows with equal values definite
//! SELECT ... {os:String} ...
//! ```
//!
//! A query with `Sort` is answered in pages; one without is small and answers whole. `@computers` stands for
//! `queries/parts/computers.sql`. The time range is not a parameter of the browser's: see
//! [`request`](crate::request).

use std::collections::BTreeMap;

/// A file of `queries/` is not of the form that this module describes.
#[derive(Debug, thiserror::Error)]
#[error("queries/{name}.sql: {what}")]
pub struct Malformed {
    name: &'static str,
    what: String,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../queries/", $name, ".sql")))),*]
    };
}

const FILES: &[(&str, &str)] = files![
    "ages",
    "classifications",
    "compliance",
    "deployment",
    "deployment-computers",
    "deployment-runs",
    "deployment-statuses",
    "deployment-updates",
    "deployments",
    "groups",
    "machine",
    "machine-heartbeats",
    "machine-history",
    "machine-runs",
    "machine-scans",
    "machine-updates",
    "machines",
    "missing",
    "missing-machines",
    "pipeline",
    "pipeline-rates",
    "states",
    "trend",
];

const COMPUTERS: &str = include_str!("../queries/parts/computers.sql");

/// Parameters that are set from the time range and the settings, not by the browser.
pub(crate) const OURS: [&str; 5] = ["from", "to", "until", "step", "silent"];

/// A named query.
#[derive(Debug)]
pub struct Query {
    /// Name of its file.
    pub name: &'static str,
    /// What it answers.
    pub title: String,
    /// What the browser may give.
    pub parameters: Vec<Parameter>,
    /// Columns to sort by, the default first; empty where the query has an order of its own.
    pub sorts: Vec<Sort>,
    /// Columns that make every order definite.
    pub key: Vec<&'static str>,
    /// The text, with parameters of ClickHouse in it.
    pub sql: String,
    /// Those of [`OURS`] that are in the text.
    pub(crate) ours: Vec<&'static str>,
    /// Parameters in the text that the head does not name: those of an included part. They stay empty.
    pub(crate) unset: Vec<String>,
}

/// What a query takes.
#[derive(Debug)]
pub struct Parameter {
    /// As in the text.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// The values that there are; empty where any text will do.
    pub values: Vec<&'static str>,
    /// It must be given.
    pub required: bool,
}

/// A column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// Name of the column.
    pub column: &'static str,
    /// Whether its natural order is the greatest first.
    pub descending: bool,
}

/// All queries by name.
///
/// # Errors
/// A file is malformed; a test reads them all.
pub fn all() -> Result<BTreeMap<&'static str, Query>, Malformed> {
    FILES
        .iter()
        .map(|(name, text)| {
            let query = read(name, text).map_err(|what| Malformed { name, what })?;
            Ok((*name, query))
        })
        .collect()
}

fn read(name: &'static str, text: &'static str) -> Result<Query, String> {
    let mut title = Vec::new();
    let (mut parameters, mut sorts, mut key) = (Vec::new(), Vec::new(), Vec::new());
    let mut required = Vec::new();
    let head = text.lines().map_while(|line| line.strip_prefix("--")).map(str::trim);
    for line in head {
        if let Some(parameter) = line.strip_prefix("Parameter ") {
            let (name, meaning) = parameter.split_once(": ").ok_or("a parameter has no meaning")?;
            let (values, _) = meaning.split_once(" ; ").unwrap_or((meaning, ""));
            let values = match values.contains(" | ") {
                true => values.split(" | ").collect(),
                false => Vec::new(),
            };
            parameters.push(Parameter { name, meaning, values, required: false });
        } else if let Some(names) = line.strip_prefix("Required: ") {
            required.extend(names.split(", "));
        } else if let Some(columns) = line.strip_prefix("Sort: ") {
            sorts.extend(columns.split(", ").map(|column| match column.strip_prefix('-') {
                Some(column) => Sort { column, descending: true },
                None => Sort { column, descending: false },
            }));
        } else if let Some(columns) = line.strip_prefix("Key: ") {
            key.extend(columns.split(", "));
        } else {
            title.push(line);
        }
    }
    for name in required {
        let found = parameters.iter_mut().find(|parameter| parameter.name == name);
        found.ok_or(format!("{name} is required and no parameter"))?.required = true;
    }
    if sorts.is_empty() != key.is_empty() {
        return Err("Sort and Key go together".to_owned());
    }
    let body = text.lines().skip_while(|line| line.starts_with("--"));
    let sql = body.collect::<Vec<_>>().join("\n").replace("@computers", COMPUTERS);
    let inside = placeholders(&sql);
    let unused = parameters.iter().find(|parameter| !inside.contains(&parameter.name));
    if let Some(parameter) = unused {
        return Err(format!("{} is not in the text", parameter.name));
    }
    let named = |name: &str| parameters.iter().any(|parameter| parameter.name == name);
    let is_ours = |name: &&str| OURS.contains(name);
    let unset = inside.iter().filter(|name| !named(name) && !is_ours(name));
    Ok(Query {
        name,
        title: title.join(" ").trim().to_owned(),
        ours: OURS.into_iter().filter(|name| inside.contains(name)).collect(),
        unset: unset.map(|name| (*name).to_owned()).collect(),
        parameters,
        sorts,
        key,
        sql,
    })
}

/// Names of the `{name:Type}` in `sql`, each once.
fn placeholders(sql: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for rest in sql.split('{').skip(1) {
        if let Some((name, _)) = rest.split_once(':')
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_lowercase())
            && !found.contains(&name)
        {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_a_query_that_says_what_it_takes() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<String> = files
            .filter(|path| path.is_file())
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        let queries = all().unwrap();
        let names: Vec<&str> = queries.keys().copied().collect();
        assert_eq!(names, files);
        for query in queries.values() {
            assert!(!query.title.is_empty(), "{}", query.name);
            // What an included part takes beyond the head's parameters is of the browser's choosing elsewhere.
            for name in &query.unset {
                assert!(["computer", "group"].contains(&name.as_str()), "{}: {name}", query.name);
            }
        }
    }

    #[test]
    fn a_head_that_does_not_fit_its_text_is_refused() {
        let refused = |text| read("x", text).unwrap_err();
        assert_eq!(refused("-- T\n-- Parameter a: b\nSELECT 1"), "a is not in the text");
        assert_eq!(refused("-- T\n-- Required: a\nSELECT 1"), "a is required and no parameter");
        assert_eq!(refused("-- T\n-- Sort: A\nSELECT 1 AS A"), "Sort and Key go together");
    }

    #[test]
    fn values_and_directions_are_read_from_the_head() {
        let text = "-- T\n-- Parameter os: Linux | Windows ; or none\n-- Sort: -A, B\n-- Key: B\nSELECT {os:String}";
        let query = read("x", text).unwrap();
        assert_eq!(query.parameters[0].values, ["Linux", "Windows"]);
        assert_eq!(query.sorts[0], Sort { column: "A", descending: true });
        assert_eq!(query.key, ["B"]);
    }
}
