//! The address that the installation was last told of this node. Only when the configuration says another one is it
//! told again: so an address that an administrator sets in the directory (`sterna server set --address`) stays.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sterna_base::atomic_file;

const FILE_NAME: &str = "cluster/announced";

/// Whether this is the address that was told last.
pub fn is(folder: &Path, address: &str) -> bool {
    fs::read_to_string(folder.join(FILE_NAME)).is_ok_and(|known| known.trim() == address)
}

/// Remembers that the installation knows this address.
///
/// # Errors
/// When the file can't be written.
pub fn note(folder: &Path, address: &str) -> Result<()> {
    if is(folder, address) {
        return Ok(());
    }
    let path = folder.join(FILE_NAME);
    atomic_file::write(&path, format!("{address}\n").as_bytes(), 0o640).with_context(|| path.display().to_string())
}
