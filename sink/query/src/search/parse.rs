//! From text to tree. The grammar is `grammar.pest`.
//!
//! The tables that a filter looks into are those of its `Type` conditions; without one it looks into all of them.
//! A value is compared as a text without case; what it means in a column of numbers, times or truth values is
//! decided where columns are known.

use pest::Parser;
use pest::iterators::{Pair, Pairs};
use pest_derive::Parser;

use crate::ast::{
    Arithmetic, Comparison, Expr, ExprKind, InList, Literal, Name, Named, Operator, OperatorKind,
    Pipeline, Query, SortKey, Source, Span, TextTest, Union,
};
use crate::error::{Answer, Fault, QueryError};
use crate::text::{self, Notes};
use crate::tree::{missing, next, only, span};

#[derive(Parser)]
#[grammar = "search/grammar.pest"]
struct Grammar;

const COMMANDS: &str =
    "measure, select, distinct, top, limit, dedup, sort, extend, where and display";

/// Reads a query.
///
/// # Errors
/// The text is not of this language; the error points at the column.
pub fn parse(text: &str, notes: &mut Notes) -> Result<Query, QueryError> {
    text::check(text)
        .and_then(|()| {
            let mut pairs = Grammar::parse(Rule::query, text).map_err(|error| {
                Fault::of_grammar(error, readable).or_unknown(text, "command", COMMANDS)
            })?;
            let query = pairs.next().ok_or_else(|| missing(Span::default()))?;
            let body = only(query)?;
            Ok(Query { lets: Vec::new(), body: Reader { notes }.body(body)? })
        })
        .map_err(|fault| fault.in_text(text))
}

fn readable(rule: &Rule) -> &'static str {
    match rule {
        Rule::EOI => "the end of the query",
        Rule::command => "a command such as measure or select",
        Rule::term | Rule::comparison | Rule::within | Rule::free | Rule::filter => {
            "a condition such as Type=Update"
        }
        Rule::field => "a name",
        Rule::value | Rule::bare | Rule::quoted | Rule::term_value => "a value",
        Rule::now_number => "a number",
        Rule::unit => "a unit such as HOURS or DAYS",
        Rule::comparison_operator => "a comparison",
        Rule::bound | Rule::bound_text => "an end of the range",
        Rule::aggregate => "an aggregate such as count()",
        Rule::alias => "as",
        Rule::body => "a query in braces",
        _ => "",
    }
}

fn name(pair: &Pair<'_, Rule>) -> Name {
    Name { text: pair.as_str().to_owned(), span: span(pair) }
}

fn names(pairs: Pairs<'_, Rule>) -> Vec<Name> {
    pairs.map(|p| name(&p)).collect()
}

fn column(name: &Name) -> Named {
    Named { names: Vec::new(), expr: Expr::from(name) }
}

fn number(pair: &Pair<'_, Rule>) -> Answer<i64> {
    pair.as_str().parse().map_err(|_| Fault::new(span(pair), "this number is too large"))
}

fn is_type(expr: &Expr) -> Option<(&str, Span)> {
    match &expr.kind {
        ExprKind::Compare(Comparison::EqualIgnoreCase, left, right) => {
            match (&left.kind, &right.kind) {
                (ExprKind::Column(column), ExprKind::Literal(Literal::String(table)))
                    if column.eq_ignore_ascii_case("Type") =>
                {
                    Some((table, right.span))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// The tables that a condition names, when it is about nothing but tables.
fn tables(expr: &Expr) -> Option<Vec<Name>> {
    let named = |(text, span): (&str, Span)| Name { text: text.to_owned(), span };
    match &expr.kind {
        ExprKind::Or(all) => all.iter().map(|e| is_type(e).map(named)).collect(),
        _ => is_type(expr).map(|found| vec![named(found)]),
    }
}

struct Reader<'n> {
    notes: &'n mut Notes,
}

impl Reader<'_> {
    fn body(&mut self, pair: Pair<'_, Rule>) -> Answer<Pipeline> {
        let at = span(&pair);
        let mut conditions = Vec::new();
        let mut operators = Vec::new();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::filter => match self.filter(part)? {
                    Expr { kind: ExprKind::And(all), .. } => conditions = all,
                    one => conditions.push(one),
                },
                _ => self.command(part, &mut operators)?,
            }
        }
        let mut sources: Option<Vec<Name>> = None;
        conditions.retain(|condition| match tables(condition) {
            Some(named) => {
                // Two of them, side by side, must both hold.
                sources = Some(match sources.take() {
                    None => named,
                    Some(before) => {
                        let both =
                            |n: &Name| named.iter().any(|o| o.text.eq_ignore_ascii_case(&n.text));
                        before.into_iter().filter(both).collect()
                    }
                });
                false
            }
            None => true,
        });
        let condition = match (conditions.len(), conditions.pop()) {
            (_, None) => None,
            (1, one) => one,
            (_, Some(last)) => {
                conditions.push(last);
                Some(Expr { kind: ExprKind::And(conditions), span: at })
            }
        };
        let mut before = Vec::new();
        let source = match sources {
            Some(mut tables) => {
                if let Some(condition) = condition {
                    let span = condition.span;
                    before.push(Operator { kind: OperatorKind::Where(condition), span });
                }
                match (tables.len(), tables.pop()) {
                    (1, Some(table)) => Source::Table(table),
                    (_, None) => {
                        return Err(Fault::new(at, "no record is of two types at once"));
                    }
                    (_, Some(last)) => {
                        tables.push(last);
                        let sides = tables.into_iter().map(|table| Pipeline {
                            source: Source::Table(table),
                            operators: Vec::new(),
                        });
                        Source::Union(Union {
                            inner: false,
                            source_column: None,
                            sides: sides.collect(),
                            span: at,
                        })
                    }
                }
            }
            None => {
                let condition = condition.unwrap_or_else(|| Expr::string("*", at));
                Source::Search(Vec::new(), Box::new(condition))
            }
        };
        before.append(&mut operators);
        Ok(Pipeline { source, operators: before })
    }

    fn filter(&mut self, pair: Pair<'_, Rule>) -> Answer<Expr> {
        let at = span(&pair);
        let mut all = Vec::new();
        for conjunction in pair.into_inner() {
            let at = span(&conjunction);
            let terms = conjunction.into_inner().map(|t| self.term(t));
            all.push(several(terms.collect::<Answer<_>>()?, ExprKind::And, at)?);
        }
        several(all, ExprKind::Or, at)
    }

    fn term(&mut self, pair: Pair<'_, Rule>) -> Answer<Expr> {
        let pair = only(pair)?;
        let at = span(&pair);
        let kind = match pair.as_rule() {
            Rule::not_term => ExprKind::Not(Box::new(self.term(only(pair)?)?)),
            Rule::group => {
                let column = pair.line_col().1;
                let mut parts = pair.into_inner();
                let inner = self.filter(next(&mut parts, at)?)?;
                if parts.next().is_some() {
                    self.notes.add(format!(
                        "the parenthesis of column {column} is never closed: it is taken to end with the filter"
                    ));
                }
                return Ok(inner);
            }
            Rule::within => {
                let mut parts = pair.into_inner();
                let field = name(&next(&mut parts, at)?);
                let mut rows = next(&mut parts, at)?;
                let negated = rows.as_rule() == Rule::w_not_in;
                if negated {
                    rows = next(&mut parts, at)?;
                }
                ExprKind::In {
                    ignore_case: true,
                    negated,
                    value: Box::new(Expr::from(&field)),
                    list: InList::Rows(Box::new(self.body(rows)?)),
                }
            }
            Rule::comparison => return self.comparison(pair),
            _ => {
                let word = only(pair)?;
                let text = match word.as_rule() {
                    Rule::quoted => quoted(word)?,
                    _ => word.as_str().to_owned(),
                };
                return Ok(anywhere(&text, at));
            }
        };
        Ok(Expr { kind, span: at })
    }

    fn comparison(&mut self, pair: Pair<'_, Rule>) -> Answer<Expr> {
        let at = span(&pair);
        let mut parts = pair.into_inner();
        let field = name(&next(&mut parts, at)?);
        let sign = next(&mut parts, at)?.as_str();
        let value = only(next(&mut parts, at)?)?;
        let value_at = span(&value);
        let negated = sign == "!=";
        let left = Box::new(Expr::from(&field));
        let compared =
            |comparison, right| ExprKind::Compare(comparison, left.clone(), Box::new(right));
        let like = |test| Comparison::Text { test, case: false, negated };
        let comparison = match sign {
            "!=" => Comparison::NotEqualIgnoreCase,
            "<" => Comparison::Less,
            "<=" => Comparison::LessEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterEqual,
            _ => Comparison::EqualIgnoreCase,
        };
        let is_equality = matches!(sign, "=" | ":" | "!=");
        let kind = match value.as_rule() {
            Rule::range if is_equality => {
                let mut ends = value.into_inner();
                let low = Box::new(self.bound(next(&mut ends, at)?)?);
                let high = Box::new(self.bound(next(&mut ends, at)?)?);
                ExprKind::Between { negated, value: left.clone(), low, high }
            }
            Rule::regex if is_equality => {
                let pattern = quoted(only(value)?)?;
                // The old language's expressions match without case, as its values do.
                let pattern = Expr::string(&format!("(?i){pattern}"), value_at);
                compared(like(TextTest::Matches), pattern)
            }
            Rule::quoted => compared(comparison, Expr::string(&quoted(value)?, value_at)),
            Rule::now => compared(comparison, now(value)?),
            Rule::bare => match value.as_str() {
                "*" if is_equality => ExprKind::Compare(
                    if negated { Comparison::Equal } else { Comparison::NotEqual },
                    Box::new(Expr {
                        kind: ExprKind::Call("tostring".to_owned(), vec![*left]),
                        span: field.span,
                    }),
                    Box::new(Expr::string("", value_at)),
                ),
                text if text.contains('*') && is_equality => {
                    compared(like(TextTest::Like), Expr::string(text, value_at))
                }
                text => compared(comparison, Expr::string(text, value_at)),
            },
            _ => {
                return Err(Fault::new(
                    value_at,
                    format!("`{sign}` needs one value: a range or an expression goes with `=`"),
                ));
            }
        };
        Ok(Expr { kind, span: at })
    }

    fn bound(&mut self, pair: Pair<'_, Rule>) -> Answer<Expr> {
        let inner = only(pair)?;
        let at = span(&inner);
        match inner.as_rule() {
            Rule::now => now(inner),
            Rule::quoted => Ok(Expr::string(&quoted(inner)?, at)),
            _ => Ok(Expr::string(inner.as_str(), at)),
        }
    }

    fn command(&mut self, pair: Pair<'_, Rule>, operators: &mut Vec<Operator>) -> Answer<()> {
        let pair = only(pair)?;
        let at = span(&pair);
        let mut add = |kind| operators.push(Operator { kind, span: at });
        match pair.as_rule() {
            Rule::measure => {
                let (kind, order) = self.measure(pair)?;
                add(kind);
                add(order);
            }
            Rule::select => {
                let mut columns = Vec::new();
                for selected in pair.into_inner() {
                    let mut parts = selected.into_inner();
                    let field = name(&next(&mut parts, at)?);
                    columns.push(aliased(Expr::from(&field), parts.next())?);
                }
                add(OperatorKind::Project(columns));
            }
            Rule::distinct => {
                let columns = names(pair.into_inner()).iter().map(column).collect();
                add(OperatorKind::Distinct(columns));
            }
            Rule::top | Rule::limit => {
                let count = only(pair)?;
                let kind = ExprKind::Literal(Literal::Int(number(&count)?));
                let ordered = operators.iter().any(|o| {
                    matches!(
                        o.kind,
                        OperatorKind::Sort(_)
                            | OperatorKind::Summarize { .. }
                            | OperatorKind::Project(_)
                            | OperatorKind::Distinct(_)
                    )
                });
                let count = Expr { kind, span: span(&count) };
                let newest = SortKey {
                    expr: Expr { kind: ExprKind::Column("TimeGenerated".to_owned()), span: at },
                    ascending: false,
                    nulls_first: None,
                };
                let kind = match ordered {
                    true => OperatorKind::Take(count),
                    // The old language shows the newest first where nothing else is said.
                    false => OperatorKind::Top(count, vec![newest]),
                };
                operators.push(Operator { kind, span: at });
            }
            Rule::dedup => add(OperatorKind::Dedup(names(pair.into_inner()))),
            Rule::sort => {
                let mut keys = Vec::new();
                for key in pair.into_inner() {
                    let mut parts = key.into_inner();
                    let field = name(&next(&mut parts, at)?);
                    let descending =
                        parts.next().is_some_and(|d| d.as_str().eq_ignore_ascii_case("desc"));
                    keys.push(SortKey {
                        expr: Expr::from(&field),
                        ascending: !descending,
                        nulls_first: None,
                    });
                }
                add(OperatorKind::Sort(keys));
            }
            Rule::extend => {
                let mut columns = Vec::new();
                for extended in pair.into_inner() {
                    let mut parts = extended.into_inner();
                    let value = term_value(next(&mut parts, at)?)?;
                    columns.push(aliased(value, parts.next())?);
                }
                add(OperatorKind::Extend(columns));
            }
            Rule::where_command => {
                let condition = self.filter(only(pair)?)?;
                add(OperatorKind::Where(condition));
            }
            Rule::display => add(OperatorKind::Nothing),
            rule => return Err(Fault::new(at, format!("{rule:?} is no command"))),
        }
        Ok(())
    }

    /// Groups, and the largest first, as the old language shows them.
    fn measure(&mut self, pair: Pair<'_, Rule>) -> Answer<(OperatorKind, OperatorKind)> {
        let at = span(&pair);
        let (mut aggregates, mut by, mut interval) = (Vec::new(), Vec::new(), None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::aggregate => aggregates.push(part),
                Rule::by => by = names(part.into_inner()).iter().map(column).collect(),
                _ => interval = Some(part),
            }
        }
        let several = aggregates.len() > 1;
        let mut named = Vec::new();
        for aggregate in aggregates {
            named.push(measured(aggregate, several.then_some(named.len() + 1))?);
        }
        if let Some(interval) = interval {
            let step =
                Expr { kind: ExprKind::Literal(Literal::Timespan(length(&interval)?)), span: at };
            let time = |named: &Named| matches!(&named.expr.kind, ExprKind::Column(c) if c.eq_ignore_ascii_case("TimeGenerated"));
            by.retain(|named| !time(named));
            let column = Expr { kind: ExprKind::Column("TimeGenerated".to_owned()), span: at };
            let expr =
                Expr { kind: ExprKind::Call("bin".to_owned(), vec![column, step]), span: at };
            by.push(Named { names: Vec::new(), expr });
        }
        let order = match named.first().and_then(|first| first.names.first()) {
            Some(first) => OperatorKind::Sort(vec![SortKey {
                expr: Expr::from(first),
                ascending: false,
                nulls_first: None,
            }]),
            None => OperatorKind::Nothing,
        };
        Ok((OperatorKind::Summarize { aggregates: named, by }, order))
    }
}

fn several(mut all: Vec<Expr>, make: impl Fn(Vec<Expr>) -> ExprKind, span: Span) -> Answer<Expr> {
    match (all.len(), all.pop()) {
        (1, Some(one)) => Ok(one),
        (_, Some(last)) => {
            all.push(last);
            // Groups that mean the same need no parentheses: `a (b c)` is `a b c`.
            let mut flat = Vec::new();
            for expr in all {
                match (make(Vec::new()), expr) {
                    (ExprKind::And(_), Expr { kind: ExprKind::And(inner), .. }) => {
                        flat.extend(inner)
                    }
                    (_, expr) => flat.push(expr),
                }
            }
            Ok(Expr { kind: make(flat), span })
        }
        (_, None) => Err(missing(span)),
    }
}

/// A word that any column may have.
fn anywhere(text: &str, span: Span) -> Expr {
    if text == "*" {
        return Expr { kind: ExprKind::Literal(Literal::Bool(true)), span };
    }
    let test = if text.contains('*') { TextTest::Like } else { TextTest::Has };
    let comparison = Comparison::Text { test, case: false, negated: false };
    let all = Box::new(Expr { kind: ExprKind::Star, span });
    let kind = ExprKind::Compare(comparison, all, Box::new(Expr::string(text, span)));
    Expr { kind, span }
}

fn quoted(pair: Pair<'_, Rule>) -> Answer<String> {
    let at = span(&pair);
    text::unescaped(only(pair)?.as_str(), at)
}

fn aliased(expr: Expr, alias: Option<Pair<'_, Rule>>) -> Answer<Named> {
    let names = match alias {
        Some(alias) => vec![name(&only(alias)?)],
        None => Vec::new(),
    };
    Ok(Named { names, expr })
}

fn term_value(pair: Pair<'_, Rule>) -> Answer<Expr> {
    let inner = only(pair)?;
    let at = span(&inner);
    match inner.as_rule() {
        Rule::function => {
            let mut parts = inner.into_inner();
            let function = next(&mut parts, at)?.as_str().to_ascii_lowercase();
            let arguments = parts.map(term_value).collect::<Answer<_>>()?;
            Ok(Expr { kind: ExprKind::Call(function, arguments), span: at })
        }
        Rule::quoted => Ok(Expr::string(&quoted(inner)?, at)),
        _ => Ok(Expr::from(&name(&inner))),
    }
}

/// `count()`, `max(Field) as Name`; the result is AggregatedValue where nobody says otherwise.
fn measured(pair: Pair<'_, Rule>, number: Option<usize>) -> Answer<Named> {
    let at = span(&pair);
    let mut parts = pair.into_inner();
    let function = next(&mut parts, at)?;
    let function_name = match function.as_str().to_ascii_lowercase().as_str() {
        "countdistinct" => "dcount".to_owned(),
        word @ ("count" | "sum" | "avg" | "min" | "max" | "stdev") => word.to_owned(),
        word => {
            return Err(Fault::new(
                span(&function),
                format!(
                    "`{word}` is no aggregate known here; known are count, countdistinct, sum, avg, min, max and stdev"
                ),
            ));
        }
    };
    let (mut arguments, mut alias) = (Vec::new(), None);
    for part in parts {
        match part.as_rule() {
            // In the old language count(Field) counts rows.
            Rule::field if function_name != "count" => arguments.push(Expr::from(&name(&part))),
            Rule::alias => alias = Some(name(&only(part)?)),
            _ => {}
        }
    }
    let alias = alias.unwrap_or_else(|| Name {
        text: format!(
            "AggregatedValue{}",
            number.filter(|n| *n > 1).map(|n| n.to_string()).unwrap_or_default()
        ),
        span: at,
    });
    let expr = Expr { kind: ExprKind::Call(function_name, arguments), span: at };
    Ok(Named { names: vec![alias], expr })
}

/// Ticks of a number and a unit.
fn length(pair: &Pair<'_, Rule>) -> Answer<i64> {
    let written: String = pair
        .clone()
        .into_inner()
        .filter(|p| matches!(p.as_rule(), Rule::now_number | Rule::unit))
        .map(|p| p.as_str().to_owned())
        .collect();
    text::timespan(&written)
        .filter(|ticks| *ticks > 0)
        .ok_or_else(|| Fault::new(span(pair), "this is no length of time"))
}

/// `NOW-1DAY`, `NOW/DAY-2HOURS`
fn now(pair: Pair<'_, Rule>) -> Answer<Expr> {
    let at = span(&pair);
    let mut expr = Expr { kind: ExprKind::Call("now".to_owned(), Vec::new()), span: at };
    let timespan = |ticks| Expr { kind: ExprKind::Literal(Literal::Timespan(ticks)), span: at };
    for part in pair.into_inner() {
        let kind = match part.as_rule() {
            Rule::now_round => {
                let unit = only(part)?;
                let ticks =
                    text::timespan(&format!("1{}", unit.as_str())).ok_or_else(|| missing(at))?;
                ExprKind::Call("bin".to_owned(), vec![expr, timespan(ticks)])
            }
            _ => {
                let operator = match part.as_str().starts_with('-') {
                    true => Arithmetic::Subtract,
                    false => Arithmetic::Add,
                };
                let ticks = length(&part)?;
                ExprKind::Arithmetic(operator, Box::new(expr), Box::new(timespan(ticks)))
            }
        };
        expr = Expr { kind, span: at };
    }
    Ok(expr)
}
