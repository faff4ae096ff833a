//! The steps of a pipeline.

use super::expr::{Scope, column_value, find, unknown_column};
use super::functions::to_text;
use super::relation::{Column, Group, Order, Relation};
use super::types::{Constant, Form, Kind, Value};
use super::{Translator, aggregates, compare, dynamic, series};
use crate::ast::{
    Comparison, Expansion, Expr, ExprKind, Name, Named, Operator, OperatorKind, SortKey, Source,
    Span, TextTest,
};
use crate::error::{Answer, Fault};

impl<'q> Translator<'q> {
    pub(crate) fn operator(
        &mut self,
        mut rows: Relation,
        operator: &'q Operator,
    ) -> Answer<Relation> {
        let span = operator.span;
        match &operator.kind {
            OperatorKind::Where(expr) => {
                self.prepare(&mut rows, [expr]);
                let condition = self.condition(expr, &Scope::of(&rows.columns))?;
                rows.filters.push(condition.sql);
            }
            OperatorKind::Extend(values) => self.extend(&mut rows, values)?,
            OperatorKind::Project(values) => self.project(&mut rows, values, span)?,
            OperatorKind::ProjectAway(patterns) => {
                self.matched(&rows, patterns)?;
                let away = |c: &Column| patterns.iter().any(|p| self.fits(&p.text, &c.name));
                self.narrow(&mut rows, |c| !away(c), span)?;
            }
            OperatorKind::ProjectKeep(patterns) => {
                self.matched(&rows, patterns)?;
                let keep = |c: &Column| patterns.iter().any(|p| self.fits(&p.text, &c.name));
                self.narrow(&mut rows, keep, span)?;
            }
            OperatorKind::ProjectRename(values) => self.rename(&mut rows, values, span)?,
            OperatorKind::ProjectReorder(patterns) => {
                self.matched(&rows, patterns)?;
                self.settle(&mut rows);
                let rank = |c: &Column| {
                    let place = patterns.iter().position(|p| self.fits(&p.text, &c.name));
                    place.unwrap_or(patterns.len())
                };
                rows.columns.sort_by_key(rank);
            }
            OperatorKind::Summarize { aggregates, by } => {
                return self.summarize(rows, aggregates, by, span);
            }
            OperatorKind::Distinct(values) => {
                if values.is_empty() {
                    self.settle(&mut rows);
                } else {
                    self.project(&mut rows, values, span)?;
                }
                rows.order.clear();
                rows.whole = false;
                rows.distinct = true;
            }
            OperatorKind::Dedup(names) => self.dedup(&mut rows, names)?,
            OperatorKind::Count => {
                rows.flatten();
                rows.order.clear();
                rows.columns = vec![Column::computed("Count", Value::new("count()", Kind::Int))];
                rows.whole = false;
                rows.group = Some(Group { keys: Vec::new(), unless_empty: false });
            }
            OperatorKind::Take(count) => self.take(&mut rows, count)?,
            OperatorKind::Top(count, keys) => {
                self.sort(&mut rows, keys)?;
                self.take(&mut rows, count)?;
            }
            OperatorKind::Sort(keys) => self.sort(&mut rows, keys)?,
            OperatorKind::Join { kind, right, on, lookup } => {
                return self.join(rows, *kind, right, on, *lookup, span);
            }
            OperatorKind::Union(union) => return self.union(Some(rows), union),
            OperatorKind::MvExpand(expansions) => self.expand(&mut rows, expansions)?,
            OperatorKind::MakeSeries(series) => return self.make_series(rows, series, span),
            OperatorKind::Nothing => {}
        }
        Ok(rows)
    }

    /// Makes these expressions able to name the columns.
    fn prepare<'e>(&self, rows: &mut Relation, exprs: impl IntoIterator<Item = &'e Expr>) {
        let mut used = Vec::new();
        for expr in exprs {
            expr.columns(&mut |name| used.push(name));
        }
        rows.prepare(&used, self.ignore_case);
    }

    /// Makes the list of columns free to change.
    fn settle(&self, rows: &mut Relation) {
        if rows.distinct || rows.group.is_some() {
            rows.seal();
        }
        rows.whole = false;
    }

    fn narrow(
        &self,
        rows: &mut Relation,
        keep: impl Fn(&Column) -> bool,
        span: Span,
    ) -> Answer<()> {
        self.settle(rows);
        rows.columns.retain(keep);
        if rows.columns.is_empty() {
            return Err(Fault::new(span, "this leaves no column"));
        }
        Ok(())
    }

    /// Whether a name fits a pattern of which `*` stands for anything.
    fn fits(&self, pattern: &str, name: &str) -> bool {
        let (pattern, name) = match self.ignore_case {
            true => (pattern.to_ascii_lowercase(), name.to_ascii_lowercase()),
            false => (pattern.to_owned(), name.to_owned()),
        };
        let mut parts = pattern.split('*');
        let Some(first) = parts.next() else { return false };
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else { return rest.is_empty() };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        rest.ends_with(last)
    }

    fn matched(&self, rows: &Relation, patterns: &[Name]) -> Answer<()> {
        for pattern in patterns {
            let found = rows.columns.iter().any(|c| self.fits(&pattern.text, &c.name));
            if !found && !pattern.text.contains('*') {
                return Err(unknown_column(&pattern.text, pattern.span, &rows.columns));
            }
        }
        Ok(())
    }

    fn extend(&mut self, rows: &mut Relation, values: &'q [Named]) -> Answer<()> {
        self.prepare(rows, values.iter().map(|named| &named.expr));
        // A function of several values is worked out once, beneath.
        let mut fits = Vec::new();
        for named in values {
            if let Some((function, argument)) = fit(named) {
                let columns = rows.columns.clone();
                let series = self.value(argument, &Scope::of(&columns))?;
                let fitted = series::fitted(function, &series, named.expr.span)?;
                let hidden = format!("fit:{}", fits.len());
                fits.push((hidden.clone(), series.column));
                rows.columns.push(Column::computed(&hidden, fitted));
            }
        }
        if !fits.is_empty() {
            rows.whole = false;
            rows.seal();
        }
        let columns = rows.columns.clone();
        rows.columns.retain(|column| !fits.iter().any(|(hidden, _)| *hidden == column.name));
        let mut fits = fits.into_iter();
        let mut unnamed = 0;
        for named in values {
            let fitted = fit(named).and_then(|(function, _)| {
                let (hidden, of) = fits.next()?;
                let fitted = find(&columns, &hidden, false)?;
                Some((function, series::parts(function, &fitted.value), of))
            });
            let values = match fitted {
                Some((function, parts, of)) => fit_names(named, function, parts, of)?,
                None => vec![self.named(named, &Scope::of(&columns), &mut unnamed)?],
            };
            for (name, value) in values {
                let plain = is_plain(&columns, &value);
                let column = Column { name, value, plain };
                match rows.columns.iter_mut().find(|c| c.name == column.name) {
                    Some(old) => *old = column,
                    None => rows.columns.push(column),
                }
            }
        }
        rows.whole = false;
        Ok(())
    }

    fn project(&mut self, rows: &mut Relation, values: &'q [Named], span: Span) -> Answer<()> {
        self.prepare(rows, values.iter().map(|named| &named.expr));
        let columns = rows.columns.clone();
        let mut unnamed = 0;
        rows.columns.clear();
        for named in values {
            let (name, value) = self.named(named, &Scope::of(&columns), &mut unnamed)?;
            let plain = is_plain(&columns, &value);
            rows.columns.push(Column { name, value, plain });
        }
        distinct_names(&rows.columns, span)?;
        rows.whole = false;
        Ok(())
    }

    /// An expression's value with its name.
    fn named(
        &mut self,
        named: &'q Named,
        scope: &Scope<'_>,
        unnamed: &mut usize,
    ) -> Answer<(String, Value)> {
        let expr = &named.expr;
        let value = self.value(expr, scope)?;
        let name = match named.names.as_slice() {
            [name] => name.text.clone(),
            [_, second, ..] => {
                return Err(Fault::new(
                    second.span,
                    "this gives one value: several names go with series_fit_line() and series_fit_2lines() in `extend`",
                ));
            }
            [] => match value.column.clone().or_else(|| path_name(expr)) {
                Some(name) => name,
                None => {
                    *unnamed += 1;
                    format!("Column{unnamed}")
                }
            },
        };
        Ok((name, value))
    }

    fn rename(&mut self, rows: &mut Relation, values: &'q [Named], span: Span) -> Answer<()> {
        self.settle(rows);
        for named in values {
            let (ExprKind::Column(old), [new]) = (&named.expr.kind, named.names.as_slice()) else {
                return Err(Fault::new(named.expr.span, "project-rename takes `new = old`"));
            };
            let ignore_case = self.ignore_case;
            if find(&rows.columns, old, ignore_case).is_none() {
                return Err(unknown_column(old, named.expr.span, &rows.columns));
            }
            let is = |c: &&mut Column| {
                c.name == *old || (ignore_case && c.name.eq_ignore_ascii_case(old))
            };
            if let Some(column) = rows.columns.iter_mut().find(is) {
                column.name.clone_from(&new.text);
                column.value.column = Some(new.text.clone());
            }
        }
        distinct_names(&rows.columns, span)
    }

    fn take(&mut self, rows: &mut Relation, count: &'q Expr) -> Answer<()> {
        if rows.limit.is_some() {
            rows.seal();
        }
        let value = self.value(count, &Scope::empty())?;
        match value.constant {
            Some(Constant::Int(n)) if n >= 0 => rows.limit = Some(n.to_string()),
            _ => {
                return Err(Fault::new(count.span, "a number of rows is needed here"));
            }
        }
        Ok(())
    }

    fn sort(&mut self, rows: &mut Relation, keys: &'q [SortKey]) -> Answer<()> {
        self.prepare(rows, keys.iter().map(|key| &key.expr));
        rows.order.clear();
        for key in keys {
            let value = self.value(&key.expr, &Scope::of(&rows.columns))?;
            if value.constant.is_some() {
                continue;
            }
            let value = match value.kind {
                Kind::Dynamic(_) => to_text(value),
                _ => value,
            };
            let nulls_first = key.nulls_first.unwrap_or(key.ascending);
            let direction = format!(
                "{}{}",
                if key.ascending { "ASC" } else { "DESC" },
                match (value.nullable, nulls_first) {
                    (false, _) => "",
                    (true, true) => " NULLS FIRST",
                    (true, false) => " NULLS LAST",
                }
            );
            rows.order.push(Order { sql: value.sql, direction });
        }
        Ok(())
    }

    /// One row of each value: the first in the rows' order, or the newest.
    fn dedup(&mut self, rows: &mut Relation, names: &'q [Name]) -> Answer<()> {
        rows.seal();
        for name in names {
            let Some(column) = find(&rows.columns, &name.text, true) else {
                return Err(unknown_column(&name.text, name.span, &rows.columns));
            };
            rows.limit_by.push(column.value.sql.clone());
        }
        if rows.order.is_empty()
            && let Some(time) = find(&rows.columns, "TimeGenerated", true)
        {
            let order = Order { sql: time.value.sql.clone(), direction: "DESC".to_owned() };
            rows.order.push(order);
        }
        Ok(())
    }

    fn summarize(
        &mut self,
        mut rows: Relation,
        aggregates: &'q [Named],
        by: &'q [Named],
        span: Span,
    ) -> Answer<Relation> {
        self.prepare(&mut rows, aggregates.iter().chain(by).map(|named| &named.expr));
        rows.order.clear();
        rows.whole = false;
        let columns = std::mem::take(&mut rows.columns);
        let scope = Scope { by: !by.is_empty(), ..Scope::of(&columns) };

        let mut group = Group { keys: Vec::new(), unless_empty: !by.is_empty() };
        for named in by {
            let value = self.value(&named.expr, &scope)?;
            let name = unique(&rows.columns, key_name(named, &value, rows.columns.len()));
            if value.constant.is_none() {
                // A number alone would be a place in the list of columns.
                group.unless_empty = false;
                group.keys.push(value.sql.clone());
            }
            rows.columns.push(Column::computed(&name, value));
        }
        if aggregates.is_empty() {
            if by.is_empty() {
                return Err(Fault::new(span, "summarize needs an aggregate, or `by`"));
            }
            rows.distinct = true;
            return Ok(rows);
        }
        rows.group = Some(group);

        // The columns of an arg_max come from one row: a tuple here, taken apart outside.
        let grouped = Scope { grouped: true, ..scope };
        let mut outside = Vec::new();
        for (number, named) in aggregates.iter().enumerate() {
            let expr = &named.expr;
            let arg = match &expr.kind {
                ExprKind::Call(name, arguments) => {
                    aggregates::arg_function(name).map(|functions| (functions, arguments))
                }
                _ => None,
            };
            let Some(((arg_function, extreme), arguments)) = arg else {
                let value = self.value(expr, &grouped)?;
                let name = unique(&rows.columns, aggregate_name(named, &columns));
                rows.columns.push(Column::computed(&name, value));
                continue;
            };
            let [by_what, returned @ ..] = arguments.as_slice() else {
                return Err(Fault::new(expr.span, format!("{arg_function} needs an argument")));
            };
            let extreme_value = self.value(by_what, &scope)?;
            let name = match named.names.first() {
                Some(name) => name.text.clone(),
                None => self.plain_name(by_what, &extreme_value),
            };
            let name = unique(&rows.columns, name);
            let sql = format!("{extreme}({})", extreme_value.sql);
            rows.columns.push(Column::computed(&name, Value { sql, ..extreme_value.clone() }));

            let mut parts: Vec<(String, Value)> = Vec::new();
            for (i, argument) in returned.iter().enumerate() {
                if argument.kind == ExprKind::Star {
                    let is_key = |c: &&Column| {
                        let key = rows.columns.iter().any(|k| k.value.sql == c.value.sql);
                        !key && c.value.sql != extreme_value.sql
                    };
                    parts.extend(
                        columns.iter().filter(is_key).map(|c| (c.name.clone(), column_value(c))),
                    );
                    continue;
                }
                let value = self.value(argument, &scope)?;
                let name = match named.names.get(i + 1) {
                    Some(name) => name.text.clone(),
                    None => self.plain_name(argument, &value),
                };
                parts.push((name, value));
            }
            if parts.is_empty() {
                continue;
            }
            let hidden = format!("row:{number}");
            let tuple: Vec<String> = parts.iter().map(|(_, value)| held(value)).collect();
            let star = returned.iter().any(|argument| argument.kind == ExprKind::Star);
            let sql = match (arg_function, backwards(&extreme_value)) {
                ("argMax", Some(backwards)) if !star => {
                    let row = tuple.join(", ");
                    format!("argMin(tuple({row}), tuple({backwards}, {row}))")
                }
                _ => format!("{arg_function}(tuple({}), {})", tuple.join(", "), extreme_value.sql),
            };
            rows.columns
                .push(Column::computed(&hidden, Value::new(sql, Kind::Dynamic(Form::Engine))));
            outside.push((hidden, parts));
        }
        distinct_names(&rows.columns, span)?;
        for (hidden, parts) in outside {
            rows.seal_once();
            let position = rows.columns.iter().position(|c| c.name == hidden);
            let Some(position) = position else { continue };
            let row = rows.columns.remove(position);
            for (i, (name, value)) in parts.into_iter().enumerate() {
                let name = unique(&rows.columns, name);
                let sql = format!("tupleElement({}, {})", row.value.sql, i + 1);
                let kind = match compare::is_engine_dynamic(&value) {
                    true => Kind::Dynamic(Form::Json),
                    false => value.kind,
                };
                let value = Value::new(sql, kind).or_null(value.nullable);
                rows.columns.insert(position + i, Column::computed(&name, value));
            }
            rows.whole = false;
        }
        Ok(rows)
    }

    /// What an unnamed argument of arg_max is called.
    fn plain_name(&self, expr: &Expr, value: &Value) -> String {
        let named = value.column.clone().or_else(|| path_name(expr));
        named.unwrap_or_else(|| "Column1".to_owned())
    }

    fn expand(&mut self, rows: &mut Relation, expansions: &'q [Expansion]) -> Answer<()> {
        rows.seal();
        let columns = rows.columns.clone();
        let mut arrays = Vec::new();
        for (i, expansion) in expansions.iter().enumerate() {
            let expr = &expansion.named.expr;
            let value = self.value(expr, &Scope::of(&columns))?;
            let array = dynamic::elements(&value, expr.span)?;
            let name = match expansion.named.names.first() {
                Some(name) => name.text.clone(),
                None => value
                    .column
                    .clone()
                    .or_else(|| path_name(expr))
                    .unwrap_or_else(|| format!("Column{}", i + 1)),
            };
            let kind = match array.kind {
                Kind::Dynamic(Form::Strings) => Kind::String,
                Kind::Dynamic(Form::Numbers) => Kind::Real,
                _ => Kind::Dynamic(Form::Json),
            };
            arrays.push((name, array.sql, kind, expansion.to.as_ref()));
        }
        // Arrays side by side are as long as the longest one.
        let joined = match arrays.as_slice() {
            [(_, one, ..)] => format!("arrayJoin({one})"),
            several => {
                let lengths: Vec<String> =
                    several.iter().map(|(_, array, ..)| format!("length({array})")).collect();
                let longest = format!("greatest({})", lengths.join(", "));
                let resized: Vec<String> = several
                    .iter()
                    .map(|(_, array, ..)| format!("arrayResize({array}, {longest})"))
                    .collect();
                format!("arrayJoin(arrayZip({}))", resized.join(", "))
            }
        };
        let hidden = Column::computed("element", Value::new(joined, Kind::Dynamic(Form::Engine)));
        let hidden = Column { name: "element:0".to_owned(), ..hidden };
        rows.whole = false;
        rows.columns.push(hidden);
        rows.seal();
        let Some(element) = rows.columns.pop() else { return Ok(()) };
        let single = arrays.len() == 1;
        for (i, (name, _, kind, to)) in arrays.into_iter().enumerate() {
            let sql = match single {
                true => element.value.sql.clone(),
                false => format!("tupleElement({}, {})", element.value.sql, i + 1),
            };
            let mut value = Value::new(sql, kind);
            if let Some(to) = to {
                value = super::functions::call(&to.text, vec![(value, to.span)], to.span)?;
            }
            let column = Column::computed(&name, value);
            match rows.columns.iter_mut().find(|c| c.name == name) {
                Some(old) => *old = column,
                None => rows.columns.push(column),
            }
        }
        rows.whole = false;
        Ok(())
    }

    /// `search "text"`: rows of any of these tables in which some column holds it.
    pub(crate) fn search(&mut self, tables: &'q [Name], sought: &'q Expr) -> Answer<Relation> {
        let names: Vec<Name> = match tables {
            [] => {
                let named = |view: &str| Name { text: view.to_owned(), span: sought.span };
                self.catalog.views().map(named).collect()
            }
            tables => tables.to_vec(),
        };
        let mut found = Vec::new();
        for name in names {
            let mut rows = self.table(&name)?;
            rows.prepare(&["*"], false);
            let scope = Scope::of(&rows.columns);
            let condition = match self.sought(sought, &scope) {
                Ok(condition) => condition,
                // A column that only some tables have is no fault while some do.
                Err(_) if tables.is_empty() => continue,
                Err(fault) => return Err(fault),
            };
            rows.filters.push(condition);
            found.push((name.text, rows));
        }
        if found.is_empty() {
            return Err(Fault::new(sought.span, "no table has the columns that are named here"));
        }
        self.united(found, Some("$table"), false, sought.span)
    }

    /// A condition; a text alone stands for some column having it as a word.
    fn sought(&mut self, expr: &'q Expr, scope: &Scope<'_>) -> Answer<String> {
        match &expr.kind {
            ExprKind::And(all) | ExprKind::Or(all) => {
                let parts =
                    all.iter().map(|e| self.sought(e, scope)).collect::<Answer<Vec<_>>>()?;
                let word = if matches!(expr.kind, ExprKind::And(_)) { " AND " } else { " OR " };
                Ok(format!("({})", parts.join(word)))
            }
            ExprKind::Not(one) => Ok(format!("(NOT {})", self.sought(one, scope)?)),
            ExprKind::Literal(_) => {
                let needle = to_text(self.value(expr, scope)?);
                let test = match needle.text() {
                    Some("*") => return Ok("true".to_owned()),
                    Some(text) if text.contains('*') => TextTest::Like,
                    _ => TextTest::Has,
                };
                let comparison = Comparison::Text { test, case: false, negated: false };
                let mut tests = Vec::new();
                for column in scope.columns {
                    let value = Value { column: None, ..to_text(column_value(column)) };
                    tests.push(self.compare(comparison, value, needle.clone(), expr.span)?.sql);
                }
                Ok(format!("({})", tests.join(" OR ")))
            }
            _ => Ok(self.condition(expr, scope)?.sql),
        }
    }
}

impl Relation {
    /// Seals once for several columns that are taken apart.
    fn seal_once(&mut self) {
        if self.group.is_some() {
            self.seal();
        }
    }
}

/// What is least where this is largest. Of several rows with the largest value, as the installed and the available
/// version of a package in one scan, KQL takes any; here it is the one whose columns come first in their order,
/// so that the answer does not depend on how the rows lie (and `Needed` comes before `Not needed`).
fn backwards(value: &Value) -> Option<String> {
    match value.kind {
        Kind::DateTime => Some(format!("(-{})", super::time::micros(value))),
        Kind::Int | Kind::Real | Kind::Timespan => Some(format!("(-toFloat64({}))", value.sql)),
        _ => None,
    }
}

/// A value that an aggregate's state can hold.
fn held(value: &Value) -> String {
    match compare::is_engine_dynamic(value) {
        true => dynamic::json(value),
        false => value.sql.clone(),
    }
}

/// A function of several values, with its series.
fn fit(named: &Named) -> Option<(&str, &Expr)> {
    match &named.expr.kind {
        ExprKind::Call(function, arguments)
            if matches!(function.as_str(), "series_fit_line" | "series_fit_2lines")
                && named.names.len() != 1 =>
        {
            arguments.first().map(|series| (function.as_str(), series))
        }
        _ => None,
    }
}

/// Its values with the names that the query gives them, or with KQL's own.
fn fit_names(
    named: &Named,
    function: &str,
    parts: Vec<(&'static str, Value)>,
    of: Option<String>,
) -> Answer<Vec<(String, Value)>> {
    if let Some(name) = named.names.get(parts.len()) {
        let count = parts.len();
        return Err(Fault::new(name.span, format!("{function}() gives {count} values")));
    }
    let of = of.unwrap_or_default();
    Ok(match named.names.as_slice() {
        [] => parts
            .into_iter()
            .map(|(part, value)| (format!("{function}_{of}_{part}"), value))
            .collect(),
        names => names.iter().zip(parts).map(|(n, (_, value))| (n.text.clone(), value)).collect(),
    })
}

/// Whether a value is one of the columns, unchanged.
fn is_plain(columns: &[Column], value: &Value) -> bool {
    columns.iter().any(|c| c.plain && c.value.sql == value.sql)
}

/// The last member of a path names it.
fn path_name(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Path(base, steps) => match steps.last().map(|step| &step.kind) {
            Some(ExprKind::Literal(crate::ast::Literal::String(name))) => Some(name.clone()),
            _ => path_name(base),
        },
        ExprKind::Column(name) => Some(name.clone()),
        ExprKind::Call(name, arguments)
            if matches!(
                name.as_str(),
                "tostring" | "toint" | "tolong" | "todouble" | "tolower" | "toupper"
            ) =>
        {
            arguments.first().and_then(path_name)
        }
        _ => None,
    }
}

/// The name of a key of groups.
pub(crate) fn key_name(named: &Named, value: &Value, position: usize) -> String {
    if let Some(name) = named.names.first() {
        return name.text.clone();
    }
    let column = value.column.clone().or_else(|| path_name(&named.expr));
    column.unwrap_or_else(|| format!("Column{}", position + 1))
}

/// The name of an aggregate.
pub(crate) fn aggregate_name(named: &Named, columns: &[Column]) -> String {
    if let Some(name) = named.names.first() {
        return name.text.clone();
    }
    match &named.expr.kind {
        ExprKind::Call(function, arguments) if aggregates::is_one(function) => {
            let first = arguments.first().and_then(path_name);
            let first = first.filter(|name| columns.iter().any(|c| c.name == *name));
            aggregates::default_name(function, first.as_deref())
        }
        _ => "Column1".to_owned(),
    }
}

/// A name that no column has yet: KQL counts up behind it.
pub(crate) fn unique(columns: &[Column], name: String) -> String {
    if !columns.iter().any(|c| c.name == name) {
        return name;
    }
    let mut number = 1_u32;
    loop {
        let numbered = format!("{name}{number}");
        if !columns.iter().any(|c| c.name == numbered) {
            return numbered;
        }
        number += 1;
    }
}

/// Refuses two columns of one name.
pub(crate) fn distinct_names(columns: &[Column], span: Span) -> Answer<()> {
    for (i, column) in columns.iter().enumerate() {
        if columns.iter().skip(i + 1).any(|other| other.name == column.name) {
            return Err(Fault::new(span, format!("there are two columns `{}` here", column.name)));
        }
    }
    Ok(())
}

/// The rows of a source that is no table are named by what they are.
pub(crate) fn source_name(source: &Source, number: usize) -> String {
    match source {
        Source::Table(name) => name.text.clone(),
        _ => format!("union_arg{number}"),
    }
}
