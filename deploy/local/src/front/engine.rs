//! The engine behind the front: `libchdb.so`, opened at run time.
//!
//! All `unsafe` of the front is here. One process holds one engine over one data path; any number
//! of [`Connection`]s run side by side, each one statement at a time, each with settings of its
//! own. Opening one takes a fraction of a millisecond, so every request gets a fresh one and
//! nothing that a request sets can reach the next.
//!
//! The names and shapes are those of the C header `chdb.h`, version 26.7.

use std::ffi::{CStr, CString, NulError, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use libloading::Library;

/// What the engine, or the way to it, had to say against a statement.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error(
        "cannot load the ClickHouse engine from {path}; run `make engines`, or name it by --lib"
    )]
    Load { path: PathBuf, source: libloading::Error },
    #[error(
        "the engine would not open {0}: is another process using it? (its own words are above)"
    )]
    Open(PathBuf),
    #[error("the engine refused a new connection (its own words are in the log)")]
    Connect,
    #[error("an argument of the engine holds a NUL byte")]
    Argument(#[from] NulError),
    /// In ClickHouse's own words: `Code: N. DB::Exception: ...`.
    #[error("{0}")]
    Statement(String),
}

#[repr(C)]
struct RawConnection(c_void);
#[repr(C)]
struct RawResult(c_void);
#[repr(C)]
struct RawInsert(c_void);

/// `chdb_query_analysis_v1`.
#[derive(Default)]
#[repr(C)]
struct Analysis {
    struct_size: u32,
    statement_count: u32,
    flags: u32,
    query_class: u32,
}

/// By its size the library tells which version of the struct it was given.
const ANALYSIS_BYTES: u32 = 16;
const _: () = assert!(size_of::<Analysis>() == ANALYSIS_BYTES as usize);

type Text = *const c_char;
type Texts = *const Text;
type Lengths = *const usize;

/// `CHDBSuccess`.
const SUCCESS: c_int = 0;

macro_rules! api {
    ($($name:ident: $signature:ty,)*) => {
        /// The functions of the library that the front calls.
        struct Api { $($name: $signature,)* }

        impl Api {
            /// # Safety
            /// The library must be chdb 26.7 or one with the same C interface, and stay loaded.
            unsafe fn resolve(library: &Library) -> Result<Api, libloading::Error> {
                // SAFETY: the signatures are those of the header.
                unsafe { Ok(Api { $($name: *library.get(concat!(stringify!($name), "\0"))?,)* }) }
            }
        }
    };
}

api! {
    chdb_set_signal_handlers_enabled: unsafe extern "C" fn(c_int),
    chdb_version: unsafe extern "C" fn() -> Text,
    chdb_connect: unsafe extern "C" fn(c_int, *const Text) -> *mut *mut RawConnection,
    chdb_close_conn: unsafe extern "C" fn(*mut *mut RawConnection),
    chdb_classify_query_n: unsafe extern "C" fn(
        *mut RawConnection, Text, usize, Text, usize, *mut Analysis) -> c_int,
    chdb_query_with_params_n: unsafe extern "C" fn(
        *mut RawConnection, Text, usize, Text, usize,
        Texts, Lengths, Texts, Lengths, usize) -> *mut RawResult,
    chdb_result_buffer: unsafe extern "C" fn(*mut RawResult) -> *const u8,
    chdb_result_length: unsafe extern "C" fn(*mut RawResult) -> usize,
    chdb_result_error: unsafe extern "C" fn(*mut RawResult) -> Text,
    chdb_result_rows_read: unsafe extern "C" fn(*mut RawResult) -> u64,
    chdb_result_storage_rows_read: unsafe extern "C" fn(*mut RawResult) -> u64,
    chdb_result_storage_bytes_read: unsafe extern "C" fn(*mut RawResult) -> u64,
    chdb_result_rows_written: unsafe extern "C" fn(*mut RawResult) -> u64,
    chdb_result_bytes_written: unsafe extern "C" fn(*mut RawResult) -> u64,
    chdb_destroy_query_result: unsafe extern "C" fn(*mut RawResult),
    chdb_stream_insert_with_params_n: unsafe extern "C" fn(
        *mut RawConnection, Text, usize, Text, usize,
        Texts, Lengths, Texts, Lengths, usize) -> *mut RawInsert,
    chdb_stream_append: unsafe extern "C" fn(*mut RawInsert, *const u8, usize) -> c_int,
    chdb_stream_done: unsafe extern "C" fn(*mut RawInsert) -> *mut RawResult,
    chdb_stream_insert_error: unsafe extern "C" fn(*mut RawInsert) -> Text,
    chdb_destroy_insert_stream: unsafe extern "C" fn(*mut RawInsert),
}

/// The running engine. It holds a connection of its own, because closing the last one stops the
/// engine, and it cannot be started twice in one process; dropping it stops it cleanly.
pub(crate) struct Engine {
    api: &'static Api,
    arguments: Vec<CString>,
    _keeper: Connection,
}

impl Engine {
    /// Opens the data in `path`, creating it if needed. `server` holds server settings by their
    /// ClickHouse names, `defaults` the query settings that every connection begins with.
    pub(crate) fn open(
        library: &Path,
        path: &Path,
        server: &[(&str, String)],
        defaults: &[(&str, &str)],
    ) -> Result<Engine, EngineError> {
        let load = |source| EngineError::Load { path: library.to_owned(), source };
        // SAFETY: the library's initialisers are those of the engine that `make engines` pinned,
        // or of one that the operator named.
        let loaded = unsafe { Library::new(library) }.map_err(load)?;
        // Leaked: the engine's threads run its code until the process ends.
        let loaded: &'static Library = Box::leak(Box::new(loaded));
        // SAFETY: as above, and it stays loaded.
        let api: &'static Api = Box::leak(Box::new(unsafe { Api::resolve(loaded) }.map_err(load)?));
        // SAFETY: no argument but a flag. A crash should leave a core, not a C++ handler's report.
        unsafe { (api.chdb_set_signal_handlers_enabled)(0) };

        let mut arguments = vec![CString::new("chdb")?];
        arguments.push(CString::new(format!("--path={}", path.display()))?);
        for (name, value) in defaults {
            arguments.push(CString::new(format!("--{name}={value}"))?);
        }
        // The first connection starts the engine. Server settings stay off the others, which would
        // take those that are query settings by an old name for their own.
        let mut first = arguments.clone();
        for (name, value) in server {
            first.push(CString::new(format!("--{name}={value}"))?);
        }
        let keeper =
            Connection::open(api, &first).map_err(|_| EngineError::Open(path.to_owned()))?;
        Ok(Engine { api, arguments, _keeper: keeper })
    }

    /// A connection with the default settings.
    pub(crate) fn connect(&self) -> Result<Connection, EngineError> {
        Connection::open(self.api, &self.arguments)
    }

    /// As in `SELECT version()`, less the build.
    pub(crate) fn version(&self) -> String {
        // SAFETY: a static string of the library.
        text(unsafe { (self.api.chdb_version)() }).unwrap_or_default()
    }
}

/// One session: settings and a current database, one statement at a time.
pub(crate) struct Connection {
    api: &'static Api,
    handle: NonNull<*mut RawConnection>,
}

// SAFETY: the engine guards each connection by a mutex and keeps nothing of it in thread-locals;
// `Connection` is not `Sync`, so no two threads are in it at once.
unsafe impl Send for Connection {}
// SAFETY: only `Engine` shares one, its keeper, and never calls it.
unsafe impl Sync for Engine {}

impl Connection {
    fn open(api: &'static Api, arguments: &[CString]) -> Result<Connection, EngineError> {
        let argv: Vec<Text> = arguments.iter().map(|a| a.as_ptr()).collect();
        let argc = c_int::try_from(argv.len()).map_err(|_| EngineError::Connect)?;
        // SAFETY: `argv` holds `argc` NUL-terminated strings that outlive the call.
        let handle = unsafe { (api.chdb_connect)(argc, argv.as_ptr()) };
        Ok(Connection { api, handle: NonNull::new(handle).ok_or(EngineError::Connect)? })
    }

    fn raw(&self) -> *mut RawConnection {
        // SAFETY: `chdb_connect` returned it, and only `drop` closes it.
        unsafe { *self.handle.as_ptr() }
    }

    /// How many statements the text holds; 0 if it is empty or does not parse.
    pub(crate) fn statements(&self, sql: &str) -> u32 {
        let mut analysis = Analysis { struct_size: ANALYSIS_BYTES, ..Analysis::default() };
        // SAFETY: the text is as long as it says, no target database is named, and `analysis` is as
        // large as it says.
        unsafe {
            (self.api.chdb_classify_query_n)(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                std::ptr::null(),
                0,
                &mut analysis,
            );
        }
        analysis.statement_count
    }

    /// Runs one statement to its end. `format` applies where the statement names none.
    pub(crate) fn query(
        &self,
        sql: &str,
        format: &str,
        parameters: &[(String, String)],
    ) -> Result<Output, EngineError> {
        let p = Parameters::new(parameters);
        // SAFETY: every text is as long as it says and outlives the call.
        let result = unsafe {
            (self.api.chdb_query_with_params_n)(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                p.names.as_ptr(),
                p.name_lengths.as_ptr(),
                p.values.as_ptr(),
                p.value_lengths.as_ptr(),
                parameters.len(),
            )
        };
        Output::take(self.api, result)
    }

    /// Starts an INSERT whose data follows. `sql` ends before `FORMAT`.
    pub(crate) fn insert(
        &self,
        sql: &str,
        format: &str,
        parameters: &[(String, String)],
    ) -> Result<Insert<'_>, EngineError> {
        let p = Parameters::new(parameters);
        // SAFETY: as in `query`. The handle borrows the connection, and so does `Insert`.
        let handle = unsafe {
            (self.api.chdb_stream_insert_with_params_n)(
                self.raw(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                p.names.as_ptr(),
                p.name_lengths.as_ptr(),
                p.values.as_ptr(),
                p.value_lengths.as_ptr(),
                parameters.len(),
            )
        };
        let insert = Insert { api: self.api, handle, _connection: PhantomData };
        match insert.error() {
            Some(error) => Err(EngineError::Statement(error)),
            None => Ok(insert),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once; nothing borrows it any more.
        unsafe { (self.api.chdb_close_conn)(self.handle.as_ptr()) }
    }
}

/// Query parameters as the parallel arrays that the library wants.
struct Parameters<'a> {
    names: Vec<Text>,
    name_lengths: Vec<usize>,
    values: Vec<Text>,
    value_lengths: Vec<usize>,
    _texts: PhantomData<&'a [(String, String)]>,
}

impl<'a> Parameters<'a> {
    fn new(parameters: &'a [(String, String)]) -> Parameters<'a> {
        Parameters {
            names: parameters.iter().map(|(n, _)| n.as_ptr().cast()).collect(),
            name_lengths: parameters.iter().map(|(n, _)| n.len()).collect(),
            values: parameters.iter().map(|(_, v)| v.as_ptr().cast()).collect(),
            value_lengths: parameters.iter().map(|(_, v)| v.len()).collect(),
            _texts: PhantomData,
        }
    }
}

/// What a statement gave: its bytes in the format asked for, and its counts.
pub(crate) struct Output {
    api: &'static Api,
    result: NonNull<RawResult>,
}

// SAFETY: a finished result is plain memory that nothing writes to any more.
unsafe impl Send for Output {}
// SAFETY: as above.
unsafe impl Sync for Output {}

impl Output {
    fn take(api: &'static Api, result: *mut RawResult) -> Result<Output, EngineError> {
        let output = Output {
            api,
            result: NonNull::new(result)
                .ok_or_else(|| EngineError::Statement("the engine gave no result".to_owned()))?,
        };
        // SAFETY: a live result; its error text lives as long.
        match text(unsafe { (api.chdb_result_error)(result) }) {
            Some(error) => Err(EngineError::Statement(error)),
            None => Ok(output),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let (api, result) = (self.api, self.result.as_ptr());
        // SAFETY: a live result.
        unsafe {
            Counts {
                read_rows: (api.chdb_result_storage_rows_read)(result),
                read_bytes: (api.chdb_result_storage_bytes_read)(result),
                written_rows: (api.chdb_result_rows_written)(result),
                written_bytes: (api.chdb_result_bytes_written)(result),
                result_rows: (api.chdb_result_rows_read)(result),
                result_bytes: self.as_ref().len() as u64,
            }
        }
    }
}

impl AsRef<[u8]> for Output {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: a live result; buffer and length belong together and do not change.
        unsafe {
            let buffer = (self.api.chdb_result_buffer)(self.result.as_ptr());
            if buffer.is_null() {
                return &[];
            }
            std::slice::from_raw_parts(buffer, (self.api.chdb_result_length)(self.result.as_ptr()))
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // SAFETY: taken once, destroyed once.
        unsafe { (self.api.chdb_destroy_query_result)(self.result.as_ptr()) }
    }
}

/// The numbers of `X-ClickHouse-Summary`.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) read_rows: u64,
    pub(crate) read_bytes: u64,
    pub(crate) written_rows: u64,
    pub(crate) written_bytes: u64,
    pub(crate) result_rows: u64,
    pub(crate) result_bytes: u64,
}

/// An INSERT that is being fed. Dropped before [`Insert::finish`], it is cancelled, and what the
/// engine has not yet written is discarded.
pub(crate) struct Insert<'c> {
    api: &'static Api,
    handle: *mut RawInsert,
    _connection: PhantomData<&'c Connection>,
}

impl Insert<'_> {
    /// Hands over a piece of the data, cut anywhere. Waits while the engine is behind.
    pub(crate) fn append(&self, data: &[u8]) -> Result<(), EngineError> {
        // An empty piece would read as the end of the data.
        if data.is_empty() {
            return Ok(());
        }
        // SAFETY: a live handle; the data is copied before the call returns.
        if unsafe { (self.api.chdb_stream_append)(self.handle, data.as_ptr(), data.len()) }
            == SUCCESS
        {
            return Ok(());
        }
        let unnamed = || "the engine ended the insert without giving a reason".to_owned();
        Err(EngineError::Statement(self.error().unwrap_or_else(unnamed)))
    }

    /// Ends the data; the rows are in the table when this returns.
    pub(crate) fn finish(self) -> Result<Output, EngineError> {
        // SAFETY: a live handle; `drop` still destroys it, as the header asks.
        Output::take(self.api, unsafe { (self.api.chdb_stream_done)(self.handle) })
    }

    fn error(&self) -> Option<String> {
        // SAFETY: a live handle; the text is copied at once.
        text(unsafe { (self.api.chdb_stream_insert_error)(self.handle) })
    }
}

impl Drop for Insert<'_> {
    fn drop(&mut self) {
        // SAFETY: started once, destroyed once, while its connection is alive.
        unsafe { (self.api.chdb_destroy_insert_stream)(self.handle) }
    }
}

fn text(pointer: Text) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: what the library hands out as text is NUL-terminated and alive during this call.
    Some(unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}
