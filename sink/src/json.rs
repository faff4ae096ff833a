//! JSON that ClickHouse takes into a `JSON` column.
//!
//! The engine refuses a whole block for one bad value in it, so what is not let through here would stop a
//! partition. It takes less than JSON allows: a path (`a.b`, whether spelled by nesting or by a dot)
//! stands once in an object, and whole numbers fit 64 bits. Everything that passes here it takes: an
//! integration test holds this against the engine.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Checks that `text` is one JSON object that a `JSON` column takes.
///
/// # Errors
/// What is wrong with it, and where.
pub fn check_object(text: &str) -> Result<(), String> {
    if !text.trim_start().starts_with('{') {
        return Err("is no JSON object".to_owned());
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut paths = HashSet::new();
    let value = Value { path: None, paths: &mut paths };
    value.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    check_integers(text)
}

/// The objects of a dynamic value: those of an array, or the value itself. Where an element is no object,
/// it becomes `{"Value": element}`. Empty text and `null` have none.
///
/// # Errors
/// As [`check_object`].
pub fn objects(text: &str) -> Result<Vec<String>, String> {
    let text = text.trim_ascii();
    let object = |element: &str| {
        let object = if element.starts_with('{') {
            element.to_owned()
        } else {
            format!("{{\"Value\":{element}}}")
        };
        check_object(&object).map(|()| object)
    };
    match text.as_bytes().first() {
        None => Ok(Vec::new()),
        Some(b'[') => {
            let elements: Vec<&RawValue> =
                serde_json::from_str(text).map_err(|error| error.to_string())?;
            elements.into_iter().map(|element| object(element.get())).collect()
        }
        Some(_) if text == "null" => Ok(Vec::new()),
        Some(_) => {
            let value: &RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
            object(value.get()).map(|object| vec![object])
        }
    }
}

/// Walks a value: its syntax, its depth (serde_json's limit is far below the engine's), and that no path
/// of an object stands twice. The objects in an array have paths of their own.
struct Value<'a> {
    path: Option<String>,
    paths: &'a mut HashSet<String>,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        loop {
            let mut paths = HashSet::new();
            let element = Value { path: None, paths: &mut paths };
            if elements.next_element_seed(element)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<String>()? {
            let path = match &self.path {
                Some(path) => format!("{path}.{key}"),
                None => key,
            };
            if !self.paths.insert(path.clone()) {
                return Err(A::Error::custom(format_args!("the path `{path}` stands twice")));
            }
            entries.next_value_seed(Value { path: Some(path), paths: &mut *self.paths })?;
        }
        Ok(())
    }
}

/// Checks that the whole numbers in valid JSON fit 64 bits. A parser makes floats of those that do not, so
/// they are found in the text.
fn check_integers(text: &str) -> Result<(), String> {
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'"' => rest = after_string(after),
            b'-' | b'0'..=b'9' => {
                let end = rest.iter().position(|byte| {
                    !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
                });
                let (number, after) = rest.split_at(end.unwrap_or(rest.len()));
                let number = std::str::from_utf8(number).unwrap_or_default();
                let whole = !number.contains(['.', 'e', 'E']);
                if whole && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return Err(format!("the number {number} does not fit 64 bits"));
                }
                rest = after;
            }
            _ => rest = after,
        }
    }
    Ok(())
}

/// What follows a string whose opening quote has been read.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some((byte, after)) = rest.split_first() {
        rest = match byte {
            b'"' => return after,
            b'\\' => after.get(1..).unwrap_or_default(),
            _ => after,
        };
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_would_refuse_is_refused_here_and_says_why() {
        for (text, problem) in [
            ("", "is no JSON object"),
            ("[]", "is no JSON object"),
            ("null", "is no JSON object"),
            ("{\"a\":1} x", "trailing characters"),
            ("{\"a\":1,\"a\":2}", "the path `a` stands twice"),
            ("{\"a\":{\"b\":1},\"a.b\":2}", "the path `a.b` stands twice"),
            ("{\"a\":[{\"b\":1,\"b\":1}]}", "the path `b` stands twice"),
            ("{\"a\":18446744073709551616}", "18446744073709551616 does not fit 64 bits"),
            ("{\"a\":[-9223372036854775809]}", "-9223372036854775809 does not fit 64 bits"),
            ("{\"a\":1e999}", "number out of range"),
            ("{\"a\":\"\\ud800\"}", "hex escape"),
            ("{\"a\":\"\u{1}\"}", "control character"),
        ] {
            let error = check_object(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(check_object(&deep).unwrap_err().contains("recursion limit"));
    }

    #[test]
    fn numbers_are_looked_for_outside_of_strings_only() {
        for text in [
            "{\"99999999999999999999\":\"\\\"99999999999999999999\"}",
            "{\"a\":18446744073709551615,\"b\":-9223372036854775808,\"c\":1e300,\"d\":-0}",
            " {\"a\":[{\"b\":1},{\"b\":2}],\"b\":{\"a\":null}} ",
        ] {
            assert_eq!(check_object(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_dynamic_value_becomes_objects() {
        assert_eq!(objects(""), Ok(vec![]));
        assert_eq!(objects(" null "), Ok(vec![]));
        assert_eq!(objects("{\"a\":1}"), Ok(vec!["{\"a\":1}".to_owned()]));
        assert_eq!(objects("\"x\""), Ok(vec!["{\"Value\":\"x\"}".to_owned()]));
        let some = objects("[{\"a\":1}, \"x\", [2]]").unwrap();
        assert_eq!(some, ["{\"a\":1}", "{\"Value\":\"x\"}", "{\"Value\":[2]}"]);
        assert!(objects("[1,").is_err());
        assert!(objects("hello").is_err());
        assert!(objects("1,\"b\":2").is_err());
    }
}
