//! How far an import is, kept in the account that it fills: it moves along when that moves.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sterna_account::commit::Expect;
use sterna_account::{
    Account, AccountError, ContainerKind, Item, ItemParts, Mutation, NewItem, UidSet, container_named,
};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{BlobHash, ContainerId, OperationId, Uid};

use crate::target::content;

/// The name of the container with these notes.
const CONTAINER: &str = "dav-imports";

/// An object that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its entity tag there.
    pub etag: String,
    /// What it is called here, where that is another name than there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its content here.
    pub blob: BlobHash,
}

/// One collection of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What the source is called by administrators, in lower case: its address may change.
    pub host: String,
    /// Whose collection.
    pub login: String,
    /// Its path there.
    pub path: String,
    /// Where it comes to.
    pub container: ContainerId,
    /// What the source says while nothing changes there; `None` until all of it has come.
    pub mark: Option<String>,
    /// What came, by its name there.
    pub objects: BTreeMap<String, Known>,
}

/// The notes of an account about one user of one source.
pub struct Notes {
    container: ContainerId,
    host: String,
    login: String,
    /// Other sources that came into the account, for people.
    pub others: BTreeSet<String>,
    /// Each collection that was seen, by its path there.
    pub all: BTreeMap<String, Note>,
}

impl Notes {
    /// Reads them.
    ///
    /// # Errors
    /// When the account can't be read; the same holds for the other methods.
    pub async fn read(account: &dyn Account, host: &str, login: &str) -> Result<Self, AccountError> {
        let container = container_named(account, ContainerKind::Settings, CONTAINER).await?.id;
        let (host, login) = (host.to_lowercase(), login.to_owned());
        let (mut all, mut others) = (BTreeMap::new(), BTreeSet::new());
        for item in items(account, container, ItemParts { body: true, ..ItemParts::default() }).await? {
            let bytes = content::of(account, &item).await?;
            // What a later version writes is not ours.
            let Ok(note) = serde_json::from_slice::<Note>(&bytes) else { continue };
            if note.host == host && note.login == login {
                all.insert(note.path.clone(), note);
            } else {
                others.insert(format!("{} of {}", note.login, note.host));
            }
        }
        Ok(Notes { container, host, login, others, all })
    }

    /// The beginning of a collection.
    pub fn begin(&self, path: &str, container: ContainerId) -> Note {
        let (host, login, path) = (self.host.clone(), self.login.clone(), path.to_owned());
        Note { host, login, path, container, mark: None, objects: BTreeMap::new() }
    }

    /// Whether a collection of the source, other than the one at this path, comes into this one here.
    pub fn is_taken(&self, container: ContainerId, path: &str) -> bool {
        self.all.values().any(|note| note.container == container && note.path != path)
    }

    /// Notes how far a collection is.
    pub async fn keep(&mut self, account: &dyn Account, note: Note) -> Result<(), AccountError> {
        let bytes = Bytes::from(serde_json::to_vec(&note).unwrap_or_default());
        let item = NewItem::named(name_of(&note), content::stored(account, bytes).await?);
        // One import at a time fills an account.
        let step = Mutation::Put { container: self.container, item, expect: Expect::Any };
        account.commit(OperationId::random(), vec![step]).await?;
        self.all.insert(note.path.clone(), note);
        Ok(())
    }
}

fn name_of(note: &Note) -> String {
    BlobHash::of(format!("{}\0{}\0{}", note.host, note.login, note.path).as_bytes()).to_string()
}

/// All items of a container.
///
/// # Errors
/// When the account can't be read.
pub async fn items(account: &dyn Account, container: ContainerId, parts: ItemParts) -> Result<Vec<Item>, AccountError> {
    let (mut all, mut after) = (Vec::new(), Uid(0));
    loop {
        let page = account.items(container, &UidSet::range(after.next(), Uid::MAX), parts, PAGE_ITEMS_MAX).await?;
        let Some(last) = page.last().map(|item| item.uid) else { return Ok(all) };
        all.extend(page);
        after = last;
    }
}
