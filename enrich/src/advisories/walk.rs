//! Where documents are: files, directories, archives within archives, and URLs.
//!
//! Packing is told by content: zip, tar, gzip and zstd in any order. Nothing is unpacked to named files.
//! What an archive may unpack to is limited in bytes, entries and depth, so that one made to fill the
//! memory or the disk ends in an error that names it.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};
use zip::ZipArchive;

use super::Unreadable;
use super::document::{Content, peek};
use super::seen::Validators;

/// Bytes that all archives of one source may unpack to; all of OSV's Linux feeds are a tenth of it.
const UNPACKED_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;

/// Entries of all archives of one source; OSV's largest feed has some hundred thousand.
const ENTRIES_MAX: u64 = 4_000_000;

/// Packing within packing. A compressed tar in a zip has three.
const DEPTH_MAX: u32 = 6;

/// Of a zip that has to be kept on disk while it is read, because it comes from an archive or a URL.
const SPOOLED_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// A workbook is held in memory while its cells are read.
const WORKBOOK_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How far the magic of a tar is from its beginning, with its length.
const TAR_MAGIC: std::ops::Range<usize> = 257..262;

/// How long a server may take to begin its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Something to import from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file or a directory.
    Path(PathBuf),
    /// `http:` or `https:`.
    Url(String),
}

impl std::str::FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_url = text.starts_with("http://") || text.starts_with("https://");
        Ok(match text.strip_prefix("file://") {
            Some(path) => Self::Path(path.into()),
            None if is_url => Self::Url(text.to_owned()),
            None => Self::Path(text.into()),
        })
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

/// Is shown what a walk comes to.
pub trait Visit {
    /// A document, under the names of what it is in: `feeds/all.zip: USN-1-1.json`. `named` says that it
    /// was asked for by its own name, and was not merely among others.
    fn document(&mut self, name: &str, content: Content<'_>, named: bool);

    /// A URL that is as it was; nothing of it is shown.
    fn unchanged(&mut self, name: &str);

    /// A file, an archive or a URL that cannot be opened or read on.
    fn failed(&mut self, name: &str, error: &Unreadable);
}

/// Walks through sources.
pub struct Walk<'v> {
    visit: &'v mut dyn Visit,
    read: Rc<Cell<u64>>,
    unpacked: Rc<Cell<u64>>,
    entries: u64,
}

impl<'v> Walk<'v> {
    /// A walk that shows documents to `visit` and counts the bytes of files in `read`.
    pub fn new(visit: &'v mut dyn Visit, read: Rc<Cell<u64>>) -> Self {
        Self { visit, read, unpacked: Rc::default(), entries: 0 }
    }

    /// Shows all documents in `source`, in the order of their names. A URL whose state is still `known` has
    /// nothing to show. Returns the state of a URL, if its server names it.
    pub fn source(&mut self, source: &Source, known: Option<&Validators>) -> Option<Validators> {
        self.unpacked.set(0);
        self.entries = 0;
        let name = source.to_string();
        let mut state = None;
        let walked = match source {
            Source::Path(path) => self.path(path, true),
            Source::Url(url) => match fetch(url, known) {
                Ok(Fetched::Unchanged) => {
                    self.visit.unchanged(&name);
                    return known.cloned();
                }
                Ok(Fetched::Body(file, validators)) => {
                    state = validators;
                    self.file(&name, file, true)
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = walked {
            self.visit.failed(&name, &error);
        }
        state
    }

    fn path(&mut self, path: &Path, named: bool) -> Result<(), Unreadable> {
        if !fs::metadata(path)?.is_dir() {
            let file = File::open(path)?;
            return self.file(&path.display().to_string(), file, named);
        }
        let mut inner = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // A link to a directory may lead back here.
            let is_link_to_directory = entry.file_type()?.is_symlink()
                && fs::metadata(entry.path()).is_ok_and(|to| to.is_dir());
            if !is_link_to_directory {
                inner.push(entry.path());
            }
        }
        inner.sort();
        for path in inner {
            if let Err(error) = self.path(&path, false) {
                self.visit.failed(&path.display().to_string(), &error);
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, mut file: File, named: bool) -> Result<(), Unreadable> {
        let mut magic = Vec::new();
        file.by_ref().take(4).read_to_end(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        if is_zip(&magic) {
            return self.zip(name, file, named, 0);
        }
        let counted = Counted { inner: file, read: Rc::clone(&self.read) };
        self.stream(name, &mut BufReader::with_capacity(64 * 1024, counted), named, 0)
    }

    fn stream(
        &mut self,
        name: &str,
        stream: &mut dyn Read,
        named: bool,
        depth: u32,
    ) -> Result<(), Unreadable> {
        if depth > DEPTH_MAX {
            return Err(Unreadable::TooLarge(format!("packed more than {DEPTH_MAX} times")));
        }
        let (beginning, mut whole) = peek(stream, TAR_MAGIC.end)?;
        if beginning.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
            let mut unpacked = zstd::Decoder::with_buffer(whole)?;
            // 128 MiB of memory, what zstd itself takes without being asked.
            unpacked.window_log_max(27)?;
            let mut unpacked = self.limited(unpacked);
            return self.stream(name, &mut unpacked, named, depth + 1);
        }
        if beginning.starts_with(&[0x1F, 0x8B]) {
            let mut unpacked = self.limited(flate2::bufread::MultiGzDecoder::new(whole));
            return self.stream(name, &mut unpacked, named, depth + 1);
        }
        if is_zip(&beginning) {
            return self.zip(name, spool(&mut whole)?, named, depth);
        }
        if beginning.get(TAR_MAGIC) == Some(b"ustar") {
            return self.tar(name, &mut whole, depth);
        }
        self.visit.document(name, Content::Stream(&mut whole), named);
        Ok(())
    }

    fn tar(&mut self, name: &str, stream: &mut dyn Read, depth: u32) -> Result<(), Unreadable> {
        let mut archive = tar::Archive::new(stream);
        // Raw: long names are not looked up, which could take any amount of memory.
        for entry in archive.entries()?.raw(true) {
            let mut entry = entry?;
            self.count_entry()?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let inner = format!("{name}: {}", String::from_utf8_lossy(&entry.path_bytes()));
            if let Err(error) = self.stream(&inner, &mut entry, false, depth + 1) {
                self.visit.failed(&inner, &error);
            }
        }
        Ok(())
    }

    fn zip(&mut self, name: &str, file: File, named: bool, depth: u32) -> Result<(), Unreadable> {
        let counted = Counted { inner: file.try_clone()?, read: Rc::clone(&self.read) };
        let mut archive = ZipArchive::new(BufReader::new(counted)).map_err(damaged)?;
        if archive.index_for_name("xl/workbook.xml").is_some() {
            return self.workbook(name, archive, file, named);
        }
        for at in 0..archive.len() {
            self.count_entry()?;
            let (inner, walked) = match archive.by_index(at) {
                Ok(entry) if entry.is_dir() => continue,
                Ok(entry) => {
                    let inner = match entry.name() {
                        Ok(entry) => format!("{name}: {entry}"),
                        Err(_) => format!("{name}: entry {at}"),
                    };
                    let mut unpacked = self.limited(entry);
                    let walked = self.stream(&inner, &mut unpacked, false, depth + 1);
                    (inner, walked)
                }
                Err(error) => (format!("{name}: entry {at}"), Err(damaged(error))),
            };
            if let Err(error) = walked {
                self.visit.failed(&inner, &error);
            }
        }
        Ok(())
    }

    /// A workbook is a zip; it is weighed before somebody takes it into memory.
    fn workbook(
        &mut self,
        name: &str,
        mut archive: ZipArchive<impl Read + Seek>,
        mut file: File,
        named: bool,
    ) -> Result<(), Unreadable> {
        let mut left = WORKBOOK_BYTES_MAX;
        for at in 0..archive.len() {
            self.count_entry()?;
            let entry = archive.by_index(at).map_err(damaged)?;
            let unpacked = io::copy(&mut entry.take(left + 1), &mut io::sink())?;
            left = left.checked_sub(unpacked).ok_or_else(|| {
                Unreadable::TooLarge(format!("a workbook of over {WORKBOOK_BYTES_MAX} bytes"))
            })?;
        }
        drop(archive);
        file.seek(SeekFrom::Start(0))?;
        self.visit.document(name, Content::Workbook(file), named);
        Ok(())
    }

    fn count_entry(&mut self) -> Result<(), Unreadable> {
        self.entries += 1;
        if self.entries > ENTRIES_MAX {
            return Err(Unreadable::TooLarge(format!("over {ENTRIES_MAX} entries")));
        }
        Ok(())
    }

    fn limited<R: Read>(&self, inner: R) -> Limited<R> {
        Limited { inner, unpacked: Rc::clone(&self.unpacked) }
    }
}

fn is_zip(magic: &[u8]) -> bool {
    magic.starts_with(b"PK\x03\x04") || magic.starts_with(b"PK\x05\x06")
}

fn damaged(error: zip::result::ZipError) -> Unreadable {
    match error {
        zip::result::ZipError::Io(error) => error.into(),
        error => Unreadable::Unsound { format: "zip", problem: error.to_string() },
    }
}

/// Copies what can only be read from a file into one without a name.
fn spool(stream: &mut dyn Read) -> Result<File, Unreadable> {
    let mut file = tempfile::tempfile()?;
    let copied = io::copy(&mut stream.take(SPOOLED_BYTES_MAX + 1), &mut file)?;
    if copied > SPOOLED_BYTES_MAX {
        return Err(Unreadable::TooLarge(format!("over {SPOOLED_BYTES_MAX} bytes")));
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// What a server had.
enum Fetched {
    /// What is known already.
    Unchanged,
    /// A document, and its state if the server names it.
    Body(File, Option<Validators>),
}

fn fetch(url: &str, known: Option<&Validators>) -> Result<Fetched, Unreadable> {
    // The machine's own certificates, so that a company's proxy is trusted where the machine trusts it.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(provider)
        .build();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .tls_config(tls)
        .user_agent(concat!("patchline-catalog/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(ANSWER_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .build()
        .into();
    let mut request = agent.get(url);
    let etag = known.and_then(|known| known.etag.as_deref());
    let last_modified = known.and_then(|known| known.last_modified.as_deref());
    for (name, value) in [("If-None-Match", etag), ("If-Modified-Since", last_modified)] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    let response = request.call().map_err(io::Error::other)?;
    if known.is_some() && response.status() == 304 {
        return Ok(Fetched::Unchanged);
    }
    let header = |name| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.map(str::to_owned)
    };
    let state = Validators { etag: header("ETag"), last_modified: header("Last-Modified") };
    let state = (state != Validators::default()).then_some(state);
    let mut body = response.into_body().into_with_config().limit(SPOOLED_BYTES_MAX + 1).reader();
    Ok(Fetched::Body(spool(&mut body)?, state))
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Ends in an error when a source has unpacked to too much.
struct Limited<R> {
    inner: R,
    unpacked: Rc<Cell<u64>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.unpacked.set(self.unpacked.get() + read as u64);
        if self.unpacked.get() > UNPACKED_BYTES_MAX {
            let limit = format!("it unpacks to over {UNPACKED_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, limit));
        }
        Ok(read)
    }
}
