//! Puts objects of files into collections, as PUT would: what DAV refuses is refused, with the reason in words. The
//! same object once more changes nothing, whatever it is called here.

use bytes::Bytes;
use sterna_account::commit::Expect;
use sterna_account::{Account, AccountError, CommitError, ContainerKind, Item, ItemParts, Mutation};
use sterna_base::{BlobHash, ContainerId, OperationId};

use super::method::put::{Prepared, prepare};
use super::paths::Space;

/// What became of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It is new.
    Created,
    /// One of its UID was there with another content.
    Changed,
    /// It was there.
    Unchanged,
    /// It can't be stored; why, for people.
    Refused(String),
}

/// What became of an object that another server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// It is here, under this name and with this content.
    Here {
        /// Its name.
        name: String,
        /// Its content.
        blob: BlobHash,
        /// Whether that wrote anything.
        is_new: bool,
        /// Whether something else was written over than what the other server had before.
        is_over: bool,
    },
    /// Another content of its UID is here, and stays.
    Kept,
    /// It can't be stored; why, for people.
    Refused(String),
}

/// How often a name is looked for under which an object can be here.
const NAMES_TRIED_MAX: usize = 4;

/// Puts one object of another server into a collection of this kind: under its name there if that is free, in the place
/// of what it was before (`known`: name and content here), and, where `replace` says so, of whatever else is here of
/// its UID.
///
/// # Errors
/// When the account can't be read or written, or is full.
pub async fn bring(
    account: &dyn Account,
    (container, kind): (ContainerId, ContainerKind),
    (name, text): (&str, Bytes),
    known: Option<(&str, BlobHash)>,
    replace: bool,
) -> Result<Brought, AccountError> {
    let Some(space) = Space::of(kind) else { return Ok(Brought::Refused("nothing is put there".to_owned())) };
    let prepared = match read(account, space, text).await? {
        Ok(prepared) => prepared,
        Err(why) => return Ok(Brought::Refused(why)),
    };
    let blob = prepared.hash;
    let (mut name, mut expect) = match known {
        Some((name, blob)) => (name.to_owned(), Expect::Content(blob)),
        None => (name.to_owned(), Expect::Absent),
    };
    let mut is_over = false;
    for _ in 0..NAMES_TRIED_MAX {
        let item = prepared.item(name.clone());
        let found = match account.commit(OperationId::random(), vec![Mutation::Put { container, item, expect }]).await {
            Ok(_) => return Ok(Brought::Here { name, blob, is_new: true, is_over }),
            Err(AccountError::Refused(CommitError::ObjectUidTaken { name: other })) if !other.is_empty() => {
                name = other;
                account.item_named(container, &name, ItemParts::default()).await?
            }
            Err(AccountError::Refused(CommitError::Unexpected)) => {
                account.item_named(container, &name, ItemParts::default()).await?
            }
            Err(AccountError::Refused(CommitError::InvalidName)) => {
                (name, expect) = (own_name(space, &prepared), Expect::Absent);
                continue;
            }
            Err(error) => return Err(error),
        };
        expect = match found {
            Some(found) if found.blob == blob => {
                return Ok(Brought::Here { name, blob, is_new: false, is_over: false });
            }
            Some(found) if found.object_uid == prepared.object_uid => {
                if !replace {
                    return Ok(Brought::Kept);
                }
                is_over = true;
                Expect::Content(found.blob)
            }
            // Another object is called so.
            Some(_) => {
                name = own_name(space, &prepared);
                Expect::Absent
            }
            None => Expect::Absent,
        };
    }
    Ok(Brought::Kept)
}

/// Puts one object into a collection of this kind.
///
/// # Errors
/// When the account can't be read or written, or is full.
pub async fn import(
    account: &dyn Account,
    container: ContainerId,
    kind: ContainerKind,
    text: Bytes,
) -> Result<Imported, AccountError> {
    let Some(space) = Space::of(kind) else { return Ok(Imported::Refused("nothing is imported there".to_owned())) };
    if kind == ContainerKind::DerivedCalendar {
        return Ok(Imported::Refused("only the server writes into that calendar".to_owned()));
    }
    let prepared = match read(account, space, text).await? {
        Ok(prepared) => prepared,
        Err(why) => return Ok(Imported::Refused(why)),
    };
    match put(account, container, own_name(space, &prepared), &prepared).await {
        Err(AccountError::Refused(CommitError::ObjectUidTaken { name })) if !name.is_empty() => {
            put(account, container, name, &prepared).await
        }
        done => done,
    }
}

/// Puts one object back into a collection of this kind, under the name that it had, where that is free. One whose UID
/// is there stays as it is.
///
/// # Errors
/// When the account can't be read or written, or is full.
pub async fn restore(
    account: &dyn Account,
    (container, kind): (ContainerId, ContainerKind),
    name: &str,
    text: Bytes,
) -> Result<Imported, AccountError> {
    let Some(space) = Space::of(kind) else { return Ok(Imported::Refused("nothing is put there".to_owned())) };
    let prepared = match read(account, space, text).await? {
        Ok(prepared) => prepared,
        Err(why) => return Ok(Imported::Refused(why)),
    };
    for name in [name.to_owned(), own_name(space, &prepared)] {
        let item = prepared.item(name);
        let step = Mutation::Put { container, item, expect: Expect::Absent };
        match account.commit(OperationId::random(), vec![step]).await {
            Ok(_) => return Ok(Imported::Created),
            Err(AccountError::Refused(CommitError::ObjectUidTaken { .. })) => return Ok(Imported::Unchanged),
            // Another object is called so.
            Err(AccountError::Refused(CommitError::Unexpected | CommitError::InvalidName)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Imported::Unchanged)
}

/// The object, or why it can't be stored.
async fn read(account: &dyn Account, space: Space, text: Bytes) -> Result<Result<Prepared, String>, AccountError> {
    match prepare(space, text, account).await {
        Ok(prepared) => Ok(Ok(prepared)),
        Err(problem) => match problem.cause {
            Some(cause) => Err(cause),
            None => Ok(Err(problem.text)),
        },
    }
}

/// A name that the UID leads to: the second import finds the first one without a search.
fn own_name(space: Space, prepared: &Prepared) -> String {
    let uid = prepared.object_uid.clone().unwrap_or_default();
    let ending = if space == Space::AddressBooks { "vcf" } else { "ics" };
    format!("{}.{ending}", &BlobHash::of(uid.as_bytes()).to_string()[..32])
}

async fn put(
    account: &dyn Account,
    container: ContainerId,
    name: String,
    prepared: &Prepared,
) -> Result<Imported, AccountError> {
    let known: Option<Item> = account.item_named(container, &name, ItemParts::default()).await?;
    let (expect, done) = match &known {
        Some(item) if item.blob == prepared.hash => return Ok(Imported::Unchanged),
        Some(item) => (Expect::Content(item.blob), Imported::Changed),
        None => (Expect::Absent, Imported::Created),
    };
    let item = prepared.item(name);
    account.commit(OperationId::random(), vec![Mutation::Put { container, item, expect }]).await?;
    Ok(done)
}
