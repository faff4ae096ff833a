//! Reads JSON that strangers sent, in bounded memory, and says where it is wrong.

use std::fmt;

use patchline_schemas::validate::UPDATES_PER_SCAN_MAX;
use serde::de::{DeserializeSeed, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_ignored::Path;
use serde_json::value::RawValue;

use super::problem::{Problem, Reason};

/// Items that one request may carry: what is answered about each (an id) stays small beside it.
pub(super) const ITEMS_MAX: usize = 10_000;

/// A body up to here, with no more brackets than a scan may list updates, is read without
/// [`inspect`]ing it first: what it could be blown up to is small.
const UNINSPECTED_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of one text. An error message quotes the text it is about, escaped, at up to six times its
/// size.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Depth of nesting; serde_json's own limit, which does not hold for values that it only skips.
const DEPTH_MAX: usize = 128;

/// How many objects and arrays `text` opens at most: what memory its decoding needs goes by this.
///
/// # Errors
/// A large text holds something that no report holds, and that would cost much memory to refuse.
pub(super) fn inspect(text: &str) -> Result<usize, Problem> {
    let opening = opening(text);
    if text.len() <= UNINSPECTED_BYTES_MAX && opening <= UPDATES_PER_SCAN_MAX {
        return Ok(opening);
    }
    check_shape(text, TEXT_BYTES_MAX).map(|()| opening)
}

/// Refuses text with values nested too deep, or longer strings than `text_bytes_max`.
pub(super) fn check_shape(text: &str, text_bytes_max: usize) -> Result<(), Problem> {
    let (mut depth, mut start, mut escaped) = (0_usize, None, false);
    for (at, byte) in text.bytes().enumerate() {
        match (start, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(_), b'"') => start = None,
            (Some(from), _) if at - from > text_bytes_max => {
                return Err(Problem::new(
                    Reason::Malformed,
                    format!("the text at byte {from} is longer than {text_bytes_max} bytes"),
                ));
            }
            (None, b'"') => start = Some(at),
            (None, b'{' | b'[') => depth += 1,
            (None, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(Problem::new(
                Reason::Malformed,
                format!("byte {at} is nested deeper than {DEPTH_MAX} levels"),
            ));
        }
    }
    Ok(())
}

/// Opening brackets in `text`, those within its strings too: no fewer than the values in it.
pub(super) fn opening(text: &str) -> usize {
    // A chunk's count fits a byte, which lets the compiler count sixteen at a time.
    let of_chunk = |chunk: &[u8]| -> u8 {
        chunk.iter().map(|byte| u8::from(matches!(byte, b'{' | b'['))).sum()
    };
    text.as_bytes().chunks(255).map(|chunk| usize::from(of_chunk(chunk))).sum()
}

/// Calls `each` with every element of the JSON array `text` and its index, holding none.
pub(super) fn each_item<'de>(
    text: &'de str,
    mut each: impl FnMut(usize, &'de str) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut items = Items { each: &mut each, index: 0, problem: None };
    let read = (&mut items).deserialize(&mut reader).and_then(|()| reader.end());
    match (items.problem, read) {
        (Some(problem), _) => Err(problem),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => {
            Err(Problem::new(Reason::Malformed, error.to_string()).in_item(items.index))
        }
    }
}

struct Items<'f, F> {
    each: &'f mut F,
    index: usize,
    /// What `each` said, because serde's error cannot carry it.
    problem: Option<Problem>,
}

impl<'de, F: FnMut(usize, &'de str) -> Result<(), Problem>> DeserializeSeed<'de>
    for &mut Items<'_, F>
{
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(usize, &'de str) -> Result<(), Problem>> Visitor<'de> for &mut Items<'_, F> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while let Some(raw) = array.next_element::<&'de RawValue>()? {
            let problem = if self.index == ITEMS_MAX {
                Err(Problem::new(
                    Reason::TooLarge,
                    format!("more than {ITEMS_MAX} items; send fewer at once"),
                ))
            } else {
                (self.each)(self.index, raw.get())
            };
            if let Err(problem) = problem {
                self.problem = Some(problem);
                return Err(A::Error::custom("refused"));
            }
            self.index += 1;
        }
        Ok(())
    }
}

/// `text` without the white space around it: JSON's own, no other.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

/// Reads one object. Fields that `T` does not have are an error if `strict`.
pub(super) fn object<'de, T: Deserialize<'de>>(text: &'de str, strict: bool) -> Result<T, Problem> {
    if !trim(text).starts_with('{') {
        return Err(Problem::new(Reason::Malformed, "expected a JSON object"));
    }
    let mut unknown = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = if strict {
        serde_ignored::deserialize(&mut reader, |path| {
            unknown.get_or_insert_with(|| path_text(&path));
        })
    } else {
        T::deserialize(&mut reader)
    };
    match (read.and_then(|record| reader.end().map(|()| record)), unknown) {
        (Ok(record), None) => Ok(record),
        (Ok(_), Some(path)) => {
            Err(Problem::new(Reason::Malformed, format!("there is no field `{path}`"))
                .in_field(path))
        }
        (Err(error), _) => Err(locate::<T>(text, &error)),
    }
}

/// Reads a second time to learn where the error is: tracking the path costs the good ones too much.
fn locate<'de, T: Deserialize<'de>>(text: &'de str, error: &serde_json::Error) -> Problem {
    let mut reader = serde_json::Deserializer::from_str(text);
    let path = serde_path_to_error::deserialize::<_, T>(&mut reader)
        .err()
        .map(|located| located.path().to_string())
        .filter(|path| path != ".");
    let problem = Problem::new(Reason::Malformed, error.to_string());
    match path {
        Some(path) => problem.in_field(path),
        None => problem,
    }
}

/// `Updates[3].Product`, as the other errors spell it.
fn path_text(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", path_text(parent)),
        Path::Map { parent, key } => match path_text(parent) {
            parent if parent.is_empty() => key.clone(),
            parent => format!("{parent}.{key}"),
        },
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => path_text(parent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_seen_as_it_was_written() {
        let mut seen = Vec::new();
        let mut keep = |index, item: &str| {
            seen.push((index, item.to_owned()));
            Ok(())
        };
        each_item(" [ {\"a\" : 1}, [2],3 ] ", &mut keep).unwrap();
        let expected = [(0, "{\"a\" : 1}"), (1, "[2]"), (2, "3")];
        assert_eq!(seen, expected.map(|(index, item)| (index, item.to_owned())));
    }

    #[test]
    fn a_problem_says_which_item() {
        let refuse = |index, _: &str| match index {
            1 => Err(Problem::new(Reason::Invalid, "no").in_item(index)),
            _ => Ok(()),
        };
        assert_eq!(each_item("[1, 2, 3]", refuse).unwrap_err().item, Some(1));
        let broken = each_item("[1, 2, }", |_, _| Ok(())).unwrap_err();
        assert_eq!((broken.reason, broken.item), (Reason::Malformed, Some(2)));
        let many = format!("[{}0]", "0,".repeat(ITEMS_MAX));
        assert_eq!(each_item(&many, |_, _| Ok(())).unwrap_err().reason, Reason::TooLarge);
    }

    #[test]
    fn what_costs_much_to_refuse_is_refused_before_it_is_read() {
        let deep = "[".repeat(2 * UNINSPECTED_BYTES_MAX);
        assert!(inspect(&deep).unwrap_err().detail.contains("nested"));
        let long = format!("[\"{}\"]", "\\\"\u{7f}".repeat(UNINSPECTED_BYTES_MAX));
        assert!(inspect(&long).unwrap_err().detail.contains("longer"));
        let wide = format!("[{}{{}}]", "{},".repeat(UNINSPECTED_BYTES_MAX));
        assert_eq!(inspect(&wide), Ok(UNINSPECTED_BYTES_MAX + 2));
        let braces_in_text = format!("[\"{}\"]", "{".repeat(TEXT_BYTES_MAX - 10));
        assert!(inspect(&braces_in_text).is_ok());
    }
}
