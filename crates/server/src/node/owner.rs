//! Whose folder it is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Result, bail};

/// Refuses to work as root in the folder of a service's user: what root writes there the service can't open when it
/// starts the next time.
///
/// # Errors
/// When the folder is another user's, with the command to give instead.
pub fn is_ours(folder: &Path) -> Result<()> {
    let Ok(found) = fs::metadata(folder) else { return Ok(()) };
    if rustix::process::geteuid().is_root() && found.uid() != 0 {
        bail!(
            "{} belongs to user {uid}, and files that root writes there would be closed to that user. Run this as it: \
             sudo -u '#{uid}' sterna ...",
            folder.display(),
            uid = found.uid(),
        );
    }
    Ok(())
}
