//! ClickHouse's Native format, as far as the sink writes it: one columnar block an INSERT.
//!
//! Columns grow as messages arrive, so that a batch costs its columns and nothing else, and the
//! finished block is a few copies. Text that repeats (a computer's name stands in each of its six
//! hundred rows) is written as a `LowCardinality` column: each value once, then a small index a row.
//!
//! Source: the Native format and the serialization of `LowCardinality` in ClickHouse
//! (`SerializationLowCardinality`); the integration tests hold it against the engine.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use uuid::Uuid;

/// A column of a block under construction.
pub trait Column: Default {
    /// The type's name in the block's header.
    const TYPE: &'static str;
    /// Rows so far.
    fn rows(&self) -> usize;
    /// Bytes of memory that the column's data takes.
    fn bytes(&self) -> usize;
    /// Appends the column's data as Native has it.
    fn write(&self, out: &mut Vec<u8>);
}

/// Appends an unsigned LEB128 number.
pub fn write_varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        #[allow(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "below 0x80 by the loop")]
    out.push(value as u8);
}

/// Appends text with its length before it.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    write_varint(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

/// `String`
#[derive(Debug, Default)]
pub struct Text {
    rows: usize,
    data: Vec<u8>,
}

impl Text {
    /// Appends a value.
    pub fn push(&mut self, value: &str) {
        self.rows += 1;
        write_text(value, &mut self.data);
    }
}

impl Column for Text {
    const TYPE: &'static str = "String";
    fn rows(&self) -> usize {
        self.rows
    }
    fn bytes(&self) -> usize {
        self.data.len()
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.data);
    }
}

/// `LowCardinality(String)`
#[derive(Debug, Default)]
pub struct Dictionary {
    hasher: DefaultHashBuilder,
    /// Index into `starts`, found by the hash of the text there.
    known: HashTable<u32>,
    /// Every distinct value with its length before it, as Native wants them.
    keys: Text,
    /// Where each key's text lies in `keys.data`.
    spans: Vec<(usize, usize)>,
    rows: Vec<u32>,
}

impl Dictionary {
    /// Appends a value.
    pub fn push(&mut self, value: &str) {
        let index = self.index(value);
        self.rows.push(index);
    }

    /// Appends a value `count` times.
    pub fn push_n(&mut self, value: &str, count: usize) {
        let index = self.index(value);
        self.rows.resize(self.rows.len() + count, index);
    }

    fn index(&mut self, value: &str) -> u32 {
        // Neighbouring rows mostly agree; comparing is cheaper than hashing.
        if let Some(last) = self.rows.last()
            && key(&self.keys, &self.spans, *last) == value.as_bytes()
        {
            return *last;
        }
        let Self { hasher, known, keys, spans, .. } = self;
        let hash = hasher.hash_one(value.as_bytes());
        let found = known.find(hash, |index| key(keys, spans, *index) == value.as_bytes());
        if let Some(index) = found {
            return *index;
        }
        #[allow(clippy::cast_possible_truncation, reason = "a batch has far fewer rows than 2^32")]
        let index = spans.len() as u32;
        keys.push(value);
        spans.push((keys.data.len() - value.len(), keys.data.len()));
        known.insert_unique(hash, index, |index| hasher.hash_one(key(keys, spans, *index)));
        index
    }
}

/// The text of the key at `index`.
fn key<'a>(keys: &'a Text, spans: &[(usize, usize)], index: u32) -> &'a [u8] {
    spans
        .get(index as usize)
        .and_then(|(start, end)| keys.data.get(*start..*end))
        .unwrap_or_default()
}

impl Column for Dictionary {
    const TYPE: &'static str = "LowCardinality(String)";
    fn rows(&self) -> usize {
        self.rows.len()
    }
    fn bytes(&self) -> usize {
        self.keys.bytes() + self.spans.len() * 32 + self.rows.len() * 4
    }
    fn write(&self, out: &mut Vec<u8>) {
        /// `SharedDictionariesWithAdditionalKeys`, the only version there is.
        const VERSION: u64 = 1;
        /// The keys of this block follow; there is no shared dictionary.
        const HAS_ADDITIONAL_KEYS: u64 = 1 << 9;
        if self.rows.is_empty() {
            return;
        }
        let index_type = match self.spans.len() {
            0..=0x100 => 0,
            0x101..=0x1_0000 => 1,
            _ => 2,
        };
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(HAS_ADDITIONAL_KEYS | index_type).to_le_bytes());
        out.extend_from_slice(&(self.spans.len() as u64).to_le_bytes());
        self.keys.write(out);
        out.extend_from_slice(&(self.rows.len() as u64).to_le_bytes());
        match index_type {
            0 => out.extend(self.rows.iter().map(|index| index.to_le_bytes()[0])),
            1 => out.extend(self.rows.iter().flat_map(|index| {
                let [low, high, ..] = index.to_le_bytes();
                [low, high]
            })),
            _ => out.extend(self.rows.iter().flat_map(|index| index.to_le_bytes())),
        }
    }
}

/// Fixed-width columns: a Rust type, ClickHouse's name for it, its bytes.
macro_rules! fixed {
    ($($(#[$meta:meta])* $name:ident($value:ty) = $type:literal, |$v:ident| $bytes:expr;)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub struct $name {
            rows: usize,
            data: Vec<u8>,
        }

        impl $name {
            /// Appends a value.
            pub fn push(&mut self, $v: $value) {
                self.rows += 1;
                self.data.extend_from_slice(&$bytes);
            }

            /// Appends a value `count` times.
            pub fn push_n(&mut self, $v: $value, count: usize) {
                self.rows += count;
                let bytes = $bytes;
                self.data.reserve(bytes.len() * count);
                for _ in 0..count {
                    self.data.extend_from_slice(&bytes);
                }
            }
        }

        impl Column for $name {
            const TYPE: &'static str = $type;
            fn rows(&self) -> usize {
                self.rows
            }
            fn bytes(&self) -> usize {
                self.data.len()
            }
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.data);
            }
        }
    )*};
}

fixed! {
    /// `Bool`
    Flag(bool) = "Bool", |value| [u8::from(value)];
    /// `Int32`
    Int32(i32) = "Int32", |value| value.to_le_bytes();
    /// `Int64`
    Int64(i64) = "Int64", |value| value.to_le_bytes();
    /// `Float64`
    Float64(f64) = "Float64", |value| value.to_le_bytes();
    /// `UInt128`
    UInt128(u128) = "UInt128", |value| value.to_le_bytes();
    /// `Date`, from days since 1970.
    Date(u16) = "Date", |value| value.to_le_bytes();
    /// `DateTime64(3, 'UTC')`, from milliseconds since 1970.
    DateTime(i64) = "DateTime64(3, 'UTC')", |value| value.to_le_bytes();
    /// `UUID`: two little-endian halves, the high one first.
    UuidColumn(Uuid) = "UUID", |value| uuid_bytes(value);
}

impl DateTime {
    /// The first value, if there is one.
    #[must_use]
    pub fn first(&self) -> Option<i64> {
        self.data.first_chunk().map(|bytes| i64::from_le_bytes(*bytes))
    }
}

fn uuid_bytes(value: Uuid) -> [u8; 16] {
    let (high, low) = value.as_u64_pair();
    let mut bytes = [0; 16];
    let (first, second) = bytes.split_at_mut(8);
    first.copy_from_slice(&high.to_le_bytes());
    second.copy_from_slice(&low.to_le_bytes());
    bytes
}

/// Nullable columns: a mask of nulls, then a value a row.
macro_rules! nullable {
    ($($(#[$meta:meta])* $name:ident($value:ty) = $inner:ident, $type:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub struct $name {
            nulls: Vec<u8>,
            values: $inner,
        }

        impl $name {
            /// Appends a value, or null.
            pub fn push(&mut self, value: Option<$value>) {
                self.nulls.push(u8::from(value.is_none()));
                self.values.push(value.unwrap_or_default());
            }
        }

        impl Column for $name {
            const TYPE: &'static str = $type;
            fn rows(&self) -> usize {
                self.nulls.len()
            }
            fn bytes(&self) -> usize {
                self.nulls.len() + self.values.bytes()
            }
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.nulls);
                self.values.write(out);
            }
        }
    )*};
}

nullable! {
    /// `Nullable(DateTime64(3, 'UTC'))`, from milliseconds since 1970.
    NullableDateTime(i64) = DateTime, "Nullable(DateTime64(3, 'UTC'))";
    /// `Nullable(Int32)`
    NullableInt32(i32) = Int32, "Nullable(Int32)";
    /// `Nullable(Float64)`
    NullableFloat64(f64) = Float64, "Nullable(Float64)";
    /// `Nullable(Bool)`
    NullableFlag(bool) = Flag, "Nullable(Bool)";
}

/// Arrays: where each row's items end, then the items of all rows.
macro_rules! array {
    ($($(#[$meta:meta])* $name:ident<$item:ty> = $inner:ident, $type:literal, $value:expr;)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub struct $name {
            ends: Vec<u64>,
            items: $inner,
        }

        impl $name {
            /// Appends a row of items.
            pub fn push(&mut self, items: &[$item]) {
                for item in items {
                    self.items.push($value(item));
                }
                self.ends.push(self.items.rows() as u64);
            }
        }

        impl Column for $name {
            const TYPE: &'static str = $type;
            fn rows(&self) -> usize {
                self.ends.len()
            }
            fn bytes(&self) -> usize {
                self.ends.len() * 8 + self.items.bytes()
            }
            fn write(&self, out: &mut Vec<u8>) {
                for end in &self.ends {
                    out.extend_from_slice(&end.to_le_bytes());
                }
                self.items.write(out);
            }
        }
    )*};
}

array! {
    /// `Array(String)`
    TextArray<String> = Text, "Array(String)", String::as_str;
    /// `Array(Int32)`
    Int32Array<i32> = Int32, "Array(Int32)", |item: &i32| *item;
    /// `Array(DateTime64(3, 'UTC'))`, from milliseconds since 1970.
    DateTimeArray<i64> = DateTime, "Array(DateTime64(3, 'UTC'))", |item: &i64| *item;
}

/// Declares a tuple column: its type's name, then its elements in order, each a column. Dictionaries
/// cannot be elements: Native wants what goes before them at the tuple's beginning.
#[macro_export]
macro_rules! tuple {
    ($(#[$meta:meta])* $name:ident = $type:literal { $first:ident: $first_column:ident, $($field:ident: $column:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        #[allow(missing_docs, reason = "the migrations say what each element means")]
        pub struct $name {
            pub $first: $first_column,
            $(pub $field: $column,)*
        }

        impl $crate::native::Column for $name {
            const TYPE: &'static str = $type;
            fn rows(&self) -> usize {
                self.$first.rows()
            }
            fn bytes(&self) -> usize {
                self.$first.bytes() $(+ self.$field.bytes())*
            }
            fn write(&self, out: &mut Vec<u8>) {
                self.$first.write(out);
                $(
                    debug_assert_eq!(self.$field.rows(), self.rows(), stringify!($field));
                    self.$field.write(out);
                )*
            }
        }
    };
}

/// Declares the block of a table: its columns in order, each with its name in ClickHouse.
#[macro_export]
macro_rules! block {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $column:ident = $title:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        #[allow(missing_docs, reason = "the migrations say what each column means")]
        pub struct $name {
            $(pub $field: $column,)*
        }

        impl $name {
            /// Names and types of the columns, in the block's order.
            pub const COLUMNS: &'static [(&'static str, &'static str)] = &[
                $(($title, <$column as $crate::native::Column>::TYPE),)*
            ];

            /// Bytes of memory that the columns take.
            #[must_use]
            pub fn bytes(&self) -> usize {
                use $crate::native::Column;
                0 $(+ self.$field.bytes())*
            }

            /// The block in Native format. Every column must have `rows` rows.
            #[must_use]
            pub fn encode(&self, rows: usize) -> Vec<u8> {
                use $crate::native::{Column, write_text, write_varint};
                let mut out = Vec::with_capacity(self.bytes() + 64 * Self::COLUMNS.len());
                write_varint(Self::COLUMNS.len(), &mut out);
                write_varint(rows, &mut out);
                $(
                    debug_assert_eq!(self.$field.rows(), rows, $title);
                    write_text($title, &mut out);
                    write_text(<$column as Column>::TYPE, &mut out);
                    self.$field.write(&mut out);
                )*
                out
            }
        }
    };
}
