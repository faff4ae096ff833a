//! What operators ask of a spool's file, in use or set aside: what is in it, and all that can be read of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::RangeInclusive;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use patchline_schemas::codec::Kind;
use patchline_schemas::{
    Codec, CustomLog, Event, Heartbeat, OfficeActivity, RunProgress, Scan, Timestamp,
    UpdateDeployment,
};
use rusqlite::Connection;
use serde_json::Value;

use super::store::{self, Reader, Spooled, StoreError};

/// What a file holds of one record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Reports.
    pub reports: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the first and the last of them came in.
    pub arrived: Option<(Timestamp, Timestamp)>,
    /// Reports and bytes by key.
    pub keys: BTreeMap<String, (u64, u64)>,
}

/// What the spool in `file` holds, by the record's name. Of a damaged one, what can be read of it.
///
/// # Errors
/// The file is no spool, or too damaged to be opened.
pub fn inspect(file: &Path) -> Result<(BTreeMap<&'static str, Found>, Salvaged), StoreError> {
    let mut found: BTreeMap<_, Found> = BTreeMap::new();
    let salvaged = salvage::<StoreError>(file, |report| {
        let bytes = report.bytes() as u64;
        let of = found.entry(super::record(report.kind)).or_default();
        of.reports += 1;
        of.bytes += bytes;
        let (first, last) = of.arrived.unwrap_or((report.arrived, report.arrived));
        of.arrived = Some((first.min(report.arrived), last.max(report.arrived)));
        let key = of.keys.entry(report.message.key).or_default();
        key.0 += 1;
        key.1 += bytes;
        Ok(())
    })?;
    Ok((found, salvaged))
}

/// What became of a file that was read to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Reports read.
    pub read: u64,
    /// Reports that should be there and could not be read, as far as the file still knows.
    pub unreadable: u64,
}

/// Bytes of reports read at a time, so that a spool in use is not held up.
const READ_BYTES: usize = 1024 * 1024;

/// Hands every report that can be read to `each`, oldest first. Nothing in the file is changed.
///
/// # Errors
/// The file is no spool, or too damaged to be opened; or `each` fails.
pub fn salvage<E: From<StoreError>>(
    file: &Path,
    mut each: impl FnMut(Spooled) -> Result<(), E>,
) -> Result<Salvaged, E> {
    let reader = Reader::open(file)?;
    let expected: Option<i64> =
        reader.database().query_row("SELECT reports FROM totals", [], |row| row.get(0)).ok();
    let expected = expected.and_then(|reports| u64::try_from(reports).ok());
    let (mut read, mut after) = (0, 0);
    loop {
        let (reports, damaged) = readable(reader.database(), after);
        for report in reports {
            after = report.seq;
            read += 1;
            each(report)?;
        }
        if damaged {
            let Some(next) = beyond_damage(reader.database(), after) else { break };
            after = next - 1;
        } else if readable(reader.database(), after).0.is_empty() {
            break;
        }
    }
    Ok(Salvaged { read, unreadable: expected.unwrap_or(read).saturating_sub(read) })
}

/// The next reports after `after`, and whether what follows them is damaged.
fn readable(db: &Connection, after: i64) -> (Vec<Spooled>, bool) {
    let (mut reports, mut bytes) = (Vec::new(), 0);
    let mut fill = || -> Result<(), StoreError> {
        let mut select = db.prepare(
            "SELECT seq, kind, key, arrived, crc, payload FROM reports WHERE seq > ?1 ORDER BY seq",
        )?;
        let mut rows = select.query([after])?;
        while bytes < READ_BYTES {
            let Some(row) = rows.next()? else { break };
            let report = store::report(row)?;
            bytes += report.bytes();
            reports.push(report);
        }
        Ok(())
    };
    let damaged = fill().is_err();
    (reports, damaged)
}

/// The first report after the damage that begins behind `after`: the smallest step over it is searched by
/// halving, since numbers leap at every start of a gateway.
fn beyond_damage(db: &Connection, after: i64) -> Option<i64> {
    let first_from = |seq: i64| -> Result<Option<i64>, StoreError> {
        let mut select = db.prepare(
            "SELECT seq, kind, key, arrived, crc, payload FROM reports
             WHERE seq >= ?1 ORDER BY seq LIMIT 1",
        )?;
        let mut rows = select.query([seq])?;
        rows.next()?.map(|row| store::report(row).map(|report| report.seq)).transpose()
    };
    let mut steps: RangeInclusive<i64> = 1..=2;
    let found = loop {
        match first_from(after.saturating_add(*steps.end())) {
            Ok(Some(seq)) => break Some(seq),
            // Behind the last one: the damage may still end between.
            Ok(None) => break None,
            Err(_) if *steps.end() > i64::MAX / 4 => return None,
            Err(_) => steps = *steps.end()..=2 * *steps.end(),
        }
    };
    let (mut fails, mut works) = steps.into_inner();
    let mut found = found;
    while works - fails > 1 {
        let middle = fails + (works - fails) / 2;
        match first_from(after.saturating_add(middle)) {
            Ok(seq) => (works, found) = (middle, seq),
            Err(_) => fails = middle,
        }
    }
    found
}

/// How a report is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Decoded.
    Json,
    /// As it would be published, in Base64.
    Raw,
}

/// Writes every report that can be read as one line of JSON.
///
/// # Errors
/// The file is no spool, or too damaged to be opened; or nothing can be written.
pub fn export(file: &Path, form: Form, out: &mut impl Write) -> anyhow::Result<Salvaged> {
    let codec = Codec::new()?;
    salvage(file, |report| {
        let mut line = serde_json::json!({
            "seq": report.seq, "record": super::record(report.kind), "key": report.message.key,
            "arrived": report.arrived,
        });
        let payload = &report.message.payload;
        let shown = match form {
            Form::Json => ("report", decoded(&codec, report.kind, payload)?),
            Form::Raw => ("payload", BASE64_STANDARD.encode(payload).into()),
        };
        if let Some(line) = line.as_object_mut() {
            line.insert(shown.0.to_owned(), shown.1);
        }
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")?;
        Ok(())
    })
}

fn decoded(codec: &Codec, kind: Kind, payload: &[u8]) -> anyhow::Result<Value> {
    let current = codec.current(payload)?;
    let value = match kind {
        Kind::Scan => serde_json::to_value(codec.decode::<Scan<'_>>(&current)?),
        Kind::RunProgress => serde_json::to_value(codec.decode::<RunProgress<'_>>(&current)?),
        Kind::Heartbeat => serde_json::to_value(codec.decode::<Heartbeat<'_>>(&current)?),
        Kind::Event => serde_json::to_value(codec.decode::<Event<'_>>(&current)?),
        Kind::OfficeActivity => serde_json::to_value(codec.decode::<OfficeActivity<'_>>(&current)?),
        Kind::CustomLog => serde_json::to_value(codec.decode::<CustomLog<'_>>(&current)?),
        Kind::UpdateDeployment => {
            serde_json::to_value(codec.decode::<UpdateDeployment<'_>>(&current)?)
        }
        Kind::EnrichedScan | Kind::EnrichedRunProgress | Kind::Advisory => {
            anyhow::bail!("no report is a {kind:?}")
        }
    };
    Ok(value?)
}
