//! Sieve scripts: files `NAME.script` in a folder of the user, where the link `defaultbc` (`default` before 2.3) says
//! which one runs; from 3.6 on messages of the mailbox `#sieve`, whose subjects are the names, and only that link is in
//! the folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sterna_formats::mail::encoded_word;

use super::disk::Spool;
use super::layout::Person;
use super::{SpoolError, mailbox, message, read_file};
use crate::cyrus::dlist::LITERAL_BYTES_MAX;
use crate::cyrus::names;
use crate::limits::SPOOL_SCRIPTS_MAX;

/// The mailbox with scripts: scripts are told one by one, and it never is.
const MAILBOX: &str = "#sieve";

/// What file names of scripts end with.
pub const ENDING: &str = ".script";

/// A script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// When it changed last, in seconds.
    pub updated: u64,
    /// Its text.
    pub text: Vec<u8>,
}

/// All scripts of somebody, and the name of the one that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scripts {
    /// By name.
    pub all: Vec<Script>,
    /// Which one runs.
    pub active: Option<String>,
    /// What can't be read.
    pub damaged: Vec<String>,
}

/// Whether a mailbox has scripts in it.
pub fn are_in(name: &str) -> bool {
    names::read(name).is_some_and(|name| name.path.first().is_some_and(|first| first == MAILBOX))
}

/// Reads them.
pub fn read(spool: &Spool, owner: &str, person: &Person) -> Scripts {
    let mut found = Scripts::default();
    if let Some(folder) = person.script_folders(&spool.config).into_iter().find(|folder| folder.is_dir()) {
        found.active = active(&folder);
        if let Err(error) = files(&folder, &mut found) {
            found.damaged.push(error.to_string());
        }
    }
    if let Err(error) = messages(spool, owner, &mut found) {
        found.damaged.push(error.to_string());
    }
    if found.all.len() > SPOOL_SCRIPTS_MAX {
        found.damaged.push(format!("{owner} has more than {SPOOL_SCRIPTS_MAX} scripts"));
        found.all.truncate(SPOOL_SCRIPTS_MAX);
    }
    found.all.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn active(folder: &Path) -> Option<String> {
    let target = |link: &str| fs::read_link(folder.join(link)).ok();
    let target: PathBuf = target("defaultbc").or_else(|| target("default"))?;
    Some(target.file_stem()?.to_str()?.to_owned())
}

fn files(folder: &Path, found: &mut Scripts) -> Result<(), SpoolError> {
    let failed = |error: std::io::Error| SpoolError::unreadable(folder, &error);
    for file in fs::read_dir(folder).map_err(failed)?.take(SPOOL_SCRIPTS_MAX * 4) {
        let path = file.map_err(failed)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(ENDING)) else { continue };
        let Some(text) = read_file(&path, LITERAL_BYTES_MAX as u64)? else { continue };
        let changed = path.metadata().and_then(|found| found.modified()).ok();
        let updated = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |time| time.as_secs());
        found.all.push(Script { name: name.to_owned(), updated, text });
    }
    Ok(())
}

fn messages(spool: &Spool, owner: &str, found: &mut Scripts) -> Result<(), SpoolError> {
    let wanted = format!("{}.{MAILBOX}", names::prefixes(owner)[0]);
    let Some(listed) = spool.owners.get(owner).and_then(|all| all.iter().find(|listed| listed.name == wanted)) else {
        return Ok(());
    };
    let opened = mailbox::open(spool, listed)?;
    for one in opened.records() {
        let (entry, _) = one?;
        if entry.is_expunged() || entry.size as usize > LITERAL_BYTES_MAX {
            continue;
        }
        let path = message::find(opened.folders_of(&entry), &entry)?;
        message::open(&path, &entry)?;
        let Some(bytes) = read_file(&path, LITERAL_BYTES_MAX as u64)? else { continue };
        let (name, text) = named(&bytes).ok_or_else(|| SpoolError::damaged(&path, "it is no script"))?;
        found.all.retain(|script| script.name != name);
        found.all.push(Script { name, updated: entry.internal_date.into(), text: text.to_vec() });
    }
    Ok(())
}

/// The name and the text of a script that is kept as a message.
fn named(message: &[u8]) -> Option<(String, &[u8])> {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n")?;
    let header = String::from_utf8_lossy(&message[..end]).replace("\r\n\t", " ").replace("\r\n ", " ");
    let subject = header.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("subject").then(|| value.trim().to_owned())
    })?;
    Some((encoded_word::decode(subject.as_bytes()), &message[end + 4..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_files_with_a_link() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("b.script", "keep;"), ("a.script", "stop;"), ("b.bc", "x"), ("note", "y")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut found = Scripts::default();
        files(folder.path(), &mut found).unwrap();
        assert_eq!((found.all.len(), active(folder.path())), (2, None));
        std::os::unix::fs::symlink("b.bc", folder.path().join("defaultbc")).unwrap();
        assert_eq!(active(folder.path()).as_deref(), Some("b"));
    }

    #[test]
    fn scripts_are_messages() {
        let message = b"From: <ana>\r\nSubject: =?UTF-8?Q?Abwesend_=C3=BC?=\r\nX: y\r\n\r\nkeep;\r\n\r\nstop;";
        assert_eq!(named(message), Some(("Abwesend \u{fc}".to_owned(), &b"keep;\r\n\r\nstop;"[..])));
        assert_eq!((named(b"Subject: a"), named(b"From: a\r\n\r\n")), (None, None));
    }
}
