//! Which language a text is in.

use std::str::FromStr;

/// The languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// ClickHouse's SQL.
    Sql,
    /// The Kusto Query Language.
    Kql,
    /// The log-search language of Operations Management Suite.
    Search,
}

const SQL_BEGINS: &[&str] = &[
    "select", "with", "show", "describe", "desc", "explain", "exists", "create", "insert", "alter",
    "drop",
];

/// The last ones are refused, by an error that says so.
const KQL_BEGINS: &[&str] =
    &["let", "search", "union", "print", "datatable", "declare", "externaldata", "find", "range"];

impl Language {
    /// The language of a text, by how it begins: SQL with a statement's word, KQL with a table and then a pipe,
    /// a comment or nothing more, the old language with a condition such as `Type=Update`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let begins = beginning(text);
        let end = begins.find(|c: char| !is_word(c)).unwrap_or(begins.len());
        let (word, rest) = begins.split_at(end);
        let lower = word.to_ascii_lowercase();
        let rest = beginning(rest);
        if begins.starts_with("--") || begins.starts_with("/*") {
            return Self::Sql;
        }
        // `Type=...` and any other `Field=value` is a condition, whatever the field is called.
        let compared = ["=", ":", "!=", "<", ">"].iter().any(|sign| rest.starts_with(sign));
        if !word.is_empty() && compared && !rest.starts_with("==") {
            return Self::Search;
        }
        if begins.starts_with('(') {
            return Self::of(begins.trim_start_matches('('));
        }
        if SQL_BEGINS.contains(&lower.as_str()) && !rest.starts_with('|') {
            return Self::Sql;
        }
        if word.is_empty() {
            return Self::Search;
        }
        let pipe = rest.is_empty() || rest.starts_with('|') || rest.starts_with("&#124;");
        if pipe || rest.starts_with(';') || KQL_BEGINS.contains(&word) {
            return Self::Kql;
        }
        Self::Search
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The text without the blanks and the `//` comments before it.
fn beginning(text: &str) -> &str {
    let mut text = text;
    loop {
        let before = text;
        text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        text = text.strip_prefix("</br>").unwrap_or(text);
        if let Some(comment) = text.strip_prefix("//") {
            text = comment.split_once('\n').map_or("", |(_, rest)| rest);
        }
        if text.len() == before.len() {
            return text;
        }
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "sql" => Ok(Self::Sql),
            "kql" => Ok(Self::Kql),
            "search" => Ok(Self::Search),
            _ => Err(format!("`{name}` is no language; there are sql, kql and search")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_by_its_beginning_what_it_is() {
        for (text, language) in [
            ("SELECT 1", Language::Sql),
            ("  with x as (select 1) select * from x", Language::Sql),
            ("SHOW TABLES", Language::Sql),
            ("-- newest\nSELECT 1", Language::Sql),
            ("Update", Language::Kql),
            ("// all\nUpdate\n| take 5", Language::Kql),
            ("Update</br>&#124; where Optional == false", Language::Kql),
            ("Update // the table\n| count", Language::Kql),
            ("let x = 1; Update", Language::Kql),
            ("union Update, Event", Language::Kql),
            ("search \"kb\"", Language::Kql),
            ("(Update | take 1)", Language::Kql),
            ("Type=Update UpdateState=Needed", Language::Search),
            ("Type:Update | measure count() by Computer", Language::Search),
            ("type = Event", Language::Search),
            ("Computer=select-1", Language::Search),
            ("* | measure count() by Type", Language::Search),
            ("(Type=Update OR Type=Event) error", Language::Search),
            ("error OR warning", Language::Search),
            ("\"access denied\"", Language::Search),
        ] {
            assert_eq!(Language::of(text), language, "{text}");
        }
    }
}
