//! Messages that only some of their accounts could take.
//!
//! SMTP has one reply for all recipients. When one account can't take a message now, the reply is 451, and the sender
//! comes again with the same bytes for everybody. Such a message is remembered with the transaction under which the
//! accounts took it; when it comes again, its commits get the same operation ids, and the accounts that have it
//! already answer from memory. Messages that nobody was told to repeat are never compared with anything: the same
//! bytes sent twice on purpose arrive twice. The reasons are in docs/decisions/0004-smtp-partial-delivery.md.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use sterna_account::service::Envelope;
use sterna_base::{BlobHash, OperationId, Timestamp, atomic_file};

use crate::limits::{REPEAT_FILE_BYTES_MAX, REPEATS_MAX, REPEATS_RETENTION_MS};

/// First line of every file.
const FORMAT: &str = "sterna-repeat 1";

/// What is known of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Repeat {
    /// When it was first remembered.
    since: Timestamp,
    /// The recipients that were told to come again, with the transaction of their first try.
    pending: BTreeMap<String, OperationId>,
}

/// The remembered messages of a node. They are kept in a folder too, because senders come again after a restart.
pub struct Repeats {
    folder: Option<PathBuf>,
    known: Mutex<HashMap<BlobHash, Repeat>>,
}

/// Names a message of a sender: content as it was received, and reverse-path.
pub fn key(envelope: &Envelope) -> BlobHash {
    let mut hasher = blake3::Hasher::new_derive_key("sterna mailflow repeated message 1");
    hasher.update(&envelope.received_hash.0);
    hasher.update(envelope.mail_from.as_bytes());
    BlobHash(*hasher.finalize().as_bytes())
}

impl Repeats {
    /// Reads what was remembered; the folder is made when it isn't there. Blocks. A file that can't be understood is
    /// passed over with a log line: it can cost a second copy, never a message.
    ///
    /// # Errors
    /// When the folder can't be made or read.
    pub fn open(folder: &Path, now: Timestamp) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut known = HashMap::new();
        for entry in std::fs::read_dir(folder)?.take(2 * REPEATS_MAX) {
            let path = entry?.path();
            match read(&path) {
                Some((_, repeat)) if is_over(&repeat, now) => remove(&path),
                Some((key, repeat)) => drop(known.insert(key, repeat)),
                None => tracing::warn!(path = %path.display(), "not a remembered message; the file is passed over"),
            }
        }
        Ok(Repeats { folder: Some(folder.to_owned()), known: Mutex::new(known) })
    }

    /// Forgets everything when it is dropped.
    pub fn in_memory() -> Self {
        Repeats { folder: None, known: Mutex::new(HashMap::new()) }
    }

    /// The transaction of the recipient's earlier try, if it was told to come again.
    pub fn transaction(&self, key: BlobHash, recipient: &str, now: Timestamp) -> Option<OperationId> {
        let known = self.known.lock();
        let repeat = known.get(&key).filter(|repeat| !is_over(repeat, now))?;
        repeat.pending.get(recipient).copied()
    }

    /// After a try: `again` are the recipients that are told to come again, `settled` those with a final answer.
    /// Returns when that is on the disk; a failure is logged, because a second copy is no reason to refuse a message.
    pub async fn settle(&self, key: BlobHash, again: Vec<(String, OperationId)>, settled: &[&str], now: Timestamp) {
        let (changed, forgotten) = self.change(key, again, settled, now);
        let Some(folder) = &self.folder else { return };
        if changed.is_none() && forgotten.is_empty() {
            return;
        }
        let folder = folder.clone();
        let write = move || {
            for key in forgotten {
                remove(&folder.join(key.to_string()));
            }
            match changed {
                Some(repeat) => atomic_file::write(&folder.join(key.to_string()), render(&repeat).as_bytes(), 0o600),
                None => Ok(()),
            }
        };
        let result = tokio::task::spawn_blocking(write).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        if let Err(error) = result {
            tracing::warn!(%error, "a message that will come again could not be remembered on disk");
        }
    }

    /// The entry to be written, if it changed, and the keys whose files can go.
    fn change(
        &self,
        key: BlobHash,
        again: Vec<(String, OperationId)>,
        settled: &[&str],
        now: Timestamp,
    ) -> (Option<Repeat>, Vec<BlobHash>) {
        let mut known = self.known.lock();
        if again.is_empty() && !known.contains_key(&key) {
            return (None, Vec::new());
        }
        let mut forgotten = Vec::new();
        if known.len() >= REPEATS_MAX && !known.contains_key(&key) {
            forgotten = make_room(&mut known, now);
        }
        let repeat = known.entry(key).or_insert_with(|| Repeat { since: now, pending: BTreeMap::new() });
        let before = repeat.clone();
        for recipient in settled {
            repeat.pending.remove(*recipient);
        }
        repeat.pending.extend(again);
        if repeat.pending.is_empty() {
            known.remove(&key);
            forgotten.push(key);
            return (None, forgotten);
        }
        let unchanged = *repeat == before && !before.pending.is_empty();
        ((!unchanged).then(|| repeat.clone()), forgotten)
    }

    /// How many messages are remembered.
    pub fn len(&self) -> usize {
        self.known.lock().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Forgets what is over, or else the oldest sixteenth: room is made seldom, so it may look at all.
fn make_room(known: &mut HashMap<BlobHash, Repeat>, now: Timestamp) -> Vec<BlobHash> {
    let mut by_age: Vec<(Timestamp, BlobHash)> = known.iter().map(|(key, repeat)| (repeat.since, *key)).collect();
    by_age.sort_unstable();
    let over = by_age.iter().take_while(|(since, _)| since.plus_ms(REPEATS_RETENTION_MS) <= now).count();
    let forgotten: Vec<BlobHash> = by_age.into_iter().take(over.max(REPEATS_MAX / 16)).map(|(_, key)| key).collect();
    for key in &forgotten {
        known.remove(key);
    }
    forgotten
}

fn is_over(repeat: &Repeat, now: Timestamp) -> bool {
    repeat.since.plus_ms(REPEATS_RETENTION_MS) <= now
}

fn render(repeat: &Repeat) -> String {
    let mut text = format!("{FORMAT}\n{}\n", repeat.since.0);
    for (recipient, transaction) in &repeat.pending {
        text.push_str(&format!("{transaction} {recipient}\n"));
    }
    text
}

fn parse(text: &str) -> Option<Repeat> {
    let mut lines = text.lines();
    (lines.next()? == FORMAT).then_some(())?;
    let since = Timestamp(lines.next()?.parse().ok()?);
    let pending = lines.map(|line| {
        let (transaction, recipient) = line.split_once(' ')?;
        Some((recipient.to_owned(), transaction.parse().ok()?))
    });
    Some(Repeat { since, pending: pending.collect::<Option<_>>()? })
}

fn read(path: &Path) -> Option<(BlobHash, Repeat)> {
    let key = path.file_name()?.to_str()?.parse().ok()?;
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(REPEAT_FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some((key, parse(&text)?))
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a remembered message could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: BlobHash = BlobHash([7; 32]);
    const TRANSACTION: OperationId = OperationId([1; 16]);

    fn again(names: &[&str]) -> Vec<(String, OperationId)> {
        names.iter().map(|name| ((*name).to_owned(), TRANSACTION)).collect()
    }

    #[tokio::test]
    async fn remembers_over_a_restart_until_all_are_settled() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp(1000);
        let repeats = Repeats::open(folder.path(), now).unwrap();
        repeats.settle(KEY, again(&["a@x", "b c@x"]), &[], now).await;
        let repeats = Repeats::open(folder.path(), now).unwrap();
        assert_eq!(repeats.transaction(KEY, "b c@x", now), Some(TRANSACTION));
        assert_eq!(repeats.transaction(KEY, "other@x", now), None);
        repeats.settle(KEY, Vec::new(), &["a@x"], now).await;
        let repeats = Repeats::open(folder.path(), now).unwrap();
        assert_eq!(repeats.transaction(KEY, "a@x", now), None);
        repeats.settle(KEY, Vec::new(), &["b c@x"], now).await;
        assert!(repeats.is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn forgets_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let repeats = Repeats::open(folder.path(), Timestamp(0)).unwrap();
        repeats.settle(KEY, again(&["a@x"]), &[], Timestamp(0)).await;
        let late = Timestamp(REPEATS_RETENTION_MS);
        assert_eq!(repeats.transaction(KEY, "a@x", late), None);
        assert!(Repeats::open(folder.path(), late).unwrap().is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn makes_room_by_age() {
        let repeats = Repeats::in_memory();
        for n in 0..=REPEATS_MAX {
            let key = BlobHash::of(&n.to_le_bytes());
            repeats.change(key, again(&["a@x"]), &[], Timestamp(n as i64));
        }
        assert!(repeats.len() <= REPEATS_MAX);
        assert_eq!(repeats.transaction(BlobHash::of(&0usize.to_le_bytes()), "a@x", Timestamp(0)), None);
    }

    #[test]
    fn strange_files_are_not_understood() {
        for text in ["", "sterna-repeat 2\n0\n", "sterna-repeat 1\nx\n", "sterna-repeat 1\n0\nzz a@x\n"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
