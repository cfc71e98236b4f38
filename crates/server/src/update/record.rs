//! Which version of the program runs in a node's folder: the files that `packaging/launcher.sh` reads.
//!
//! | file | says |
//! |---|---|
//! | `version` | the version that is to run |
//! | `version.trial` | the version to go back to, while the one in `version` has not shown that it serves |
//! | `version.tried` | the version that has had its try |
//! | `version.failed` | the version that did not come up |
//! | `version.plan` | the number of the latest plan of an update that this node has heard of |
//!
//! Each is replaced at once and flushed; after a power cut between any two the launcher starts one of the two versions,
//! and [`Record::settle`] puts the rest in order.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sterna_base::{Version, atomic_file, version};

const DECIDED: &str = "version";
const TRIAL: &str = "version.trial";
const TRIED: &str = "version.tried";
const FAILED: &str = "version.failed";
const PLAN: &str = "version.plan";

/// The record in a node's folder.
#[derive(Clone, Debug)]
pub struct Record {
    folder: PathBuf,
}

/// What a start finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The usual.
    Usual,
    /// This version has its only try, and `back` runs again if it doesn't come up.
    OnTrial {
        /// The version before.
        back: Version,
    },
    /// This program was started by hand, and another version is recorded.
    Other {
        /// Which.
        recorded: Version,
    },
}

impl Record {
    /// Of the node in this folder.
    pub fn of(folder: &Path) -> Self {
        Record { folder: folder.to_owned() }
    }

    /// The node's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The version that is to run; `None` where nobody decided.
    ///
    /// # Errors
    /// When it can't be read, or is none.
    pub fn decided(&self) -> io::Result<Option<Version>> {
        self.read(DECIDED)
    }

    /// The version that did not come up the last time, if nobody has taken note of it yet.
    ///
    /// # Errors
    /// When it can't be read, or is none.
    pub fn failed(&self) -> io::Result<Option<Version>> {
        self.read(FAILED)
    }

    /// Begins the try of another version: it is started next, once.
    ///
    /// # Errors
    /// When it can't be written; the version of before stays then.
    pub fn begin_trial(&self, from: Version, to: Version) -> io::Result<()> {
        self.remove(TRIED)?;
        self.remove(FAILED)?;
        self.write(TRIAL, from)?;
        self.write(DECIDED, to)
    }

    /// The program is about to be replaced by the one on trial without the launcher: this is its try.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn note_try(&self, of: Version) -> io::Result<()> {
        self.write(TRIED, of)
    }

    /// Whether this version runs here and has not shown yet that it serves.
    ///
    /// # Errors
    /// When it can't be read, or is none.
    pub fn is_on_trial(&self, own: Version) -> io::Result<bool> {
        Ok(self.decided()? == Some(own) && self.read(TRIAL)?.is_some_and(|back| back != own))
    }

    /// The version on trial serves: it is the one that runs from now on. The trial of another one stays as it is.
    ///
    /// # Errors
    /// When the files can't be read or removed.
    pub fn confirm(&self, own: Version) -> io::Result<()> {
        match self.decided()? == Some(own) {
            true => self.end_trial(),
            false => Ok(()),
        }
    }

    fn end_trial(&self) -> io::Result<()> {
        self.remove(TRIAL)?;
        self.remove(TRIED)
    }

    /// The version on trial can't serve, and the one before can't read what it wrote: it stays, without a way back.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn stay(&self, own: Version) -> io::Result<()> {
        self.write(FAILED, own)?;
        self.end_trial()
    }

    /// Ends a try before the other version was started.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn take_back(&self, from: Version) -> io::Result<()> {
        self.write(DECIDED, from)?;
        self.end_trial()
    }

    /// The version on trial says itself that it can't serve: the one before runs next, and says so.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn give_up(&self, own: Version, back: Version) -> io::Result<()> {
        self.write(FAILED, own)?;
        self.take_back(back)
    }

    /// The latest plan of an update that this node has heard of.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn plan(&self) -> io::Result<u64> {
        match fs::read_to_string(self.folder.join(PLAN)) {
            Ok(text) => text.trim().parse().map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Remembers it.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn note_plan(&self, plan: u64) -> io::Result<()> {
        atomic_file::write(&self.folder.join(PLAN), format!("{plan}\n").as_bytes(), 0o640)
    }

    /// What this start of `own` is. The first version that starts in a folder is the one that runs there from then on;
    /// a try that was never begun, or is over, is cleaned up.
    ///
    /// # Errors
    /// When the files can't be read or written.
    pub fn settle(&self, own: Version) -> io::Result<Start> {
        let Some(decided) = self.decided()? else {
            if installed_beside_others() {
                self.write(DECIDED, own)?;
            }
            return Ok(Start::Usual);
        };
        match self.read(TRIAL)? {
            Some(back) if decided == own && back != own => return Ok(Start::OnTrial { back }),
            Some(_) if decided == own => self.end_trial()?,
            // The launcher has gone back, or the power went before `version` was written.
            Some(back) if back == own => self.take_back(own)?,
            _ if decided != own => return Ok(Start::Other { recorded: decided }),
            _ => {}
        }
        Ok(Start::Usual)
    }

    fn read(&self, name: &str) -> io::Result<Option<Version>> {
        let path = self.folder.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, name: &str, version: Version) -> io::Result<()> {
        atomic_file::write(&self.folder.join(name), format!("{version}\n").as_bytes(), 0o640)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Whether this program lies in a folder with the name of its version, as packages install it. Another one, just built,
/// decides nothing.
fn installed_beside_others() -> bool {
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.parent().and_then(Path::file_name);
    folder.is_some_and(|folder| folder == version::own_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    fn record() -> (tempfile::TempDir, Record) {
        let folder = tempfile::tempdir().unwrap();
        let record = Record::of(folder.path());
        record.write(DECIDED, version("0.1.0")).unwrap();
        (folder, record)
    }

    #[test]
    fn a_version_that_serves_stays() {
        let (old, new) = (version("0.1.0"), version("0.2.0"));
        let (_folder, record) = record();
        record.begin_trial(old, new).unwrap();
        record.note_try(new).unwrap();
        assert_eq!(record.settle(new).unwrap(), Start::OnTrial { back: old });
        assert!(record.is_on_trial(new).unwrap() && !record.is_on_trial(old).unwrap());
        record.confirm(old).unwrap();
        assert!(record.is_on_trial(new).unwrap(), "another one's trial is not ended");
        record.confirm(new).unwrap();
        assert!(!record.is_on_trial(new).unwrap());
        assert_eq!(record.settle(new).unwrap(), Start::Usual);
        assert_eq!(record.decided().unwrap(), Some(new));
    }

    #[test]
    fn a_power_cut_anywhere_leaves_one_of_the_two() {
        let (old, new) = (version("0.1.0"), version("0.2.0"));
        // Only the file of the trial was written.
        let (_folder, first) = record();
        first.write(TRIAL, old).unwrap();
        assert_eq!(first.settle(old).unwrap(), Start::Usual);
        assert_eq!((first.read(TRIAL).unwrap(), first.decided().unwrap()), (None, Some(old)));
        // Confirming was cut in two.
        let (_folder, second) = record();
        second.begin_trial(old, new).unwrap();
        second.note_try(new).unwrap();
        second.remove(TRIAL).unwrap();
        assert_eq!(second.settle(new).unwrap(), Start::Usual);
    }

    #[test]
    fn what_somebody_started_by_hand_decides_nothing() {
        let (_folder, record) = record();
        let start = record.settle(version("0.3.0")).unwrap();
        assert_eq!(start, Start::Other { recorded: version("0.1.0") });
        assert_eq!(record.decided().unwrap(), Some(version("0.1.0")));
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        let (folder, record) = record();
        fs::write(folder.path().join(DECIDED), "../../tmp/evil\n").unwrap();
        assert!(record.settle(version("0.1.0")).unwrap_err().to_string().contains("no version"));
    }
}
