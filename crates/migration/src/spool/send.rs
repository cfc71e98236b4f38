//! Telling a replica of an owner: mailboxes, then what else belongs to the owner. What it has already isn't told again;
//! so a run that was interrupted goes on where it was.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::client::Replica;
use super::disk::Spool;
use super::list::Listed;
use super::survey::Survey;
use super::{SpoolError, mailbox, rest};
use crate::cyrus::dlist::{Malformed, MapWriter, Value};
use crate::cyrus::mailbox::Mailbox;
use crate::limits::{BATCH_RECORDS, REMOVED_FOLDERS_FREE};
use crate::run::error::SourceError;

/// What was told of an owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Mailboxes that were not so yet.
    pub mailboxes: u64,
    /// Messages sent.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Other things: names of mailboxes, quotas, subscriptions, what was seen, scripts.
    pub others: u64,
}

impl Told {
    /// Whether everything was so already.
    pub fn is_nothing(&self) -> bool {
        *self == Told::default()
    }
}

/// Why not all was told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// A file turned out to be damaged that didn't look so.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The other side.
    #[error(transparent)]
    Replica(#[from] SourceError),
    /// It has something that doesn't go with the spool.
    #[error("{0}")]
    Other(String),
    /// Something is damaged, and nobody said that it may be left out.
    #[error("{0} files or messages are damaged, and nothing of {1} was told")]
    Damaged(usize, String),
}

impl From<Malformed> for SendError {
    fn from(error: Malformed) -> Self {
        SendError::Replica(SourceError::Protocol(error.to_string()))
    }
}

impl SendError {
    /// Whether the other side has refused with this code.
    pub fn is_refused(&self, code: &str) -> bool {
        matches!(self, SendError::Replica(SourceError::Refused { text, .. }) if text.starts_with(code))
    }

    /// Whether the session is of no use any more.
    pub fn ends_session(&self) -> bool {
        !matches!(
            self,
            SendError::Spool(_)
                | SendError::Other(_)
                | SendError::Damaged(..)
                | SendError::Replica(SourceError::Refused { .. })
        )
    }
}

/// What the replica knows of an owner.
#[derive(Default)]
pub(super) struct Remote {
    /// Mailboxes by their ids.
    pub mailboxes: BTreeMap<String, Mailbox>,
    /// Everything else, by its word.
    pub facts: Vec<(String, Value)>,
}

impl Remote {
    /// The values of this word.
    pub fn facts(&self, word: &'static str) -> impl Iterator<Item = &Value> {
        self.facts.iter().filter(move |(known, _)| known == word).map(|(_, value)| value)
    }
}

/// Who tells.
pub struct Sender<'a> {
    /// What is told.
    pub spool: &'a Spool,
    /// To whom.
    pub replica: Replica,
    /// Whether what is damaged may be left out.
    pub leaves_out: bool,
    /// Records that are told at once.
    pub batch_records: usize,
    pub(super) told: Told,
}

impl<'a> Sender<'a> {
    /// Of this spool, to this replica.
    pub fn new(spool: &'a Spool, replica: Replica, leaves_out: bool) -> Self {
        Sender { spool, replica, leaves_out, batch_records: BATCH_RECORDS, told: Told::default() }
    }

    /// Tells of an owner. If the survey found something damaged, it is left out, or else nothing is told.
    ///
    /// # Errors
    /// [`SendError`]; what was told before it stays.
    pub async fn owner(&mut self, survey: &Survey) -> Result<Told, SendError> {
        if !survey.damaged.is_empty() && !self.leaves_out {
            return Err(SendError::Damaged(survey.damaged.len(), survey.owner.clone()));
        }
        self.told = Told::default();
        let spool = self.spool;
        let lost = survey.lost_mailboxes();
        let mut remote = self.ask(&survey.owner).await?;
        let mut opened = Vec::new();
        for listed in spool.told(&survey.owner).filter(|listed| !lost.contains(listed.name.as_str())) {
            let id = match &listed.unique_id {
                Some(id) => id.clone(),
                None => mailbox::open(self.spool, listed)?.told.unique_id,
            };
            opened.push((listed, id));
        }
        if self.spool.damaged.is_empty() && lost.is_empty() {
            let ids: BTreeSet<&str> = opened.iter().map(|(_, id)| id.as_str()).collect();
            self.remove(&mut remote, &ids).await?;
        }
        self.rename(&mut remote, &opened).await?;
        let mut roots = BTreeSet::new();
        for (listed, id) in opened {
            let found = mailbox::open(self.spool, listed)?;
            roots.extend(found.told.quota_root.clone());
            self.mailbox(&found, remote.mailboxes.get(&id), &survey.lost_messages(&listed.name)).await?;
        }
        rest::tell(self, &survey.owner, &roots, &remote).await?;
        Ok(std::mem::take(&mut self.told))
    }

    async fn ask(&mut self, owner: &str) -> Result<Remote, SendError> {
        let mut remote = Remote::default();
        for (word, value) in self.replica.get("USER", owner).await? {
            match word.as_str() {
                "MAILBOX" => {
                    let mailbox = Mailbox::read(&value)?;
                    remote.mailboxes.insert(mailbox.unique_id.clone(), mailbox);
                }
                _ => remote.facts.push((word, value)),
            }
        }
        Ok(remote)
    }

    /// Mailboxes that were told once and are not in the list any more.
    async fn remove(&mut self, remote: &mut Remote, ids: &BTreeSet<&str>) -> Result<(), SendError> {
        let gone: Vec<(String, String)> = remote
            .mailboxes
            .values()
            .filter(|one| !ids.contains(one.unique_id.as_str()))
            .map(|one| (one.unique_id.clone(), one.name.clone()))
            .collect();
        if gone.len() > REMOVED_FOLDERS_FREE && gone.len() * 2 > remote.mailboxes.len() {
            let text = format!(
                "{} of {} mailboxes that were told before are not in this spool: is it the right one, and whole?",
                gone.len(),
                remote.mailboxes.len()
            );
            return Err(SendError::Other(text));
        }
        for (id, name) in gone {
            let mut argument = Vec::new();
            crate::cyrus::dlist::put_atom(&mut argument, name.as_bytes());
            self.replica.apply("UNMAILBOX", &argument).await?;
            remote.mailboxes.remove(&id);
            self.told.others += 1;
        }
        Ok(())
    }

    /// Mailboxes that have other names than they were told with. One may have to go out of the way of another.
    async fn rename(&mut self, remote: &mut Remote, all: &[(&Listed, String)]) -> Result<(), SendError> {
        let mut waiting: Vec<&(&Listed, String)> = all
            .iter()
            .filter(|(listed, id)| remote.mailboxes.get(id).is_some_and(|known| known.name != listed.name))
            .collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut later = Vec::new();
            for one in waiting {
                let (listed, id) = one;
                if remote.mailboxes.values().any(|known| known.name == listed.name) {
                    later.push(one);
                    continue;
                }
                let Some(known) = remote.mailboxes.get_mut(id) else { continue };
                let map = MapWriter::default().text("OLDMBOXNAME", &known.name).text("NEWMBOXNAME", &listed.name);
                let map = map.text("PARTITION", &listed.partition);
                self.replica.apply("RENAME", &map.end()).await?;
                known.name.clone_from(&listed.name);
                self.told.others += 1;
            }
            if later.len() == before {
                let names: Vec<&str> = later.iter().map(|(listed, _)| listed.name.as_str()).collect();
                return Err(SendError::Other(format!("other mailboxes have the names of {}", names.join(", "))));
            }
            waiting = later;
        }
        Ok(())
    }
}
