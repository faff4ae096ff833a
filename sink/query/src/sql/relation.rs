//! Rows on their way through a pipeline: one `SELECT`, filled in for as long as the next step fits into it and
//! wrapped into another one when it does not.

use super::literal::identifier;
use super::types::{Form, Kind, Value};

/// A column of the rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) value: Value,
    /// It is a column of what is selected from, maybe under another name; nothing is worked out.
    pub(crate) plain: bool,
}

impl Column {
    /// A column of the subquery or table `t`.
    pub(crate) fn of(alias: &str, name: &str, kind: Kind, nullable: bool) -> Self {
        let sql = format!("{alias}.{}", identifier(name));
        let value = Value { column: Some(name.to_owned()), nullable, ..Value::new(sql, kind) };
        Self { name: name.to_owned(), value, plain: true }
    }

    pub(crate) fn computed(name: &str, value: Value) -> Self {
        Self { name: name.to_owned(), value, plain: false }
    }
}

/// A key of an order, with its direction.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) sql: String,
    pub(crate) direction: String,
}

/// How the rows are grouped.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) keys: Vec<String>,
    /// All keys are constants: no rows must give no group.
    pub(crate) unless_empty: bool,
}

/// One `SELECT` in the making.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Relation {
    pub(crate) from: String,
    pub(crate) columns: Vec<Column>,
    /// The columns are those of `from`, all of them, in their order.
    pub(crate) whole: bool,
    pub(crate) filters: Vec<String>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<String>,
    pub(crate) limit_by: Vec<String>,
    pub(crate) distinct: bool,
    pub(crate) group: Option<Group>,
}

impl Relation {
    pub(crate) fn new(from: String, columns: Vec<Column>) -> Self {
        Self {
            from,
            columns,
            whole: false,
            filters: Vec::new(),
            order: Vec::new(),
            limit: None,
            limit_by: Vec::new(),
            distinct: false,
            group: None,
        }
    }

    pub(crate) fn column(&self, name: &str, ignore_case: bool) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name).or_else(|| {
            let mut alike = self.columns.iter().filter(|_| ignore_case);
            alike.find(|c| c.name.eq_ignore_ascii_case(name))
        })
    }

    /// Makes the next step see only columns of a subquery, with nothing of this `SELECT` still to happen.
    pub(crate) fn seal(&mut self) {
        let limited = self.limit.is_some() || !self.limit_by.is_empty();
        let mut inner = std::mem::replace(self, Self::new(String::new(), Vec::new()));
        let hidden: Vec<(String, String)> = inner
            .order
            .iter()
            .enumerate()
            .map(|(i, key)| (key.sql.clone(), format!("order:{i}")))
            .collect();
        self.order = inner
            .order
            .iter()
            .zip(&hidden)
            .map(|(key, (_, name))| Order {
                sql: format!("t.{}", identifier(name)),
                direction: key.direction.clone(),
            })
            .collect();
        self.columns = inner
            .columns
            .iter()
            .map(|c| Column::of("t", &c.name, c.value.kind, c.value.nullable))
            .collect();
        if !limited {
            inner.order.clear();
        }
        self.from = format!("{} AS t", parenthesised(&inner.select(&hidden)));
        self.whole = hidden.is_empty();
    }

    /// Seals what a filter or a new column cannot be added to.
    pub(crate) fn flatten(&mut self) {
        if self.limit.is_some()
            || !self.limit_by.is_empty()
            || self.distinct
            || self.group.is_some()
        {
            self.seal();
        }
    }

    /// As [`Relation::flatten`], and seals when one of these columns is worked out here: to name it again
    /// would work it out again.
    pub(crate) fn prepare(&mut self, used: &[&str], ignore_case: bool) {
        self.flatten();
        let computed = self.columns.iter().any(|column| {
            let is = |name: &&str| {
                *name == "*"
                    || *name == column.name
                    || (ignore_case && name.eq_ignore_ascii_case(&column.name))
            };
            !column.plain && used.iter().any(is)
        });
        if computed {
            self.seal();
        }
    }

    /// The `SELECT`, with further columns under these names.
    pub(crate) fn select(&self, hidden: &[(String, String)]) -> String {
        let mut shown: Vec<String> = if self.whole && self.from.ends_with(" AS t") {
            vec!["*".to_owned()]
        } else {
            self.columns.iter().map(|c| aliased(&c.value.sql, &c.name)).collect()
        };
        shown.extend(hidden.iter().map(|(sql, name)| aliased(sql, name)));
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let mut sql = format!("SELECT {distinct}{}\nFROM {}", shown.join(", "), self.from);
        if !self.filters.is_empty() {
            sql.push_str(&format!("\nWHERE {}", self.filters.join("\n  AND ")));
        }
        if let Some(group) = &self.group {
            if !group.keys.is_empty() {
                sql.push_str(&format!("\nGROUP BY {}", group.keys.join(", ")));
            }
            if group.unless_empty {
                sql.push_str("\nHAVING count() > 0");
            }
        }
        if !self.order.is_empty() {
            let keys: Vec<String> =
                self.order.iter().map(|key| format!("{} {}", key.sql, key.direction)).collect();
            sql.push_str(&format!("\nORDER BY {}", keys.join(", ")));
        }
        if !self.limit_by.is_empty() {
            sql.push_str(&format!("\nLIMIT 1 BY {}", self.limit_by.join(", ")));
        }
        if let Some(limit) = &self.limit {
            sql.push_str(&format!("\nLIMIT {limit}"));
        }
        sql
    }

    /// The whole query, its values as a reader expects them.
    pub(crate) fn finish(mut self) -> String {
        for column in &mut self.columns {
            let sql = &column.value.sql;
            let readable = match column.value.kind {
                Kind::Timespan => super::time::timespan_text(sql),
                Kind::Bool if !column.plain => {
                    super::functions::canonical(&column.value, Kind::Bool)
                }
                Kind::Dynamic(Form::Json | Form::Xml) => super::dynamic::text(&column.value),
                _ => continue,
            };
            column.value.sql = readable;
            self.whole = false;
        }
        self.select(&[])
    }
}

fn aliased(sql: &str, name: &str) -> String {
    let name = identifier(name);
    if sql.strip_prefix("t.") == Some(name.as_str()) {
        return sql.to_owned();
    }
    format!("{sql} AS {name}")
}

/// A subquery. Strings hold no line breaks, so every line can be moved.
pub(crate) fn parenthesised(select: &str) -> String {
    format!("(\n    {}\n)", select.replace('\n', "\n    "))
}
