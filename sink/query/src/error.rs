//! What is wrong with a query, and at which column.

use std::fmt;

use pest::error::{Error, ErrorVariant};
use pest::{Position, RuleType};

use crate::ast::Span;

/// A query that cannot be run. `Display` shows the line, points at the column, and says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}\n{picture}")]
pub struct QueryError {
    /// What is wrong.
    pub message: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    picture: String,
}

/// What is wrong at a place, before the text is at hand to show it in.
#[derive(Debug)]
pub(crate) struct Fault {
    message: String,
    span: Span,
}

/// Answers of everything that may find a fault.
pub(crate) type Answer<T> = Result<T, Fault>;

impl Fault {
    pub(crate) fn new(span: Span, message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), span }
    }

    /// The fault, pointed at in the text.
    pub(crate) fn in_text(self, text: &str) -> QueryError {
        let mut at = self.span.start.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let (line, column) = Position::new(text, at).map_or((1, 1), |position| position.line_col());
        let shown = text.lines().nth(line - 1).unwrap_or_default();
        let spanned = text.get(at..self.span.end.min(text.len())).unwrap_or_default();
        let width = spanned.lines().next().unwrap_or_default().trim_end().chars().count().max(1);
        // A tab is as wide in the line below as above it.
        let indent: String =
            shown.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let picture = format!("    {shown}\n    {indent}{}", "^".repeat(width));
        QueryError { message: self.message, line, column, picture }
    }

    /// Says instead that a word after a pipe is none of those that can stand there.
    pub(crate) fn or_unknown(self, text: &str, what: &str, known: &str) -> Self {
        let (Some(before), Some(after)) =
            (text.get(..self.span.start), text.get(self.span.start..))
        else {
            return self;
        };
        let before = before.trim_end();
        let word: String = after
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
            .collect();
        let is_known = known.split([',', ' ']).any(|known| known.eq_ignore_ascii_case(&word));
        if word.is_empty() || is_known || !(before.ends_with('|') || before.ends_with("&#124;")) {
            return self;
        }
        let span = Span { start: self.span.start, end: self.span.start + word.len() };
        Self::new(span, format!("`{word}` is no {what} known here; known are {known}"))
    }

    /// A fault of the grammar; `name` says what a rule is to a reader.
    pub(crate) fn of_grammar<R: RuleType>(
        error: Error<R>,
        name: impl Fn(&R) -> &'static str,
    ) -> Self {
        let start = match error.location {
            pest::error::InputLocation::Pos(at) => at,
            pest::error::InputLocation::Span((start, _)) => start,
        };
        let message = match error.variant {
            ErrorVariant::CustomError { message } => message,
            ErrorVariant::ParsingError { positives, .. } => {
                let mut expected: Vec<&str> =
                    positives.iter().map(name).filter(|name| !name.is_empty()).collect();
                expected.sort_unstable();
                expected.dedup();
                match expected.split_last() {
                    None => "this cannot stand here".to_owned(),
                    Some((last, [])) => format!("expected {last}"),
                    Some((last, rest)) => format!("expected {} or {last}", rest.join(", ")),
                }
            }
        };
        Self::new(Span { start, end: start + 1 }, message)
    }
}
