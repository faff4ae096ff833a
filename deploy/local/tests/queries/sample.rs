//! The files of `sink/queries`: a title, where the question comes from, its originals, notes and parameters as
//! comments, then the query.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clickhouse::Client;
use serde_json::Value;

use crate::world::NOW;

/// One file.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Its path without the ending: `update/missing-updates`.
    pub(crate) name: String,
    pub(crate) title: String,
    /// What had to be mended, or what to know.
    pub(crate) note: String,
    /// Parameters with the values that the original has.
    pub(crate) parameters: Vec<(String, String)>,
    /// The query.
    pub(crate) sql: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sink/queries")
}

/// All of them, in order of their names.
pub(crate) fn read_all() -> Vec<Sample> {
    let mut samples = Vec::new();
    for table in std::fs::read_dir(folder()).unwrap() {
        for file in std::fs::read_dir(table.unwrap().path()).unwrap() {
            samples.push(read(&file.unwrap().path()));
        }
    }
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    samples
}

fn read(path: &Path) -> Sample {
    let name = path.strip_prefix(folder()).unwrap().with_extension("");
    let name = name.to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let head_lines = text.lines().take_while(|line| line.starts_with("--")).count();
    let head: Vec<&str> = text.lines().take(head_lines).collect();
    let sql: Vec<&str> = text.lines().skip(head_lines).collect();
    let title = head[0].strip_prefix("-- ").expect("a title").to_owned();
    assert!(head.iter().any(|line| line.starts_with("-- Source: ")), "{name}: no source");
    assert!(head.iter().any(|line| line.starts_with("-- Original (")), "{name}: no original");

    let mut note = Vec::new();
    for line in &head {
        if let Some(text) = line.strip_prefix("-- Note: ") {
            note.push(text);
        } else if !note.is_empty() && !line.starts_with("-- Parameter ") {
            note.push(line.strip_prefix("-- ").expect("a note goes on to the head's end"));
        }
    }
    let parameters = head.iter().filter_map(|line| line.strip_prefix("-- Parameter "));
    let parameters = parameters.map(|parameter| {
        let (name, value) = parameter.split_once(" = ").expect("a value");
        (name.to_owned(), value.trim_matches('\'').to_owned())
    });
    let sample = Sample {
        title,
        note: note.join(" "),
        parameters: parameters.collect(),
        sql: sql.join("\n"),
        name,
    };
    for (parameter, _) in &sample.parameters {
        assert!(sample.sql.contains(&format!("{{{parameter}:String}}")), "{}", sample.name);
    }
    sample
}

impl Sample {
    /// Asks the query with [`NOW`] in the place of `now()`. Gives the columns' names and the rows.
    pub(crate) async fn ask(
        &self,
        client: &Client,
        parameters: &BTreeMap<String, String>,
    ) -> (Vec<String>, Vec<Vec<Value>>) {
        let now = format!("fromUnixTimestamp64Milli({}, 'UTC')", NOW.0);
        // The client takes a lone question mark for a parameter of its own.
        let sql = self.sql.replace("now()", &now).replace('?', "??");
        let mut query = client
            .query(&sql)
            .with_setting("date_time_output_format", "iso")
            .with_setting("output_format_json_quote_64bit_integers", "0");
        for (name, value) in parameters {
            query = query.param(name, value);
        }
        let name = &self.name;
        let answer = query.fetch_bytes("JSONCompactEachRowWithNames").unwrap().collect().await;
        let answer = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut lines = answer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let columns = serde_json::from_slice(lines.next().expect("names of columns")).unwrap();
        (columns, lines.map(|line| serde_json::from_slice(line).unwrap()).collect())
    }
}
