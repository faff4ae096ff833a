//! Avro's binary encoding for records whose Rust type has the schema's fields in the schema's order.
//!
//! Avro writes a record's fields one behind the other, without names. Where type and schema agree field by
//! field there is nothing to look up: a struct is the sequence of its fields. That is twice as fast as
//! a reader that matches names (`cargo bench -p patchline-schemas`), and reading scans is the pipeline's hot path.
//! The codec uses it for the newest schemas only; `tests/it.rs` holds types and schemas together, and this
//! module against two other implementations.
//!
//! It knows what the records have: string, boolean, int, long, double, enum, array, `["null", T]`, record.

use serde::de::{self, DeserializeSeed, IntoDeserializer, SeqAccess, Visitor};
use serde::ser::{self, SerializeSeq, SerializeStruct};
use serde::{Deserialize, Serialize};

/// The bytes do not fit the type, or the type does not fit this module.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Error(String);

impl de::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl ser::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

fn error<T>(message: &str) -> Result<T, Error> {
    Err(Error(message.to_owned()))
}

/// Reads a record that takes all of `datum` and has no array of more than `items_max` items.
pub(crate) fn read<'de, T: Deserialize<'de>>(
    datum: &'de [u8],
    items_max: usize,
) -> Result<T, Error> {
    let mut reader = Reader { rest: datum, items_max: items_max as u64 };
    let record = T::deserialize(&mut reader)?;
    if reader.rest.is_empty() { Ok(record) } else { error("bytes are left over behind the record") }
}

/// Appends a record to `out`.
pub(crate) fn write<T: Serialize>(record: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    record.serialize(&mut Writer { out })
}

struct Reader<'de> {
    rest: &'de [u8],
    items_max: u64,
}

impl<'de> Reader<'de> {
    fn byte(&mut self) -> Result<u8, Error> {
        match self.rest.split_first() {
            Some((byte, rest)) => {
                self.rest = rest;
                Ok(*byte)
            }
            None => error("ends in the middle of a value"),
        }
    }

    /// A zig-zag variable-length number.
    fn long(&mut self) -> Result<i64, Error> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        error("has a number of over 64 bits")
    }

    fn text(&mut self) -> Result<&'de str, Error> {
        let length =
            usize::try_from(self.long()?).map_err(|_| Error("has a negative length".to_owned()))?;
        let (text, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| Error("ends in the middle of a string".to_owned()))?;
        self.rest = rest;
        std::str::from_utf8(text)
            .map_err(|error| Error(format!("has a string that is not UTF-8: {error}")))
    }
}

/// Calls of serde that no record makes.
macro_rules! unsupported {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            error(concat!(stringify!($method), " is not part of any record"))
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.byte()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            _ => error("has a boolean that is neither 0 nor 1"),
        }
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match i32::try_from(self.long()?) {
            Ok(value) => visitor.visit_i32(value),
            Err(_) => error("has an int of over 32 bits"),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i64(self.long()?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.rest.split_first_chunk::<8>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                visitor.visit_f64(f64::from_le_bytes(*bytes))
            }
            None => error("ends in the middle of a value"),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.long()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self),
            _ => error("has a union branch that does not exist"),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { reader: self, left: 0, read: 0, ended: false })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Fields { reader: self, left: fields.len() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match u32::try_from(self.long()?) {
            Ok(index) => visitor.visit_enum(index.into_deserializer()),
            Err(_) => error("has an enum symbol that does not exist"),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        error("has a field that the type has not")
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, Error> {
        error("a unit struct is not part of any record")
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        error("a tuple is not part of any record")
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        _: V,
    ) -> Result<V::Value, Error> {
        error("a tuple struct is not part of any record")
    }

    unsupported! {
        deserialize_any deserialize_i8 deserialize_i16 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64 deserialize_f32 deserialize_char deserialize_bytes
        deserialize_byte_buf deserialize_unit deserialize_map deserialize_identifier
    }
}

/// The fields of a record, in order.
struct Fields<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

/// The items of an array: blocks of a count and as many items, ended by an empty one.
struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: u64,
    read: u64,
    ended: bool,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if self.left == 0 && !self.ended {
            let count = self.reader.long()?;
            if count < 0 {
                // A negative count is followed by the block's size, for readers that skip it.
                self.reader.long()?;
            }
            self.left = count.unsigned_abs();
            // Some bytes of a message become some hundred in memory: a scan of empty updates is a bomb.
            self.read = self.read.saturating_add(self.left);
            if self.read > self.reader.items_max {
                return error("has an array that is too long");
            }
            self.ended = count == 0;
        }
        if self.ended {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
}

impl Writer<'_> {
    fn long(&mut self, value: i64) {
        let mut value = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while value >= 0x80 {
            #[allow(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        #[allow(clippy::cast_possible_truncation, reason = "below 0x80 by the loop")]
        self.out.push(value as u8);
    }

    fn length(&mut self, length: usize) -> Result<(), Error> {
        self.long(i64::try_from(length).map_err(|_| Error("is too long".to_owned()))?);
        Ok(())
    }
}

/// Calls of serde that no record makes.
macro_rules! unsupported_to_write {
    ($($method:ident($($argument:ty),*);)*) => {$(
        fn $method(self $(, _: $argument)*) -> Result<(), Error> {
            error(concat!(stringify!($method), " is not part of any record"))
        }
    )*};
}

impl<'o> ser::Serializer for &mut Writer<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Self;
    type SerializeStruct = Self;
    type SerializeTuple = ser::Impossible<(), Error>;
    type SerializeTupleStruct = ser::Impossible<(), Error>;
    type SerializeTupleVariant = ser::Impossible<(), Error>;
    type SerializeMap = ser::Impossible<(), Error>;
    type SerializeStructVariant = ser::Impossible<(), Error>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.out.push(u8::from(value));
        Ok(())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.long(value.into());
        Ok(())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.long(value);
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.length(value.len())?;
        self.out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.long(0);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.long(1);
        value.serialize(self)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
    ) -> Result<(), Error> {
        self.long(index.into());
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Error> {
        match length {
            // The empty block that ends the array is its first one.
            Some(0) => {}
            Some(length) => self.length(length)?,
            None => return error("a sequence of unknown length is not part of any record"),
        }
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        error("a variant with a value is not part of any record")
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        error("a tuple is not part of any record")
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        error("a tuple struct is not part of any record")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        error("a tuple variant is not part of any record")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        error("a map is not part of any record")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        error("a struct variant is not part of any record")
    }

    unsupported_to_write! {
        serialize_i8(i8); serialize_i16(i16); serialize_u8(u8); serialize_u16(u16); serialize_u32(u32);
        serialize_u64(u64); serialize_f32(f32); serialize_char(char);
        serialize_bytes(&[u8]); serialize_unit(); serialize_unit_struct(&'static str);
    }
}

impl SerializeSeq for &mut Writer<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Error> {
        self.long(0);
        Ok(())
    }
}

impl SerializeStruct for &mut Writer<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}
