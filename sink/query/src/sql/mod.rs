//! The tree in SQL.
//!
//! [`Translator::pipeline`] is the way: a source makes a [`Relation`], each operator changes it, and the last one
//! is written out. Columns are always named with their table (`t.Computer`), so that an alias of the result is
//! never taken for a column. An order outlives the steps after it by way of hidden columns, since the order of a
//! subquery binds nobody.

mod aggregates;
mod compare;
mod dynamic;
mod expr;
mod functions;
mod join;
mod literal;
mod operators;
mod relation;
mod series;
mod time;
mod types;
mod union;

use relation::{Column, Relation};
use types::{Kind, Value};

use crate::Options;
use crate::ast::{
    Expr, ExprKind, Let, LetValue, Name, OperatorKind, Pipeline, Query, Source, Span,
};
use crate::catalog::Catalog;
use crate::error::{Answer, Fault};
use crate::text::Notes;

/// Longest SQL of a value: a value that is named twice in each of its own parts would double with every level.
const VALUE_BYTES_MAX: usize = 256 * 1024;

/// Longest SQL of rows; the engine's own limit for a query is set above it.
const ROWS_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The SQL of a query.
pub(crate) fn translate(
    query: &Query,
    catalog: &Catalog,
    ignore_case: bool,
    options: &Options,
    notes: &mut Notes,
) -> Answer<String> {
    let mut translator = Translator {
        catalog,
        ignore_case,
        options,
        notes,
        lets: Vec::new(),
        window: options.timespan_ticks.filter(|_| !timed(query)),
    };
    for definition in &query.lets {
        translator.define(definition)?;
    }
    Ok(translator.pipeline(&query.body)?.finish())
}

/// What a `let` named.
#[derive(Debug, Clone)]
enum Defined<'q> {
    Value(Value),
    Rows(&'q Pipeline),
}

struct Translator<'q> {
    catalog: &'q Catalog,
    /// Names of tables and columns have no case.
    ignore_case: bool,
    options: &'q Options,
    notes: &'q mut Notes,
    lets: Vec<(String, Defined<'q>)>,
    /// How far back every table is read, in ticks.
    window: Option<i64>,
}

/// Whether a query says itself which time it is about.
fn timed(query: &Query) -> bool {
    fn in_rows(pipeline: &Pipeline) -> bool {
        let source = match &pipeline.source {
            Source::Nested(inner) => in_rows(inner),
            Source::Union(union) => union.sides.iter().any(in_rows),
            Source::Search(_, sought) => names_time(sought),
            Source::Table(_) | Source::Print(..) => false,
        };
        source
            || pipeline.operators.iter().any(|operator| match &operator.kind {
                OperatorKind::Where(condition) => names_time(condition),
                OperatorKind::MakeSeries(_) => true,
                OperatorKind::Join { right, .. } => in_rows(right),
                OperatorKind::Union(union) => union.sides.iter().any(in_rows),
                _ => false,
            })
    }
    fn names_time(expr: &Expr) -> bool {
        let mut found = false;
        expr.columns(&mut |name| found |= name.eq_ignore_ascii_case("TimeGenerated"));
        found
    }
    let lets = query.lets.iter().any(|definition| match &definition.value {
        LetValue::Tabular(rows) => in_rows(rows),
        LetValue::Scalar(_) => false,
    });
    lets || in_rows(&query.body)
}

impl<'q> Translator<'q> {
    fn define(&mut self, definition: &'q Let) -> Answer<()> {
        let name = &definition.name.text;
        let defined = match &definition.value {
            // A table can be given another name.
            LetValue::Scalar(expr) => match self.table_expr(expr) {
                Some(_) => {
                    return Err(Fault::new(
                        expr.span,
                        format!(
                            "to name a table, write it as rows: `let {name} = {} | where true;`",
                            table_name(expr)
                        ),
                    ));
                }
                None => Defined::Value(self.value(expr, &expr::Scope::empty())?),
            },
            LetValue::Tabular(pipeline) => Defined::Rows(pipeline),
        };
        self.lets.push((name.clone(), defined));
        Ok(())
    }

    /// A name that stands for a table where a value was read.
    fn table_expr(&self, expr: &Expr) -> Option<Name> {
        let ExprKind::Column(name) = &expr.kind else { return None };
        let named = self
            .lets
            .iter()
            .any(|(known, defined)| known == name && matches!(defined, Defined::Rows(_)));
        let known = named || self.catalog.table(name, self.ignore_case).is_some();
        known.then(|| Name { text: name.clone(), span: expr.span })
    }

    /// The value of a name that is no column.
    fn defined(&self, name: &str) -> Option<Value> {
        if let Some((_, text)) = self.options.parameters.iter().find(|(known, _)| known == name) {
            return Some(Value::string(text));
        }
        self.lets.iter().rev().find(|(known, _)| known == name).and_then(|(_, defined)| {
            match defined {
                Defined::Value(value) => Some(value.clone()),
                Defined::Rows(_) => None,
            }
        })
    }

    fn pipeline(&mut self, pipeline: &'q Pipeline) -> Answer<Relation> {
        let mut rows = self.source(&pipeline.source)?;
        for operator in &pipeline.operators {
            rows = self.operator(rows, operator)?;
            if rows.from.len() > ROWS_BYTES_MAX {
                return Err(Fault::new(
                    operator.span,
                    format!("up to here the query is longer than {ROWS_BYTES_MAX} bytes of SQL"),
                ));
            }
        }
        Ok(rows)
    }

    fn source(&mut self, source: &'q Source) -> Answer<Relation> {
        match source {
            Source::Table(name) => self.table(name),
            Source::Nested(pipeline) => self.pipeline(pipeline),
            Source::Union(union) => self.union(None, union),
            Source::Search(tables, sought) => self.search(tables, sought),
            Source::Print(values, span) => {
                let mut columns = Vec::new();
                for (i, named) in values.iter().enumerate() {
                    let value = self.value(&named.expr, &expr::Scope::empty())?;
                    let name = named.names.first();
                    let name = name.map_or_else(|| format!("print_{i}"), |n| n.text.clone());
                    columns.push(Column::computed(&name, value));
                }
                operators::distinct_names(&columns, *span)?;
                Ok(Relation::new("system.one AS t".to_owned(), columns))
            }
        }
    }

    /// The rows of a table, or those that a `let` named.
    fn table(&mut self, name: &Name) -> Answer<Relation> {
        let position = self.lets.iter().rposition(|(known, _)| *known == name.text);
        if let Some(position) = position
            && let Some((_, Defined::Rows(pipeline))) = self.lets.get(position)
        {
            let pipeline = *pipeline;
            // A `let` sees those before it only, so that none can name itself.
            let later = self.lets.split_off(position);
            let rows = self.pipeline(pipeline);
            self.lets.extend(later);
            return rows;
        }
        let Some((table, columns)) = self.catalog.table(&name.text, self.ignore_case) else {
            return Err(self.unknown_table(name));
        };
        let columns = columns
            .iter()
            .map(|column| {
                let (kind, nullable) = Kind::of_engine(&column.engine_type);
                Column::of("t", &column.name, kind, nullable)
            })
            .collect();
        let mut rows = Relation::new(format!("{} AS t", literal::identifier(table)), columns);
        rows.whole = true;
        if let Some(ticks) = self.window
            && let Some(column) = rows.column("TimeGenerated", false)
        {
            let earliest = time::shifted(&self.now(), '-', &Value::timespan(ticks));
            rows.filters.push(format!("({} > {})", column.value.sql, earliest.sql));
        }
        Ok(rows)
    }

    fn unknown_table(&self, name: &Name) -> Fault {
        let known: Vec<&str> = self.catalog.views().collect();
        let text = &name.text;
        if let Some((alike, _)) = self.catalog.table(text, true) {
            return Fault::new(
                name.span,
                format!("there is no table `{text}`; did you mean `{alike}`?"),
            );
        }
        Fault::new(name.span, format!("there is no table `{text}`; there are {}", known.join(", ")))
    }
}

fn table_name(expr: &Expr) -> &str {
    match &expr.kind {
        ExprKind::Column(name) => name,
        _ => "T",
    }
}

/// Refuses a value that has grown out of bounds.
fn bounded(value: Value, span: Span) -> Answer<Value> {
    if value.sql.len() > VALUE_BYTES_MAX {
        return Err(Fault::new(
            span,
            format!(
                "this value is longer than {VALUE_BYTES_MAX} bytes of SQL: name parts of it with `extend`"
            ),
        ));
    }
    Ok(value)
}
