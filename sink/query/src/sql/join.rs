//! Joins. Unmatched rows of an outer join are told by a mark of the other side, not by a setting of the engine:
//! a setting would reach into the views as well.

use super::Translator;
use super::expr::{find, unknown_column};
use super::functions::to_text;
use super::literal::identifier;
use super::operators::unique;
use super::relation::{Column, Relation, parenthesised};
use super::types::{Kind, Value};
use crate::ast::{JoinKey, JoinKind, Pipeline, Span};
use crate::error::{Answer, Fault};

const MARK: &str = "join:mark";

impl<'q> Translator<'q> {
    pub(crate) fn join(
        &mut self,
        mut left: Relation,
        kind: JoinKind,
        right: &'q Pipeline,
        on: &'q [JoinKey],
        lookup: bool,
        span: Span,
    ) -> Answer<Relation> {
        let mut right = self.pipeline(right)?;
        if lookup && !matches!(kind, JoinKind::LeftOuter | JoinKind::Inner) {
            return Err(Fault::new(span, "lookup is of kind leftouter or inner"));
        }
        let left_names: Vec<&str> = on.iter().map(|key| key.left.text.as_str()).collect();
        let right_names: Vec<&str> = on.iter().map(|key| key.right.text.as_str()).collect();
        left.prepare(&left_names, self.ignore_case);
        right.prepare(&right_names, self.ignore_case);
        match kind {
            JoinKind::LeftSemi => return self.semi(left, right, on, false, false),
            JoinKind::LeftAnti => return self.semi(left, right, on, false, true),
            JoinKind::RightSemi => return self.semi(right, left, on, true, false),
            JoinKind::RightAnti => return self.semi(right, left, on, true, true),
            _ => {}
        }
        // A join keeps no order.
        for side in [&mut left, &mut right] {
            if side.limit.is_none() {
                side.order.clear();
            }
        }
        let mut conditions = Vec::new();
        let mut left_keys = Vec::new();
        for key in on {
            let (one, other) = self.key(key, &left, &right)?;
            left_keys.push(one.sql.clone());
            let one = in_side("l", &one, &left);
            let other = in_side("r", &other, &right);
            let (one, other) = comparable(one, other);
            conditions.push(format!("{} = {}", one.sql, other.sql));
        }
        if kind == JoinKind::InnerUnique {
            left.limit_by = left_keys;
        }
        let (mark_left, mark_right, sql_kind) = match kind {
            JoinKind::LeftOuter => (false, true, "LEFT"),
            JoinKind::RightOuter => (true, false, "RIGHT"),
            JoinKind::FullOuter => (true, true, "FULL"),
            _ => (false, false, "INNER"),
        };
        let from = format!(
            "{} AS l\n{sql_kind} JOIN {} AS r ON {}",
            side(&left, mark_left),
            side(&right, mark_right),
            conditions.join(" AND ")
        );
        let mut columns: Vec<Column> = Vec::new();
        for column in &left.columns {
            columns.push(joined("l", column, &column.name, mark_left));
        }
        for column in &right.columns {
            let is_key = on.iter().any(|key| {
                find(&right.columns, &key.right.text, self.ignore_case)
                    .is_some_and(|c| c.name == column.name)
            });
            if lookup && is_key {
                continue;
            }
            let name = unique(&columns, column.name.clone());
            columns.push(joined("r", column, &name, mark_right));
        }
        Ok(Relation::new(from, columns))
    }

    /// The two columns of a key.
    fn key(&self, key: &JoinKey, left: &Relation, right: &Relation) -> Answer<(Value, Value)> {
        let of = |rows: &Relation, name: &crate::ast::Name| match rows
            .column(&name.text, self.ignore_case)
        {
            Some(column) => Ok(super::expr::column_value(column)),
            None => Err(unknown_column(&name.text, name.span, &rows.columns)),
        };
        Ok((of(left, &key.left)?, of(right, &key.right)?))
    }

    /// Rows that have a partner, or that have none.
    fn semi(
        &self,
        mut rows: Relation,
        mut partners: Relation,
        on: &[JoinKey],
        swapped: bool,
        negated: bool,
    ) -> Answer<Relation> {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for (i, key) in on.iter().enumerate() {
            let (one, other) = match swapped {
                false => self.key(key, &rows, &partners)?,
                true => {
                    let (left, right) = self.key(key, &partners, &rows)?;
                    (right, left)
                }
            };
            let (one, other) = comparable(one, other);
            ours.push(one.sql);
            theirs.push(Column::computed(&format!("key:{i}"), other));
        }
        partners.columns = theirs;
        partners.whole = false;
        if partners.limit.is_none() {
            partners.order.clear();
        }
        let not = if negated { "NOT " } else { "" };
        rows.filters.push(format!(
            "({}) {not}IN {}",
            ours.join(", "),
            parenthesised(&partners.select(&[]))
        ));
        Ok(rows)
    }
}

/// One side as a subquery.
fn side(rows: &Relation, marked: bool) -> String {
    let mark = [("true".to_owned(), MARK.to_owned())];
    let hidden = if marked { mark.as_slice() } else { &[] };
    parenthesised(&rows.select(hidden))
}

/// The value of a column of a side, seen from outside of it.
fn in_side(alias: &str, value: &Value, rows: &Relation) -> Value {
    let name = rows
        .columns
        .iter()
        .find(|c| c.value.sql == value.sql || super::expr::column_value(c).sql == value.sql);
    match name {
        Some(column) => Column::of(alias, &column.name, value.kind, value.nullable).value,
        None => value.clone(),
    }
}

/// A column of a side in the result. The engine fills in zeros where there is no partner; KQL has nulls, and of
/// texts, which are never null, empty ones.
fn joined(alias: &str, column: &Column, name: &str, marked: bool) -> Column {
    let mut joined = Column::of(alias, &column.name, column.value.kind, column.value.nullable);
    joined.name = name.to_owned();
    joined.value.column = Some(name.to_owned());
    let empty = matches!(column.value.kind, Kind::String | Kind::Dynamic(_));
    if marked && !empty {
        let sql = format!("if({alias}.{}, {}, NULL)", identifier(MARK), joined.value.sql);
        joined.value = Value { sql, nullable: true, ..joined.value };
        joined.plain = false;
    }
    joined
}

/// Two keys that the engine can compare.
fn comparable(one: Value, other: Value) -> (Value, Value) {
    let same = one.kind == other.kind || (one.kind.is_number() && other.kind.is_number());
    match same && !matches!(one.kind, Kind::Dynamic(_)) {
        true => (one, other),
        false => (to_text(one), to_text(other)),
    }
}
