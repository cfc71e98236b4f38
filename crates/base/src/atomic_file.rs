//! Files that are either the old one or the new one, also after a power cut.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a whole file so that a reader, or a power cut, sees the old content or the new one and nothing between:
/// temporary file in the same folder, fsync, rename, fsync of the folder. `mode` is the permission bits (0o600 for
/// keys).
///
/// # Errors
/// Whatever the file system says; the old content is then still there.
pub fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let suffix = u64::from_le_bytes(crate::ids::random_bytes());
    let temporary = folder.join(format!(".{}.{suffix:016x}", name.to_string_lossy()));
    let result = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_folder(folder)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Makes a folder's entries (creations, renames, deletions) durable.
///
/// # Errors
/// Whatever the file system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_content_and_leaves_no_temporary_file() {
        let folder = std::env::temp_dir().join(format!("sterna-atomic-{}", crate::NodeId::random()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("f");
        write(&path, b"one", 0o600).unwrap();
        write(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }
}
