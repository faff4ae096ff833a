//! The spool's file: a SQLite database in WAL mode with `synchronous=FULL`, so that what is committed
//! survives a power cut, and one commit is one fsync.
//!
//! Sequence numbers rise for good, over restarts and over files set aside: a fresh file begins at the
//! time of its making, in milliseconds, times 2^20. Each report carries a checksum, since a page that
//! decayed on the disk is not noticed by a database otherwise.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use patchline_schemas::Timestamp;
use patchline_schemas::codec::Kind;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};

use crate::Message;

/// Name of the file in the spool's directory.
pub(super) const FILE: &str = "spool.db";

/// Which layout of tables this program knows; SQLite keeps it as `user_version`.
const LAYOUT: i64 = 1;

/// Says that a database is a spool: `PLsp`, SQLite's `application_id`.
const APPLICATION: i64 = 0x504c_7370;

/// Larger pages than SQLite's own make fewer of a scan's tens of kilobytes, and still let a heartbeat's
/// commit be small.
const PAGE_BYTES: i64 = 8192;

/// Pages that the log may have before they are moved into the file: 16 MiB.
const LOG_PAGES: i64 = 2048;

/// What a report takes beside its key and payload.
const ROW_BYTES: usize = 64;

const TABLES: &str = "
    CREATE TABLE reports (
        seq INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
        arrived INTEGER NOT NULL, crc INTEGER NOT NULL, payload BLOB NOT NULL
    ) STRICT;
    CREATE TABLE totals (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        next INTEGER NOT NULL, reports INTEGER NOT NULL, bytes INTEGER NOT NULL
    ) STRICT;";

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite's own.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file's directory.
    #[error("{0}")]
    Disk(#[from] std::io::Error),
    /// SQLite's check, or a report's checksum, does not hold.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// A database of something else.
    #[error("the file is a database, but no spool; move it away")]
    Foreign,
    /// Another version's spool.
    #[error(
        "the file has layout {found}, this program knows layout {LAYOUT}; send it onwards with the version that made it"
    )]
    Layout {
        /// Its layout.
        found: i64,
    },
}

impl StoreError {
    /// The file is not what was written: no repetition helps.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
            Self::Disk(_) | Self::Foreign | Self::Layout { .. } => false,
        }
    }

    /// There is no room, or the disk fails: both may pass.
    pub(super) fn is_disk(&self) -> bool {
        match self {
            Self::Disk(_) => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen)
            ),
            Self::Damaged(_) | Self::Foreign | Self::Layout { .. } => false,
        }
    }
}

/// A report as it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooled {
    /// Its place.
    pub seq: i64,
    /// Which record, and with it which topic.
    pub kind: Kind,
    /// When it came in.
    pub arrived: Timestamp,
    /// What is published.
    pub message: Message,
}

impl Spooled {
    /// Bytes that it is counted with.
    #[must_use]
    pub fn bytes(&self) -> usize {
        bytes(&self.message)
    }
}

pub(super) fn bytes(message: &Message) -> usize {
    message.key.len() + message.payload.len() + ROW_BYTES
}

/// What the file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Totals {
    /// The next report's number.
    pub(super) next: i64,
    pub(super) reports: i64,
    pub(super) bytes: i64,
}

/// Reports of one kind that came in together.
#[derive(Debug)]
pub struct Arrivals {
    /// Which record.
    pub kind: Kind,
    /// When they came in.
    pub arrived: Timestamp,
    /// What is published.
    pub messages: Vec<Message>,
}

/// The file, open for its one writer.
pub(super) struct Store {
    db: Connection,
    pub(super) totals: Totals,
}

impl Store {
    /// Opens the file, or makes it, with numbers from `first` on at least. Looks it over for at most
    /// `check`.
    pub(super) fn open(path: &Path, first: i64, check: Duration) -> Result<Self, StoreError> {
        let db = Connection::open(path)?;
        db.busy_timeout(Duration::from_secs(5))?;
        // Closing must not touch a damaged file, nor take long.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        db.pragma_update(None, "cell_size_check", true)?;
        let fresh = pragma(&db, "page_count")? == 0;
        if fresh {
            db.pragma_update(None, "page_size", PAGE_BYTES)?;
            // So that room can be given back to the disk.
            db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        } else {
            // Before anything is changed: it may be somebody else's.
            known(&db)?;
        }
        db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "cache_size", -16 * 1024)?;
        db.pragma_update(None, "journal_size_limit", 2 * LOG_PAGES * PAGE_BYTES)?;
        // By the writer, once it has answered.
        db.pragma_update(None, "wal_autocheckpoint", 0)?;
        if !fresh {
            look_over(&db, check)?;
        }
        let mut store = Self { db, totals: Totals::default() };
        store.totals = store.prepare(first)?;
        Ok(store)
    }

    /// Makes the tables where there are none, and says what they hold.
    fn prepare(&mut self, first: i64) -> Result<Totals, StoreError> {
        let made = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if pragma(&made, "user_version")? == 0 {
            made.execute_batch(TABLES)?;
            made.execute("INSERT INTO totals VALUES (1, ?1, 0, 0)", [first])?;
            made.pragma_update(None, "application_id", APPLICATION)?;
            made.pragma_update(None, "user_version", LAYOUT)?;
        }
        made.execute("UPDATE totals SET next = max(next, ?1)", [first])?;
        let totals = made.query_row("SELECT next, reports, bytes FROM totals", [], |row| {
            Ok(Totals { next: row.get(0)?, reports: row.get(1)?, bytes: row.get(2)? })
        });
        let totals = totals.map_err(|error| match error {
            rusqlite::Error::QueryReturnedNoRows => {
                StoreError::Damaged("its totals are missing".to_owned())
            }
            other => other.into(),
        })?;
        made.commit()?;
        Ok(totals)
    }

    /// Writes `arrivals` and removes what is in `gone`, all or nothing. On disk when this returns.
    pub(super) fn apply<'a>(
        &mut self,
        arrivals: impl Iterator<Item = &'a Arrivals>,
        gone: &[RangeInclusive<i64>],
    ) -> Result<(), StoreError> {
        let mut totals = self.totals;
        let change = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert =
                change.prepare("INSERT INTO reports VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
            for Arrivals { kind, arrived, messages } in arrivals {
                for message in messages {
                    let Message { key, payload } = message;
                    let bytes = i64::try_from(bytes(message)).unwrap_or(i64::MAX);
                    let (name, crc) = (super::record(*kind), checksum(key, payload));
                    insert.execute(params![
                        totals.next,
                        bytes,
                        name,
                        key,
                        arrived.0,
                        crc,
                        payload
                    ])?;
                    totals.next += 1;
                    totals.reports += 1;
                    totals.bytes += bytes;
                }
            }
            let mut delete = change
                .prepare("DELETE FROM reports WHERE seq BETWEEN ?1 AND ?2 RETURNING bytes")?;
            for range in gone {
                for bytes in
                    delete.query_map([range.start(), range.end()], |row| row.get::<_, i64>(0))?
                {
                    totals.reports -= 1;
                    totals.bytes -= bytes?;
                }
            }
            change.execute(
                "UPDATE totals SET next = ?1, reports = ?2, bytes = ?3",
                [totals.next, totals.reports, totals.bytes],
            )?;
        }
        change.commit()?;
        self.totals = totals;
        Ok(())
    }

    /// Moves the log into the file, once it is long or `all` is set. Says how many pages it has.
    pub(super) fn checkpoint(&self, all: bool) -> Result<(), StoreError> {
        let mode = if all { "TRUNCATE" } else { "PASSIVE" };
        self.db.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))?;
        Ok(())
    }

    /// Gives at most `pages` that nothing uses back to the disk. Says whether there were any.
    pub(super) fn shrink(&self, pages: i64) -> Result<bool, StoreError> {
        if pragma(&self.db, "freelist_count")? == 0 {
            return Ok(false);
        }
        let mut shrink = self.db.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = shrink.query([])?;
        while rows.next()?.is_some() {}
        Ok(true)
    }
}

/// Bytes of the log from which on it is worth moving.
pub(super) const LOG_BYTES: u64 = (LOG_PAGES * PAGE_BYTES).unsigned_abs();

/// The path of a database's log.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

fn pragma(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, name, |row| row.get(0))
}

/// An error unless the database is a spool of this layout, or empty.
fn known(db: &Connection) -> Result<(), StoreError> {
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (pragma(db, "application_id")?, pragma(db, "user_version")?) {
        (0, 0) if tables == 0 => Ok(()),
        (APPLICATION, LAYOUT) => Ok(()),
        (APPLICATION, found) => Err(StoreError::Layout { found }),
        _ => Err(StoreError::Foreign),
    }
}

/// SQLite's own check of every page, for at most `limit`: a large file is checked in part, and the rest
/// when it is read.
fn look_over(db: &Connection, limit: Duration) -> Result<(), StoreError> {
    let (done, over) = mpsc::channel::<()>();
    let interrupt = db.get_interrupt_handle();
    let found = std::thread::scope(|scope| {
        scope.spawn(move || {
            if over.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                interrupt.interrupt();
            }
        });
        let found = db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        drop(done);
        found
    });
    match found {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(StoreError::Damaged(found)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            tracing::info!(?limit, "the spool is large and was checked in part");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// A spool's file, open for reading beside its writer.
pub(super) struct Reader {
    db: Connection,
}

impl Reader {
    /// Opens the file; it must be there.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(Duration::from_secs(5))?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        db.pragma_update(None, "query_only", true)?;
        db.pragma_update(None, "cache_size", -4 * 1024)?;
        known(&db)?;
        Ok(Self { db })
    }

    /// The reports in `range`, oldest first, until they have `bytes_max`; at least one, if there is one.
    pub(super) fn read(
        &self,
        range: &RangeInclusive<i64>,
        bytes_max: usize,
    ) -> Result<Vec<Spooled>, StoreError> {
        let mut select = self.db.prepare(
            "SELECT seq, kind, key, arrived, crc, payload FROM reports
             WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq",
        )?;
        let mut rows = select.query([range.start(), range.end()])?;
        let (mut reports, mut bytes) = (Vec::new(), 0);
        while bytes < bytes_max {
            let Some(row) = rows.next()? else { break };
            let report = report(row)?;
            bytes += report.bytes();
            reports.push(report);
        }
        Ok(reports)
    }

    /// When the oldest report came in.
    pub(super) fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        let oldest =
            self.db.query_row("SELECT arrived FROM reports ORDER BY seq LIMIT 1", [], |row| {
                row.get(0).map(Timestamp)
            });
        match oldest {
            Ok(arrived) => Ok(Some(arrived)),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The connection, for the operators' questions.
    pub(super) fn database(&self) -> &Connection {
        &self.db
    }
}

/// A row of `seq, kind, key, arrived, crc, payload`.
pub(super) fn report(row: &rusqlite::Row<'_>) -> Result<Spooled, StoreError> {
    let seq: i64 = row.get(0)?;
    let wrong = |what: &str| StoreError::Damaged(format!("report {seq}: {what}"));
    let name: String = row.get(1)?;
    let kind = super::kind(&name).ok_or_else(|| wrong("no record has that name"))?;
    let message = Message { key: row.get(2)?, payload: row.get(5)? };
    if checksum(&message.key, &message.payload) != row.get::<_, u32>(4)? {
        return Err(wrong("its checksum does not hold"));
    }
    Ok(Spooled { seq, kind, arrived: Timestamp(row.get(3)?), message })
}

fn checksum(key: &str, payload: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(key.as_bytes());
    crc.update(payload);
    crc.sum()
}
