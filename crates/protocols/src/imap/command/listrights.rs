//! LISTRIGHTS (RFC 4314 section 3.4).

use sterna_account::{Identifier, Rights};

use super::acl::{self, Named};
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

/// Nothing is tied together here, so each right stands alone, and those of RFC 2086 after them (section 2.1.1).
const EACH: [&str; 13] = ["l", "r", "s", "w", "i", "p", "k", "x", "t", "e", "a", "c", "d"];

pub async fn run(session: &mut Session, mailbox: &str, identifier: &str) -> Outcome {
    let located = session.locate(mailbox).await?;
    located.get(Rights::ADMINISTER)?;
    let named = Named::read(session, identifier).await?;
    let owner = acl::owner(&located.mailboxes).map(Identifier::Entry);
    let every = Rights::ALL.with_old_letters();
    let mut strings = vec![identifier];
    if owner == Some(named.identifier) {
        strings.push(&every);
    } else {
        strings.push("");
        strings.extend(EACH);
    }
    acl::line(session, "LISTRIGHTS", &located.shown(), &strings);
    Ok(Reply::ok("Done"))
}
