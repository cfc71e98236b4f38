//! How far an import is, kept in the account that it fills: in the same commits, and it moves along when that moves.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sterna_account::commit::Expect;
use sterna_account::{
    Account, AccountError, CommitError, Committed, Container, ContainerKind, Identifier, ItemParts, Mutation, NewItem,
    UidSet, container_named,
};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{BlobHash, ContainerId, OperationId, Uid};

use crate::target::content;

/// The name of the container with these notes.
pub const CONTAINER: &str = "imports";

/// One mailbox of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderState {
    /// What the source is called by administrators, in lower case: its address may change.
    pub host: String,
    /// Whose mailbox, in lower case.
    pub login: String,
    /// What the source calls it.
    pub raw: Vec<u8>,
    /// Where it comes to.
    pub container: ContainerId,
    /// Its UIDVALIDITY there.
    pub uid_validity: u32,
    /// Messages with smaller UIDs have come.
    pub uid_next: u32,
    /// Changes up to this HIGHESTMODSEQ have come; zero when none are known to have.
    pub highest_modseq: u64,
    /// Whether UIDs here are those there.
    pub is_exact: bool,
    /// If not: runs of messages, by their first UID there, their first UID here, and how many they are.
    pub runs: Vec<(u32, u32, u32)>,
    /// Whose entries in its list of rights came from the source, and whether they take rights away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub granted: Vec<(Identifier, bool)>,
    /// UIDs here of what came before the source made the mailbox anew, until the new messages have come.
    #[serde(default, skip_serializing_if = "UidSet::is_empty")]
    pub outdated: UidSet,
}

impl FolderState {
    /// The UID here of a message there.
    pub fn here(&self, there: u32) -> Option<Uid> {
        if self.is_exact {
            return (there < self.uid_next).then_some(Uid(there));
        }
        let at = self.runs.partition_point(|(first, _, _)| *first <= there).checked_sub(1)?;
        let (first, here, count) = self.runs[at];
        (there - first < count).then(|| Uid(here + (there - first)))
    }

    /// The UIDs here of messages there.
    pub fn all_here(&self, there: impl Iterator<Item = u32>) -> UidSet {
        let mut uids: Vec<Uid> = there.filter_map(|uid| self.here(uid)).collect();
        uids.sort_unstable();
        uids.into_iter().collect()
    }

    /// The UID there of a message here.
    pub fn there(&self, here: Uid) -> Option<u32> {
        if self.is_exact {
            return (here.0 < self.uid_next).then_some(here.0);
        }
        let run = self.runs.iter().find(|(_, first, count)| here.0 >= *first && here.0 - first < *count);
        run.map(|(there, first, _)| there + (here.0 - first))
    }

    /// From now on UIDs here are others.
    pub fn renumber(&mut self) {
        if self.is_exact {
            self.is_exact = false;
            self.runs = if self.uid_next > 1 { vec![(1, 1, self.uid_next - 1)] } else { Vec::new() };
        }
    }

    /// A message came, with a larger UID than all before.
    pub fn came(&mut self, there: u32, here: Uid) {
        self.uid_next = there.saturating_add(1);
        if self.is_exact {
            return;
        }
        match self.runs.last_mut() {
            Some((first, at, count)) if *first + *count == there && *at + *count == here.0 => *count += 1,
            _ => self.runs.push((there, here.0, 1)),
        }
    }
}

/// The notes of an account about one user of one source.
pub struct States {
    container: Container,
    host: String,
    login: String,
    /// Notes as they were read or written: they are written only over these.
    written: Mutex<HashMap<String, BlobHash>>,
    /// Other sources that came into the account, for people.
    pub others: BTreeSet<String>,
    /// Each mailbox that was seen.
    pub all: Vec<FolderState>,
}

impl States {
    /// Reads them.
    ///
    /// # Errors
    /// When the account can't be read; the same holds for the other methods.
    pub async fn read(account: &dyn Account, host: &str, login: &str) -> Result<Self, AccountError> {
        let container = container_named(account, ContainerKind::Settings, CONTAINER).await?;
        let (host, login) = (host.to_lowercase(), login.to_lowercase());
        let (mut all, mut others, mut written, mut after) = (Vec::new(), BTreeSet::new(), HashMap::new(), Uid(0));
        loop {
            let uids = UidSet::range(after.next(), Uid::MAX);
            let parts = ItemParts { body: true, ..ItemParts::default() };
            let page = account.items(container.id, &uids, parts, PAGE_ITEMS_MAX).await?;
            let Some(last) = page.last().map(|item| item.uid) else { break };
            for item in page {
                let bytes = content::of(account, &item).await?;
                // What a later version writes is not ours.
                let Ok(state) = serde_json::from_slice::<FolderState>(&bytes) else { continue };
                if state.host != host || state.login != login {
                    others.insert(format!("{} of {}", state.login, state.host));
                    continue;
                }
                written.extend(item.name.map(|name| (name, item.blob)));
                all.push(state);
            }
            after = last;
        }
        Ok(States { container, host, login, written: Mutex::new(written), others, all })
    }

    /// What is known of a mailbox.
    pub fn of(&self, raw: &[u8]) -> Option<&FolderState> {
        self.all.iter().find(|state| state.raw == raw)
    }

    /// The beginning of a mailbox.
    pub fn begin(&self, raw: &[u8], container: ContainerId, uid_validity: u32, is_exact: bool) -> FolderState {
        FolderState {
            host: self.host.clone(),
            login: self.login.clone(),
            raw: raw.to_vec(),
            container,
            uid_validity,
            uid_next: 1,
            highest_modseq: 0,
            is_exact,
            runs: Vec::new(),
            granted: Vec::new(),
            outdated: UidSet::default(),
        }
    }

    /// Commits these steps and notes the mailbox as it is then, whole or not at all, and only when nobody else has
    /// noted something about it since.
    pub async fn commit(
        &self,
        account: &dyn Account,
        mut steps: Vec<Mutation>,
        after: &FolderState,
    ) -> Result<Committed, AccountError> {
        let bytes = Bytes::from(serde_json::to_vec(after).unwrap_or_default());
        let (hash, content) = (BlobHash::of(&bytes), content::stored(account, bytes).await?);
        let (container, name) = (self.container.id, name_of(after));
        let known = self.written.lock().get(&name).copied();
        let expect = known.map_or(Expect::Absent, Expect::Content);
        steps.push(Mutation::Put { container, item: NewItem::named(name.clone(), content), expect });
        match account.commit(OperationId::random(), steps).await {
            Ok(committed) => {
                self.written.lock().insert(name, hash);
                Ok(committed)
            }
            Err(AccountError::Refused(CommitError::Unexpected)) => {
                let found = account.item_named(container, &name, ItemParts::default()).await?;
                if found.map(|item| item.blob) != known {
                    let text = "another import into this account is running; wait for its end";
                    return Err(AccountError::Unavailable(text.to_owned()));
                }
                Err(AccountError::Refused(CommitError::Unexpected))
            }
            Err(error) => Err(error),
        }
    }

    /// The step of a commit that forgets it.
    pub fn forget(&self, state: &FolderState) -> Mutation {
        Mutation::Remove { container: self.container.id, name: name_of(state) }
    }
}

fn name_of(state: &FolderState) -> String {
    let mut key = format!("{}\0{}\0", state.host, state.login).into_bytes();
    key.extend_from_slice(&state.raw);
    BlobHash::of(&key).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_lead_there_and_back() {
        let mut state = FolderState {
            host: String::new(),
            login: String::new(),
            raw: Vec::new(),
            container: ContainerId(1),
            uid_validity: 1,
            uid_next: 1,
            highest_modseq: 0,
            is_exact: true,
            runs: Vec::new(),
            granted: Vec::new(),
            outdated: UidSet::default(),
        };
        state.came(3, Uid(3));
        assert_eq!((state.here(3), state.here(4)), (Some(Uid(3)), None));
        state.renumber();
        for (there, here) in [(4, 10), (5, 11), (9, 12), (10, 13)] {
            state.came(there, Uid(here));
        }
        assert_eq!(state.runs, [(1, 1, 3), (4, 10, 2), (9, 12, 2)]);
        for (there, here) in [(3, Some(3)), (5, Some(11)), (6, None), (10, Some(13)), (11, None)] {
            assert_eq!(state.here(there), here.map(Uid), "{there}");
            assert!(here.is_none_or(|here| state.there(Uid(here)) == Some(there)));
        }
        assert_eq!(state.there(Uid(9)), None);
    }
}
