//! `docs/queries.md`: question, query, example result.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use crate::Asked;
use crate::expected::Order;

/// Rows and columns of a result that are shown.
const ROWS: usize = 5;
const COLUMNS: usize = 7;

/// Longest text that is shown whole.
const CHARACTERS: usize = 60;

const HEAD: &str = "\
# Questions and queries

Every sample query of the documents that describe the original service, in SQL on these tables. The files are in
[`sink/queries`](../sink/queries), each with its originals; a test asks all of them of a generated fleet and holds
the answers against plain code. The examples below are the first rows of those answers. The tables' columns are
in [tables.md](tables.md).

A query's parameter, `{Computer:String}`, is given as `param_Computer`:

```sh
curl \"localhost:8123/?database=patchline&param_Computer=web-1.contoso.com\" \\
  --data-binary @sink/queries/update/missing-updates-of-a-computer.sql
clickhouse-client -d patchline --param_Computer=web-1.contoso.com \\
  --queries-file sink/queries/update/missing-updates-of-a-computer.sql
```

`Update` has each computer's newest scan only; `UpdateSummary` has a row for every scan, `Heartbeat`,
`UpdateRunProgress`, `Event` and `OfficeActivity` one for every report. No sample of the documents is left out: all
of them are about tables that are here.
";

const SECTIONS: [(&str, &str); 6] = [
    ("update", "Update"),
    ("update-summary", "UpdateSummary"),
    ("update-run-progress", "UpdateRunProgress"),
    ("heartbeat", "Heartbeat"),
    ("event", "Event"),
    ("office-activity", "OfficeActivity"),
];

/// The page.
pub(crate) fn write(all: &[Asked]) -> String {
    let mut page = HEAD.to_owned();
    for (folder, table) in SECTIONS {
        writeln!(page, "\n## {table}").unwrap();
        for asked in all.iter().filter(|asked| asked.sample.name.split('/').next() == Some(folder))
        {
            question(&mut page, asked);
        }
    }
    page
}

fn question(page: &mut String, asked: &Asked) {
    let Asked { sample, parameters, expected, columns, rows } = asked;
    writeln!(
        page,
        "\n### {}\n\n[{}.sql](../sink/queries/{}.sql)",
        sample.title, sample.name, sample.name
    )
    .unwrap();
    if !sample.note.is_empty() {
        writeln!(page, "\n{}", sample.note).unwrap();
    }
    writeln!(page, "\n```sql\n{}\n```\n", sample.sql.trim_end()).unwrap();
    for (name, value) in parameters {
        writeln!(page, "With `{name}` = `{value}`:\n").unwrap();
    }

    let places: Vec<usize> = expected
        .columns
        .iter()
        .filter_map(|wanted| columns.iter().position(|column| column == wanted))
        .take(COLUMNS)
        .collect();
    let mut shown: Vec<Vec<String>> =
        rows.iter().map(|row| places.iter().map(|place| cell(&row[*place])).collect()).collect();
    // Rows that come in no order, or in one with ties, are shown in the order of their text.
    if !matches!(expected.order, Order::Exact) {
        shown.sort();
    }
    if let Order::Descending(column) = expected.order
        && let Some(place) = expected.columns.iter().position(|known| known == column)
    {
        shown.sort_by(|a, b| b[place].cmp(&a[place]));
    }
    let more_columns = columns.len() - places.len();
    let mut names: Vec<&str> = places.iter().map(|place| columns[*place].as_str()).collect();
    if more_columns > 0 {
        names.push("…");
    }
    writeln!(page, "| {} |\n|{}", names.join(" | "), "---|".repeat(names.len())).unwrap();
    for row in shown.iter().take(ROWS) {
        let rest = if more_columns > 0 { " … |" } else { "" };
        writeln!(page, "| {} |{rest}", row.join(" | ")).unwrap();
    }
    if shown.len() > ROWS {
        writeln!(page, "\n… of {} rows", shown.len()).unwrap();
    }
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = text.replace('|', "\\|");
    if text.chars().count() <= CHARACTERS {
        return text;
    }
    text.chars().take(CHARACTERS - 1).chain(['…']).collect()
}

/// Holds `page` against the file, or writes it there.
pub(crate) fn check(page: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/queries.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, page).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = page.lines().zip(found.lines()).position(|(wanted, found)| wanted != found);
    assert!(
        page == found,
        "docs/queries.md is not what the queries answer, from line {} on; run \
         `UPDATE_DOCS=1 cargo test -p patchline-local --test queries`",
        differs.unwrap_or(found.lines().count()) + 1
    );
}
