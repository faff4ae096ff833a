//! What a query says, whichever language it was written in.
//!
//! Both front ends end here: [`crate::kql`] because the tree is KQL's, [`crate::search`] by saying in KQL's
//! operators what the older language means. Every node knows where it stands in the text, so that an error
//! about its meaning points at a column like one about its grammar.

/// Where something stands in the query: byte offsets, the end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A name and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name as written, unquoted.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// A whole query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// `let` statements, in order.
    pub lets: Vec<Let>,
    /// What is returned.
    pub body: Pipeline,
}

/// `let name = value;`
#[derive(Debug, Clone, PartialEq)]
pub struct Let {
    /// The name it gives.
    pub name: Name,
    /// To what.
    pub value: LetValue,
}

/// What a `let` names.
#[derive(Debug, Clone, PartialEq)]
pub enum LetValue {
    /// A value.
    Scalar(Expr),
    /// Rows.
    Tabular(Pipeline),
}

/// Rows, and what is done to them in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Where the rows come from.
    pub source: Source,
    /// What is done to them.
    pub operators: Vec<Operator>,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A table, or rows that a `let` named.
    Table(Name),
    /// A pipeline in parentheses.
    Nested(Box<Pipeline>),
    /// `union`, at the head of a pipeline.
    Union(Union),
    /// `search`, at the head of a pipeline: these tables, or all of them.
    Search(Vec<Name>, Box<Expr>),
    /// `print`: one row.
    Print(Vec<Named>, Span),
}

/// `union a, (b | ...)`
#[derive(Debug, Clone, PartialEq)]
pub struct Union {
    /// Keep only the columns that all sides have.
    pub inner: bool,
    /// Column that says which table a row is from.
    pub source_column: Option<Name>,
    /// The sides, without the piped one.
    pub sides: Vec<Pipeline>,
    /// Where.
    pub span: Span,
}

/// One step of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Operator {
    /// Which.
    pub kind: OperatorKind,
    /// Where.
    pub span: Span,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum OperatorKind {
    /// Keep the rows for which this holds.
    Where(Expr),
    /// Add or replace columns.
    Extend(Vec<Named>),
    /// These columns, in this order.
    Project(Vec<Named>),
    /// All columns but these; `*` at either end of a name stands for anything.
    ProjectAway(Vec<Name>),
    /// These columns only, in the order that they have.
    ProjectKeep(Vec<Name>),
    /// New names, in place.
    ProjectRename(Vec<Named>),
    /// These columns first.
    ProjectReorder(Vec<Name>),
    /// Groups.
    Summarize {
        /// What is worked out of each.
        aggregates: Vec<Named>,
        /// What makes one.
        by: Vec<Named>,
    },
    /// The distinct rows of these expressions; of all columns where there is none.
    Distinct(Vec<Named>),
    /// The newest row for each value of these columns (the old language).
    Dedup(Vec<Name>),
    /// How many rows.
    Count,
    /// At most this many rows.
    Take(Expr),
    /// The first rows in an order.
    Top(Expr, Vec<SortKey>),
    /// An order.
    Sort(Vec<SortKey>),
    /// Rows of two sides that agree in their keys.
    Join {
        /// Which rows of which side.
        kind: JoinKind,
        /// The right side.
        right: Pipeline,
        /// What must agree.
        on: Vec<JoinKey>,
        /// `lookup`: the right side's keys are left out of the result.
        lookup: bool,
    },
    /// Further rows.
    Union(Union),
    /// A row for each element of an array.
    MvExpand(Vec<Expansion>),
    /// Equal steps in time, as arrays.
    MakeSeries(Box<MakeSeries>),
    /// Says nothing about rows: `render`, `display`, `serialize`.
    Nothing,
}

/// An expression and the name it is given, if it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// `name =`, or `(a, b) =`.
    pub names: Vec<Name>,
    /// The expression.
    pub expr: Expr,
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    /// By what.
    pub expr: Expr,
    /// Smallest first.
    pub ascending: bool,
    /// Where nulls go, if it says so.
    pub nulls_first: Option<bool>,
}

/// Which rows a join keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// Pairs, of one left row a key.
    InnerUnique,
    /// All pairs.
    Inner,
    /// All pairs, and left rows without a partner.
    LeftOuter,
    /// All pairs, and right rows without a partner.
    RightOuter,
    /// All pairs, and the rows of both sides without a partner.
    FullOuter,
    /// Left rows that have a partner.
    LeftSemi,
    /// Left rows that have none.
    LeftAnti,
    /// Right rows that have a partner.
    RightSemi,
    /// Right rows that have none.
    RightAnti,
}

/// `on key`, or `on $left.a == $right.b`.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinKey {
    /// Column of the left side.
    pub left: Name,
    /// Column of the right side.
    pub right: Name,
}

/// One array of `mv-expand`.
#[derive(Debug, Clone, PartialEq)]
pub struct Expansion {
    /// The array, and the name of its elements.
    pub named: Named,
    /// `to typeof(...)`.
    pub to: Option<Name>,
}

/// `make-series`
#[derive(Debug, Clone, PartialEq)]
pub struct MakeSeries {
    /// Aggregates, each with the value of a step without rows.
    pub aggregates: Vec<(Named, Option<Expr>)>,
    /// The time column.
    pub on: Name,
    /// First step.
    pub from: Expr,
    /// Where the steps end.
    pub to: Expr,
    /// Length of a step.
    pub step: Expr,
    /// The step that begins at `to` is part of it (`in range(...)`).
    pub to_inclusive: bool,
    /// What makes one series.
    pub by: Vec<Named>,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
}

/// Kinds of value.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// A constant.
    Literal(Literal),
    /// A column, or a value that a `let` named.
    Column(String),
    /// All columns: `arg_max(TimeGenerated, *)`, `where * contains`.
    Star,
    /// A function.
    Call(String, Vec<Expr>),
    /// A path into a dynamic value: `.member`, `["member"]`, `[index]`.
    Path(Box<Expr>, Vec<Expr>),
    /// All of these hold.
    And(Vec<Expr>),
    /// One of these holds.
    Or(Vec<Expr>),
    /// Does not hold.
    Not(Box<Expr>),
    /// A comparison.
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// `+ - * / %`
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    /// `-x`
    Negative(Box<Expr>),
    /// `x in (...)`
    In {
        /// `in~`: without case.
        ignore_case: bool,
        /// `!in`
        negated: bool,
        /// What is looked for.
        value: Box<Expr>,
        /// Where.
        list: InList,
    },
    /// `x has_any (...)`, `x has_all (...)`
    HasEach {
        /// All of them, not any.
        all: bool,
        /// In what.
        value: Box<Expr>,
        /// The words.
        words: Vec<Expr>,
    },
    /// `x between (a .. b)`
    Between {
        /// `!between`
        negated: bool,
        /// What.
        value: Box<Expr>,
        /// At least.
        low: Box<Expr>,
        /// At most.
        high: Box<Expr>,
    },
}

/// What `in` looks into.
#[derive(Debug, Clone, PartialEq)]
pub enum InList {
    /// Values.
    Values(Vec<Expr>),
    /// The first column of these rows.
    Rows(Box<Pipeline>),
}

/// Constants.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Text.
    String(String),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Real(f64),
    /// `true`, `false`
    Bool(bool),
    /// Microseconds since 1970, UTC.
    DateTime(i64),
    /// Ticks of 100 ns.
    Timespan(i64),
    /// `dynamic(...)`: JSON.
    Dynamic(String),
    /// `int(null)` and its like.
    Null(NullKind),
}

/// Type of a null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullKind {
    /// `bool(null)`
    Bool,
    /// `int(null)`, `long(null)`
    Int,
    /// `real(null)`
    Real,
    /// `datetime(null)`
    DateTime,
    /// `time(null)`
    Timespan,
    /// `dynamic(null)`
    Dynamic,
}

/// Comparisons of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`: equal without case
    EqualIgnoreCase,
    /// `!~`
    NotEqualIgnoreCase,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// A test of a text.
    Text {
        /// Which.
        test: TextTest,
        /// With case.
        case: bool,
        /// Must fail.
        negated: bool,
    },
}

/// Tests of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextTest {
    /// Holds this as a whole word.
    Has,
    /// Holds a word that begins with this.
    HasPrefix,
    /// Holds a word that ends with this.
    HasSuffix,
    /// Holds this.
    Contains,
    /// Begins with this.
    StartsWith,
    /// Ends with this.
    EndsWith,
    /// Matches this regular expression (RE2).
    Matches,
    /// Fits this pattern, `*` standing for anything (the old language).
    Like,
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
}

impl Expr {
    /// Calls `seen` with the name of every column, or possible column, of the expression; `*` for all.
    pub fn columns<'a>(&'a self, seen: &mut dyn FnMut(&'a str)) {
        match &self.kind {
            ExprKind::Literal(_) => {}
            ExprKind::Column(name) => seen(name),
            ExprKind::Star => seen("*"),
            ExprKind::Call(name, arguments) => {
                if name == "ingestion_time" {
                    seen("*");
                }
                arguments.iter().for_each(|a| a.columns(seen));
            }
            ExprKind::Path(base, steps) => {
                base.columns(seen);
                steps.iter().for_each(|step| step.columns(seen));
            }
            ExprKind::And(all) | ExprKind::Or(all) => all.iter().for_each(|e| e.columns(seen)),
            ExprKind::Not(one) | ExprKind::Negative(one) => one.columns(seen),
            ExprKind::Compare(_, left, right) | ExprKind::Arithmetic(_, left, right) => {
                left.columns(seen);
                right.columns(seen);
            }
            ExprKind::In { value, list, .. } => {
                value.columns(seen);
                if let InList::Values(values) = list {
                    values.iter().for_each(|v| v.columns(seen));
                }
            }
            ExprKind::HasEach { value, words, .. } => {
                value.columns(seen);
                words.iter().for_each(|word| word.columns(seen));
            }
            ExprKind::Between { value, low, high, .. } => {
                value.columns(seen);
                low.columns(seen);
                high.columns(seen);
            }
        }
    }

    /// A text at a place.
    #[must_use]
    pub fn string(text: &str, span: Span) -> Self {
        Self { kind: ExprKind::Literal(Literal::String(text.to_owned())), span }
    }
}

impl From<&Name> for Expr {
    fn from(name: &Name) -> Self {
        Self { kind: ExprKind::Column(name.text.clone()), span: name.span }
    }
}
