//! Machines whose clocks are wrong.

use std::path::PathBuf;

use crate::binary;
use crate::installation::Place;

/// A place whose clock is off by this much, in libfaketime's words ("+1d", "-2h"), or `None` with a printed reason
/// where clocks can't be faked. Only the time of day is off: timeouts run as ever.
///
/// # Panics
/// In CI, when the library is missing: CI skips nothing.
pub fn off_by(offset: &str) -> Option<Place> {
    if !binary::have(&["faketime"]) {
        return None;
    }
    // The `faketime` program would stand between the test and the node, and take its signals.
    let library = library().unwrap_or_else(|| panic!("faketime is installed, its library is not"));
    let preload = format!("LD_PRELOAD={}", library.display());
    let words = ["env", &preload, &format!("FAKETIME={offset}"), "FAKETIME_DONT_FAKE_MONOTONIC=1"];
    Some(Place { wrapper: words.map(str::to_owned).into(), ..Place::default() })
}

/// Debian keeps it in a folder that is named for the architecture.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|path| path.exists())
}
