//! Reads just enough SQL to know where a statement ends and its data begins.
//!
//! The engine takes an INSERT and its data apart, while HTTP clients send them as one text, cut
//! anywhere between URL and body. Strings, quoted names, comments and brackets are skipped whole,
//! so that no word inside them is taken for a keyword.

/// An INSERT whose rows follow the statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Insert<'a> {
    /// Up to, and without, `FORMAT` or `VALUES`.
    pub(crate) head: &'a [u8],
    /// As named; `None` where the statement leaves it open.
    pub(crate) format: Option<&'a str>,
    /// What of the data stands in the text itself.
    pub(crate) data: &'a [u8],
}

/// Takes an INSERT apart; `None` for any other statement, `INSERT ... SELECT` included.
pub(crate) fn insert(text: &[u8]) -> Option<Insert<'_>> {
    let mut words = Words { text, at: 0, depth: 0, before: b' ' };
    if !words.next()?.is("INSERT") {
        return None;
    }
    let mut previous = "INSERT";
    while let Some(word) = words.next() {
        // `INSERT INTO t (SELECT ...)` counts as well as the plain form.
        let source = ["SELECT", "WITH", "FROM", "WATCH"].iter().any(|k| word.is(k));
        if source && (word.depth == 0 || word.before == b'(') {
            return None;
        }
        if word.depth > 0 {
            continue;
        }
        // After these, `format` and `values` are names of tables.
        let names_a_table =
            ["INTO", "TABLE", "FUNCTION"].iter().any(|k| previous.eq_ignore_ascii_case(k));
        if !names_a_table && word.is("VALUES") {
            let (head, data) = (text.get(..word.start)?, text.get(words.at..)?);
            return Some(Insert { head, format: Some("Values"), data });
        }
        if !names_a_table && word.is("FORMAT") {
            let format = words.next()?;
            let rest = text.get(words.at..)?;
            return Some(Insert {
                head: text.get(..word.start)?,
                format: Some(format.text),
                data: data_of(rest),
            });
        }
        previous = word.text;
    }
    Some(Insert { head: text, format: None, data: &[] })
}

/// The format that a query itself asks for.
pub(crate) fn output_format(text: &str) -> Option<&str> {
    let mut words = Words { text: text.as_bytes(), at: 0, depth: 0, before: b' ' };
    let mut format = None;
    while let Some(word) = words.next() {
        if word.depth == 0 && word.is("FORMAT") {
            format = words.next().map(|w| w.text).or(format);
        }
    }
    format
}

/// Data begins after the first newline, or after the blanks where there is none.
fn data_of(rest: &[u8]) -> &[u8] {
    let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b';')).count();
    let rest = rest.get(blanks..).unwrap_or_default();
    rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).unwrap_or(rest)
}

/// A word, or something quoted, which has no text here.
struct Word<'a> {
    text: &'a str,
    start: usize,
    depth: usize,
    /// The last byte before it that is no blank.
    before: u8,
}

impl Word<'_> {
    fn is(&self, keyword: &str) -> bool {
        // Behind a dot every word is a name.
        self.before != b'.' && self.text.eq_ignore_ascii_case(keyword)
    }
}

struct Words<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    before: u8,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<Word<'a>> {
        loop {
            let rest = self.text.get(self.at..)?;
            let byte = *rest.first()?;
            let length = match byte {
                b'-' if rest.starts_with(b"--") => line(rest),
                b'#' if rest.starts_with(b"#!") || rest.starts_with(b"# ") => line(rest),
                b'/' if rest.starts_with(b"/*") => find(rest, b"*/", 2),
                b if b.is_ascii_whitespace() => 1,
                b'\'' | b'"' | b'`' => return Some(self.take(quoted(rest, byte), "")),
                b if is_word(b) => {
                    let end = rest.iter().position(|b| !is_word(*b)).unwrap_or(rest.len());
                    let text = rest.get(..end).and_then(|w| str::from_utf8(w).ok())?;
                    return Some(self.take(end, text));
                }
                b => {
                    match b {
                        b'(' | b'[' | b'{' => self.depth += 1,
                        b')' | b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                        _ => {}
                    }
                    self.before = b;
                    1
                }
            };
            self.at += length;
        }
    }

    fn take(&mut self, length: usize, text: &'a str) -> Word<'a> {
        let word = Word { text, start: self.at, depth: self.depth, before: self.before };
        self.at += length;
        self.before = b'w';
        word
    }
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// A backslash escapes the next byte; a doubled quote reads as two adjacent strings, which skips
/// just as well.
fn quoted(text: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(b) = text.get(at) {
        match b {
            b'\\' => at += 2,
            b if *b == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn line(text: &[u8]) -> usize {
    text.iter().position(|b| *b == b'\n').map_or(text.len(), |n| n + 1)
}

fn find(text: &[u8], end: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    rest.windows(end.len()).position(|w| w == end).map_or(text.len(), |n| from + n + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Option<(String, Option<String>, String)> {
        let owned = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        insert(text.as_bytes()).map(|i| (owned(i.head), i.format.map(str::to_owned), owned(i.data)))
    }

    fn data(head: &str, format: &str, data: &str) -> Option<(String, Option<String>, String)> {
        Some((head.to_owned(), Some(format.to_owned()), data.to_owned()))
    }

    #[test]
    fn data_begins_behind_the_format() {
        assert_eq!(
            split("INSERT INTO t FORMAT TSV\n\n1\n"),
            data("INSERT INTO t ", "TSV", "\n1\n")
        );
        assert_eq!(split("insert into t format TSV 1"), data("insert into t ", "TSV", "1"));
        assert_eq!(split("INSERT INTO t VALUES (1)"), data("INSERT INTO t ", "Values", " (1)"));
        assert_eq!(
            split("INSERT INTO t SETTINGS a = 'FORMAT x' FORMAT Native"),
            data("INSERT INTO t SETTINGS a = 'FORMAT x' ", "Native", "")
        );
    }

    #[test]
    fn names_and_comments_are_no_keywords() {
        assert_eq!(
            split("/* FORMAT A */ INSERT INTO `format x` (format, `it's`) -- VALUES\nFORMAT B\nx"),
            data("/* FORMAT A */ INSERT INTO `format x` (format, `it's`) -- VALUES\n", "B", "x")
        );
        assert_eq!(
            split("INSERT INTO values VALUES (1)"),
            data("INSERT INTO values ", "Values", " (1)")
        );
        assert_eq!(
            split("INSERT INTO db.format FORMAT B x"),
            data("INSERT INTO db.format ", "B", "x")
        );
        assert_eq!(
            split("INSERT INTO t (a)"),
            Some(("INSERT INTO t (a)".to_owned(), None, String::new()))
        );
    }

    #[test]
    fn an_insert_from_a_query_is_a_query() {
        assert_eq!(split("INSERT INTO t SELECT 1 FORMAT TSV"), None);
        assert_eq!(split("INSERT INTO t (a) (SELECT 1)"), None);
        assert_eq!(split("INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x"), None);
        assert_eq!(split("SELECT 'INSERT INTO t VALUES (1)'"), None);
    }

    #[test]
    fn a_query_names_its_format_last() {
        assert_eq!(output_format("SELECT format('{}', 1) AS f FORMAT JSON"), Some("JSON"));
        assert_eq!(output_format("SELECT 'FORMAT JSON'"), None);
        assert_eq!(output_format("SELECT 1 FORMAT CSV SETTINGS max_threads = 1"), Some("CSV"));
    }
}
