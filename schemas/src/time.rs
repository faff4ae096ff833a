//! Moments as the records carry them: whole milliseconds since 1970, UTC.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z.
///
/// Written as a number. Read from a number of milliseconds, or from text: RFC 3339, and the
/// Linux agent's form of it with a space between date and time (`2016-10-21 04:25:51Z`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds in a day.
    pub const DAY_MS: i64 = 86_400_000;

    /// The machine's clock. For producers of reports; nothing downstream of them reads a clock.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_millisecond())
    }

    /// Reads RFC 3339 text; digits beyond milliseconds are dropped.
    ///
    /// # Errors
    /// Says what is wrong with the text, when it is no timestamp or has no UTC offset.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.trim()
            .parse::<jiff::Timestamp>()
            .map(|at| Self(at.as_millisecond()))
            .map_err(|error| format!("`{text}` is not an RFC 3339 time: {error}"))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{} ms since 1970", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time or milliseconds since 1970")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Timestamp, E> {
                Ok(Timestamp(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Timestamp, E> {
                i64::try_from(value).map(Timestamp).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Timestamp, E> {
                Timestamp::parse(value).map_err(E::custom)
            }
        }
        // Avro has numbers only; of the readers here, those that match names call themselves readable.
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Reader)
        } else {
            deserializer.deserialize_i64(Reader)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_that_agents_send() {
        let expected = Timestamp(1_477_023_951_000);
        for text in ["2016-10-21T04:25:51Z", "2016-10-21 04:25:51Z", "2016-10-21T06:25:51+02:00"] {
            assert_eq!(Timestamp::parse(text), Ok(expected), "{text}");
        }
        assert_eq!(
            Timestamp::parse("2016-10-21T04:25:51.7654118Z"),
            Ok(Timestamp(1_477_023_951_765))
        );
        assert_eq!(expected.to_string(), "2016-10-21T04:25:51.000Z");
    }

    #[test]
    fn refuses_a_time_without_an_offset() {
        assert!(Timestamp::parse("2016-10-21T04:25:51").is_err());
        assert!(Timestamp::parse("").is_err());
    }
}
