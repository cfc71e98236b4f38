//! Places at which a test can end or stop the process: what a `kill -9` or a SIGSTOP at exactly this step leaves
//! behind.
//!
//! Only in builds with debug assertions, and only when `STERNA_FAILPOINTS` names a folder, one for each process. A test
//! arms a place by putting a file of its name there; whoever comes by removes the file, and then aborts, or stops until
//! SIGCONT if the file says `stop`.

/// What an armed file says when the process is to stop instead of to end.
pub const STOP: &str = "stop";

/// Ends or stops the process when this place is armed.
#[cfg(debug_assertions)]
pub fn reached(name: &str) {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| std::env::var_os("STERNA_FAILPOINTS").map(PathBuf::from));
    let Some(path) = folder.as_ref().map(|folder| folder.join(name)) else { return };
    let Ok(wish) = std::fs::read_to_string(&path) else { return };
    // Removing is what decides whose it is, if several threads come by.
    if std::fs::remove_file(&path).is_ok() {
        match wish.as_str() {
            STOP => stop(),
            _ => std::process::abort(),
        }
    }
}

/// SIGSTOP to this process; returns after SIGCONT.
#[cfg(debug_assertions)]
fn stop() {
    /// The signal may be taken by another thread first, a moment before this one stands too.
    const STANDS_AFTER: std::time::Duration = std::time::Duration::from_millis(100);
    let _ = std::process::Command::new("kill").args(["-STOP", &std::process::id().to_string()]).status();
    std::thread::park_timeout(STANDS_AFTER);
}

/// Nothing: this is no test.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn reached(_name: &str) {}
