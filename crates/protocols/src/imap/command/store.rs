//! STORE (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3).

use sterna_account::{FlagAction, FlagSet, Keyword, Mutation, Outcome as Done, Rights, SystemFlag, UidSet};
use sterna_base::{Modseq, Uid};
use sterna_formats::imap::command::{Store, StoreAction};
use sterna_formats::imap::write;

use super::sets;
use crate::imap::limits::STEP_MESSAGES;
use crate::imap::picture::Picked;
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::rights;
use crate::imap::session::Session;
use crate::imap::updates;

pub async fn run(session: &mut Session, store: Store) -> Outcome {
    session.enabled.condstore |= store.unchanged_since.is_some();
    let flags = flag_set(&store.flags)?;
    let selected = session.writable(Rights::NONE)?;
    let rights = selected.rights;
    let uids = sets::uids(selected, &store.set, store.uid)?;
    let action = match store.action {
        StoreAction::Replace => FlagAction::Replace,
        StoreAction::Add => FlagAction::Add,
        StoreAction::Remove => FlagAction::Remove,
    };
    let (container, unchanged_since) = (selected.id, store.unchanged_since.map(Modseq));
    let steps = permitted(action, flags, rights, &selected.view.picture().container.keywords)?;
    let (mut changed, mut modified, mut left, mut since) =
        (UidSet::new(), UidSet::new(), uids.clone(), unchanged_since);
    for (action, flags) in steps {
        let step = Mutation::StoreFlags { container, uids: left.clone(), action, flags, unchanged_since: since };
        let committed = session.commit_selected(vec![step]).await?;
        let Some(Done::Flagged { changed: now, modified: spared }) = committed.outcomes.into_iter().next() else {
            return Ok(Reply::no("The server could not do that").code("SERVERBUG"));
        };
        if !now.is_empty() {
            // Everything of this commit is told here, or need not be told. One that changed nothing took no modseq of
            // its own: the one it names is of somebody else's commit.
            session.selected()?.silent.push(committed.modseq);
            // What this command itself has changed doesn't count as changed meanwhile.
            since = since.map(|since| since.max(committed.modseq));
        }
        left = without(&left, &spared);
        changed = union(&changed, &now);
        modified = union(&modified, &spared);
    }
    session.see_commit().await?;
    session.tell_keywords();
    if !store.silent {
        show(session, &uids, &modified, false).await?;
    } else if session.enabled.condstore {
        show(session, &changed, &UidSet::new(), true).await?;
    }
    modified_reply(session, &modified, store.uid)
}

/// What is stored by whom: those of the flags that the user may change (RFC 4314 section 4). A replacement by somebody
/// who may not change every flag is to add those that are meant and to remove the others that may be removed.
fn permitted(
    action: FlagAction,
    flags: FlagSet,
    rights: Rights,
    known: &[Keyword],
) -> Result<Vec<(FlagAction, FlagSet)>, Fail> {
    if rights::every_flag(rights) {
        return Ok(vec![(action, flags)]);
    }
    let mine = rights::allowed(&flags, rights);
    if action != FlagAction::Replace {
        let nothing = mine.is_empty() && !flags.is_empty();
        return if nothing { Err(rights::denied().into()) } else { Ok(vec![(action, mine)]) };
    }
    let system = SystemFlag::ALL.into_iter().fold(0, |all, flag| all | flag as u8);
    let mut others = rights::allowed(&FlagSet { system, keywords: known.to_vec() }, rights);
    if others.is_empty() {
        return Err(rights::denied().into());
    }
    others.system &= !mine.system;
    others.keywords.retain(|keyword| !mine.keywords.contains(keyword));
    Ok(vec![(FlagAction::Add, mine), (FlagAction::Remove, others)])
}

fn union(one: &UidSet, other: &UidSet) -> UidSet {
    UidSet::from_ranges(one.ranges().iter().chain(other.ranges()).copied().collect())
}

/// The messages of a set but some. Costs as much as these, and nothing when there are none.
fn without(set: &UidSet, but: &UidSet) -> UidSet {
    let mut ranges = set.ranges().to_vec();
    for (low, high) in but.ranges() {
        let cut = |(from, to): (Uid, Uid)| {
            let before = (from, Uid(low.0.saturating_sub(1)).min(to));
            let after = (Uid(high.0.saturating_add(1)).max(from), to);
            [before, after].into_iter().filter(|(from, to)| from <= to)
        };
        ranges = ranges.into_iter().flat_map(cut).collect();
    }
    UidSet::from_ranges(ranges)
}

/// One line for each message: its flags, or only its modseq.
async fn show(session: &mut Session, uids: &UidSet, but: &UidSet, modseq_only: bool) -> Result<(), Fail> {
    let ranges: Vec<(u32, u32)> = uids.ranges().iter().map(|(low, high)| (low.0, high.0)).collect();
    let mut after = Uid(0);
    loop {
        let enabled = session.enabled;
        let Some(selected) = &session.selected else { return Ok(()) };
        let view = selected.view.clone();
        let (picked, keywords): (Vec<Picked>, Vec<Keyword>) = {
            let picture = view.picture();
            let picked = picture.pick(selected.position, &ranges, true, after, STEP_MESSAGES);
            (picked, picture.container.keywords.clone())
        };
        let Some(last) = picked.last() else { return Ok(()) };
        after = last.uid;
        let recent_from = selected.recent_from;
        let out = &mut session.io.output;
        for message in picked.iter().filter(|message| !but.contains(message.uid)) {
            if modseq_only {
                updates::fetch_start(message, enabled, out);
                if !enabled.uid_only {
                    out.extend_from_slice(format!("UID {} ", message.uid).as_bytes());
                }
                out.extend_from_slice(format!("MODSEQ ({})", message.modseq).as_bytes());
                out.extend_from_slice(b")\r\n");
            } else {
                let recent = message.uid >= recent_from;
                updates::fetch_flags(message, &keywords, recent, enabled, enabled.condstore, out);
            }
        }
        session.io.flush_if_full().await?;
    }
}

/// MODIFIED names the messages that UNCHANGEDSINCE spared, in the numbers that the client used.
fn modified_reply(session: &mut Session, modified: &UidSet, uid: bool) -> Outcome {
    if modified.is_empty() {
        return Ok(Reply::ok("Done"));
    }
    let selected = session.selected()?;
    let mut numbers = Vec::new();
    if uid {
        write::sequence_set(modified.iter().map(|uid| uid.0), &mut numbers);
    } else {
        let picture = selected.view.picture();
        let known = modified.iter().filter_map(|uid| picture.find(uid, selected.position));
        write::sequence_set(known.map(|picked| picked.sequence), &mut numbers);
    }
    let code = format!("MODIFIED {}", String::from_utf8_lossy(&numbers));
    Ok(Reply::ok("Some messages had changed").code(code))
}

/// Flags by name; `\Recent` can't be set, and unknown system flags don't exist.
pub fn flag_set(names: &[String]) -> Result<FlagSet, Fail> {
    let mut set = FlagSet::default();
    for name in names {
        if let Some(flag) = SystemFlag::parse(name) {
            set = set.with(flag);
        } else if name.starts_with('\\') {
            return Err(Reply::bad(format!("There is no flag {name}")).into());
        } else {
            let keyword = Keyword::new(name.as_str());
            set.insert(keyword.map_err(|error| Fail::Reply(Reply::no(error.to_string()).code("LIMIT")))?);
        }
    }
    Ok(set)
}
