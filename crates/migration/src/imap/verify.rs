//! Whether a mailbox here is what it is there: each message, by UID, with date, length and flags.

use std::collections::BTreeMap;

use sterna_account::{Account, FlagSet, Item, ItemParts, Keyword, UidSet};
use sterna_base::Uid;
use sterna_base::limits::PAGE_ITEMS_MAX;

use super::apply::kept_flags;
use super::client::Session;
use super::fetch::{self, Fetched};
use super::folders::SourceFolder;
use super::pass::{open, shown_flags};
use super::state::FolderState;
use crate::run::report::{ImportError, Report};
use crate::target::flags::key;

/// Compares, and reports each difference.
///
/// # Errors
/// When one of both can't be read.
pub async fn verify(
    account: &dyn Account,
    session: &mut Session,
    folder: &SourceFolder,
    state: &FolderState,
    report: &Report,
) -> Result<(), ImportError> {
    let opened = open(session, folder).await?;
    let mut there: BTreeMap<u32, Fetched> = BTreeMap::new();
    if opened.exists > 0 {
        let take = |one: Fetched| _ = there.insert(one.uid, one);
        fetch::each(session, "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)", take).await?;
    }
    let container = account.container(state.container).await?;
    let Some(container) = container else {
        report.difference(format!("{}: it is not here", folder.shown));
        return Ok(());
    };
    if opened.uid_validity != state.uid_validity
        || state.is_exact && (container.uid_validity.0 != opened.uid_validity || container.uid_next.0 < opened.uid_next)
    {
        report.difference(format!("{}: its UIDVALIDITY or UIDNEXT is another one", folder.shown));
    }
    let (mut after, mut compared) = (Uid(0), 0);
    loop {
        let uids = UidSet::range(after.next(), Uid::MAX);
        let page = account.items(container.id, &uids, ItemParts::default(), PAGE_ITEMS_MAX).await?;
        let Some(last) = page.last().map(|item| item.uid) else { break };
        for item in &page {
            let Some(uid) = state.there(item.uid) else {
                report.note(format!("{}: UID {} is only here", folder.shown, item.uid));
                continue;
            };
            compared += 1;
            match there.remove(&uid) {
                None => report.difference(format!("{};UID={uid}: it is not there any more", folder.shown)),
                Some(one) => compare(folder, &one, item, &container.keywords, report),
            }
        }
        after = last;
    }
    let set_aside = report.now().set_aside;
    for uid in there.keys() {
        let name = format!("{};UID={uid}", folder.shown);
        if !set_aside.contains(&name) {
            report.difference(format!("{name}: it has not come"));
        }
    }
    report.with(|report| report.compared += compared);
    Ok(())
}

fn compare(folder: &SourceFolder, there: &Fetched, here: &Item, known: &[Keyword], report: &Report) {
    let name = || format!("{};UID={}", folder.shown, there.uid);
    if there.size != here.size {
        report.difference(format!("{}: {} bytes there, {} here", name(), there.size, here.size));
    }
    if there.date.is_some_and(|date| date.seconds() != here.internal_date.seconds()) {
        report.difference(format!("{}: its internal date is another one", name()));
    }
    let keywords = here.flags.keyword_bits().filter_map(|bit| known.get(bit).cloned()).collect();
    let ours = FlagSet { system: here.flags.system, keywords };
    let theirs = kept_flags(there, &folder.shown, report);
    if key(&ours) != key(&theirs) {
        let words = |flags: &FlagSet| format!("{} {}", shown_flags(flags.system), key(flags).1.join(" "));
        report.difference(format!("{}: the flags are {} there, {} here", name(), words(&theirs), words(&ours)));
    }
}
