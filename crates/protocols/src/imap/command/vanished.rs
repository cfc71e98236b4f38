//! What vanished while a client was away (RFC 7162 sections 3.2.5.2 and 3.2.6): told from the tombstones, which are
//! kept for ever, so that the answer is never more than what is asked for.

use sterna_account::{Account, UidSet};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{Modseq, Uid};
use sterna_formats::imap::write;

use crate::imap::reply::Fail;
use crate::imap::session::Session;
use crate::imap::updates;

/// `* VANISHED (EARLIER) uids`: those of the set that were expunged after this modseq, as far as the session's mailbox
/// knows of it. What vanished since then is told like every news.
pub async fn earlier(session: &mut Session, known: &UidSet, since: Modseq) -> Result<(), Fail> {
    let account = session.selected_account()?;
    let selected = session.selected()?;
    let (container, synced) = (selected.id, selected.position.expunges);
    let gone = expunged(account.as_ref(), container, known, since, synced).await?;
    if !gone.is_empty() {
        let mut line = b"* VANISHED (EARLIER) ".to_vec();
        write::sequence_set(gone.iter().map(|uid| uid.0), &mut line);
        line.extend_from_slice(b"\r\n");
        session.io.output.extend_from_slice(&line);
    }
    Ok(session.io.flush_if_full().await?)
}

async fn expunged(
    account: &dyn Account,
    container: sterna_base::ContainerId,
    known: &UidSet,
    since: Modseq,
    synced: Modseq,
) -> Result<UidSet, Fail> {
    let mut gone = UidSet::new();
    let mut after = Uid(0);
    loop {
        let page = account.expunged(container, since, after, PAGE_ITEMS_MAX).await?;
        let Some(last) = page.last().map(|last| last.uid) else { return Ok(gone) };
        after = last;
        let told = page.iter().filter(|row| row.modseq <= synced && known.contains(row.uid));
        told.for_each(|row| gone.push(row.uid));
    }
}

/// The flags of the messages among these that changed after this modseq.
pub async fn changed(session: &mut Session, known: &UidSet, since: Modseq) -> Result<(), Fail> {
    let ranges: Vec<(u32, u32)> = known.ranges().iter().map(|(low, high)| (low.0, high.0)).collect();
    let mut after = Uid(0);
    loop {
        let enabled = session.enabled;
        let selected = session.selected()?;
        let (picked, keywords) = {
            let picture = selected.view.picture();
            let picked = picture.pick(selected.position, &ranges, true, after, PAGE_ITEMS_MAX);
            (picked, picture.container.keywords.clone())
        };
        let recent_from = selected.recent_from;
        let Some(last) = picked.last() else { return Ok(()) };
        after = last.uid;
        for message in picked.iter().filter(|message| message.modseq > since) {
            let recent = message.uid >= recent_from;
            updates::fetch_flags(message, &keywords, recent, enabled, true, &mut session.io.output);
        }
        session.io.flush_if_full().await?;
    }
}
