//! Places at which a test can end the process: what a `kill -9` at exactly this step leaves behind.
//!
//! Only in builds with debug assertions, and only when `STERNA_FAILPOINTS` names a folder. A test arms a place by
//! putting a file of its name there; the first process that comes by removes the file and aborts.

/// Ends the process when this place is armed.
#[cfg(debug_assertions)]
pub fn reached(name: &str) {
    use std::sync::OnceLock;
    static FOLDER: OnceLock<Option<std::path::PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| std::env::var_os("STERNA_FAILPOINTS").map(Into::into));
    // Removing is what decides who ends, if several processes come by.
    if folder.as_ref().is_some_and(|folder| std::fs::remove_file(folder.join(name)).is_ok()) {
        std::process::abort();
    }
}

/// Nothing: this is no test.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn reached(_name: &str) {}
