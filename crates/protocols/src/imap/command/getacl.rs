//! GETACL (RFC 4314 section 3.3).

use super::acl;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

pub async fn run(session: &mut Session, mailbox: &str) -> Outcome {
    let located = session.locate(mailbox).await?;
    let entries = acl::entries(session, &located).await?;
    let letters: Vec<String> = entries.iter().map(|(_, rights)| rights.with_old_letters()).collect();
    let pairs = entries.iter().zip(&letters).flat_map(|((name, _), letters)| [name.as_str(), letters.as_str()]);
    acl::line(session, "ACL", &located.shown(), &pairs.collect::<Vec<_>>());
    Ok(Reply::ok("Done"))
}
