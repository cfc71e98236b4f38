//! LSUB (RFC 3501 section 6.3.9), for clients of IMAP4rev1.

use std::collections::BTreeSet;

use super::{list, subscribe};
use crate::imap::names::{SEPARATOR, mailbox_matches};
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

/// A name above a subscribed one is shown as `\Noselect` when `%` stops at it.
pub async fn run(session: &mut Session, reference: &str, pattern: &str) -> Outcome {
    let account = session.account()?;
    let subscribed = subscribe::names(account.as_ref()).await?;
    let pattern = format!("{reference}{pattern}");
    let mut above = BTreeSet::new();
    for name in &subscribed {
        if mailbox_matches(&pattern, name) {
            list::line(session, "LSUB", &[], name, false);
        } else if pattern.ends_with('%') {
            let parents = name.match_indices(SEPARATOR).map(|(at, _)| &name[..at]);
            above.extend(parents.filter(|parent| mailbox_matches(&pattern, parent)));
        }
    }
    for name in above.into_iter().filter(|name| !subscribed.contains(*name)) {
        list::line(session, "LSUB", &["\\Noselect"], name, false);
    }
    Ok(Reply::ok("Done"))
}
