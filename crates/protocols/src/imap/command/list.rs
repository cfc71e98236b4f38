//! LIST (RFC 9051 section 6.3.9) with RFC 5258, 5819 and 6154.

use std::collections::BTreeSet;

use bytes::BufMut;
use sterna_account::Container;
use sterna_formats::imap::command::List;
use sterna_formats::imap::write;

use super::{status, subscribe};
use crate::imap::names::{Names, SEPARATOR, mailbox_matches, use_attribute};
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

/// Names held against the patterns before others on the thread get their turn.
const NAMES_AT_ONCE: usize = 64;

pub async fn run(session: &mut Session, list: List) -> Outcome {
    let account = session.account()?;
    if !list.extended && list.patterns == [""] {
        // Asks for the separator and the root of the reference.
        session.io.output.extend_from_slice(b"* LIST (\\Noselect) \"/\" \"\"\r\n");
        return Ok(Reply::ok("Done"));
    }
    let names = Names::load(account.as_ref()).await?;
    let wants_subscriptions = list.select_subscribed || list.return_subscribed;
    let subscribed = if wants_subscriptions { subscribe::names(account.as_ref()).await? } else { BTreeSet::new() };
    let patterns: Vec<String> = list.patterns.iter().map(|pattern| format!("{}{pattern}", list.reference)).collect();
    let is_match = |name: &str| patterns.iter().any(|pattern| mailbox_matches(pattern, name));
    for (at, (name, container)) in names.iter().enumerate() {
        if at % NAMES_AT_ONCE == 0 {
            tokio::task::yield_now().await;
        }
        let below = list.recursive_match && has_subscribed_below(&subscribed, name);
        let selected = !list.select_subscribed || subscribed.contains(name) || below;
        let used = container.special_use.and_then(use_attribute).is_some();
        if !is_match(name) || !selected || list.select_special_use && !used {
            continue;
        }
        let shown = wants_subscriptions && subscribed.contains(name);
        let attributes = attributes(container, names.has_children(container.id), shown);
        line(session, "LIST", &attributes, name, below && !subscribed.contains(name));
        if !list.return_status.is_empty() {
            status::write(session, name, container, &list.return_status);
        }
        session.io.flush_if_full().await?;
    }
    if list.select_subscribed {
        for name in subscribed.iter().filter(|name| names.find(name).is_none() && is_match(name)) {
            line(session, "LIST", &["\\Subscribed", "\\NonExistent"], name, false);
        }
    }
    Ok(Reply::ok("Done"))
}

fn has_subscribed_below(subscribed: &BTreeSet<String>, name: &str) -> bool {
    let start = format!("{name}{SEPARATOR}");
    subscribed.range(start.clone()..).next().is_some_and(|other| other.starts_with(&start))
}

fn attributes(container: &Container, has_children: bool, subscribed: bool) -> Vec<&'static str> {
    let mut attributes = vec![if has_children { "\\HasChildren" } else { "\\HasNoChildren" }];
    attributes.extend(container.special_use.and_then(use_attribute));
    if subscribed {
        attributes.push("\\Subscribed");
    }
    attributes
}

/// `* LIST (..) "/" name`; CHILDINFO says that a name is shown for the sake of those below it.
pub fn line(session: &mut Session, response: &str, attributes: &[&str], name: &str, child_info: bool) {
    let utf8 = session.enabled.utf8;
    let out = &mut session.io.output;
    out.extend_from_slice(format!("* {response} ({}) \"/\" ", attributes.join(" ")).as_bytes());
    write::mailbox(name, utf8, out);
    if child_info {
        out.extend_from_slice(b" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
    }
    out.put_slice(b"\r\n");
}
