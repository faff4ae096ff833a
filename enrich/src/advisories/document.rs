//! Which format a document has, by its content. Names of files say little: feeds call JSON `.txt` and
//! XML nothing at all.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::updateinfo::System;
use super::{Collect, Unreadable, bulletins, cvrf, osv, updateinfo};

/// Documents that are held in memory as a whole, or could make somebody hold them; the largest month of
/// Microsoft's has a tenth of this.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// An `updateinfo.xml` is read update by update; those of large repositories have some hundred MiB.
const STREAM_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// Enough to see what a document is.
const BEGINNING: usize = 4096;

/// A document to import.
pub enum Content<'c> {
    /// Anything but a workbook.
    Stream(&'c mut dyn Read),
    /// A spreadsheet, from its beginning.
    Workbook(File),
}

/// Imports a document, in whichever of the known formats it is; `system` is the one that an
/// `updateinfo.xml` is for. Returns the name of the format.
///
/// # Errors
/// See [`Unreadable`].
pub fn import(
    content: Content<'_>,
    system: Option<&System>,
    out: &mut dyn Collect,
) -> Result<&'static str, Unreadable> {
    let stream = match content {
        Content::Workbook(file) => {
            bulletins::workbook(file, out)?;
            return Ok(bulletins::SOURCE);
        }
        Content::Stream(stream) => stream,
    };
    let mut beginning = Vec::with_capacity(BEGINNING);
    stream.take(BEGINNING as u64).read_to_end(&mut beginning)?;
    let text = beginning.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&beginning).trim_ascii_start();
    let whole = |bytes_max| {
        let inner = text.chain(stream);
        BufReader::with_capacity(64 * 1024, Capped { inner, left: bytes_max, bytes_max })
    };
    match text.first() {
        Some(b'<') => match root(text).as_str() {
            "cvrfdoc" => cvrf::xml(whole(BYTES_MAX), out).map(|()| cvrf::SOURCE),
            "updates" => updateinfo::import(whole(STREAM_BYTES_MAX), system, out)
                .map(|()| updateinfo::SOURCE),
            _ => Err(unknown(text)),
        },
        Some(b'{') => json(whole(BYTES_MAX), text, out),
        Some(_) if names_bulletins(text) => {
            bulletins::csv(whole(BYTES_MAX), out).map(|()| bulletins::SOURCE)
        }
        _ => Err(unknown(text)),
    }
}

/// Ends in an error behind so many bytes.
struct Capped<R> {
    inner: R,
    left: u64,
    bytes_max: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            let problem = format!("it has over {} bytes", self.bytes_max);
            io::Error::new(io::ErrorKind::InvalidData, problem)
        })?;
        Ok(read)
    }
}

fn json(
    mut document: impl Read,
    beginning: &[u8],
    out: &mut dyn Collect,
) -> Result<&'static str, Unreadable> {
    #[derive(Deserialize)]
    struct Shape {
        #[serde(rename = "DocumentTracking")]
        tracking: Option<IgnoredAny>,
        id: Option<IgnoredAny>,
        modified: Option<IgnoredAny>,
    }
    let mut bytes = Vec::new();
    document.read_to_end(&mut bytes)?;
    let shape: Shape = serde_json::from_slice(&bytes)
        .map_err(|error| Unreadable::Unsound { format: "JSON", problem: error.to_string() })?;
    match shape {
        Shape { tracking: Some(_), .. } => cvrf::json(&bytes, out).map(|()| cvrf::SOURCE),
        Shape { id: Some(_), modified: Some(_), .. } => {
            osv::import(&bytes, out).map(|()| osv::SOURCE)
        }
        _ => Err(unknown(beginning)),
    }
}

/// Name of the first element, without a prefix.
fn root(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let tags = text.split('<').skip(1);
    let first = tags.map(str::trim_start).find(|tag| !tag.starts_with(['?', '!']));
    let name: &str = first
        .unwrap_or_default()
        .split(|c: char| c.is_whitespace() || c == '>' || c == '/')
        .next()
        .unwrap_or_default();
    name.rsplit(':').next().unwrap_or_default().to_owned()
}

/// Whether one of the first lines has the titles of a bulletin table.
fn names_bulletins(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).to_lowercase();
    text.lines().take(21).any(|line| line.contains("bulletin") && line.contains("kb"))
}

fn unknown(text: &[u8]) -> Unreadable {
    let beginning: String = String::from_utf8_lossy(text)
        .chars()
        .take(40)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    Unreadable::Format(beginning)
}

/// Reads what `document` begins with, at most `length` bytes, and leaves it there.
pub(super) fn peek<R: Read>(mut document: R, length: usize) -> io::Result<(Vec<u8>, impl BufRead)> {
    let mut beginning = Vec::with_capacity(length);
    document.by_ref().take(length as u64).read_to_end(&mut beginning)?;
    let whole = io::Cursor::new(beginning.clone()).chain(document);
    Ok((beginning, BufReader::with_capacity(64 * 1024, whole)))
}
