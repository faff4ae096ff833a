//! What KQL has and is not translated, found where it is written.
//!
//! The grammar knows none of it, and would point somewhere behind it. Most of it takes rows or schemas where a
//! value of ours stands, so its name alone tells.

use crate::ast::Span;
use crate::error::Fault;

/// What stands before a parenthesis, and what to write instead.
const CALLS: &[(&str, &str)] = &[
    ("toscalar", "compare with `in (rows)`, or join"),
    ("materialize", "leave it out: a `let` of rows needs none"),
    ("datatable", "write rows as `print x = dynamic([1, 2]) | mv-expand x`"),
    ("externaldata", "bring the data into a table first"),
    ("database", "name the table alone; --database chooses the database"),
    ("workspace", "name the table alone; --database chooses the database"),
    ("cluster", "name the table alone; --url chooses the server"),
    ("app", "name the table alone; --database chooses the database"),
    ("view", "write the rows alone"),
];

/// What a statement begins with, and what to write instead.
const STATEMENTS: &[(&str, &str)] = &[
    ("range", "write `print x = dynamic([1, 2]) | mv-expand x`, or use make-series"),
    ("find", "use `search in (table) ...`, or `union`"),
    ("declare", "leave it out: `--param name=value` stands before a `let`"),
    ("set", "leave it out"),
    ("alias", "leave it out"),
    ("restrict", "leave it out"),
];

/// The fault that says what is not supported, if there is something of that in `text`, which is not understood.
pub(super) fn or_unsupported(fault: Fault, text: &str) -> Fault {
    let mut at_beginning = true;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (word, after) = rest.split_at(length.unwrap_or(rest.len()));
            let known = if after.trim_start().starts_with('(') {
                CALLS
            } else if at_beginning {
                STATEMENTS
            } else {
                &[]
            };
            if let Some((_, instead)) = known.iter().find(|(name, _)| *name == word) {
                let at = text.len() - rest.len();
                let span = Span { start: at, end: at + word.len() };
                return Fault::new(span, format!("`{word}` is not supported here: {instead}"));
            }
            at_beginning = false;
            rest = after;
            continue;
        }
        rest = match first {
            '"' | '\'' => after_string(rest, first),
            '/' if rest.starts_with("//") => rest.split_once('\n').map_or("", |(_, after)| after),
            _ => rest.get(first.len_utf8()..).unwrap_or_default(),
        };
        at_beginning = first == ';' || at_beginning && (first.is_whitespace() || first == '/');
    }
    fault
}

/// What follows a string, which ends with its line at the latest.
fn after_string(text: &str, quote: char) -> &str {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote || c == '\n' {
            return text.get(at + c.len_utf8()..).unwrap_or_default();
        }
    }
    ""
}
