//! Files with several names, each of which somebody else relies on.
//!
//! Linux tells of a failed flush once. From then on it takes the file's pages for clean, and whoever opens and flushes
//! the file next is told that all is well, though nothing was written. So a failure is remembered for all names of the
//! file, for as long as the process lives: what was in memory is gone with it.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::LazyLock;
use std::time::SystemTime;

use parking_lot::Mutex;

/// Failures that are remembered. A disk with so many is not written to any more.
const FAILED_MAX: usize = 100_000;

/// A file whatever its name: device, inode, and when it was made, as numbers of inodes are used again.
type Identity = (u64, u64, Option<SystemTime>);

static FAILED: LazyLock<Mutex<HashSet<Identity>>> = LazyLock::new(Mutex::default);

/// Makes a file durable that has other names, too. Blocks.
///
/// # Errors
/// When it can't be flushed, or could not be once.
pub fn sync(file: &File) -> io::Result<()> {
    let identity = identity(file)?;
    if let Err(error) = file.sync_all() {
        note(identity);
        return Err(error);
    }
    // Looked at afterwards: another name of it may have failed while this one was on its way.
    let is_failed = FAILED.lock().contains(&identity);
    if is_failed {
        let text = "a flush of this file failed before: what it holds is not known to be on the disk";
        return Err(io::Error::other(text));
    }
    Ok(())
}

fn identity(file: &File) -> io::Result<Identity> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino(), metadata.created().ok()))
}

fn note(identity: Identity) {
    let mut failed = FAILED.lock();
    if failed.len() < FAILED_MAX {
        failed.insert(identity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_counts_for_every_name_and_for_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second, other) = (folder.path().join("a"), folder.path().join("b"), folder.path().join("c"));
        std::fs::write(&first, "one").unwrap();
        std::fs::hard_link(&first, &second).unwrap();
        std::fs::write(&other, "two").unwrap();
        sync(&File::open(&first).unwrap()).unwrap();
        note(identity(&File::open(&first).unwrap()).unwrap());
        sync(&File::open(&second).unwrap()).unwrap_err();
        sync(&File::open(&other).unwrap()).unwrap();
    }
}
