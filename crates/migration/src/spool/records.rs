//! Telling a replica of one mailbox: messages that it lacks, then records, some at a time.

use std::collections::{BTreeMap, BTreeSet};

use super::index::Entry;
use super::mailbox::Opened;
use super::message;
use super::send::{SendError, Sender};
use super::survey::has_messages;
use crate::cyrus::crc::Sums;
use crate::cyrus::mailbox::{Mailbox, Record};
use crate::limits::BATCH_SENT_BYTES;

/// Both sides differ.
const CHECKSUM: &str = "IMAP_SYNC_CHECKSUM";

/// What the other side has of a mailbox.
enum Known {
    /// What had changed up to this modseq, with UIDs up to this one.
    Until { modseq: u64, last_uid: u32 },
    /// These records.
    Records(BTreeMap<u32, Record>),
}

impl Known {
    /// Whether a record must be told.
    fn lacks(&self, record: &Record) -> bool {
        match self {
            Known::Until { modseq, last_uid } => record.uid > *last_uid || record.modseq > *modseq,
            Known::Records(records) => records.get(&record.uid).is_none_or(|known| {
                let sums = |record: &Record| {
                    let mut sums = Sums::default();
                    sums.toggle(record);
                    sums
                };
                known.is_expunged() != record.is_expunged() || sums(known) != sums(record)
            }),
        }
    }

    /// Whether the message of a record may be needed.
    fn may_lack_message(&self, record: &Record) -> bool {
        match self {
            Known::Until { last_uid, .. } => record.uid > *last_uid,
            Known::Records(records) => records.get(&record.uid).is_none_or(Record::is_expunged),
        }
    }
}

impl Sender<'_> {
    /// Tells of a mailbox; `lost` are UIDs of messages that are left out.
    pub(super) async fn mailbox(
        &mut self,
        opened: &Opened,
        remote: Option<&Mailbox>,
        lost: &BTreeSet<u32>,
    ) -> Result<(), SendError> {
        let mut sums = Sums::default();
        for one in opened.records() {
            let (entry, record) = one?;
            if !lost.contains(&entry.uid) {
                sums.toggle(&record);
            }
        }
        let whole = Mailbox { sums: (sums.basic, sums.annotations), ..opened.told.clone() };
        if remote.is_some_and(|remote| is_same(remote, &whole)) {
            return Ok(());
        }
        self.told.mailboxes += 1;
        let (modseq, last_uid) = remote.map_or((0, 0), |remote| (remote.highest_modseq, remote.last_uid));
        match self.tell(opened, &whole, lost, &Known::Until { modseq, last_uid }).await {
            Err(error) if remote.is_some() && error.is_refused(CHECKSUM) => {
                let known = self.records_of(&whole.name).await?;
                self.tell(opened, &whole, lost, &Known::Records(known)).await
            }
            done => done,
        }
    }

    async fn records_of(&mut self, name: &str) -> Result<BTreeMap<u32, Record>, SendError> {
        let answers = self.replica.get("FULLMAILBOX", name).await?;
        let mut found = BTreeMap::new();
        for value in answers.iter().filter_map(|(_, value)| value.get("RECORD")).flat_map(|records| records.list()) {
            let record = Record::read(value)?;
            found.insert(record.uid, record);
        }
        Ok(found)
    }

    async fn tell(
        &mut self,
        opened: &Opened,
        whole: &Mailbox,
        lost: &BTreeSet<u32>,
        known: &Known,
    ) -> Result<(), SendError> {
        let mut batch = Batch::default();
        let mut here = BTreeSet::new();
        for one in opened.records() {
            let (entry, record) = one?;
            if lost.contains(&entry.uid) {
                continue;
            }
            if let Known::Records(_) = known {
                here.insert(entry.uid);
            }
            if !known.lacks(&record) {
                continue;
            }
            if batch.is_full(&record, self.batch_records) {
                let last_uid = batch.records.last().map_or(0, |record| record.uid);
                // The sums of a part are nobody's: they are compared at the end.
                let last_uid = last_uid.max(match known {
                    Known::Until { last_uid, .. } => *last_uid,
                    Known::Records(records) => records.last_key_value().map_or(0, |(uid, _)| *uid),
                });
                let part = Mailbox { sums: (0, 0), last_uid: last_uid.min(whole.last_uid), ..whole.clone() };
                self.batch(opened, &part, std::mem::take(&mut batch)).await?;
            }
            let has_message = known.may_lack_message(&record) && !record.is_expunged() && has_messages(&whole.name);
            batch.push(entry, record, has_message);
        }
        if let Known::Records(records) = known {
            // What only the other side has was expunged, and forgotten here.
            let only_there = records.values().filter(|record| !record.is_expunged() && !here.contains(&record.uid));
            batch.records.extend(only_there.cloned().map(|mut record| {
                record.flags.push("\\Expunged".to_owned());
                record
            }));
        }
        self.batch(opened, whole, batch).await
    }

    async fn batch(&mut self, opened: &Opened, told: &Mailbox, batch: Batch) -> Result<(), SendError> {
        if !batch.messages.is_empty() {
            let guids = batch.messages.keys().cloned();
            let missing = self.replica.missing(&told.partition, &told.name, guids).await?;
            let mut sent = Vec::new();
            for (guid, entry) in batch.messages.iter().filter(|(guid, _)| missing.contains(*guid)) {
                sent.push((guid, entry, message::find(opened.folders_of(entry), entry)?));
            }
            if !sent.is_empty() {
                self.send(told, &sent).await?;
            }
        }
        self.replica.apply("MAILBOX", &told.write(Some(&batch.records))).await?;
        Ok(())
    }

    async fn send(&mut self, told: &Mailbox, sent: &[(&String, &Entry, std::path::PathBuf)]) -> Result<(), SendError> {
        let mut messages = self.replica.messages();
        let mut damaged = None;
        for (guid, entry, path) in sent {
            match message::open(path, entry) {
                Ok(body) => {
                    self.told.bytes += body.size();
                    messages.send(&told.partition, guid, body).await?;
                    self.told.messages += 1;
                }
                // The command must end well, or nothing more could be told.
                Err(error) => {
                    damaged = Some(error);
                    break;
                }
            }
        }
        messages.end().await?;
        damaged.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// Records that are told at once, and messages that go before them.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    messages: BTreeMap<String, Entry>,
    bytes: u64,
}

impl Batch {
    fn is_full(&self, next: &Record, records_max: usize) -> bool {
        !self.records.is_empty()
            && (self.records.len() >= records_max || self.bytes.saturating_add(next.size) > BATCH_SENT_BYTES)
    }

    fn push(&mut self, entry: Entry, record: Record, has_message: bool) {
        if has_message {
            self.bytes += record.size;
            self.messages.insert(record.guid.clone(), entry);
        }
        self.records.push(record);
    }
}

/// Whether nothing needs to be told. Where a mailbox is, and when somebody was there last, is of no use at the other
/// side.
fn is_same(one: &Mailbox, other: &Mailbox) -> bool {
    let plain = |mailbox: &Mailbox| Mailbox { numbers: Vec::new(), partition: String::new(), ..mailbox.clone() };
    plain(one) == plain(other)
}
