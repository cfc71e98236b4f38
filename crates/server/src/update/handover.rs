//! Another version takes over: what is checked before, and the moment itself.
//!
//! The program replaces itself in its place (execve): the service manager sees one process, sockets stay open, and
//! those who connect meanwhile wait in the system's queue. Sessions say good-bye before; their clients come back to the
//! new version.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::time::SystemTime;

use parking_lot::Mutex;
use sterna_base::{Version, failpoint, version};
use sterna_cluster::rpc::wire::{RELEASE, releases_fit};
use sterna_cluster::{InstalledVersion, RunVersion};
use tokio::sync::Notify;

use super::programs::{ProgramError, Programs};
use super::record::Record;
use super::sockets::Sockets;
use crate::node::facts::{self, Facts};

/// Where somebody asks for another version, and the node learns of it.
pub struct Handover {
    programs: Programs,
    record: Record,
    wish: Mutex<Option<Version>>,
    asked: Notify,
    /// What programs said of themselves, and when their files were changed.
    asked_before: Mutex<HashMap<Version, (SystemTime, Option<Facts>)>>,
}

/// Why another version doesn't take over.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// It can't be started here.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Nodes of both can't talk, or it can't read what this one wrote.
    #[error("version {version} can't follow version {own}: {reason}")]
    Unfit {
        /// The other.
        version: Version,
        /// This one.
        own: Version,
        /// Why.
        reason: String,
    },
    /// Another one is about to take over, or this one is itself on trial.
    #[error("version {0} is about to take over; wait until it serves")]
    Busy(Version),
    /// A later plan was heard of.
    #[error("plan {plan} is out of date here: plan {latest} came after it; look at what runs: sterna server list")]
    OldPlan {
        /// That of the question.
        plan: u64,
        /// The latest.
        latest: u64,
    },
    /// The record can't be written.
    #[error("the record of the version that runs here can't be written")]
    Record(#[source] io::Error),
}

impl Handover {
    /// Of the node with this record.
    pub fn new(record: Record) -> Self {
        let (programs, asked) = (Programs::of(record.folder()), Notify::new());
        Handover { programs, record, wish: Mutex::default(), asked, asked_before: Mutex::default() }
    }

    /// Of the programs in this folder.
    #[cfg(test)]
    pub(super) fn among(programs: Programs, record: Record) -> Self {
        Handover { programs, ..Handover::new(record) }
    }

    /// The installed versions.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The record of the version that runs.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Lets another version take over, if it can. Returns before it does; asking for the one that runs is done at once.
    ///
    /// # Errors
    /// [`HandoverError`]; then nothing happened.
    pub async fn ask(&self, RunVersion { version, plan }: RunVersion) -> Result<(), HandoverError> {
        if let Some(plan) = plan {
            self.heed(plan)?;
        }
        if version == version::own() {
            return Ok(());
        }
        let facts = self.programs.facts(version).await?;
        fits(&facts, &facts::own())?;
        let mut wish = self.wish.lock();
        if let Some(other) = *wish {
            return if other == version { Ok(()) } else { Err(HandoverError::Busy(other)) };
        }
        if self.record.is_on_trial(version::own()).map_err(HandoverError::Record)? {
            return Err(HandoverError::Busy(version::own()));
        }
        self.record.begin_trial(version::own(), version).map_err(HandoverError::Record)?;
        failpoint::reached("handover-recorded");
        *wish = Some(version);
        self.asked.notify_one();
        Ok(())
    }

    /// Refuses plans that are older than the latest that this node has heard of, also before it started.
    fn heed(&self, plan: u64) -> Result<(), HandoverError> {
        let _one_at_a_time = self.wish.lock();
        let latest = self.record.plan().map_err(HandoverError::Record)?;
        match plan.cmp(&latest) {
            Ordering::Less => Err(HandoverError::OldPlan { plan, latest }),
            Ordering::Equal => Ok(()),
            Ordering::Greater => self.record.note_plan(plan).map_err(HandoverError::Record),
        }
    }

    /// The versions that are installed here and say what they are, the oldest first. Each is asked once.
    pub async fn installed(&self) -> Vec<InstalledVersion> {
        let mut found = Vec::new();
        for version in self.programs.installed() {
            if let Some(facts) = self.known(version).await {
                let Facts { version, release, store_format, directory_format } = facts;
                found.push(InstalledVersion { version, release, store_format, directory_format });
            }
        }
        found
    }

    async fn known(&self, version: Version) -> Option<Facts> {
        if version == version::own() {
            return Some(facts::own());
        }
        // A file that was replaced is another program.
        let changed = std::fs::metadata(self.programs.path(version)).and_then(|found| found.modified()).ok()?;
        let before = self.asked_before.lock().get(&version).cloned();
        if let Some((at, facts)) = before
            && at == changed
        {
            return facts;
        }
        let facts = self.programs.facts(version).await;
        if let Err(error) = &facts {
            tracing::warn!(%version, %error, "an installed version can't be used");
        }
        let facts = facts.ok();
        self.asked_before.lock().insert(version, (changed, facts.clone()));
        facts
    }

    /// Waits until somebody asks for another version.
    pub async fn wait(&self) -> Version {
        loop {
            let asked = self.asked.notified();
            if let Some(version) = *self.wish.lock() {
                return version;
            }
            asked.await;
        }
    }

    /// Replaces this program by another version. Returns when that can't be: then this version is the recorded one
    /// again.
    pub fn replace(&self, version: Version, sockets: &Sockets) -> io::Error {
        failpoint::reached("handover-stopped");
        let begun = self.record.note_try(version);
        let error = begun.map_or_else(|error| error, |()| replace(self.programs.path(version), sockets));
        if let Err(error) = self.record.take_back(version::own()) {
            tracing::error!(%error, "the record of the version that runs here can't be written");
        }
        error
    }
}

/// Runs another program in the place of this one, with its arguments and its sockets. Returns only when it can't.
pub fn replace(program: PathBuf, sockets: &Sockets) -> io::Error {
    match sockets.hand_over() {
        Ok((name, named)) => {
            std::process::Command::new(program).args(std::env::args_os().skip(1)).env(name, named).exec()
        }
        Err(error) => error,
    }
}

/// Whether a version can run where another one did.
fn fits(facts: &Facts, own: &Facts) -> Result<(), HandoverError> {
    let reason = if !releases_fit(facts.release, own.release) {
        format!("its release is {}, and nodes of release {RELEASE} understand neighbours only", facts.release)
    } else if facts.store_format < own.store_format {
        format!("it knows accounts up to format {}, and they have format {}", facts.store_format, own.store_format)
    } else if facts.directory_format < own.directory_format {
        let (knows, has) = (facts.directory_format, own.directory_format);
        format!("it knows the directory up to format {knows}, and it has format {has}")
    } else {
        return Ok(());
    };
    let way = "restore a backup of before the update under that version";
    Err(HandoverError::Unfit { version: facts.version, own: own.version, reason: format!("{reason}; {way}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::programs::tests::{programs, says};

    #[tokio::test]
    async fn a_version_on_trial_gives_way_to_nobody() {
        let newer = "99.0.0".parse::<Version>().unwrap();
        let (folder, programs) = programs(&[("99.0.0", &says("99.0.0", 99))]);
        let record = Record::of(folder.path());
        let back = "0.0.1".parse::<Version>().unwrap();
        record.begin_trial(back, version::own()).unwrap();
        let handover = Handover::among(programs, record.clone());
        let asked = || handover.ask(RunVersion { version: newer, plan: None });
        let refused = asked().await.unwrap_err();
        assert!(matches!(refused, HandoverError::Busy(own) if own == version::own()), "{refused}");
        assert_eq!(record.decided().unwrap(), Some(version::own()));
        assert!(record.is_on_trial(version::own()).unwrap(), "the way back is as it was");
        record.confirm(version::own()).unwrap();
        asked().await.unwrap();
        assert_eq!(record.decided().unwrap(), Some(newer));
    }

    fn facts(release: u32, store_format: u32, directory_format: i64) -> Facts {
        Facts { version: Version { major: 0, minor: release, patch: 0 }, release, store_format, directory_format }
    }

    #[test]
    fn neighbours_that_read_what_is_there_fit() {
        let own = facts(2, 5, 3);
        assert!(fits(&facts(3, 5, 3), &own).is_ok());
        assert!(fits(&facts(3, 6, 4), &own).is_ok());
        assert!(fits(&facts(1, 5, 3), &own).is_ok(), "back to the release before, as long as no format has moved");
        for other in [facts(4, 5, 3), facts(0, 5, 3), facts(1, 4, 3), facts(1, 5, 2)] {
            assert!(fits(&other, &own).is_err(), "{other:?}");
        }
        let back = fits(&facts(1, 4, 3), &own).unwrap_err().to_string();
        assert!(back.contains("restore a backup"), "{back}");
    }
}
