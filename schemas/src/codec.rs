//! Framing and encoding of records.
//!
//! Two framings are read, told apart by the first byte: the Avro single-object encoding (`C3 01`,
//! then the schema's 64-bit Rabin fingerprint) and Confluent's wire format (`00`, then the schema's
//! id in a registry). Single-object is written unless registry ids were given to write with.
//!
//! A message that was written with another version of its schema is first rewritten into the newest
//! one ([`Codec::current`]) by Avro's rules of resolution: what the newest does not know is dropped,
//! what the writer did not know takes its default. Where the writer's schema is not known the message is
//! refused whole ([`DecodeError::UnknownSchema`]): guessing would corrupt, and a dead letter can be replayed
//! once the schema is known.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::{Deserialize, Serialize};

use crate::positional;
use crate::record::{
    Advisory, CustomLog, EnrichedRunProgress, EnrichedScan, Event, Heartbeat, OfficeActivity,
    RunProgress, Scan, UpdateDeployment,
};
use crate::topic::dead_letter::Class;

const SINGLE_OBJECT: [u8; 2] = [0xC3, 0x01];
const CONFLUENT: u8 = 0x00;

/// Items after which decoding gives up. A small message can claim millions of empty ones, each some
/// hundred bytes once decoded. Twice what is valid, so that a scan which is only too long is told so.
const SEQUENCE_MAX: usize = 2 * crate::validate::UPDATES_PER_SCAN_MAX;

/// The records that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `patchline.Scan`
    Scan,
    /// `patchline.RunProgress`
    RunProgress,
    /// `patchline.Heartbeat`
    Heartbeat,
    /// `patchline.EnrichedScan`
    EnrichedScan,
    /// `patchline.EnrichedRunProgress`
    EnrichedRunProgress,
    /// `patchline.Event`
    Event,
    /// `patchline.OfficeActivity`
    OfficeActivity,
    /// `patchline.CustomLog`
    CustomLog,
    /// `patchline.UpdateDeployment`
    UpdateDeployment,
    /// `patchline.Advisory`
    Advisory,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Scan,
        Self::RunProgress,
        Self::Heartbeat,
        Self::EnrichedScan,
        Self::EnrichedRunProgress,
        Self::Event,
        Self::OfficeActivity,
        Self::CustomLog,
        Self::UpdateDeployment,
        Self::Advisory,
    ];

    /// Every released version of the record's schema, oldest first, as Avro JSON.
    #[must_use]
    pub fn versions(self) -> &'static [&'static str] {
        match self {
            Self::Scan => &[include_str!("../avro/scan/1.avsc")],
            Self::RunProgress => &[include_str!("../avro/run-progress/1.avsc")],
            Self::Heartbeat => &[
                include_str!("../avro/heartbeat/1.avsc"),
                include_str!("../avro/heartbeat/2.avsc"),
            ],
            Self::EnrichedScan => &[include_str!("../avro/enriched-scan/1.avsc")],
            Self::EnrichedRunProgress => &[include_str!("../avro/enriched-run-progress/1.avsc")],
            Self::Event => &[include_str!("../avro/event/1.avsc")],
            Self::OfficeActivity => &[include_str!("../avro/office-activity/1.avsc")],
            Self::CustomLog => &[include_str!("../avro/custom-log/1.avsc")],
            Self::UpdateDeployment => &[include_str!("../avro/update-deployment/1.avsc")],
            Self::Advisory => &[include_str!("../avro/advisory/1.avsc")],
        }
    }
}

/// A record with a schema of its own.
pub trait Record: Serialize {
    /// Which schema.
    const KIND: Kind;
}

impl Record for Scan<'_> {
    const KIND: Kind = Kind::Scan;
}
impl Record for RunProgress<'_> {
    const KIND: Kind = Kind::RunProgress;
}
impl Record for Heartbeat<'_> {
    const KIND: Kind = Kind::Heartbeat;
}
impl Record for EnrichedScan<'_> {
    const KIND: Kind = Kind::EnrichedScan;
}
impl Record for EnrichedRunProgress<'_> {
    const KIND: Kind = Kind::EnrichedRunProgress;
}
impl Record for Event<'_> {
    const KIND: Kind = Kind::Event;
}
impl Record for OfficeActivity<'_> {
    const KIND: Kind = Kind::OfficeActivity;
}
impl Record for CustomLog<'_> {
    const KIND: Kind = Kind::CustomLog;
}
impl Record for UpdateDeployment<'_> {
    const KIND: Kind = Kind::UpdateDeployment;
}
impl Record for Advisory<'_> {
    const KIND: Kind = Kind::Advisory;
}

/// Why a message could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Too short for a frame, or none of ours.
    #[error("no known framing: {length} bytes beginning {start:02x?}")]
    Framing {
        /// Length of the message.
        length: usize,
        /// Its first bytes.
        start: Vec<u8>,
    },
    /// Framed, but by a schema this version does not know.
    #[error("written with schema {0}, which is not known here: upgrade, then replay")]
    UnknownSchema(SchemaId),
    /// Written with another version of the schema than the newest; [`Codec::current`] rewrites it.
    #[error("is not written with the newest schema")]
    NotCurrent,
    /// A schema of ours, but of another record than this topic carries.
    #[error("holds a {found:?}, expected a {expected:?}")]
    WrongRecord {
        /// What the topic carries.
        expected: Kind,
        /// What the message holds.
        found: Kind,
    },
    /// The bytes do not fit their schema.
    #[error("does not fit its schema: {0}")]
    Datum(String),
}

impl DecodeError {
    /// The class of the dead letter that the message becomes.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Framing { .. } => Class::Framing,
            Self::UnknownSchema(_) => Class::UnknownSchema,
            Self::WrongRecord { .. } => Class::WrongRecord,
            Self::Datum(_) | Self::NotCurrent => Class::Datum,
        }
    }
}

/// How a frame names its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaId {
    /// Rabin fingerprint, little-endian as on the wire.
    Fingerprint([u8; 8]),
    /// Id in a schema registry.
    Registry(u32),
}

impl std::fmt::Display for SchemaId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fingerprint(bytes) => {
                write!(f, "fingerprint {:016x}", u64::from_le_bytes(*bytes))
            }
            Self::Registry(id) => write!(f, "registry id {id}"),
        }
    }
}

/// A record did not fit its own schema: a defect of this program.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode a {kind:?}: {problem}")]
pub struct EncodeError {
    kind: Kind,
    problem: String,
}

/// A schema could not be used.
#[derive(Debug, thiserror::Error)]
#[error("schema of {kind:?} cannot be used: {problem}")]
pub struct SchemaError {
    kind: Kind,
    problem: String,
}

struct Known {
    kind: Kind,
    schema: Schema,
    fingerprint: [u8; 8],
}

/// Encodes and decodes every record. Shared by reference between threads.
pub struct Codec {
    by_fingerprint: HashMap<[u8; 8], Arc<Known>>,
    by_registry_id: RwLock<HashMap<u32, Arc<Known>>>,
    /// What to write with, by `Kind as usize`.
    writers: Vec<(Vec<u8>, Arc<Known>)>,
}

impl Codec {
    /// A codec that knows every released schema and writes the newest, single-object framed.
    ///
    /// # Errors
    /// A schema in this crate does not parse.
    pub fn new() -> Result<Self, SchemaError> {
        Self::with_versions(Kind::versions)
    }

    /// A codec that knows only the `versions` of each schema, oldest first: as a program knew them that
    /// was built before the others. It writes, and takes for current, the last of them.
    ///
    /// # Errors
    /// A schema does not parse, or a record has none.
    pub fn with_versions(
        versions: impl Fn(Kind) -> &'static [&'static str],
    ) -> Result<Self, SchemaError> {
        let mut by_fingerprint = HashMap::new();
        let mut writers = Vec::new();
        for kind in Kind::ALL {
            let mut newest = None;
            for text in versions(kind) {
                let known = Arc::new(parse(kind, text)?);
                by_fingerprint.insert(known.fingerprint, Arc::clone(&known));
                newest = Some(known);
            }
            let newest = newest.ok_or_else(|| SchemaError {
                kind,
                problem: "no version is released".to_owned(),
            })?;
            let prefix = [&SINGLE_OBJECT[..], &newest.fingerprint].concat();
            writers.push((prefix, newest));
        }
        Ok(Self { by_fingerprint, by_registry_id: RwLock::default(), writers })
    }

    /// Writes `kind` in Confluent's framing from now on, by the `id` that a registry gave to its
    /// newest version.
    #[must_use]
    pub fn writing_registry_id(mut self, kind: Kind, id: u32) -> Self {
        if let Some((prefix, known)) = self.writers.get_mut(kind as usize) {
            *prefix = [&[CONFLUENT][..], &id.to_be_bytes()].concat();
            let known = Arc::clone(known);
            self.registry_ids_mut().insert(id, known);
        }
        self
    }

    /// Learns that a registry knows `schema` as `id`.
    ///
    /// # Errors
    /// The schema does not parse.
    pub fn learn_registry_id(&self, id: u32, kind: Kind, schema: &str) -> Result<(), SchemaError> {
        let known = Arc::new(parse(kind, schema)?);
        self.registry_ids_mut().insert(id, known);
        Ok(())
    }

    fn registry_ids_mut(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<u32, Arc<Known>>> {
        self.by_registry_id.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends the framed `record` to `out`.
    ///
    /// # Errors
    /// The record does not fit its schema; `out` may then hold a part of it.
    pub fn encode<T: Record>(&self, record: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let fail = |problem: String| EncodeError { kind: T::KIND, problem };
        let (prefix, _) = self
            .writers
            .get(T::KIND as usize)
            .ok_or_else(|| fail("no schema to write with".to_owned()))?;
        out.extend_from_slice(prefix);
        positional::write(record, out).map_err(|error| fail(error.to_string()))
    }

    /// The message in the newest version of its schema: itself, or rewritten.
    ///
    /// # Errors
    /// See [`DecodeError`]. What is already in the newest version is not looked into.
    pub fn current<'m>(&self, message: &'m [u8]) -> Result<Cow<'m, [u8]>, DecodeError> {
        let (known, datum) = self.known(message)?;
        let (prefix, newest) = self.newest(known.kind)?;
        if newest.fingerprint == known.fingerprint {
            return Ok(Cow::Borrowed(message));
        }
        let wrong = |error: apache_avro::Error| DecodeError::Datum(error.to_string());
        let reader = GenericDatumReader::builder(&known.schema)
            .reader_schema(&newest.schema)
            .build()
            .map_err(wrong)?;
        let mut rest = datum;
        let value = reader.read_value(&mut rest).map_err(wrong)?;
        if !rest.is_empty() {
            return Err(DecodeError::Datum("bytes are left over behind the record".to_owned()));
        }
        let writer = GenericDatumWriter::builder(&newest.schema).build().map_err(wrong)?;
        let mut rewritten = prefix.clone();
        writer.write_value_ref(&mut rewritten, &value).map_err(wrong)?;
        Ok(Cow::Owned(rewritten))
    }

    /// Decodes a framed message in the newest version of its schema, borrowing its text.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn decode<'m, T>(&self, message: &'m [u8]) -> Result<T, DecodeError>
    where
        T: Record + Deserialize<'m>,
    {
        let (known, datum) = self.known(message)?;
        if known.kind != T::KIND {
            return Err(DecodeError::WrongRecord { expected: T::KIND, found: known.kind });
        }
        if self.newest(T::KIND)?.1.fingerprint != known.fingerprint {
            return Err(DecodeError::NotCurrent);
        }
        positional::read(datum, SEQUENCE_MAX).map_err(|error| DecodeError::Datum(error.to_string()))
    }

    /// The schema of a message, and its datum.
    fn known<'m>(&self, message: &'m [u8]) -> Result<(Arc<Known>, &'m [u8]), DecodeError> {
        let (id, datum) = unframe(message)?;
        let known = match id {
            SchemaId::Fingerprint(fingerprint) => self.by_fingerprint.get(&fingerprint).cloned(),
            SchemaId::Registry(id) => {
                self.by_registry_id.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
            }
        };
        Ok((known.ok_or(DecodeError::UnknownSchema(id))?, datum))
    }

    fn newest(&self, kind: Kind) -> Result<&(Vec<u8>, Arc<Known>), DecodeError> {
        self.writers.get(kind as usize).ok_or(DecodeError::NotCurrent)
    }
}

fn parse(kind: Kind, text: &str) -> Result<Known, SchemaError> {
    let wrong = |error: apache_avro::Error| SchemaError { kind, problem: error.to_string() };
    let schema = Schema::parse_str(text).map_err(wrong)?;
    // apache-avro's canonical form leaves a string with a logical type as `{"type":"string"}`; by the
    // specification, and in Java and Python, it is "string".
    let canonical = schema.canonical_form().replace(r#"{"type":"string"}"#, r#""string""#);
    let bytes = Schema::parse_str(&canonical).map_err(wrong)?.fingerprint::<Rabin>().bytes;
    let fingerprint = bytes
        .try_into()
        .map_err(|_| SchemaError { kind, problem: "its fingerprint has not 64 bits".to_owned() })?;
    Ok(Known { kind, schema, fingerprint })
}

/// Splits a message into the id of its schema and its datum.
fn unframe(message: &[u8]) -> Result<(SchemaId, &[u8]), DecodeError> {
    let framing = || DecodeError::Framing {
        length: message.len(),
        start: message.iter().take(10).copied().collect(),
    };
    if let Some(rest) = message.strip_prefix(&SINGLE_OBJECT) {
        let (fingerprint, datum) = rest.split_first_chunk::<8>().ok_or_else(framing)?;
        return Ok((SchemaId::Fingerprint(*fingerprint), datum));
    }
    if let Some(rest) = message.strip_prefix(&[CONFLUENT]) {
        let (id, datum) = rest.split_first_chunk::<4>().ok_or_else(framing)?;
        return Ok((SchemaId::Registry(u32::from_be_bytes(*id)), datum));
    }
    Err(framing())
}
