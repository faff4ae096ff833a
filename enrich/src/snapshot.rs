//! The catalog on disk, so that a restart need not read the whole topic.
//!
//! What is guaranteed: a snapshot is replaced as a whole or not at all (written beside, synced, renamed);
//! one that is damaged, cut off or of another topic is never taken for sound. It holds the topic's
//! messages as they were, each key's newest, with the offset of each partition from which to read on.
//!
//! The file: `PATCHCAT1`, then one zstd stream with a checksum of [`Position`] as JSON, of the messages,
//! and of their number. Key, payload and JSON have their length before them, 4 bytes little-endian; a
//! key of `0xFFFFFFFF` bytes is the number's sign.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use patchline_runtime::kafka::{MESSAGE_BYTES_MAX, MESSAGE_OVERHEAD_MAX};
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 9] = b"PATCHCAT1";

/// Stands for the length of a key behind the last message.
const END: u32 = u32::MAX;

/// No message can be larger.
const PART_BYTES_MAX: usize = MESSAGE_BYTES_MAX + MESSAGE_OVERHEAD_MAX;

/// Fast; a better ratio does not pay for a file that is read once.
const ZSTD_LEVEL: i32 = 1;

/// How much of the topic is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Id of the Kafka cluster; empty where it has none.
    pub cluster: String,
    /// Name of the topic.
    pub topic: String,
    /// Id of the topic, which another one of its name does not have; empty where it is not known.
    #[serde(default)]
    pub topic_id: String,
    /// The next offset to read, by partition.
    pub next: BTreeMap<i32, i64>,
    /// The newest message's timestamp, in milliseconds.
    pub newest_ms: i64,
}

/// A snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("snapshot {file} {problem}")]
pub struct SnapshotError {
    file: PathBuf,
    problem: String,
    /// There is none.
    pub missing: bool,
}

/// A message's key and payload.
type Entry = (String, Vec<u8>);

/// Reads the snapshot in `file`, handing every message to `each`, and returns its position. What was
/// handed over counts only if this returns well.
///
/// # Errors
/// There is none, or it is damaged.
pub fn read(file: &Path, mut each: impl FnMut(&str, &[u8])) -> Result<Position, SnapshotError> {
    let failed = |error: io::Error| SnapshotError {
        file: file.to_owned(),
        missing: error.kind() == io::ErrorKind::NotFound,
        problem: format!("cannot be read: {error}"),
    };
    let mut reader = Reader::open(file).map_err(failed)?;
    while let Some((key, payload)) = reader.next().map_err(failed)? {
        each(&key, &payload);
    }
    Ok(reader.position)
}

/// Replaces the snapshot in `file`: what it holds, changed by `changes` (no payload: the key is gone),
/// known up to `position`. Without `keep`, what it holds is dropped.
///
/// # Errors
/// The disk fails or is full, or the former snapshot is damaged; it is then still there.
pub fn replace(
    file: &Path,
    keep: bool,
    changes: &HashMap<String, Option<Vec<u8>>>,
    position: &Position,
) -> Result<(), SnapshotError> {
    write(file, keep, changes, position).map_err(|error| SnapshotError {
        file: file.to_owned(),
        missing: false,
        problem: format!("cannot be written: {error}"),
    })
}

/// Moves a snapshot that cannot be used out of the way, to `<file>.bad`.
///
/// # Errors
/// The disk refuses.
pub fn set_aside(file: &Path) -> io::Result<PathBuf> {
    let mut aside = file.as_os_str().to_owned();
    aside.push(".bad");
    let aside = PathBuf::from(aside);
    fs::rename(file, &aside)?;
    Ok(aside)
}

fn write(
    file: &Path,
    keep: bool,
    changes: &HashMap<String, Option<Vec<u8>>>,
    position: &Position,
) -> io::Result<()> {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    let mut temporary = tempfile::Builder::new().prefix(".catalog-").tempfile_in(directory)?;
    let mut out = BufWriter::new(temporary.as_file_mut());
    out.write_all(MAGIC)?;
    let mut packed = zstd::Encoder::new(out, ZSTD_LEVEL)?;
    packed.include_checksum(true)?;
    put(&mut packed, &serde_json::to_vec(position)?)?;
    let mut count = 0_u64;
    let mut entry = |packed: &mut dyn Write, key: &str, payload: &[u8]| {
        count += 1;
        put(packed, key.as_bytes())?;
        put(packed, payload)
    };
    if keep {
        let mut former = Reader::open(file)?;
        while let Some((key, payload)) = former.next()? {
            if !changes.contains_key(&key) {
                entry(&mut packed, &key, &payload)?;
            }
        }
    }
    for (key, payload) in changes {
        if let Some(payload) = payload {
            entry(&mut packed, key, payload)?;
        }
    }
    packed.write_all(&END.to_le_bytes())?;
    packed.write_all(&count.to_le_bytes())?;
    packed.finish()?.flush()?;
    temporary.as_file().sync_all()?;
    temporary.persist(file)?;
    // The rename itself must survive a crash as well.
    File::open(directory)?.sync_all()
}

fn put(out: &mut dyn Write, part: &[u8]) -> io::Result<()> {
    let length = u32::try_from(part.len()).ok().filter(|_| part.len() <= PART_BYTES_MAX);
    let length = length.ok_or_else(|| damaged("has a part that is too long"))?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(part)
}

fn damaged(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it {problem}"))
}

/// Reads a snapshot message by message.
struct Reader {
    packed: zstd::Decoder<'static, BufReader<File>>,
    position: Position,
    keys: HashSet<String>,
}

impl Reader {
    fn open(file: &Path) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(256 * 1024, File::open(file)?);
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(damaged("is no snapshot of this version"));
        }
        let mut packed = zstd::Decoder::with_buffer(file)?;
        let position = part(&mut packed)?.ok_or_else(|| damaged("has no position"))?;
        let position = serde_json::from_slice(&position)?;
        Ok(Self { packed, position, keys: HashSet::new() })
    }

    fn next(&mut self) -> io::Result<Option<Entry>> {
        let Some(key) = part(&mut self.packed)? else { return self.end().map(|()| None) };
        let key = String::from_utf8(key).map_err(|_| damaged("has a key that is no text"))?;
        let payload = part(&mut self.packed)?.ok_or_else(|| damaged("has a key alone"))?;
        if !self.keys.insert(key.clone()) {
            return Err(damaged("has a key twice"));
        }
        Ok(Some((key, payload)))
    }

    /// Checks that the number of messages is right and nothing follows; reaching the end of the stream
    /// has its checksum compared.
    fn end(&mut self) -> io::Result<()> {
        let mut count = [0; 8];
        self.packed.read_exact(&mut count)?;
        if u64::from_le_bytes(count) != self.keys.len() as u64 {
            return Err(damaged("has not as many messages as it says"));
        }
        match self.packed.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(damaged("goes on behind its end")),
        }
    }
}

/// The next part; `None` at the sign of the end.
fn part(packed: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    packed.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length == END {
        return Ok(None);
    }
    if length as usize > PART_BYTES_MAX {
        return Err(damaged("has a part that is too long"));
    }
    let mut part = Vec::new();
    packed.take(u64::from(length)).read_to_end(&mut part)?;
    if part.len() != length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(name);
        (directory, file)
    }

    fn position(next: i64) -> Position {
        Position {
            cluster: "c".to_owned(),
            topic: "t".to_owned(),
            topic_id: "i".to_owned(),
            next: BTreeMap::from([(0, next)]),
            newest_ms: 5,
        }
    }

    fn changes(entries: &[(&str, Option<&str>)]) -> HashMap<String, Option<Vec<u8>>> {
        let bytes = |text: &str| text.as_bytes().to_vec();
        entries.iter().map(|(key, value)| ((*key).to_owned(), value.map(bytes))).collect()
    }

    fn content(file: &Path) -> Result<(Position, BTreeMap<String, String>), SnapshotError> {
        let mut entries = BTreeMap::new();
        let position = read(file, |key, payload| {
            entries.insert(key.to_owned(), String::from_utf8_lossy(payload).into_owned());
        })?;
        Ok((position, entries))
    }

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn changes_add_up_and_what_is_gone_is_gone() {
        let (_directory, file) = place("inner/catalog");
        assert!(content(&file).unwrap_err().missing);
        replace(&file, false, &changes(&[("a", Some("1")), ("b", Some("2"))]), &position(2))
            .unwrap();
        assert_eq!(content(&file).unwrap(), (position(2), map(&[("a", "1"), ("b", "2")])));
        let next = changes(&[("a", None), ("b", Some("3")), ("c", Some("")), ("d", None)]);
        replace(&file, true, &next, &position(6)).unwrap();
        assert_eq!(content(&file).unwrap(), (position(6), map(&[("b", "3"), ("c", "")])));
        replace(&file, false, &changes(&[("x", Some("9"))]), &position(7)).unwrap();
        assert_eq!(content(&file).unwrap(), (position(7), map(&[("x", "9")])));
        let left = fs::read_dir(file.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "temporary files stay");
    }

    #[test]
    fn any_damage_is_noticed() {
        let (_directory, file) = place("catalog");
        let many: Vec<(String, String)> =
            (0..40).map(|n| (format!("key-{n}"), format!("value {}", n * 7919))).collect();
        let many: Vec<(&str, Option<&str>)> =
            many.iter().map(|(key, value)| (key.as_str(), Some(value.as_str()))).collect();
        replace(&file, false, &changes(&many), &position(40)).unwrap();
        let sound = fs::read(&file).unwrap();
        let expected = content(&file).unwrap().1;
        for at in (0..sound.len()).step_by(3) {
            fs::write(&file, sound.get(..at).unwrap()).unwrap();
            assert!(content(&file).is_err(), "cut off at {at}");
            let mut flipped = sound.clone();
            flipped[at] ^= 0x10;
            fs::write(&file, &flipped).unwrap();
            if let Ok(read) = content(&file) {
                // A bit of a frame's header may mean nothing; then nothing has changed.
                assert_eq!(read.1, expected, "bit flipped at {at}");
                assert_eq!(read.0, position(40), "bit flipped at {at}");
            }
        }
        assert_eq!(fs::read(set_aside(&file).unwrap()).unwrap().len(), sound.len());
        assert!(content(&file).unwrap_err().missing);
    }
}
