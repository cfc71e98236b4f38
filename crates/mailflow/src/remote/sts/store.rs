//! Policies that were fetched, over restarts: a file for each domain, and all of them in memory.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use sterna_base::{BlobHash, Timestamp, atomic_file};

use super::policy::{POLICY_BYTES_MAX, Policy};

/// Policies that are kept; beyond it the oldest is forgotten.
pub const POLICIES_MAX: usize = 20_000;

/// First line of every file.
const FORMAT: &str = "sterna-sts 1";

/// What a file has beside the policy, at most.
const HEAD_BYTES_MAX: usize = 1024;

/// A policy with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its id when it was fetched.
    pub id: String,
    /// When that was.
    pub fetched: Timestamp,
    /// The policy.
    pub policy: Policy,
}

impl Kept {
    /// Whether it still holds.
    pub fn holds(&self, now: Timestamp) -> bool {
        let seconds = i64::try_from(self.policy.max_age_seconds).unwrap_or(i64::MAX);
        now < self.fetched.plus_ms(seconds.saturating_mul(1000))
    }
}

/// See the module.
pub struct Store {
    folder: PathBuf,
    known: Mutex<HashMap<String, Arc<Kept>>>,
}

impl Store {
    /// Reads what is there; the folder is made if it isn't. What holds no more goes. Blocks.
    ///
    /// # Errors
    /// When the folder can't be made or read.
    pub fn open(folder: &Path, now: Timestamp) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut known = HashMap::new();
        for entry in std::fs::read_dir(folder)?.take(2 * POLICIES_MAX) {
            let path = entry?.path();
            match read(&path) {
                Some((domain, kept)) if kept.holds(now) => drop(known.insert(domain, Arc::new(kept))),
                _ => remove(&path),
            }
        }
        Ok(Store { folder: folder.to_owned(), known: Mutex::new(known) })
    }

    /// The policy of a domain, if it still holds.
    pub fn of(&self, domain: &str, now: Timestamp) -> Option<Arc<Kept>> {
        self.known.lock().get(domain).filter(|kept| kept.holds(now)).cloned()
    }

    /// The domains whose policies hold.
    pub fn domains(&self, now: Timestamp) -> Vec<String> {
        let known = self.known.lock();
        known.iter().filter(|(_, kept)| kept.holds(now)).map(|(domain, _)| domain.clone()).collect()
    }

    /// Keeps a policy. What can't be written is kept until the node ends, and fetched again then.
    pub async fn put(&self, domain: &str, kept: Kept) {
        let text = format!("{FORMAT}\n{domain}\n{}\n{}\n{}\n", kept.id, kept.fetched.0, kept.policy.lines.join("\n"));
        let path = self.path(domain);
        let oldest = {
            let mut known = self.known.lock();
            known.insert(domain.to_owned(), Arc::new(kept));
            let by_age = |(_, kept): &(&String, &Arc<Kept>)| kept.fetched;
            let oldest =
                (known.len() > POLICIES_MAX).then(|| known.iter().min_by_key(by_age).map(|(name, _)| name.clone()));
            let oldest = oldest.flatten();
            oldest.inspect(|name| drop(known.remove(name)))
        };
        let forgotten = oldest.map(|name| self.path(&name));
        let writing = tokio::task::spawn_blocking(move || {
            forgotten.iter().for_each(|path| remove(path));
            atomic_file::write(&path, text.as_bytes(), 0o600)
        });
        if let Err(error) = writing.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            tracing::warn!(domain, %error, "an MTA-STS policy could not be kept on disk");
        }
    }

    /// A name of its own for whatever a domain is called.
    fn path(&self, domain: &str) -> PathBuf {
        self.folder.join(BlobHash::of(domain.as_bytes()).to_string())
    }
}

fn read(path: &Path) -> Option<(String, Kept)> {
    let mut text = String::new();
    let limit = (POLICY_BYTES_MAX + HEAD_BYTES_MAX) as u64;
    std::fs::File::open(path).ok()?.take(limit).read_to_string(&mut text).ok()?;
    let mut parts = text.splitn(5, '\n');
    (parts.next()? == FORMAT).then_some(())?;
    let (domain, id) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let fetched = Timestamp(parts.next()?.parse().ok()?);
    Some((domain, Kept { id, fetched, policy: Policy::parse(parts.next()?).ok()? }))
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "an old MTA-STS policy could not be removed");
    }
}
