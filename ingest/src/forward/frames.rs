//! Reports on their way from one gateway to another: the body of `POST /v1/relay`, before compression.
//!
//! `PLR1`, then each report: its record's name (a length of one byte, then text), its key (a length of two
//! bytes, then text), when it came in (milliseconds since 1970, eight bytes), the payload (a length of four
//! bytes, then bytes). Numbers are big-endian. Nothing follows the last one.

use patchline_schemas::Timestamp;

use crate::Message;
use crate::spool::{self, Arrivals, Spooled};

/// The route.
pub(crate) const PATH: &str = "/v1/relay";

const MAGIC: &[u8] = b"PLR1";

/// Appends `batch` to `out`.
///
/// # Errors
/// A key is longer than any record has one.
pub(super) fn write(batch: &[Spooled], out: &mut Vec<u8>) -> Result<(), String> {
    out.extend_from_slice(MAGIC);
    for report in batch {
        let Message { key, payload } = &report.message;
        let name = spool::record(report.kind);
        let name_length = u8::try_from(name.len()).map_err(|_| "a record's name is too long")?;
        let key_length = u16::try_from(key.len()).map_err(|_| "a key is too long")?;
        let length = u32::try_from(payload.len()).map_err(|_| "a payload is too long")?;
        out.push(name_length);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&key_length.to_be_bytes());
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&report.arrived.0.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(payload);
    }
    Ok(())
}

/// The reports of a body, those that came in together in one piece.
///
/// # Errors
/// It is none; says what is wrong.
pub(crate) fn read(body: &[u8]) -> Result<Vec<Arrivals>, String> {
    let mut rest = body.strip_prefix(MAGIC).ok_or("the body is no relayed reports")?;
    let mut all: Vec<Arrivals> = Vec::new();
    while !rest.is_empty() {
        let [length] = array(&mut rest)?;
        let name = text(&mut rest, length.into())?;
        let kind = spool::kind(&name).ok_or_else(|| format!("no record is called `{name}`"))?;
        let length = u16::from_be_bytes(array(&mut rest)?);
        let key = text(&mut rest, length.into())?;
        let arrived = Timestamp(i64::from_be_bytes(array(&mut rest)?));
        let length = u32::from_be_bytes(array(&mut rest)?);
        let payload = take(&mut rest, usize::try_from(length).unwrap_or(usize::MAX))?.to_vec();
        let message = Message { key, payload };
        match all.last_mut() {
            Some(last) if last.kind == kind && last.arrived == arrived => {
                last.messages.push(message);
            }
            _ => all.push(Arrivals { kind, arrived, messages: vec![message] }),
        }
    }
    Ok(all)
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Result<&'b [u8], String> {
    let (taken, left) = rest.split_at_checked(length).ok_or("the body breaks off")?;
    *rest = left;
    Ok(taken)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], String> {
    take(rest, N)?.try_into().map_err(|_| "the body breaks off".to_owned())
}

fn text(rest: &mut &[u8], length: usize) -> Result<String, String> {
    let bytes = take(rest, length)?;
    String::from_utf8(bytes.to_vec()).map_err(|_| "a name or key is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use patchline_schemas::codec::Kind;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let report = |seq, kind, key: &str, arrived| Spooled {
            seq,
            kind,
            arrived: Timestamp(arrived),
            message: Message { key: key.to_owned(), payload: vec![7; 3] },
        };
        let batch = [
            report(1, Kind::Heartbeat, "a", 5),
            report(2, Kind::Heartbeat, "ä", 5),
            report(3, Kind::Scan, "a", 6),
        ];
        let mut body = Vec::new();
        write(&batch, &mut body).unwrap();
        let read = read(&body).unwrap();
        let shown: Vec<_> = read
            .iter()
            .map(|of| (of.kind, of.arrived.0, of.messages.iter().map(|m| &*m.key).collect()))
            .collect::<Vec<(_, _, Vec<&str>)>>();
        assert_eq!(shown, [(Kind::Heartbeat, 5, vec!["a", "ä"]), (Kind::Scan, 6, vec!["a"])]);
        // Every cut but those between two reports is noticed.
        let whole: Vec<usize> =
            (0..body.len()).filter(|cut| super::read(&body[..*cut]).is_ok()).collect();
        assert_eq!(whole.len(), 3, "{whole:?}");
        assert!(super::read(b"nonsense").is_err());
        assert_eq!(super::read(MAGIC).unwrap().len(), 0);
    }
}
