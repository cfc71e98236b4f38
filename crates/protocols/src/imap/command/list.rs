//! LIST (RFC 9051 section 6.3.9) with RFC 5258, 5819, 6154, 8440 and 9590.
//!
//! The user's own mailboxes come first and wait for nobody. Those of others follow, if a pattern reaches them; whose
//! server doesn't answer is said in an untagged NO.

use std::collections::BTreeSet;

use bytes::BufMut;
use sterna_account::shares::Owner;
use sterna_account::{Account, Container, Rights};
use sterna_base::ContainerId;
use sterna_formats::imap::command::List;
use sterna_formats::imap::write;

use super::{metadata, myrights, status, subscribe};
use crate::imap::limits::OWNERS_NAMED_MAX;
use crate::imap::mailboxes::{OTHERS, SHARED, is_elsewhere, level_of};
use crate::imap::names::{Names, SEPARATOR, mailbox_matches, matches_below, use_attribute};
use crate::imap::others::{self, Listed};
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

/// Names held against the patterns before others on the thread get their turn.
const NAMES_AT_ONCE: usize = 64;

/// What is asked for.
struct Wanted {
    list: List,
    patterns: Vec<String>,
    subscribed: BTreeSet<String>,
    /// Subscribed names that were listed, or whose mailboxes can't be asked for.
    settled: BTreeSet<String>,
}

/// A name that may be listed.
struct Name<'a> {
    name: &'a str,
    container: Option<&'a Container>,
    account: Option<&'a dyn Account>,
    rights: Rights,
    has_children: bool,
    /// Where the notes about it are (METADATA).
    notes: Option<ContainerId>,
    /// Whether it is the user's own: uses are somebody's own, and so are not shown to others (RFC 6154).
    own: bool,
    /// Whether its server answered.
    answered: bool,
}

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
    let patterns = list.patterns.iter().map(|pattern| format!("{}{pattern}", list.reference)).collect();
    let mut wanted = Wanted { list, patterns, subscribed, settled: BTreeSet::new() };
    for (at, (name, container)) in names.iter().enumerate() {
        if at % NAMES_AT_ONCE == 0 {
            tokio::task::yield_now().await;
        }
        let has_children = names.has_children(container.id);
        let notes = names.notes(container.id);
        let (account, rights, container) = (Some(account.as_ref()), Rights::ALL, Some(container));
        let name = Name { name, container, account, rights, has_children, notes, own: true, answered: true };
        show(session, &mut wanted, &name).await?;
    }
    if let Err(fail) = list_others(session, &mut wanted).await {
        match fail {
            Fail::Reply(reply) if reply.status == "NO" => {
                let line = format!("* NO [UNAVAILABLE] Mailboxes of others are not listed: {}\r\n", reply.text);
                session.io.output.extend_from_slice(line.as_bytes());
                wanted.settled.extend(wanted.subscribed.iter().filter(|name| is_elsewhere(name)).cloned());
            }
            fail => return Err(fail),
        }
    }
    if wanted.list.select_subscribed {
        let asked = |name: &&String| wanted.matches(name) && !(wanted.list.select_special_use && is_elsewhere(name));
        for name in wanted.subscribed.difference(&wanted.settled).filter(asked) {
            line(session, "LIST", &["\\Subscribed", "\\NonExistent"], name, false);
        }
    }
    Ok(Reply::ok("Done"))
}

impl Wanted {
    fn matches(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| mailbox_matches(pattern, name))
    }

    /// Whether anything below this level may be listed.
    fn reaches(&self, level: &str) -> bool {
        let start = format!("{level}{SEPARATOR}");
        self.patterns.iter().any(|pattern| matches_below(pattern, &start))
    }
}

async fn list_others(session: &mut Session, wanted: &mut Wanted) -> Result<(), Fail> {
    let spaces = [OTHERS, SHARED].map(|space| (space, wanted.matches(space), wanted.reaches(space)));
    let any_subscribed = wanted.subscribed.iter().any(|name| is_elsewhere(name));
    let is_asked = |(_, itself, below): &(&str, bool, bool)| *itself || *below;
    if !spaces.iter().any(is_asked)
        || wanted.list.select_special_use
        || wanted.list.select_subscribed && !any_subscribed
    {
        return Ok(());
    }
    // Nobody's own mailboxes wait for those of others.
    session.io.flush().await?;
    let known = session.sharing().await?;
    for (space, _, below) in spaces {
        let is_of = |owner: &&Owner| owner.shared_mailbox == (space == SHARED);
        let owners: Vec<Owner> = known.owners.iter().filter(is_of).cloned().collect();
        if owners.is_empty() {
            continue;
        }
        level(session, wanted, space).await?;
        let is_asked = |owner: &Owner| {
            let level = level_of(owner);
            below && (wanted.matches(&level) || wanted.reaches(&level))
        };
        let asked: Vec<Owner> = owners.into_iter().filter(is_asked).collect();
        let shared = session.shared.clone();
        let listed = others::load(&shared.accounts, &shared.remembered, &asked, &known.who).await;
        for one in &listed {
            list_one(session, wanted, one).await?;
        }
        tell_missing(session, listed.iter().filter(|one| !one.answered));
    }
    Ok(())
}

/// The names of one owner under the level of their address.
async fn list_one(session: &mut Session, wanted: &mut Wanted, one: &Listed) -> Result<(), Fail> {
    let above = level_of(&one.owner);
    let names = one.mailboxes.as_ref().map(others::visible).unwrap_or_default();
    if !names.is_empty() || !one.answered {
        level(session, wanted, &above).await?;
    }
    for (at, found) in names.iter().enumerate() {
        if at % NAMES_AT_ONCE == 0 {
            tokio::task::yield_now().await;
        }
        let name = format!("{above}{SEPARATOR}{}", found.name);
        let others::Name { container, rights, has_children, notes, .. } = *found;
        let account = one.mailboxes.as_ref().map(|(mailboxes, _)| mailboxes.account.as_ref());
        let answered = one.answered;
        let name = Name { name: &name, container, account, rights, has_children, notes, own: false, answered };
        show(session, wanted, &name).await?;
    }
    if !one.answered {
        // Whether they exist is not known.
        let start = format!("{above}{SEPARATOR}");
        let unsettled: Vec<String> = wanted.subscribed.difference(&wanted.settled).cloned().collect();
        for name in unsettled.into_iter().filter(|name| name.starts_with(&start)) {
            if wanted.list.select_subscribed && wanted.matches(&name) {
                line(session, "LIST", &["\\Subscribed"], &name, false);
            }
            wanted.settled.insert(name);
        }
    }
    Ok(())
}

/// A level that is no mailbox.
async fn level(session: &mut Session, wanted: &mut Wanted, name: &str) -> Result<(), Fail> {
    let (account, rights, container, notes) = (None, Rights::NONE, None, None);
    let has_children = true;
    show(session, wanted, &Name { name, container, account, rights, has_children, notes, own: false, answered: true })
        .await
}

/// Lists a name, if it is asked for.
async fn show(session: &mut Session, wanted: &mut Wanted, found: &Name<'_>) -> Result<(), Fail> {
    let Name { name, container, .. } = *found;
    let list = &wanted.list;
    let subscribed = wanted.subscribed.contains(name);
    let below = list.recursive_match && has_subscribed_below(&wanted.subscribed, name);
    let selected = !list.select_subscribed || subscribed || below;
    let special_use = container.filter(|_| found.own).and_then(|container| container.special_use);
    let used = special_use.and_then(use_attribute);
    if subscribed && container.is_some() {
        wanted.settled.insert(name.to_owned());
    }
    let list = &wanted.list;
    if !selected || list.select_special_use && used.is_none() || !wanted.matches(name) {
        return Ok(());
    }
    let mut attributes = vec![if found.has_children { "\\HasChildren" } else { "\\HasNoChildren" }];
    if container.is_none() {
        attributes.insert(0, "\\Noselect");
    }
    attributes.extend(used);
    if subscribed {
        attributes.push("\\Subscribed");
    }
    line(session, "LIST", &attributes, name, below && !subscribed);
    let Some(container) = container else { return Ok(()) };
    if let Some(account) = found.account
        && !list.return_status.is_empty()
        && found.rights.has(Rights::READ)
        && found.answered
    {
        match status::write(session, name, account, container, &list.return_status).await {
            // RFC 5819 section 2: what can't be told is left out, and the listing goes on.
            Err(Fail::Account(error)) => tracing::debug!(peer = %session.peer, %error, "a STATUS could not be told"),
            told => told?,
        }
    }
    if let Some(account) = found.account
        && !list.return_metadata.is_empty()
        && found.answered
    {
        let (mailbox, entries) = ((name, container), list.return_metadata.as_slice());
        match metadata::list(session, account, mailbox, found.notes, found.rights, entries).await {
            // RFC 9590 section 3: the same holds here.
            Err(Fail::Account(error)) => tracing::debug!(peer = %session.peer, %error, "METADATA could not be told"),
            told => told?,
        }
    }
    if list.return_my_rights {
        myrights::write(session, name, found.rights);
    }
    Ok(session.io.flush_if_full().await?)
}

/// `* NO [UNAVAILABLE] ..`: whose mailboxes could not be asked for.
fn tell_missing<'a>(session: &mut Session, missing: impl Iterator<Item = &'a Listed>) {
    let names: Vec<&str> = missing.map(|one| one.owner.address.as_str()).collect();
    if names.is_empty() {
        return;
    }
    let named = names[..names.len().min(OWNERS_NAMED_MAX)].join(", ");
    let more = match names.len().saturating_sub(OWNERS_NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    // Response texts are ASCII in IMAP4rev1.
    let text: String = named.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    let line = format!("* NO [UNAVAILABLE] Mailboxes of {text}{more} can't be reached at the moment\r\n");
    session.io.output.extend_from_slice(line.as_bytes());
}

fn has_subscribed_below(subscribed: &BTreeSet<String>, name: &str) -> bool {
    let start = format!("{name}{SEPARATOR}");
    subscribed.range(start.clone()..).next().is_some_and(|other| other.starts_with(&start))
}

/// `* LIST (..) "/" name`, with the name that it had (RFC 5465 section 5.4).
pub fn renamed_line(session: &mut Session, attributes: &[&str], name: &str, old: Option<&str>) {
    let Some(old) = old else { return line(session, "LIST", attributes, name, false) };
    let utf8 = session.enabled.utf8;
    let out = &mut session.io.output;
    out.extend_from_slice(format!("* LIST ({}) \"/\" ", attributes.join(" ")).as_bytes());
    write::mailbox(name, utf8, out);
    out.extend_from_slice(b" (\"OLDNAME\" (");
    write::mailbox(old, utf8, out);
    out.put_slice(b"))\r\n");
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
