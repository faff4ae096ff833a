//! What kind of value an expression is. KQL's operators mean different things for different kinds (`-` of two
//! dates is a length of time, `/` of two whole numbers drops the rest), and the engine's types decide which.

use super::literal::quoted;

/// Kinds of value, and how each is held in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `Bool`
    Bool,
    /// Any whole number.
    Int,
    /// `Float64`; KQL's decimals as well.
    Real,
    /// `String`
    String,
    /// `DateTime` or `DateTime64`
    DateTime,
    /// Ticks of 100 ns in an `Int64`: the engine has no length of time that can be divided.
    Timespan,
    /// `UUID`
    Guid,
    /// A dynamic value.
    Dynamic(Form),
}

/// How a dynamic value is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON in a `String`.
    Json,
    /// A column of a type of the engine's own: `JSON`, `Array`, `Map`, `Tuple`, ...
    Engine,
    /// `Array(String)`
    Strings,
    /// `Array(Float64)`
    Numbers,
    /// The inside of an XML element in a `String`.
    Xml,
}

impl Kind {
    /// The kind of an engine's type, and whether it can be null.
    pub(crate) fn of_engine(engine_type: &str) -> (Self, bool) {
        let mut inner = engine_type;
        let mut nullable = false;
        loop {
            if let Some(rest) = unwrapped(inner, "LowCardinality") {
                inner = rest;
            } else if let Some(rest) = unwrapped(inner, "Nullable") {
                nullable = true;
                inner = rest;
            } else if let Some(rest) = unwrapped(inner, "SimpleAggregateFunction") {
                inner = rest.split_once(", ").map_or(rest, |(_, held)| held);
            } else {
                break;
            }
        }
        let name = inner.split('(').next().unwrap_or(inner);
        let kind = match name {
            "Bool" => Self::Bool,
            "DateTime" | "DateTime64" | "Date" | "Date32" => Self::DateTime,
            "UUID" => Self::Guid,
            "Array" if inner == "Array(String)" => Self::Dynamic(Form::Strings),
            "Array" if inner == "Array(Float64)" => Self::Dynamic(Form::Numbers),
            "Array" | "Map" | "Tuple" | "JSON" | "Dynamic" | "Variant" | "Object" | "Nested" => {
                Self::Dynamic(Form::Engine)
            }
            "Decimal" | "Float32" | "Float64" | "BFloat16" => Self::Real,
            _ if name.starts_with("Int") || name.starts_with("UInt") => Self::Int,
            _ => Self::String,
        };
        (kind, nullable)
    }

    /// What KQL calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "long",
            Self::Real => "real",
            Self::String => "string",
            Self::DateTime => "datetime",
            Self::Timespan => "timespan",
            Self::Guid => "guid",
            Self::Dynamic(_) => "dynamic",
        }
    }

    /// A number, or what is held as one.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Real)
    }

    /// A null of this kind; texts have none.
    pub(crate) fn null(self) -> String {
        match self {
            Self::Bool => "CAST(NULL, 'Nullable(Bool)')",
            Self::Int | Self::Timespan => "CAST(NULL, 'Nullable(Int64)')",
            Self::Real => "CAST(NULL, 'Nullable(Float64)')",
            Self::DateTime => "CAST(NULL, 'Nullable(DateTime64(3, \\'UTC\\'))')",
            Self::Guid => "CAST(NULL, 'Nullable(UUID)')",
            Self::Dynamic(Form::Strings) => "CAST([], 'Array(String)')",
            Self::Dynamic(Form::Numbers) => "CAST([], 'Array(Float64)')",
            Self::String | Self::Dynamic(_) => return quoted(""),
        }
        .to_owned()
    }
}

fn unwrapped<'t>(engine_type: &'t str, wrapper: &str) -> Option<&'t str> {
    engine_type.strip_prefix(wrapper)?.strip_prefix('(')?.strip_suffix(')')
}

/// A value in SQL.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    /// An expression that can stand as an operand or an argument.
    pub(crate) sql: String,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
    /// What it is, where that is known before the query runs.
    pub(crate) constant: Option<Constant>,
    /// The column that it is, for values that mean more than themselves and for names of results.
    pub(crate) column: Option<String>,
}

/// A value that is known before the query runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constant {
    String(String),
    Int(i64),
    Real(f64),
    Bool(bool),
    /// Microseconds since 1970.
    DateTime(i64),
    /// Ticks.
    Timespan(i64),
}

impl Value {
    pub(crate) fn new(sql: impl Into<String>, kind: Kind) -> Self {
        Self { sql: sql.into(), kind, nullable: false, constant: None, column: None }
    }

    pub(crate) fn or_null(mut self, nullable: bool) -> Self {
        self.nullable |= nullable;
        self
    }

    /// The text that this is, where that is known.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.constant {
            Some(Constant::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn string(text: &str) -> Self {
        let constant = Some(Constant::String(text.to_owned()));
        Self { constant, ..Self::new(quoted(text), Kind::String) }
    }

    pub(crate) fn int(n: i64) -> Self {
        let sql = if n < 0 { format!("({n})") } else { n.to_string() };
        Self { constant: Some(Constant::Int(n)), ..Self::new(sql, Kind::Int) }
    }

    pub(crate) fn bool(value: bool) -> Self {
        Self { constant: Some(Constant::Bool(value)), ..Self::new(value.to_string(), Kind::Bool) }
    }

    pub(crate) fn real(n: f64) -> Self {
        // Debug writes a fraction or an exponent always, so that the engine takes it for no whole number.
        let sql = match n {
            n if !n.is_finite() => format!("toFloat64('{n}')"),
            n if n < 0.0 => format!("({n:?})"),
            n => format!("{n:?}"),
        };
        Self { constant: Some(Constant::Real(n)), ..Self::new(sql, Kind::Real) }
    }

    pub(crate) fn timespan(ticks: i64) -> Self {
        let constant = Some(Constant::Timespan(ticks));
        Self { constant, kind: Kind::Timespan, ..Self::int(ticks) }
    }

    pub(crate) fn datetime(micros: i64) -> Self {
        let constant = Some(Constant::DateTime(micros));
        Self { constant, ..Self::new(super::literal::datetime(micros), Kind::DateTime) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_types_have_kinds() {
        for (engine_type, kind, nullable) in [
            ("String", Kind::String, false),
            ("LowCardinality(Nullable(String))", Kind::String, true),
            ("Nullable(DateTime64(3, 'UTC'))", Kind::DateTime, true),
            ("SimpleAggregateFunction(min, DateTime64(3, 'UTC'))", Kind::DateTime, false),
            ("UInt128", Kind::Int, false),
            ("Array(String)", Kind::Dynamic(Form::Strings), false),
            ("Array(UInt8)", Kind::Dynamic(Form::Engine), false),
            ("JSON(max_dynamic_paths=8)", Kind::Dynamic(Form::Engine), false),
            ("Decimal(9, 6)", Kind::Real, false),
            ("IPv4", Kind::String, false),
            ("Enum8('a' = 1)", Kind::String, false),
        ] {
            assert_eq!(Kind::of_engine(engine_type), (kind, nullable), "{engine_type}");
        }
    }
}
