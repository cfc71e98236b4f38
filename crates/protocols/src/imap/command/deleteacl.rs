//! DELETEACL (RFC 4314 section 3.2).

use sterna_account::Rights;

use super::acl::{self, Named};
use crate::imap::reply::Outcome;
use crate::imap::session::Session;

/// Removes one entry; that there was none is success.
pub async fn run(session: &mut Session, mailbox: &str, identifier: &str) -> Outcome {
    let located = session.locate(mailbox).await?;
    located.get(Rights::ADMINISTER)?;
    let named = Named::read(session, identifier).await?;
    acl::change(session, &located, named, Rights::NONE).await
}
