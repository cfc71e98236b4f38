//! What SQLite's errors mean for a store.

use rusqlite::ErrorCode;
use sterna_account::StoreError;

/// A full disk is not the store's fault and passes; damage needs a person; everything else leaves it unknown what
/// reached the disk.
pub fn store_error(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::DiskFull(text),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(text),
        _ => StoreError::Io(text),
    }
}

/// The same for the files beside the database.
pub fn file_error(error: &std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::DiskFull(error.to_string()),
        _ => StoreError::Io(error.to_string()),
    }
}
