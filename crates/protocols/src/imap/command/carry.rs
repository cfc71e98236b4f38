//! COPY and MOVE from one account to another: read here, append there durably, and only then expunge here.
//!
//! Two accounts have no commit in common. A MOVE that is interrupted leaves messages in both, never in none; when it is
//! done again, what was appended is found by its operation id and not appended twice. A COPY has no such memory: two of
//! them are meant to make two copies.

use sterna_account::{
    Account, Content, FlagSet, Flags, Item, ItemParts, Keyword, Mutation, NewItem, Outcome as Done, SystemFlag, UidSet,
};
use sterna_base::limits::{BLOB_CHUNK_BYTES, INLINE_BLOB_BYTES_MAX};
use sterna_base::{ContainerId, OperationId, Uid, UidValidity};

use super::copy::{Copied, Target};
use crate::imap::limits::{CARRIED_BYTES_MAX, STEP_BODIES};
use crate::imap::reply::{Fail, Reply, no_mailbox};
use crate::imap::rights;
use crate::imap::session::Session;

/// Carries messages over, in steps that fit into memory.
pub async fn run(
    session: &mut Session,
    source: &dyn Account,
    from: ContainerId,
    uids: UidSet,
    target: &Target,
    expunge: bool,
) -> Result<Copied, Fail> {
    let found = target.account.container(target.container).await?.ok_or_else(no_mailbox)?;
    let mut copied = Copied { uid_validity: found.uid_validity, pairs: Vec::new() };
    match steps(session, source, from, uids, target, expunge, &mut copied).await {
        Ok(()) => Ok(copied),
        Err(fail) if expunge => Err(fail),
        Err(fail) => {
            // RFC 9051 section 6.4.7: all of them or none.
            let uids: UidSet = copied.pairs.iter().map(|(_, new)| *new).collect();
            let undo = Mutation::Expunge { container: target.container, uids, deleted_only: false };
            if !copied.pairs.is_empty() && session.commit(target.account.as_ref(), vec![undo]).await.is_err() {
                tracing::warn!(peer = %session.peer, account = %target.account.id(),
                    "a COPY broke off, and the messages that it had copied could not be taken back");
            }
            Err(fail)
        }
    }
}

async fn steps(
    session: &mut Session,
    source: &dyn Account,
    from: ContainerId,
    mut uids: UidSet,
    target: &Target,
    expunge: bool,
    copied: &mut Copied,
) -> Result<(), Fail> {
    // Steps are cut the same way whenever this is tried: they are named by what is in them.
    while !uids.is_empty() {
        let mut page = source
            .items(from, &uids, ItemParts { summary: true, body: true, ..ItemParts::default() }, STEP_BODIES)
            .await?;
        let mut bytes = 0;
        let fitting = page.iter().take_while(|item| {
            bytes += item.size;
            bytes <= CARRIED_BYTES_MAX
        });
        page.truncate(fitting.count().max(1));
        let Some(last) = page.last().map(|item| item.uid) else { return Ok(()) };
        let moved: Vec<Uid> = page.iter().map(|item| item.uid).collect();
        let new = append(session, source, from, page, target, expunge).await?;
        copied.pairs.extend(moved.iter().copied().zip(new));
        session.tell_progress(copied.pairs.len(), None).await?;
        if expunge {
            let uids = moved.into_iter().collect();
            let step = Mutation::Expunge { container: from, uids, deleted_only: false };
            session.commit(source, vec![step]).await?;
        }
        uids = after(&uids, last);
    }
    Ok(())
}

/// Appends one step's messages in one commit; their new UIDs.
async fn append(
    session: &mut Session,
    source: &dyn Account,
    from: ContainerId,
    page: Vec<Item>,
    target: &Target,
    expunge: bool,
) -> Result<Vec<Uid>, Fail> {
    // Read after the items: keywords only grow.
    let container = source.container(from).await?.ok_or_else(no_mailbox)?;
    let operation = if expunge { move_of(source, from, container.uid_validity, &page, target) } else { None };
    let mut steps = Vec::with_capacity(page.len());
    for item in page {
        let flags = rights::allowed(&named(item.flags, &container.keywords), target.rights);
        let (summary, internal_date) = (item.summary.clone(), Some(item.internal_date));
        let content = content(source, item, target.account.as_ref()).await?;
        let item = NewItem { content, summary, internal_date, flags, name: None, object_uid: None };
        steps.push(Mutation::Append { container: target.container, item });
    }
    let account = target.account.as_ref();
    let Some(operation) = operation else {
        return uids_of(session.commit(account, steps).await?.outcomes);
    };
    let committed = session.commit_as(account, operation, steps.clone()).await?;
    let new = uids_of(committed.outcomes)?;
    if committed.repeated && !all_there(account, target.container, &new).await? {
        // Appended by an earlier MOVE, and expunged since: it must not vanish here as well.
        return uids_of(session.commit(account, steps).await?.outcomes);
    }
    Ok(new)
}

/// Names the append of these messages by a MOVE, the same whenever it is tried: UIDs are never given again.
fn move_of(
    source: &dyn Account,
    from: ContainerId,
    uid_validity: UidValidity,
    page: &[Item],
    target: &Target,
) -> Option<OperationId> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"imap move");
    let places = [source.id().0, from.0, u64::from(uid_validity.0), target.account.id().0, target.container.0];
    for number in places.into_iter().chain(page.iter().map(|item| u64::from(item.uid.0))) {
        hasher.update(&number.to_le_bytes());
    }
    OperationId::from_slice(&hasher.finalize().as_bytes()[..16])
}

async fn all_there(account: &dyn Account, container: ContainerId, uids: &[Uid]) -> Result<bool, Fail> {
    let set: UidSet = uids.iter().copied().collect();
    let found = account.items(container, &set, ItemParts::default(), uids.len()).await?;
    Ok(found.len() == uids.len())
}

fn uids_of(outcomes: Vec<Done>) -> Result<Vec<Uid>, Fail> {
    let uid = |done| match done {
        Done::Appended { uid, .. } => Ok(uid),
        _ => Err(Reply::no("The server could not do that").code("SERVERBUG").into()),
    };
    outcomes.into_iter().map(uid).collect()
}

/// Flags by name: the bits of keywords mean something else in another mailbox.
fn named(flags: Flags, keywords: &[Keyword]) -> FlagSet {
    let system = SystemFlag::ALL.into_iter().filter(|flag| flags.has(*flag));
    let mut set = system.fold(FlagSet::default(), FlagSet::with);
    flags.keyword_bits().filter_map(|bit| keywords.get(bit)).for_each(|keyword| set.insert(keyword.clone()));
    set
}

/// A small message comes along; a large one is staged in the other account, piece by piece.
async fn content(source: &dyn Account, item: Item, target: &dyn Account) -> Result<Content, Fail> {
    if let Some(body) = item.body.filter(|body| body.len() <= INLINE_BLOB_BYTES_MAX) {
        return Ok(Content::Inline(body));
    }
    let mut upload = target.stage_blob().await?;
    let mut offset = 0;
    while offset < item.size {
        let piece = source.blob(item.blob, offset..item.size.min(offset + BLOB_CHUNK_BYTES as u64)).await?;
        if piece.is_empty() {
            return Err(Reply::no("The message can't be read").code("SERVERBUG").into());
        }
        offset += piece.len() as u64;
        upload.write(piece).await?;
    }
    Ok(Content::Stored(upload.finish().await?.0))
}

/// Those of a set that come after.
fn after(uids: &UidSet, last: Uid) -> UidSet {
    let left = uids.ranges().iter().filter(|(_, high)| *high > last);
    UidSet::from_ranges(left.map(|(low, high)| ((*low).max(last.next()), *high)).collect())
}
