//! GETQUOTA and GETQUOTAROOT (RFC 9208 section 4.1). An account is one quota root; SETQUOTA is the administrator's.

use bytes::BufMut;
use sterna_account::{Account, Quota, Rights};
use sterna_formats::imap::write::{self, number};

use crate::imap::mailboxes::level_of;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

/// The name of the user's own root.
const OWN_ROOT: &str = "Account";

/// What lets somebody ask for the quota of somebody else's mailbox: whoever reads it or fills it.
const ASKING: Rights = Rights::from_letters("ri");

pub async fn run(session: &mut Session, root: &str) -> Outcome {
    if root != OWN_ROOT {
        return Ok(Reply::no("There is no such quota root").code("NONEXISTENT"));
    }
    let account = session.account()?;
    quota(session, account.as_ref(), root).await
}

pub async fn root(session: &mut Session, mailbox: &str) -> Outcome {
    let located = session.locate(mailbox).await?;
    if located.find(ASKING).is_none() {
        located.get(Rights::READ)?;
    }
    let root = located.mailboxes.owner.as_ref().map_or_else(|| OWN_ROOT.to_owned(), level_of);
    let utf8 = session.enabled.utf8;
    let out = &mut session.io.output;
    out.extend_from_slice(b"* QUOTAROOT ");
    write::mailbox(&located.shown(), utf8, out);
    out.put_u8(b' ');
    write::string(root.as_bytes(), utf8, out);
    out.extend_from_slice(b"\r\n");
    quota(session, located.mailboxes.account.as_ref(), &root).await
}

pub fn set() -> Outcome {
    Ok(Reply::no("Quotas are set by the administrator").code("NOPERM"))
}

/// `* QUOTA root (..)`, with the resources that are limited.
async fn quota(session: &mut Session, account: &dyn Account, root: &str) -> Outcome {
    let Quota { bytes_max, items_max, bytes_used, items_used } = account.head().await?.quota;
    let storage = bytes_max.map(|max| ("STORAGE", bytes_used.div_ceil(1024), max / 1024));
    let messages = items_max.map(|max| ("MESSAGE", items_used, max));
    let utf8 = session.enabled.utf8;
    let out = &mut session.io.output;
    out.extend_from_slice(b"* QUOTA ");
    write::string(root.as_bytes(), utf8, out);
    out.put_u8(b' ');
    write::list(storage.into_iter().chain(messages), out, |(resource, used, max), out| {
        out.extend_from_slice(resource.as_bytes());
        out.put_u8(b' ');
        number(used, out);
        out.put_u8(b' ');
        number(max, out);
    });
    out.extend_from_slice(b"\r\n");
    Ok(Reply::ok("Done"))
}
