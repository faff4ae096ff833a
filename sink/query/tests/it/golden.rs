//! The SQL of every construct, in `tests/golden/*.sql`: each text as a comment, and what it becomes.
//! `UPDATE_GOLDEN=1` rewrites the files; read what changed.

use std::path::Path;

use patchline_query::Language;

use crate::sql_of;

#[test]
fn every_construct_of_kql_becomes_the_sql_that_was_agreed_on() {
    compare("kql", Language::Kql);
}

#[test]
fn every_construct_of_the_old_language_becomes_the_sql_that_was_agreed_on() {
    compare("search", Language::Search);
}

/// Texts stand in `<name>.txt`, with empty lines between them.
fn compare(name: &str, language: Language) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let texts = std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
    let mut found = String::new();
    for text in texts.split("\n\n").map(str::trim).filter(|text| !text.is_empty()) {
        for line in text.lines() {
            found.push_str(&format!("-- {line}\n"));
        }
        match sql_of(text, language) {
            Ok(sql) => found.push_str(&format!("{sql};\n\n")),
            Err(error) => panic!("{text}\n{error}"),
        }
    }
    let path = folder.join(format!("{name}.sql"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    let differs = found.lines().zip(expected.lines()).position(|(one, other)| one != other);
    if let Some(line) = differs {
        let (one, other) = (found.lines().nth(line), expected.lines().nth(line));
        panic!("{}, line {}: found\n{one:?}\nand expected\n{other:?}", path.display(), line + 1);
    }
    assert_eq!(found.len(), expected.len(), "{}", path.display());
}
