//! What automatic answers remember (`vacation` of RFC 5230 section 4.2, `duplicate` of RFC 7352): that something was
//! answered or seen, and until when that counts. It is kept with the account, and moves with it.

use std::collections::BTreeMap;

use bytes::Bytes;
use sterna_base::{BlobHash, ContainerId, Modseq, OperationId, Timestamp};

use crate::commit::Expect;
use crate::{
    Account, AccountError, ContainerKind, Content, FlagSet, ItemParts, Mutation, NewItem, UidSet, container_named,
};

/// The name of the container, which stands at the top.
pub const CONTAINER: &str = "answered";

/// What one account remembers at most; beyond it the oldest goes first.
pub const ANSWERED_MAX: u64 = 20_000;

/// How many of the oldest are looked at, to be tidied away, when something is added.
const TIDIED_MAX: usize = 32;

/// Which of some things are remembered.
#[derive(Clone, Debug)]
pub struct Answered {
    container: Option<(ContainerId, Modseq, u64)>,
    /// By name: until when.
    known: BTreeMap<String, Timestamp>,
    now: Timestamp,
}

impl Answered {
    /// Looks these up. What they are called is hidden behind a hash, so that names of any length and kind will do.
    ///
    /// # Errors
    /// When the account can't be read.
    pub async fn read(account: &dyn Account, keys: &[String], now: Timestamp) -> Result<Self, AccountError> {
        let mut answered = Answered { container: None, known: BTreeMap::new(), now };
        let found = account.containers_on_path(ContainerKind::Answered, &[CONTAINER.to_owned()]).await?;
        let Some(container) = found.first() else { return Ok(answered) };
        answered.container = Some((container.id, container.highest_modseq, container.counts.items));
        for key in keys {
            let name = name(key);
            if let Some(item) = account.item_named(container.id, &name, ItemParts::default()).await? {
                answered.known.insert(name, item.internal_date);
            }
        }
        Ok(answered)
    }

    /// Whether it is remembered, and still counts.
    pub fn contains(&self, key: &str) -> bool {
        self.known.get(&name(key)).is_some_and(|until| *until > self.now)
    }

    /// The steps of a commit that remember these until then. When somebody else was faster, the commit is
    /// [`CommitError::Unexpected`], and what was decided must be decided again.
    ///
    /// # Errors
    /// When the account can't be read, or the container can't be made.
    pub async fn remember(
        &self,
        account: &dyn Account,
        keys: &[(String, Timestamp)],
        now: Timestamp,
    ) -> Result<Vec<Mutation>, AccountError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (container, modseq, count) = match self.container {
            Some(container) => container,
            None => (make_container(account).await?, Modseq::ZERO, 0),
        };
        let mut steps = Vec::new();
        // One that is over is written anew: that nobody else does so at the same time is a question to the container.
        if keys.iter().any(|(key, _)| self.known.contains_key(&name(key))) {
            let (kind, name) = (ContainerKind::Answered, CONTAINER.to_owned());
            steps.push(Mutation::ExpectContainer { kind, name, highest_modseq: Some(modseq) });
        }
        steps.extend(self.tidy(account, container, count, now).await?);
        for (key, until) in keys {
            let name = name(key);
            let expect = if self.known.contains_key(&name) { Expect::Any } else { Expect::Absent };
            let item = NewItem {
                content: Content::Inline(Bytes::new()),
                summary: None,
                internal_date: Some(*until),
                flags: FlagSet::default(),
                name: Some(name),
                object_uid: None,
            };
            steps.push(Mutation::Put { container, item, expect });
        }
        Ok(steps)
    }

    /// The oldest that are over go; when there are too many, others, too.
    async fn tidy(
        &self,
        account: &dyn Account,
        container: ContainerId,
        count: u64,
        now: Timestamp,
    ) -> Result<Vec<Mutation>, AccountError> {
        if self.container.is_none() {
            return Ok(Vec::new());
        }
        let is_full = count >= ANSWERED_MAX;
        let oldest = account.items(container, &UidSet::all(), ItemParts::default(), TIDIED_MAX).await?;
        let over = oldest.into_iter().filter(|item| is_full || item.internal_date <= now);
        let names = over.filter_map(|item| item.name).filter(|name| name != TROUBLE && !self.known.contains_key(name));
        Ok(names.map(|name| Mutation::Remove { container, name }).collect())
    }
}

/// What went wrong with the account's active script, for its owner to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Which script: its content's name.
    pub script: BlobHash,
    /// What.
    pub text: String,
    /// When it was noticed first.
    pub since: Timestamp,
}

/// The name of the item that tells it; the others' are hashes.
const TROUBLE: &str = "trouble";

/// Longest text of it, in bytes.
const TROUBLE_BYTES_MAX: usize = 1000;

impl Trouble {
    /// What is noted.
    ///
    /// # Errors
    /// When the account can't be read.
    pub async fn read(account: &dyn Account) -> Result<Option<Self>, AccountError> {
        let found = account.containers_on_path(ContainerKind::Answered, &[CONTAINER.to_owned()]).await?;
        let Some(container) = found.first() else { return Ok(None) };
        let parts = ItemParts { body: true, ..ItemParts::default() };
        let Some(item) = account.item_named(container.id, TROUBLE, parts).await? else { return Ok(None) };
        let body = item.body.unwrap_or_default();
        let body = String::from_utf8_lossy(&body);
        let Some((script, text)) = body.split_once(' ') else { return Ok(None) };
        let Ok(script) = script.parse() else { return Ok(None) };
        Ok(Some(Trouble { script, text: text.to_owned(), since: item.internal_date }))
    }

    /// Notes it.
    ///
    /// # Errors
    /// When the account can't be written.
    pub async fn note(&self, account: &dyn Account) -> Result<(), AccountError> {
        let container = make_container(account).await?;
        let mut end = self.text.len().min(TROUBLE_BYTES_MAX);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let item = NewItem {
            content: Content::Inline(format!("{} {}", self.script, &self.text[..end]).into()),
            summary: None,
            internal_date: Some(self.since),
            flags: FlagSet::default(),
            name: Some(TROUBLE.to_owned()),
            object_uid: None,
        };
        let step = Mutation::Put { container, item, expect: Expect::Any };
        account.commit(OperationId::random(), vec![step]).await.map(drop)
    }
}

fn name(key: &str) -> String {
    blake3::derive_key("sterna account answered 1", key.as_bytes())
        .iter()
        .take(16)
        .map(|b| format!("{b:02x}"))
        .collect()
}

async fn make_container(account: &dyn Account) -> Result<ContainerId, AccountError> {
    Ok(container_named(account, ContainerKind::Answered, CONTAINER).await?.id)
}
