//! Stores that were put aside: each a folder below `aside`, as it was, with a note in it.

use std::fs;
use std::path::{Path, PathBuf};

use sterna_account::{AsideName, StoreError};
use sterna_base::{AccountId, Timestamp};

use super::error::file_error;
use super::{FILE_NAME, SqliteEngine, folders};

/// The folder below the root. Its entries are no account numbers, so nobody takes them for accounts.
const FOLDER: &str = "aside";
/// The note in the folder of each.
const NOTE: &str = "note";

/// Where a store of this name is.
pub fn folder(engine: &SqliteEngine, name: AsideName) -> PathBuf {
    engine.root.join(FOLDER).join(name.to_string())
}

/// Puts a store aside. The note comes first: what was renamed has one.
pub fn set(engine: &SqliteEngine, account: AccountId, note: &[u8], now: Timestamp) -> Result<AsideName, StoreError> {
    let from = engine.folder(account);
    if !from.join(FILE_NAME).exists() {
        return Err(StoreError::NoSuchAccount(account));
    }
    let mut name = AsideName { at: now, account };
    while folder(engine, name).exists() {
        name.at = name.at.plus_ms(1);
    }
    let to = folder(engine, name);
    let move_it = || {
        let all = to.parent().unwrap_or(&engine.root);
        engine.create_folders(all)?;
        write_note(engine, &from, note)?;
        engine.disk.rename(&from, &to)?;
        engine.disk.sync_folder(all)?;
        engine.disk.sync_folder(from.parent().unwrap_or(&engine.root))
    };
    move_it().map_err(|error| file_error(&error))?;
    Ok(name)
}

/// All of them, oldest first.
pub fn list(engine: &SqliteEngine) -> Result<Vec<(AsideName, Vec<u8>)>, StoreError> {
    let mut found = Vec::new();
    for folder in folders(&engine.root.join(FOLDER))? {
        let name = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let Some(name) = name else { continue };
        // One that a person took the note from is listed all the same.
        found.push((name, fs::read(folder.join(NOTE)).unwrap_or_default()));
    }
    found.sort_unstable();
    Ok(found)
}

/// Replaces the note.
pub fn set_note(engine: &SqliteEngine, name: AsideName, note: &[u8]) -> Result<(), StoreError> {
    let folder = folder(engine, name);
    if !folder.exists() {
        return Err(StoreError::NoSuchAccount(name.account));
    }
    write_note(engine, &folder, note).map_err(|error| file_error(&error))
}

fn write_note(engine: &SqliteEngine, folder: &Path, note: &[u8]) -> std::io::Result<()> {
    let (new, path) = (folder.join("note.new"), folder.join(NOTE));
    match engine.disk.remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = engine.disk.create_file(&new)?;
    file.write_all(note)?;
    file.sync()?;
    engine.disk.rename(&new, &path)?;
    engine.disk.sync_folder(folder)
}
