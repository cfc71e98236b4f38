//! GETQUOTA and GETQUOTAROOT (RFC 9208 section 4.1). An account with limits is one quota root; SETQUOTA is the
//! administrator's. An account without limits has no root: the grammar has no empty list of resources, and Thunderbird
//! gives up on one.

use bytes::BufMut;
use sterna_account::{Account, AccountError, Quota, Rights};
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
    let limits = Limits::of(account.as_ref()).await?;
    if limits.is_empty() {
        return Ok(Reply::no("The account has no limits").code("NONEXISTENT"));
    }
    quota(session, &limits, root);
    Ok(Reply::ok("Done"))
}

pub async fn root(session: &mut Session, mailbox: &str) -> Outcome {
    let located = session.locate(mailbox).await?;
    if located.find(ASKING).is_none() {
        located.get(Rights::READ)?;
    }
    let root = located.mailboxes.owner.as_ref().map_or_else(|| OWN_ROOT.to_owned(), level_of);
    let limits = Limits::of(located.mailboxes.account.as_ref()).await?;
    let utf8 = session.enabled.utf8;
    let out = &mut session.io.output;
    out.extend_from_slice(b"* QUOTAROOT ");
    write::mailbox(&located.shown(), utf8, out);
    if limits.is_empty() {
        out.extend_from_slice(b"\r\n");
        return Ok(Reply::ok("Done"));
    }
    out.put_u8(b' ');
    write::string(root.as_bytes(), utf8, out);
    out.extend_from_slice(b"\r\n");
    quota(session, &limits, &root);
    Ok(Reply::ok("Done"))
}

pub fn set() -> Outcome {
    Ok(Reply::no("Quotas are set by the administrator").code("NOPERM"))
}

/// The resources that are limited: name, what is used, and the limit.
struct Limits(Vec<(&'static str, u64, u64)>);

impl Limits {
    async fn of(account: &dyn Account) -> Result<Self, AccountError> {
        let Quota { bytes_max, items_max, bytes_used, items_used } = account.head().await?.quota;
        let storage = bytes_max.map(|max| ("STORAGE", bytes_used.div_ceil(1024), max / 1024));
        let messages = items_max.map(|max| ("MESSAGE", items_used, max));
        Ok(Limits(storage.into_iter().chain(messages).collect()))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `* QUOTA root (..)`
fn quota(session: &mut Session, limits: &Limits, root: &str) {
    let utf8 = session.enabled.utf8;
    let out = &mut session.io.output;
    out.extend_from_slice(b"* QUOTA ");
    write::string(root.as_bytes(), utf8, out);
    out.put_u8(b' ');
    write::list(limits.0.iter(), out, |(resource, used, max), out| {
        out.extend_from_slice(resource.as_bytes());
        out.put_u8(b' ');
        number(*used, out);
        out.put_u8(b' ');
        number(*max, out);
    });
    out.extend_from_slice(b"\r\n");
}
