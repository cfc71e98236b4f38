//! SELECT and EXAMINE (RFC 9051 sections 6.3.2 and 6.3.3, RFC 3501 section 6.3.1).

use std::fmt::Write as _;

use sterna_account::{Rights, UidSet};
use sterna_base::Modseq;
use sterna_formats::imap::command::Qresync;
use sterna_formats::imap::write;

use super::object_id::mailbox_id;
use super::{sets, vanished};
use crate::imap::reply::{Fail, Outcome, Reply, no_mailbox};
use crate::imap::rights::WRITING;
use crate::imap::selected::Selected;
use crate::imap::session::Session;
use crate::imap::updates;

pub async fn run(
    session: &mut Session,
    mailbox: &str,
    read_only: bool,
    condstore: bool,
    qresync: Option<Qresync>,
) -> Outcome {
    if let Some(qresync) = &qresync {
        if !session.enabled.qresync {
            return Ok(Reply::bad("ENABLE QRESYNC first"));
        }
        if session.enabled.uid_only && qresync.has_sequence_match {
            return Ok(Reply::bad("Only UIDs name messages in this session").code("UIDREQUIRED"));
        }
    }
    // A failed SELECT leaves no mailbox selected. CLOSED is due in every version (RFC 7162 section 3.2.11, RFC 9051
    // section 6.3.2).
    session.mailbox_gone = false;
    if session.selected.take().is_some() {
        session.io.output.extend_from_slice(b"* OK [CLOSED] The mailbox before is closed\r\n");
    }
    session.enabled.condstore |= condstore;
    let located = session.locate(mailbox).await?;
    let container = located.get(Rights::READ)?;
    let (id, rights, account) = (container.id, located.mailboxes.rights(container), &located.mailboxes.account);
    // RFC 4314 section 5.2.
    let read_only = read_only || !rights.has_any(WRITING);
    let view = session.shared.registry.view(account, id).await?;
    if view.picture().deleted {
        return Ok(no_mailbox());
    }
    let mut selected = Selected::new(view, account.clone(), located.shown(), rights, read_only);
    let next = selected.position.next;
    if !session.enabled.rev2 {
        selected.recent_from = session.shared.registry.recent(account.as_ref(), id, next, !read_only).await?;
    } else if !read_only {
        session.shared.registry.claim((account.id(), id), next);
    }
    describe(session, &selected);
    session.selected = Some(selected);
    if let Some(known) = qresync {
        catch_up(session, &known).await?;
    }
    let (code, text) = if read_only { ("READ-ONLY", "Opened read-only") } else { ("READ-WRITE", "Opened") };
    Ok(Reply::ok(text).code(code))
}

/// What changed since the client was here (RFC 7162 section 3.2.5); nothing when it knows another mailbox.
async fn catch_up(session: &mut Session, known: &Qresync) -> Result<(), Fail> {
    let selected = session.selected()?;
    let (uid_validity, highest) = {
        let picture = selected.view.picture();
        (picture.container.uid_validity, picture.container.highest_modseq)
    };
    if uid_validity.0 != known.uid_validity || highest.0 <= known.modseq {
        return Ok(());
    }
    let uids = match &known.known_uids {
        Some(set) => sets::uids(selected, set, true)?,
        None => UidSet::all(),
    };
    let since = Modseq(known.modseq);
    vanished::earlier(session, &uids, since).await?;
    vanished::changed(session, &uids, since).await
}

fn describe(session: &mut Session, selected: &Selected) {
    let picture = selected.view.picture();
    let (container, out) = (&picture.container, &mut session.io.output);
    updates::flags_response(&container.keywords, out);
    updates::permanent_flags(selected, out);
    let count = picture.count(selected.position);
    let mut text = format!("* {count} EXISTS\r\n");
    if session.enabled.rev2 {
        text.push_str("* LIST () \"/\" ");
        out.extend_from_slice(text.as_bytes());
        write::mailbox(&selected.name, true, out);
        text = "\r\n".to_owned();
    } else {
        let recent = picture.count_from(selected.recent_from, selected.position);
        let _ = write!(text, "* {recent} RECENT\r\n");
        if !session.enabled.uid_only
            && let Some(unseen) = picture.first_unseen(selected.position)
        {
            let _ = write!(text, "* OK [UNSEEN {unseen}] First unseen message\r\n");
        }
    }
    let _ = write!(
        text,
        "* OK [UIDVALIDITY {}] UIDs are valid\r\n* OK [UIDNEXT {}] Next UID\r\n* OK [HIGHESTMODSEQ {}] Last change\r\n\
         * OK [MAILBOXID ({})] Its name for ever\r\n",
        container.uid_validity,
        container.uid_next,
        container.highest_modseq,
        mailbox_id(selected.account.id(), container.id)
    );
    out.extend_from_slice(text.as_bytes());
}
