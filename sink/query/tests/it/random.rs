//! Any text is translated or refused, and no literal changes on its way.

use std::fmt::Write;

use fastrand::Rng;
use patchline_query::Language::{Kql, Search};

use crate::sql_of;

const PIECES: &[&str] = &[
    "Update",
    "Event",
    "Computer",
    "Optional",
    "TimeGenerated",
    "EventID",
    "|",
    "where",
    "summarize",
    "by",
    "count()",
    "project",
    "extend",
    "x =",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"a\"",
    "'b\\'",
    "@\"c\"",
    "1",
    "2.5",
    "1d",
    "==",
    "=~",
    "!=",
    "=",
    "in",
    "!in~",
    "between",
    "..",
    "and",
    "or",
    "not(",
    "has",
    "contains",
    "matches regex",
    "join",
    "kind=inner",
    "on",
    "union",
    "let",
    ";",
    ",",
    "ago(1h)",
    "now()",
    "bin(",
    "iff(",
    "arg_max(",
    "*",
    "-",
    "+",
    "/",
    "%",
    "sort by",
    "top 5 by",
    "desc",
    "nulls first",
    "mv-expand",
    "make-series",
    "render",
    "//",
    "\n",
    "</br>",
    "&#124;",
    "dynamic([1])",
    "datetime(2017-07-01)",
    "int(null)",
    "Type=Update",
    "Type:Event",
    "UpdateState!=\"Not needed\"",
    "IN {",
    "measure",
    "select",
    "Distinct",
    "dedup",
    "display",
    "NOW-1DAY",
    "[a..b]",
    "RegEx(",
    "web-*",
    "\u{fffd}",
    "é",
    "\0",
    "\u{a0}",
    "`",
    "\\",
    "'",
    "\"",
];

fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("SEED={seed}");
    seed
}

#[test]
fn any_text_is_translated_or_refused_with_a_place_in_it() {
    let mut rng = Rng::with_seed(seed());
    for _ in 0..4_000 {
        let mut text = String::new();
        for _ in 0..rng.usize(1..24) {
            match rng.u8(..) {
                0..=20 => text.push(rng.char(..)),
                _ => {
                    text.push_str(PIECES[rng.usize(..PIECES.len())]);
                    text.push(' ');
                }
            }
        }
        for language in [Kql, Search] {
            if let Err(error) = sql_of(&text, language) {
                let line = text.split('\n').nth(error.line - 1).unwrap_or_default();
                assert!(error.column <= line.chars().count() + 1, "{text:?}: {error}");
                assert!(!error.message.is_empty(), "{text:?}");
            }
        }
    }
}

#[test]
fn a_mangled_query_is_translated_or_refused() {
    let mut rng = Rng::with_seed(seed());
    let golden =
        [(Kql, include_str!("../golden/kql.txt")), (Search, include_str!("../golden/search.txt"))];
    for (language, texts) in golden {
        for text in texts.split("\n\n") {
            for _ in 0..20 {
                let mut chars: Vec<char> = text.chars().collect();
                for _ in 0..rng.usize(1..4) {
                    let at = rng.usize(..chars.len().max(1)).min(chars.len().saturating_sub(1));
                    match rng.u8(..3) {
                        0 if !chars.is_empty() => drop(chars.remove(at)),
                        1 => chars.insert(at, rng.char(' '..'~')),
                        _ => chars.truncate(at.max(1)),
                    }
                }
                let mangled: String = chars.into_iter().collect();
                let _ = sql_of(&mangled, language);
            }
        }
    }
}

/// Reads a string literal as ClickHouse does; gives the rest as well.
fn unquoted(sql: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = sql.strip_prefix('\'').expect("a literal").char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => return (text, &sql[at + 2..]),
            '\\' => match chars.next().unwrap().1 {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                '0' => text.push('\0'),
                c => text.push(c),
            },
            c => text.push(c),
        }
    }
    panic!("a literal without an end: {sql}");
}

#[test]
fn no_literal_ends_early_or_changes() {
    let mut rng = Rng::with_seed(seed());
    for _ in 0..2_000 {
        let mut text = String::new();
        let mut written = String::new();
        for _ in 0..rng.usize(..12) {
            let c = if rng.bool() {
                ['\'', '"', '\\', '\n', '\0', '`', ';', '-'][rng.usize(..8)]
            } else {
                rng.char(..)
            };
            text.push(c);
            match c {
                '"' | '\\' => write!(written, "\\{c}").unwrap(),
                '\n' => written.push_str("\\n"),
                '\0' => written.push_str("\\0"),
                c => written.push(c),
            }
        }
        let sql = sql_of(&format!("Update | where Computer == \"{written}\""), Kql).unwrap();
        let (_, literal) = sql.split_once("`Computer` = ").unwrap();
        assert_eq!(unquoted(literal), (text.clone(), ")"), "{sql}");

        let sql = sql_of(&format!("Type=Update Computer=\"{written}\""), Search).unwrap();
        let (_, literal) = sql.split_once("(t.`Computer`) = ").unwrap();
        // The engine lowers what is not ASCII, by its own rules.
        let (literal, expected) = match literal.strip_prefix("lowerUTF8(") {
            Some(literal) => (literal, (text, "))")),
            None => (literal, (text.to_lowercase(), ")")),
        };
        assert_eq!(unquoted(literal), expected, "{sql}");
    }
}
