//! Walking what a grammar has read, whichever it is.

use pest::RuleType;
use pest::iterators::{Pair, Pairs};

use crate::ast::Span;
use crate::error::{Answer, Fault};

/// Where a rule stands in the text.
pub(crate) fn span<R: RuleType>(pair: &Pair<'_, R>) -> Span {
    let span = pair.as_span();
    // A rule that ends in optional parts takes the blanks before them with it.
    Span { start: span.start(), end: span.start() + span.as_str().trim_end().len() }
}

/// The grammar promises a child that is not there: never for a text, and still no reason to panic.
pub(crate) fn missing(span: Span) -> Fault {
    Fault::new(span, "this is incomplete")
}

/// The only child.
pub(crate) fn only<R: RuleType>(pair: Pair<'_, R>) -> Answer<Pair<'_, R>> {
    let at = span(&pair);
    pair.into_inner().next().ok_or_else(|| missing(at))
}

/// The next child of the rule at `at`.
pub(crate) fn next<'t, R: RuleType>(pairs: &mut Pairs<'t, R>, at: Span) -> Answer<Pair<'t, R>> {
    pairs.next().ok_or_else(|| missing(at))
}
