//! Rows as CSV that a spreadsheet may open.
//!
//! Names of updates and computers come from senders. A cell that a spreadsheet would run as a formula is defused
//! by an apostrophe in front, which it takes for "this is text" (OWASP, CSV injection). Numbers stay numbers.

use serde_json::Value;

/// Beginnings that make a formula of a text.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Turns rows of `JSONCompactEachRow`, cut anywhere, into CSV.
#[derive(Debug, Default)]
pub struct Rows {
    /// What of a row has come so far.
    begun: Vec<u8>,
}

/// ClickHouse sent something that is no row.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// A line is no JSON array.
    #[error("a row of ClickHouse's answer is not JSON")]
    Row(#[from] serde_json::Error),
    /// Cannot happen in memory.
    #[error("a row cannot be written")]
    Write(#[from] csv::Error),
}

impl Rows {
    /// The CSV of the rows that are whole with `chunk`.
    ///
    /// # Errors
    /// A row is not JSON.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Vec<u8>, CsvError> {
        let mut writer =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            self.begun.extend_from_slice(line);
            if !self.begun.is_empty() {
                let row: Vec<Value> = serde_json::from_slice(&self.begun)?;
                writer.write_record(row.into_iter().map(cell))?;
                self.begun.clear();
            }
            rest = after.get(1..).unwrap_or_default();
        }
        self.begun.extend_from_slice(rest);
        writer.into_inner().map_err(|error| CsvError::Write(error.into_error().into()))
    }

    /// Whether the answer broke off within a row.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        !self.begun.is_empty()
    }
}

fn cell(value: Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::Number(number) => return number.to_string(),
        Value::Bool(bool) => return bool.to_string(),
        Value::String(text) => text,
        Value::Array(values) => values.into_iter().map(cell).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    };
    if text.starts_with(FORMULA) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(json: &str) -> String {
        let mut rows = Rows::default();
        let text = rows.push(json.as_bytes()).unwrap();
        assert!(!rows.is_cut());
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn quotes_commas_and_line_ends_are_escaped() {
        let row = r#"["a,b","say \"hi\"","two\nlines",null,true,-1.5,["x","y"]]"#;
        let row = format!("{row}\n");
        assert_eq!(csv(&row), "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",,true,-1.5,x; y\r\n");
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_text() {
        for formula in ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\\t=1", "\\r=1"] {
            let text = csv(&format!("[\"{formula}\"]\n"));
            assert!(text.trim_start_matches('"').starts_with('\''), "{formula}: {text}");
        }
        assert_eq!(csv("[\"a=b\"]\n"), "a=b\r\n");
    }

    #[test]
    fn rows_may_come_cut_anywhere() {
        let json = "[\"a\",1]\n[\"ü\",2]\n".as_bytes();
        for cut in 0..json.len() {
            let mut rows = Rows::default();
            let mut text = rows.push(&json[..cut]).unwrap();
            text.extend(rows.push(&json[cut..]).unwrap());
            assert_eq!(String::from_utf8(text).unwrap(), "a,1\r\nü,2\r\n");
        }
        let mut rows = Rows::default();
        rows.push(b"[\"a\"").unwrap();
        assert!(rows.is_cut());
    }
}
