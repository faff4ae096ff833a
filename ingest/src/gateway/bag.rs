//! Fields by name, as senders have them whose types are looser than ours: a record is read out of them.
//!
//! A number, a truth value or a list stands for its text where a record has text, and a text for a number
//! or a truth value where it reads as one. What does not fit is an error that names the field; nothing is
//! guessed and nothing is dropped: fields that the record does not have are handed back.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use patchline_schemas::Timestamp;
use serde::Deserialize;
use serde::de::value::CowStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IntoDeserializer as _, MapAccess, Visitor,
};
use serde_json::value::RawValue;

use super::problem::{Problem, Reason};

/// Fields of one item. The widest record has some 130.
pub(super) const FIELDS_MAX: usize = 500;

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    /// JSON as it was written.
    Json(&'a str),
    /// Text.
    Text(Cow<'a, str>),
}

impl<'a> Value<'a> {
    /// Not there, or nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Json(json) => matches!(*json, "null" | "\"\""),
            Self::Text(text) => text.is_empty(),
        }
    }

    /// As text: a JSON string's content, anything else as it was written; null is empty.
    pub(super) fn text(&self) -> Result<Cow<'a, str>, Fault> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Json("null") => Ok(Cow::Borrowed("")),
            Self::Json(json) if json.starts_with('"') => {
                /// Borrows where the text has no escapes.
                #[derive(Deserialize)]
                #[serde(transparent)]
                struct Text<'t>(#[serde(borrow)] Cow<'t, str>);
                let Text(text) = serde_json::from_str(json).map_err(Fault::custom)?;
                Ok(text)
            }
            Self::Json(json) => Ok(Cow::Borrowed(json)),
        }
    }

    /// As JSON.
    pub(super) fn json(&self) -> Cow<'a, str> {
        match self {
            Self::Json(json) => Cow::Borrowed(json),
            Self::Text(text) => Cow::Owned(serde_json::Value::from(&**text).to_string()),
        }
    }
}

/// How the values of an item are to be read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rules {
    /// A time without an offset is UTC; else it is an error.
    pub(super) utc: bool,
}

/// A field's name and what it holds.
pub(super) type Field<'a> = (Cow<'a, str>, Value<'a>);

/// An item's fields.
#[derive(Debug, Default)]
pub(super) struct Bag<'a> {
    pub(super) fields: Vec<Field<'a>>,
}

impl<'a> Bag<'a> {
    /// Reads one JSON object.
    pub(super) fn from_json(raw: &'a str) -> Result<Self, Problem> {
        // Said here, because serde_json would quote what it is instead, however long.
        if !raw.starts_with('{') {
            return Err(Problem::new(Reason::Malformed, "the item is no object"));
        }
        serde_json::from_str::<Fields<'a>>(raw)
            .map(|fields| Self { fields: fields.0 })
            .map_err(|error| Problem::new(Reason::Malformed, error.to_string()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Calls the field `from` by the name `to`, where there is none of that name yet. Says whether it did.
    pub(super) fn rename(&mut self, from: &str, to: &'static str) -> bool {
        if self.get(to).is_some() {
            return false;
        }
        match self.fields.iter_mut().find(|(name, _)| name == from) {
            Some((name, _)) => *name = Cow::Borrowed(to),
            None => return false,
        }
        true
    }

    /// Makes a record of the fields. Those that it does not have are handed back.
    pub(super) fn record<R: Deserialize<'a>>(
        self,
        rules: Rules,
    ) -> Result<(R, Vec<Field<'a>>), Problem> {
        let mut reader = Reader {
            fields: self.fields.into_iter(),
            value: None,
            unknown: Vec::new(),
            rules,
            field: String::new(),
        };
        match R::deserialize(&mut reader) {
            Ok(record) => Ok((record, reader.unknown)),
            Err(fault) => {
                let problem = Problem::new(Reason::Malformed, fault.0);
                Err(if reader.field.is_empty() { problem } else { problem.in_field(reader.field) })
            }
        }
    }
}

/// An object's fields as they were written.
struct Fields<'a>(Vec<Field<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                /// Borrows where the name has no escapes.
                #[derive(Deserialize)]
                #[serde(transparent)]
                struct Name<'n>(#[serde(borrow)] Cow<'n, str>);
                let mut fields = Vec::new();
                while let Some((Name(name), value)) =
                    map.next_entry::<Name<'de>, &'de RawValue>()?
                {
                    if fields.len() == FIELDS_MAX {
                        return Err(A::Error::custom(format!("more than {FIELDS_MAX} fields")));
                    }
                    fields.push((name, Value::Json(value.get())));
                }
                Ok(Fields(fields))
            }
        }
        reader.deserialize_map(Read)
    }
}

/// What does not fit.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Fault(String);

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Shows a record the fields one by one.
struct Reader<'a> {
    fields: std::vec::IntoIter<Field<'a>>,
    value: Option<Value<'a>>,
    unknown: Vec<Field<'a>>,
    rules: Rules,
    /// The field at hand.
    field: String,
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'a> MapAccess<'a> for Reader<'a> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((name, value)) = self.fields.next() else {
            self.field.clear();
            return Ok(None);
        };
        self.value = Some(value);
        self.field.clear();
        self.field.push_str(&name);
        seed.deserialize(CowStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let value = self.value.take().ok_or_else(|| Fault::custom("a value without a name"))?;
        let known = Cell::new(true);
        let read =
            seed.deserialize(Loose { value: value.clone(), rules: self.rules, known: &known })?;
        if !known.get() {
            self.unknown.push((Cow::Owned(self.field.clone()), value));
        }
        Ok(read)
    }
}

/// One value, read as whatever is asked for.
struct Loose<'a, 'k> {
    value: Value<'a>,
    rules: Rules,
    /// Set to false where nobody wants the value.
    known: &'k Cell<bool>,
}

impl<'a> Loose<'a, '_> {
    fn parse<T: std::str::FromStr>(&self, what: &str) -> Result<T, Fault> {
        let text = self.value.text()?;
        text.trim().parse().map_err(|_| Fault::custom(format!("`{text:.40}` is no {what}")))
    }
}

impl<'de> Deserializer<'de> for Loose<'de, '_> {
    type Error = Fault;

    /// Times ask so: a number of milliseconds, or text.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if let Value::Json(json) = &self.value
            && let Ok(number) = json.parse()
        {
            return visitor.visit_i64(number);
        }
        let text = self.value.text()?;
        if self.rules.utc && Timestamp::parse(&text).is_err() {
            let utc = format!("{}Z", text.trim());
            if Timestamp::parse(&utc).is_ok() {
                return visitor.visit_string(utc);
            }
        }
        visitor.visit_str(&text)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.value.text()?.into_deserializer().deserialize_str(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.value.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.value.text()?;
        match text.trim() {
            "" | "0" => visitor.visit_bool(false),
            "1" => visitor.visit_bool(true),
            text if text.eq_ignore_ascii_case("true") => visitor.visit_bool(true),
            text if text.eq_ignore_ascii_case("false") => visitor.visit_bool(false),
            text => Err(Fault::custom(format!("`{text:.40}` is neither true nor false"))),
        }
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.value.is_empty() {
            return visitor.visit_i32(0);
        }
        visitor.visit_i32(self.parse("whole number of 32 bits")?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f64(self.parse("number")?)
    }

    /// A list, its JSON as text, or one alone.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.value.text()?;
        let list: Vec<String> = match text.trim() {
            "" => Vec::new(),
            list if list.starts_with('[') => serde_json::from_str(list).map_err(Fault::custom)?,
            one => vec![one.to_owned()],
        };
        visitor.visit_seq(list.into_deserializer())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.known.set(false);
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i64 i128 u8 u16 u32 u64 u128 f32 char bytes byte_buf
        unit unit_struct tuple tuple_struct map struct enum identifier
    }
}

#[cfg(test)]
mod tests {
    use patchline_schemas::{Event, Heartbeat, OfficeActivity};

    use super::*;

    fn read<'a, R: Deserialize<'a>>(json: &'a str) -> Result<(R, Vec<String>), Problem> {
        let (record, unknown) = Bag::from_json(json)?.record(Rules { utc: true })?;
        Ok((
            record,
            unknown.iter().map(|(name, value)| format!("{name}={}", value.json())).collect(),
        ))
    }

    #[test]
    fn a_value_is_read_as_what_the_record_has() {
        let json = r#"{"OfficeId": 7, "Actor": [{"ID": "a\u0041", "Type": 3}], "Members": null,
            "LoginStatus": "-12", "IsManagedDevice": "True", "CrossMailboxOperations": "",
            "TimeGenerated": "2017-06-01T12:00:00", "Start_Time": 1496318400000, "UserId": "a\"b"}"#;
        let (record, unknown) = read::<OfficeActivity<'_>>(json).unwrap();
        assert_eq!((&*record.office_id, &*record.user_id, &*record.members), ("7", "a\"b", ""));
        assert_eq!(record.actor, r#"[{"ID": "a\u0041", "Type": 3}]"#);
        assert_eq!((record.login_status, record.is_managed_device), (Some(-12), Some(true)));
        assert_eq!(record.cross_mailbox_operations, None);
        assert_eq!(record.time_generated, Timestamp(1_496_318_400_000));
        assert_eq!(record.start_time, Some(record.time_generated));
        assert_eq!(unknown, Vec::<String>::new());
    }

    #[test]
    fn a_list_may_be_json_in_text_or_one_alone() {
        for json in [r#"["a","b"]"#, r#""[\"a\",\"b\"]""#] {
            let json = format!(r#"{{"ComputerPrivateIPs": {json}}}"#);
            let heartbeat = read::<Heartbeat<'_>>(&json).unwrap().0;
            assert_eq!(heartbeat.computer_private_ips, ["a", "b"], "{json}");
        }
        let one = read::<Heartbeat<'_>>(r#"{"ComputerPrivateIPs": "a"}"#).unwrap().0;
        assert_eq!(one.computer_private_ips, ["a"]);
    }

    #[test]
    fn what_does_not_fit_names_its_field() {
        for (json, field) in [
            (r#"{"EventID": "many"}"#, "EventID"),
            (r#"{"EventID": 5000000000}"#, "EventID"),
            (r#"{"TimeGenerated": "yesterday"}"#, "TimeGenerated"),
            (r#"{"ReportId": "seven"}"#, "ReportId"),
        ] {
            let problem = read::<Event<'_>>(json).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{problem:?}");
        }
        let twice = read::<Event<'_>>(r#"{"EventID": 1, "EventID": 2}"#).unwrap_err();
        assert!(twice.detail.contains("duplicate"), "{twice:?}");
    }

    #[test]
    fn what_the_record_does_not_have_is_handed_back() {
        let (event, unknown) =
            read::<Event<'_>>(r#"{"EventID": 1, "A": {"b": 1}, "C": "x"}"#).unwrap();
        assert_eq!((event.event_id, unknown), (1, vec!["A={\"b\": 1}".into(), "C=\"x\"".into()]));
    }

    #[test]
    fn a_time_without_an_offset_is_an_error_where_utc_is_not_meant() {
        let bag = Bag::from_json(r#"{"TimeGenerated": "2017-06-01T12:00:00"}"#).unwrap();
        assert!(bag.record::<Event<'_>>(Rules::default()).is_err());
    }

    #[test]
    fn too_many_fields_are_refused() {
        let fields: Vec<String> = (0..=FIELDS_MAX).map(|at| format!("\"f{at}\":0")).collect();
        assert!(Bag::from_json(&format!("{{{}}}", fields.join(","))).is_err());
        assert!(Bag::from_json(&format!("{{{}}}", fields[1..].join(","))).is_ok());
    }
}
