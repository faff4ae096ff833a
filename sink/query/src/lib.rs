//! Patchline's tables, asked in SQL, in KQL, or in the log-search language that was there before KQL.
//!
//! SQL is run as it is. The other two are translated to SQL here, whole: [`kql`] and [`search`] read a text to one
//! and the same tree ([`ast`]), and `sql` says that tree in SQL, knowing the columns of the tables and their types
//! ([`catalog`]). The engine has a KQL dialect of its own, and it would be less to write texts for that one. It is
//! not used, because it reads `=~` as a regular expression, knows neither `arg_max(x, *)` nor `has` as whole
//! words, has no types by which `a - b` is a length of time, and its errors are about another text than the one
//! that was typed. Here an error points at the column of the user's own text, and `--explain` shows plain SQL that
//! runs anywhere.
//!
//! What always holds: any text is either translated or refused with a place and a reason, in bounded stack and
//! memory; and no text of the user's reaches the engine but as a quoted literal or a quoted name of a column that
//! exists.

pub mod ast;
pub mod catalog;
pub mod client;
pub mod error;
pub mod kql;
pub mod language;
pub mod search;
mod sql;
mod synonyms;
pub mod text;
mod tree;

pub use catalog::Catalog;
pub use error::QueryError;
pub use language::Language;
pub use text::Notes;

/// How a text is to be understood.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What `now()` is, in microseconds since 1970; by default the server's clock.
    pub now_us: Option<i64>,
    /// How far back a query looks that says nothing about time itself, in ticks of 100 ns; by default all the way.
    pub timespan_ticks: Option<i64>,
    /// Values by name. In KQL each stands before a `let` of that name.
    pub parameters: Vec<(String, String)>,
}

/// A text in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// The SQL.
    pub sql: String,
    /// What the user should know about it.
    pub notes: Notes,
}

/// Says a text in SQL.
///
/// # Errors
/// The text is not of that language, or names what the catalog does not have; the error points at the column.
pub fn translate(
    text: &str,
    language: Language,
    catalog: &Catalog,
    options: &Options,
) -> Result<Translation, QueryError> {
    let mut notes = Notes::default();
    let query = match language {
        Language::Sql => return Ok(Translation { sql: text.to_owned(), notes }),
        Language::Kql => kql::parse(text, &mut notes)?,
        Language::Search => search::parse(text, &mut notes)?,
    };
    let ignore_case = language == Language::Search;
    let sql = sql::translate(&query, catalog, ignore_case, options, &mut notes)
        .map_err(|fault| fault.in_text(text))?;
    Ok(Translation { sql, notes })
}
