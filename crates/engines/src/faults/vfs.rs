//! The SQLite VFS of a [`FaultyDisk`](super::FaultyDisk): SQLite's own, with every change logged and failures let in.
//!
//! Real flushes are left out: the log says what would be durable, and a test does thousands of them.

#![allow(unsafe_code)] // a VFS is a table of C functions; there is no safe way to write one

use std::ffi::{CStr, CString, OsStr, c_int, c_void};
use std::io;
use std::mem::size_of;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rusqlite::ffi;

use super::log::{Event, Log};

/// What our VFS needs to know; lives as long as the process.
struct Shim {
    real: *mut ffi::sqlite3_vfs,
    log: Arc<Mutex<Log>>,
}

/// An open file: SQLite's header, our part, and behind it (in the same allocation) the real file.
#[repr(C)]
struct ShimFile {
    base: ffi::sqlite3_file,
    /// Null for temporary files, which no power cut matters to.
    state: *mut FileState,
}

struct FileState {
    path: PathBuf,
    log: Arc<Mutex<Log>>,
    /// Whether the next flush is to flush the folder too: SQLite's unix VFS does so for new journals and logs.
    syncs_folder: bool,
}

/// Registers a new VFS that writes this log, and returns its name.
pub fn register(log: Arc<Mutex<Log>>) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!("sterna-faults-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let c_name = CString::new(name.clone()).unwrap_or_default();
    // SAFETY: the default VFS always exists once SQLite is initialised (find initialises it) and lives for ever; it is
    // copied by value. Name and shim are leaked, so that the registered VFS may point to them for ever.
    unsafe {
        let real = ffi::sqlite3_vfs_find(ptr::null());
        let mut vfs = ptr::read(real);
        let header = size_of::<ShimFile>().next_multiple_of(16);
        vfs.szOsFile += header as c_int;
        vfs.pNext = ptr::null_mut();
        vfs.zName = c_name.into_raw();
        vfs.pAppData = Box::into_raw(Box::new(Shim { real, log })).cast();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0);
    }
    name
}

// SAFETY (this and the following functions): SQLite calls them with the VFS registered above, whose pAppData is a
// leaked Shim, and with files opened by `open`, whose memory has szOsFile bytes; paths are NUL-terminated. SQLite never
// uses one file from two threads at a time.

unsafe fn shim<'a>(vfs: *mut ffi::sqlite3_vfs) -> &'a Shim {
    unsafe { &*(*vfs).pAppData.cast::<Shim>() }
}

unsafe fn real(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    unsafe { file.cast::<u8>().add(size_of::<ShimFile>().next_multiple_of(16)).cast() }
}

unsafe fn state<'a>(file: *mut ffi::sqlite3_file) -> Option<&'a mut FileState> {
    unsafe { (*file.cast::<ShimFile>()).state.as_mut() }
}

unsafe fn path_of(name: *const std::ffi::c_char) -> PathBuf {
    unsafe { Path::new(OsStr::from_bytes(CStr::from_ptr(name).to_bytes())).to_owned() }
}

/// The real file's method of this name, called with these arguments.
macro_rules! forward {
    ($file:ident . $method:ident ( $($argument:expr),* )) => {{
        // SAFETY: see above; the real file is open, so its methods are there.
        unsafe {
            let file = real($file);
            match (*(*file).pMethods).$method {
                Some(method) => method(file $(, $argument)*),
                None => ffi::SQLITE_NOTFOUND,
            }
        }
    }};
}

/// SQLite's code for a failed write.
fn write_error(error: &io::Error) -> c_int {
    if error.kind() == io::ErrorKind::StorageFull { ffi::SQLITE_FULL } else { ffi::SQLITE_IOERR_WRITE }
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    unsafe {
        let shim = shim(vfs);
        let ours = file.cast::<ShimFile>();
        (*ours).base.pMethods = ptr::null();
        (*ours).state = ptr::null_mut();
        let path = (!name.is_null()).then(|| path_of(name));
        let is_new = path.as_ref().is_some_and(|path| !path.exists());
        if is_new && flags & ffi::SQLITE_OPEN_CREATE != 0 && shim.log.lock().write().is_err() {
            return ffi::SQLITE_CANTOPEN;
        }
        let Some(open_real) = (*shim.real).xOpen else { return ffi::SQLITE_MISUSE };
        let code = open_real(shim.real, name, real(file), flags, out_flags);
        if code != ffi::SQLITE_OK {
            return code;
        }
        if let Some(path) = path {
            let journals = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL;
            if is_new {
                shim.log.lock().events.push(Event::CreateFile(path.clone()));
            }
            let syncs_folder = is_new && flags & journals != 0;
            (*ours).state = Box::into_raw(Box::new(FileState { path, log: shim.log.clone(), syncs_folder }));
        }
        (*ours).base.pMethods = &METHODS;
        code
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const std::ffi::c_char, sync_folder: c_int) -> c_int {
    unsafe {
        let shim = shim(vfs);
        let path = path_of(name);
        let existed = path.exists();
        let Some(delete_real) = (*shim.real).xDelete else { return ffi::SQLITE_MISUSE };
        let code = delete_real(shim.real, name, 0);
        let mut log = shim.log.lock();
        if code == ffi::SQLITE_OK && existed {
            log.events.push(Event::Remove(path.clone()));
        }
        if code == ffi::SQLITE_OK && sync_folder != 0 {
            if log.sync().is_err() {
                return ffi::SQLITE_IOERR_DIR_FSYNC;
            }
            log.events.extend(path.parent().map(|folder| Event::SyncFolder(folder.to_owned())));
        }
        code
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let code = forward!(file.xClose());
    unsafe {
        let ours = file.cast::<ShimFile>();
        if !(*ours).state.is_null() {
            drop(Box::from_raw((*ours).state));
            (*ours).state = ptr::null_mut();
        }
    }
    code
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    count: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    let Some(state) = (unsafe { state(file) }) else { return forward!(file.xWrite(bytes, count, offset)) };
    let mut log = state.log.lock();
    if let Err(error) = log.write() {
        return write_error(&error);
    }
    let code = forward!(file.xWrite(bytes, count, offset));
    if code == ffi::SQLITE_OK {
        let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), count as usize) }.into();
        log.events.push(Event::Write { path: state.path.clone(), offset: offset as u64, bytes });
    }
    code
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: ffi::sqlite3_int64) -> c_int {
    let code = forward!(file.xTruncate(length));
    if let Some(state) = unsafe { state(file) }
        && code == ffi::SQLITE_OK
    {
        let (path, length) = (state.path.clone(), length as u64);
        state.log.lock().events.push(Event::Truncate { path, length });
    }
    code
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    let Some(state) = (unsafe { state(file) }) else { return ffi::SQLITE_OK };
    let mut log = state.log.lock();
    if log.sync_file(&state.path).is_err() {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    if std::mem::take(&mut state.syncs_folder) {
        log.events.extend(state.path.parent().map(|folder| Event::SyncFolder(folder.to_owned())));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    bytes: *mut c_void,
    count: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives us only files that we opened.
    if let Some(state) = unsafe { state(file) } {
        state.log.lock().reads += 1;
    }
    forward!(file.xRead(bytes, count, offset))
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut ffi::sqlite3_int64) -> c_int {
    forward!(file.xFileSize(size))
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    forward!(file.xLock(level))
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    forward!(file.xUnlock(level))
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, result: *mut c_int) -> c_int {
    forward!(file.xCheckReservedLock(result))
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    forward!(file.xFileControl(operation, argument))
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    forward!(file.xSectorSize())
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    forward!(file.xDeviceCharacteristics())
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    address: *mut *mut c_void,
) -> c_int {
    forward!(file.xShmMap(page, size, extend, address))
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    forward!(file.xShmLock(offset, count, flags))
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: as for the macro; this method alone returns nothing.
    unsafe {
        let file = real(file);
        if let Some(method) = (*(*file).pMethods).xShmBarrier {
            method(file);
        }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    forward!(file.xShmUnmap(delete))
}

/// Version 2: with shared memory for the write-ahead log, without memory mapping, whose writes nobody could log.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
