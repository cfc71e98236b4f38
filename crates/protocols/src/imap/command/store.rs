//! STORE (RFC 9051 section 6.4.6, RFC 7162 section 3.1.3).

use sterna_account::{FlagAction, FlagSet, Keyword, Mutation, Outcome as Done, SystemFlag, UidSet};
use sterna_base::{Modseq, Uid};
use sterna_formats::imap::command::{Store, StoreAction};
use sterna_formats::imap::write;

use super::sets;
use crate::imap::limits::STEP_MESSAGES;
use crate::imap::picture::Picked;
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;
use crate::imap::updates;

pub async fn run(session: &mut Session, store: Store) -> Outcome {
    session.enabled.condstore |= store.unchanged_since.is_some();
    let flags = flag_set(&store.flags)?;
    let selected = session.writable()?;
    let uids = sets::uids(selected, &store.set, store.uid)?;
    let action = match store.action {
        StoreAction::Replace => FlagAction::Replace,
        StoreAction::Add => FlagAction::Add,
        StoreAction::Remove => FlagAction::Remove,
    };
    let (container, unchanged_since) = (selected.id, store.unchanged_since.map(Modseq));
    let step = Mutation::StoreFlags { container, uids: uids.clone(), action, flags, unchanged_since };
    let committed = session.commit(vec![step]).await?;
    session.see_commit().await?;
    session.tell_keywords();
    let Some(Done::Flagged { changed, modified }) = committed.outcomes.into_iter().next() else {
        return Ok(Reply::no("The server could not do that").code("SERVERBUG"));
    };
    let own = session.selected()?;
    if !changed.is_empty() {
        // Everything of this commit is told here, or need not be told. One that changed nothing took no modseq of its
        // own: the one it names is of somebody else's commit.
        own.silent.push(committed.modseq);
    }
    if !store.silent {
        show(session, &uids, &modified, false).await?;
    } else if session.enabled.condstore {
        show(session, &changed, &UidSet::new(), true).await?;
    }
    modified_reply(session, &modified, store.uid)
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
                out.extend_from_slice(format!("* {} FETCH (UID {}", message.sequence, message.uid).as_bytes());
                updates::write_modseq(message.modseq, out);
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
    let mut numbers = bytes::BytesMut::new();
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
