//! From text to tree. The grammar is `grammar.pest`; what it lets through and no query can mean is refused here.

use pest::Parser;
use pest::iterators::{Pair, Pairs};
use pest_derive::Parser;

use crate::ast::{
    Arithmetic, Comparison, Expansion, Expr, ExprKind, InList, JoinKey, JoinKind, Let, LetValue,
    Literal, MakeSeries, Name, Named, NullKind, Operator, OperatorKind, Pipeline, Query, SortKey,
    Source, Span, TextTest, Union,
};
use crate::error::{Answer, Fault, QueryError};
use crate::text::{self, Notes};
use crate::tree::{missing, next, only, span};

use super::unsupported::or_unsupported;

#[derive(Parser)]
#[grammar = "kql/grammar.pest"]
struct Grammar;

/// A chain of operators is a tree as deep as the chain is long, and trees are walked on the stack.
const CHAIN_MAX: usize = 200;

const OPERATORS: &str = "where, extend, project, project-away, project-keep, project-rename, \
    project-reorder, summarize, distinct, count, take, limit, top, sort, order, join, lookup, union, \
    mv-expand, make-series and render";

/// Reads a query.
///
/// # Errors
/// The text is not KQL, or uses an operator that is not known here; the error points at the column.
pub fn parse(text: &str, notes: &mut Notes) -> Result<Query, QueryError> {
    text::check(text)
        .and_then(|()| {
            let mut pairs = Grammar::parse(Rule::query, text).map_err(|error| {
                let fault = Fault::of_grammar(error, readable);
                or_unsupported(fault.or_unknown(text, "operator", OPERATORS), text)
            })?;
            let query =
                pairs.next().ok_or_else(|| Fault::new(Span::default(), "nothing to run"))?;
            Reader { notes }.query(query)
        })
        .map_err(|fault| fault.in_text(text))
}

/// What a rule is to a reader; empty for what is not worth a word.
fn readable(rule: &Rule) -> &'static str {
    match rule {
        Rule::EOI => "the end of the query",
        Rule::operator => "an operator such as where or summarize",
        Rule::pipeline | Rule::source | Rule::table => "a table",
        Rule::name | Rule::names | Rule::identifier | Rule::quoted_name | Rule::column => "a name",
        Rule::expr
        | Rule::conjunction
        | Rule::comparison
        | Rule::named
        | Rule::named_list
        | Rule::sum
        | Rule::product
        | Rule::unary
        | Rule::sign
        | Rule::postfix
        | Rule::argument
        | Rule::call
        | Rule::timespan
        | Rule::number
        | Rule::string
        | Rule::datetime
        | Rule::dynamic
        | Rule::null
        | Rule::bool
        | Rule::star => "a value",
        Rule::compare_operator | Rule::text_operator => "a comparison",
        Rule::sum_operator | Rule::product_operator => "an arithmetic sign",
        Rule::member | Rule::index => "a member",
        Rule::by => "by",
        Rule::nested | Rule::side => "a table, or rows in parentheses",
        Rule::join_key | Rule::join_keys => "the columns to join on",
        Rule::pattern | Rule::pattern_list | Rule::pattern_text => "a column",
        Rule::moment => "a date, a time or a length of time",
        Rule::json => "JSON",
        _ => "",
    }
}

struct Reader<'n> {
    notes: &'n mut Notes,
}

impl Reader<'_> {
    fn query(&mut self, pair: Pair<'_, Rule>) -> Answer<Query> {
        let at = span(&pair);
        let mut lets = Vec::new();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::let_statement => lets.push(self.let_statement(part)?),
                Rule::pipeline => return Ok(Query { lets, body: self.pipeline(part)? }),
                _ => {}
            }
        }
        Err(missing(at))
    }

    fn let_statement(&mut self, pair: Pair<'_, Rule>) -> Answer<Let> {
        let at = span(&pair);
        let mut parts = pair.into_inner();
        let name = self.name(next(&mut parts, at)?)?;
        let mut value = next(&mut parts, at)?;
        if value.as_rule() == Rule::tabular_ahead {
            value = next(&mut parts, at)?;
        }
        let value = match value.as_rule() {
            Rule::pipeline => LetValue::Tabular(self.pipeline(value)?),
            _ => LetValue::Scalar(self.expr(value)?),
        };
        Ok(Let { name, value })
    }

    fn pipeline(&mut self, pair: Pair<'_, Rule>) -> Answer<Pipeline> {
        let at = span(&pair);
        let mut parts = pair.into_inner();
        let source = self.source(next(&mut parts, at)?)?;
        let operators = parts.map(|part| self.operator(part)).collect::<Answer<_>>()?;
        Ok(Pipeline { source, operators })
    }

    fn source(&mut self, pair: Pair<'_, Rule>) -> Answer<Source> {
        let at = span(&pair);
        Ok(match pair.as_rule() {
            Rule::union => Source::Union(self.union(pair)?),
            Rule::nested => Source::Nested(Box::new(self.pipeline(only(pair)?)?)),
            Rule::print => Source::Print(self.named_list(only(pair)?)?, at),
            Rule::search => {
                let mut tables = Vec::new();
                let mut sought = None;
                for part in pair.into_inner() {
                    match part.as_rule() {
                        Rule::search_tables => tables = self.names(part)?,
                        Rule::expr => sought = Some(self.expr(part)?),
                        _ => {}
                    }
                }
                Source::Search(tables, Box::new(sought.ok_or_else(|| missing(at))?))
            }
            _ => Source::Table(self.name(only(pair)?)?),
        })
    }

    /// A pipeline of one side of a join or a union.
    fn side(&mut self, pair: Pair<'_, Rule>) -> Answer<Pipeline> {
        let source = self.source(only(pair)?)?;
        Ok(match source {
            Source::Nested(pipeline) => *pipeline,
            source => Pipeline { source, operators: Vec::new() },
        })
    }

    fn operator(&mut self, pair: Pair<'_, Rule>) -> Answer<Operator> {
        let pair = only(pair)?;
        let at = span(&pair);
        let kind = match pair.as_rule() {
            Rule::where_op => OperatorKind::Where(self.expr(only(pair)?)?),
            Rule::extend_op => OperatorKind::Extend(self.named_list(only(pair)?)?),
            Rule::project_op => OperatorKind::Project(self.named_list(only(pair)?)?),
            Rule::project_away => OperatorKind::ProjectAway(self.patterns(only(pair)?)?),
            Rule::project_keep => OperatorKind::ProjectKeep(self.patterns(only(pair)?)?),
            Rule::project_rename => OperatorKind::ProjectRename(self.named_list(only(pair)?)?),
            Rule::project_reorder => OperatorKind::ProjectReorder(self.patterns(only(pair)?)?),
            Rule::summarize => {
                let (mut aggregates, mut by) = (Vec::new(), Vec::new());
                for part in pair.into_inner() {
                    match part.as_rule() {
                        Rule::by => by = self.named_list(only(part)?)?,
                        Rule::hint => {}
                        _ => aggregates = self.named_list(part)?,
                    }
                }
                OperatorKind::Summarize { aggregates, by }
            }
            Rule::distinct => {
                let inner = only(pair)?;
                OperatorKind::Distinct(match inner.as_rule() {
                    Rule::star => Vec::new(),
                    _ => self.named_list(inner)?,
                })
            }
            Rule::count_op => OperatorKind::Count,
            Rule::take => OperatorKind::Take(self.expr(only(pair)?)?),
            Rule::top => {
                let mut parts = pair.into_inner();
                let rows = self.expr(next(&mut parts, at)?)?;
                OperatorKind::Top(rows, self.sort_keys(parts)?)
            }
            Rule::sort => OperatorKind::Sort(self.sort_keys(pair.into_inner())?),
            Rule::join => self.join(pair, false)?,
            Rule::lookup => self.join(pair, true)?,
            Rule::union => OperatorKind::Union(self.union(pair)?),
            Rule::mv_expand => OperatorKind::MvExpand(
                pair.into_inner().map(|p| self.expansion(p)).collect::<Answer<_>>()?,
            ),
            Rule::make_series => OperatorKind::MakeSeries(Box::new(self.make_series(pair)?)),
            Rule::nothing => OperatorKind::Nothing,
            rule => return Err(Fault::new(at, format!("{rule:?} is no operator"))),
        };
        Ok(Operator { kind, span: at })
    }

    fn join(&mut self, pair: Pair<'_, Rule>, lookup: bool) -> Answer<OperatorKind> {
        let at = span(&pair);
        let mut kind = if lookup { JoinKind::LeftOuter } else { JoinKind::InnerUnique };
        let (mut right, mut on) = (None, Vec::new());
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::join_kind => kind = join_kind(&only(part)?)?,
                Rule::side => right = Some(self.side(part)?),
                Rule::hint => {}
                _ => on = part.into_inner().map(|p| self.join_key(p)).collect::<Answer<_>>()?,
            }
        }
        Ok(OperatorKind::Join { kind, right: right.ok_or_else(|| missing(at))?, on, lookup })
    }

    fn join_key(&mut self, pair: Pair<'_, Rule>) -> Answer<JoinKey> {
        let at = span(&pair);
        let mut parts = pair.into_inner();
        let left = self.name(next(&mut parts, at)?)?;
        let right = match parts.next() {
            Some(right) => self.name(right)?,
            None => left.clone(),
        };
        Ok(JoinKey { left, right })
    }

    fn union(&mut self, pair: Pair<'_, Rule>) -> Answer<Union> {
        let at = span(&pair);
        let mut union = Union { inner: false, source_column: None, sides: Vec::new(), span: at };
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::union_kind => union.inner = only(part)?.as_str() == "inner",
                Rule::union_source => union.source_column = Some(self.name(only(part)?)?),
                Rule::side => union.sides.push(self.side(part)?),
                _ => {}
            }
        }
        Ok(union)
    }

    fn expansion(&mut self, pair: Pair<'_, Rule>) -> Answer<Expansion> {
        let at = span(&pair);
        let mut parts = pair.into_inner();
        let named = self.named(next(&mut parts, at)?)?;
        let to = parts.next().map(|p| self.name(p)).transpose()?;
        Ok(Expansion { named, to })
    }

    fn make_series(&mut self, pair: Pair<'_, Rule>) -> Answer<MakeSeries> {
        let at = span(&pair);
        let (mut aggregates, mut by, mut on, mut range) = (Vec::new(), Vec::new(), None, None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::series_item => {
                    let mut parts = part.into_inner();
                    let named = self.named(next(&mut parts, at)?)?;
                    aggregates.push((named, parts.next().map(|p| self.expr(p)).transpose()?));
                }
                Rule::name => on = Some(self.name(part)?),
                Rule::series_range => range = Some(part),
                _ => by = self.named_list(only(part)?)?,
            }
        }
        let range = range.ok_or_else(|| missing(at))?;
        let to_inclusive = range.as_str().starts_with("in");
        let mut ends = range.into_inner();
        Ok(MakeSeries {
            aggregates,
            on: on.ok_or_else(|| missing(at))?,
            from: self.expr(next(&mut ends, at)?)?,
            to: self.expr(next(&mut ends, at)?)?,
            step: self.expr(next(&mut ends, at)?)?,
            to_inclusive,
            by,
        })
    }

    fn sort_keys(&mut self, pairs: Pairs<'_, Rule>) -> Answer<Vec<SortKey>> {
        pairs
            .filter(|pair| pair.as_rule() == Rule::sort_key)
            .map(|pair| {
                let at = span(&pair);
                let mut parts = pair.into_inner();
                let expr = self.expr(next(&mut parts, at)?)?;
                let mut key = SortKey { expr, ascending: false, nulls_first: None };
                for part in parts {
                    match part.as_rule() {
                        Rule::direction => key.ascending = part.as_str() == "asc",
                        _ => key.nulls_first = Some(only(part)?.as_str() == "first"),
                    }
                }
                Ok(key)
            })
            .collect()
    }

    fn named_list(&mut self, pair: Pair<'_, Rule>) -> Answer<Vec<Named>> {
        pair.into_inner().map(|p| self.named(p)).collect()
    }

    fn named(&mut self, pair: Pair<'_, Rule>) -> Answer<Named> {
        let at = span(&pair);
        let mut parts = pair.into_inner();
        let mut first = next(&mut parts, at)?;
        let mut names = Vec::new();
        if first.as_rule() == Rule::names {
            names = self.names(first)?;
            first = next(&mut parts, at)?;
        }
        Ok(Named { names, expr: self.expr(first)? })
    }

    fn names(&mut self, pair: Pair<'_, Rule>) -> Answer<Vec<Name>> {
        pair.into_inner().map(|p| self.name(p)).collect()
    }

    fn patterns(&mut self, pair: Pair<'_, Rule>) -> Answer<Vec<Name>> {
        pair.into_inner()
            .map(|pattern| {
                let inner = only(pattern)?;
                match inner.as_rule() {
                    Rule::quoted_name => self.quoted_name(inner),
                    _ => Ok(Name { text: inner.as_str().to_owned(), span: span(&inner) }),
                }
            })
            .collect()
    }

    fn name(&mut self, pair: Pair<'_, Rule>) -> Answer<Name> {
        let inner = only(pair)?;
        match inner.as_rule() {
            Rule::quoted_name => self.quoted_name(inner),
            _ => Ok(Name { text: inner.as_str().to_owned(), span: span(&inner) }),
        }
    }

    fn quoted_name(&mut self, pair: Pair<'_, Rule>) -> Answer<Name> {
        let at = span(&pair);
        Ok(Name { text: string(only(pair)?)?, span: at })
    }

    fn exprs(&mut self, pairs: Pairs<'_, Rule>) -> Answer<Vec<Expr>> {
        pairs.map(|p| self.expr(p)).collect()
    }

    /// Any rule that is a value.
    fn expr(&mut self, pair: Pair<'_, Rule>) -> Answer<Expr> {
        let at = span(&pair);
        let kind = match pair.as_rule() {
            Rule::expr => return self.several(pair, ExprKind::Or),
            Rule::conjunction => return self.several(pair, ExprKind::And),
            Rule::comparison => return self.comparison(pair),
            Rule::sum | Rule::product => return self.chain(pair),
            Rule::unary => {
                let mut parts = pair.into_inner();
                let first = next(&mut parts, at)?;
                if first.as_rule() != Rule::sign {
                    return self.expr(first);
                }
                let value = self.expr(next(&mut parts, at)?)?;
                match (first.as_str(), value.kind) {
                    ("-", ExprKind::Literal(Literal::Int(n))) => {
                        ExprKind::Literal(Literal::Int(n.wrapping_neg()))
                    }
                    ("-", ExprKind::Literal(Literal::Real(n))) => {
                        ExprKind::Literal(Literal::Real(-n))
                    }
                    ("-", ExprKind::Literal(Literal::Timespan(n))) => {
                        ExprKind::Literal(Literal::Timespan(n.wrapping_neg()))
                    }
                    ("-", kind) => ExprKind::Negative(Box::new(Expr { kind, span: value.span })),
                    (_, kind) => kind,
                }
            }
            Rule::postfix => {
                let mut parts = pair.into_inner();
                let base = self.expr(next(&mut parts, at)?)?;
                let steps = parts.map(|step| self.step(step)).collect::<Answer<Vec<_>>>()?;
                match steps.is_empty() {
                    true => return Ok(base),
                    false if steps.len() > CHAIN_MAX => return Err(too_long(at)),
                    false => ExprKind::Path(Box::new(base), steps),
                }
            }
            Rule::call => {
                let mut parts = pair.into_inner();
                let name = next(&mut parts, at)?.as_str().to_owned();
                let mut arguments = self.exprs(parts)?;
                match (name.as_str(), arguments.len()) {
                    ("not", 1) => match arguments.pop() {
                        Some(one) => ExprKind::Not(Box::new(one)),
                        None => return Err(missing(at)),
                    },
                    _ => ExprKind::Call(name, arguments),
                }
            }
            Rule::argument => return self.expr(only(pair)?),
            Rule::column => ExprKind::Column(self.name(only(pair)?)?.text),
            Rule::star => ExprKind::Star,
            Rule::string => ExprKind::Literal(Literal::String(string(pair)?)),
            Rule::bool => ExprKind::Literal(Literal::Bool(pair.as_str() == "true")),
            Rule::number => ExprKind::Literal(number(pair.as_str(), at)?),
            Rule::timespan => ExprKind::Literal(Literal::Timespan(timespan(&pair)?)),
            Rule::datetime => ExprKind::Literal(moment(pair)?),
            Rule::null => ExprKind::Literal(Literal::Null(null_kind(only(pair)?.as_str()))),
            Rule::dynamic => {
                let mut json = String::new();
                write_json(only(pair)?, &mut json)?;
                ExprKind::Literal(Literal::Dynamic(json))
            }
            rule => return Err(Fault::new(at, format!("{rule:?} is no value"))),
        };
        Ok(Expr { kind, span: at })
    }

    fn several(
        &mut self,
        pair: Pair<'_, Rule>,
        make: impl Fn(Vec<Expr>) -> ExprKind,
    ) -> Answer<Expr> {
        let at = span(&pair);
        let mut all = self.exprs(pair.into_inner())?;
        match (all.len(), all.pop()) {
            (1, Some(one)) => Ok(one),
            (_, Some(last)) => {
                all.push(last);
                Ok(Expr { kind: make(all), span: at })
            }
            (_, None) => Err(missing(at)),
        }
    }

    fn chain(&mut self, pair: Pair<'_, Rule>) -> Answer<Expr> {
        let at = span(&pair);
        if pair.clone().into_inner().count() > CHAIN_MAX {
            return Err(too_long(at));
        }
        let mut parts = pair.into_inner();
        let mut left = self.expr(next(&mut parts, at)?)?;
        while let Some(sign) = parts.next() {
            let operator = match sign.as_str() {
                "+" => Arithmetic::Add,
                "-" => Arithmetic::Subtract,
                "*" => Arithmetic::Multiply,
                "/" => Arithmetic::Divide,
                _ => Arithmetic::Modulo,
            };
            let right = self.expr(next(&mut parts, at)?)?;
            let span = Span { start: left.span.start, end: right.span.end };
            let kind = ExprKind::Arithmetic(operator, Box::new(left), Box::new(right));
            left = Expr { kind, span };
        }
        Ok(left)
    }

    fn step(&mut self, pair: Pair<'_, Rule>) -> Answer<Expr> {
        let rule = pair.as_rule();
        let inner = only(pair)?;
        match rule {
            Rule::member => {
                let name = self.name(inner)?;
                Ok(Expr::string(&name.text, name.span))
            }
            _ => self.expr(inner),
        }
    }

    fn comparison(&mut self, pair: Pair<'_, Rule>) -> Answer<Expr> {
        let at = span(&pair);
        let mut parts = pair.into_inner();
        let value = self.expr(next(&mut parts, at)?)?;
        let Some(tail) = parts.next() else { return Ok(value) };
        let value = Box::new(value);
        let rule = tail.as_rule();
        let mut parts = tail.into_inner();
        let sign = next(&mut parts, at)?;
        let word = sign.as_str();
        let negated = word.starts_with('!');
        let kind = match rule {
            Rule::in_tail => {
                let mut list: Vec<Pair<'_, Rule>> =
                    parts.filter(|p| p.as_rule() != Rule::tabular_ahead).collect();
                let list = match list.pop() {
                    Some(last) if last.as_rule() == Rule::pipeline => {
                        InList::Rows(Box::new(self.pipeline(last)?))
                    }
                    Some(last) => {
                        list.push(last);
                        let values = list.into_iter().map(|p| self.expr(p));
                        InList::Values(values.collect::<Answer<_>>()?)
                    }
                    None => InList::Values(Vec::new()),
                };
                ExprKind::In { ignore_case: word.ends_with('~'), negated, value, list }
            }
            Rule::between_tail => {
                let low = Box::new(self.expr(next(&mut parts, at)?)?);
                let high = Box::new(self.expr(next(&mut parts, at)?)?);
                ExprKind::Between { negated, value, low, high }
            }
            Rule::each_tail => {
                let words = self.exprs(parts)?;
                ExprKind::HasEach { all: word == "has_all", value, words }
            }
            _ => {
                if word == "=" {
                    let (line, column) = sign.line_col();
                    self.notes.add(format!(
                        "line {line}, column {column}: `=` is read as `==`, which is how KQL compares"
                    ));
                }
                let right = Box::new(self.expr(next(&mut parts, at)?)?);
                ExprKind::Compare(comparison(word), value, right)
            }
        };
        Ok(Expr { kind, span: at })
    }
}

fn too_long(at: Span) -> Fault {
    Fault::new(at, format!("this has more than {CHAIN_MAX} parts: split it up with `extend`"))
}

fn comparison(word: &str) -> Comparison {
    match word {
        "==" | "=" => return Comparison::Equal,
        "!=" | "<>" => return Comparison::NotEqual,
        "=~" => return Comparison::EqualIgnoreCase,
        "!~" => return Comparison::NotEqualIgnoreCase,
        "<" => return Comparison::Less,
        "<=" => return Comparison::LessEqual,
        ">" => return Comparison::Greater,
        ">=" => return Comparison::GreaterEqual,
        _ => {}
    }
    let (negated, word) = match word.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let (case, word) = match word.strip_suffix("_cs") {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let test = match word {
        "has" => TextTest::Has,
        "hasprefix" => TextTest::HasPrefix,
        "hassuffix" => TextTest::HasSuffix,
        "contains" => TextTest::Contains,
        "startswith" => TextTest::StartsWith,
        "endswith" => TextTest::EndsWith,
        _ => return Comparison::Text { test: TextTest::Matches, case: true, negated },
    };
    Comparison::Text { test, case, negated }
}

fn join_kind(pair: &Pair<'_, Rule>) -> Answer<JoinKind> {
    Ok(match pair.as_str() {
        "innerunique" => JoinKind::InnerUnique,
        "inner" => JoinKind::Inner,
        "leftouter" => JoinKind::LeftOuter,
        "rightouter" => JoinKind::RightOuter,
        "fullouter" => JoinKind::FullOuter,
        "leftsemi" => JoinKind::LeftSemi,
        "anti" | "leftanti" | "leftantisemi" => JoinKind::LeftAnti,
        "rightsemi" => JoinKind::RightSemi,
        "rightanti" | "rightantisemi" => JoinKind::RightAnti,
        word => {
            return Err(Fault::new(
                span(pair),
                format!(
                    "`{word}` is no kind of join; there are innerunique, inner, leftouter, rightouter, \
                     fullouter, leftsemi, leftanti, rightsemi and rightanti"
                ),
            ));
        }
    })
}

fn string(pair: Pair<'_, Rule>) -> Answer<String> {
    let at = span(&pair);
    let inner = only(only(pair)?)?;
    Ok(match inner.as_rule() {
        Rule::verbatim_double => inner.as_str().replace("\"\"", "\""),
        Rule::verbatim_single => inner.as_str().replace("''", "'"),
        _ => text::unescaped(inner.as_str(), at)?,
    })
}

fn number(text: &str, at: Span) -> Answer<Literal> {
    let refused = |_| Fault::new(at, "this number is too large");
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(Literal::Int(text.parse().map_err(|e: std::num::ParseIntError| {
            Fault::new(at, format!("this number is too large: {e}"))
        })?));
    }
    text.parse().map(Literal::Real).map_err(|_: std::num::ParseFloatError| refused(()))
}

fn timespan(pair: &Pair<'_, Rule>) -> Answer<i64> {
    text::timespan(pair.as_str())
        .ok_or_else(|| Fault::new(span(pair), "this length of time is too long"))
}

/// `datetime(...)`, `time(...)`, `timespan(...)`
fn moment(pair: Pair<'_, Rule>) -> Answer<Literal> {
    let at = span(&pair);
    let is_date = pair.as_str().starts_with("datetime");
    let inner = only(pair)?;
    let written = inner.as_str().trim_matches(['"', '\'']);
    if is_date {
        return text::datetime(written).map(Literal::DateTime).ok_or_else(|| {
            Fault::new(
                at,
                format!("`{written}` is no date; write one as 2017-07-01 or 2017-07-01T10:00:00Z"),
            )
        });
    }
    text::timespan(written).map(Literal::Timespan).ok_or_else(|| {
        Fault::new(
            at,
            format!("`{written}` is no length of time; write one as 1d, 90m or 1.02:30:00"),
        )
    })
}

fn null_kind(word: &str) -> NullKind {
    match word {
        "bool" => NullKind::Bool,
        "int" | "long" => NullKind::Int,
        "real" | "double" => NullKind::Real,
        "datetime" => NullKind::DateTime,
        "time" | "timespan" => NullKind::Timespan,
        _ => NullKind::Dynamic,
    }
}

/// JSON as the engine reads it: KQL's may have strings in single quotes.
fn write_json(pair: Pair<'_, Rule>, json: &mut String) -> Answer<()> {
    match pair.as_rule() {
        Rule::json => write_json(only(pair)?, json)?,
        Rule::string => text::write_json_string(&string(pair)?, json),
        Rule::json_object | Rule::json_array => {
            let (open, close) =
                if pair.as_rule() == Rule::json_object { ('{', '}') } else { ('[', ']') };
            json.push(open);
            for (i, part) in pair.into_inner().enumerate() {
                if i > 0 {
                    json.push(',');
                }
                write_json(part, json)?;
            }
            json.push(close);
        }
        Rule::json_entry => {
            for (i, part) in pair.into_inner().enumerate() {
                if i > 0 {
                    json.push(':');
                }
                write_json(part, json)?;
            }
        }
        _ => json.push_str(pair.as_str()),
    }
    Ok(())
}
