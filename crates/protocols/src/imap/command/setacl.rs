//! SETACL (RFC 4314 section 3.1).

use sterna_account::{Identifier, Rights};

use super::acl::{self, Named};
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

/// The rights replace those of the entry, or are added (`+`) or taken away (`-`).
pub async fn run(session: &mut Session, mailbox: &str, identifier: &str, rights: &str) -> Outcome {
    let (action, letters) = match rights.as_bytes().first() {
        Some(b'+') => (Action::Add, &rights[1..]),
        Some(b'-') => (Action::Remove, &rights[1..]),
        _ => (Action::Replace, rights),
    };
    let given = match Rights::parse(letters) {
        Ok(given) => given,
        Err(error) => return Ok(Reply::bad(error.to_string())),
    };
    let located = session.locate(mailbox).await?;
    let container = located.get(Rights::ADMINISTER)?;
    let named = Named::read(session, identifier).await?;
    let owner = acl::owner(&located.mailboxes);
    let before = match named.identifier {
        Identifier::Entry(id) if owner == Some(id) && !named.negative => Rights::ALL,
        identifier => container.acl.get(identifier, named.negative),
    };
    let rights = match action {
        Action::Replace => given,
        Action::Add => before | given,
        Action::Remove => before - given,
    };
    acl::change(session, &located, named, rights).await
}

enum Action {
    Replace,
    Add,
    Remove,
}
