//! Telling a replica what an owner has besides mailboxes: quotas, subscriptions, what was seen, scripts.

use std::collections::BTreeSet;

use super::scripts::{self, ENDING, Scripts};
use super::send::{Remote, SendError, Sender};
use super::users;
use crate::cyrus::dlist::{MapWriter, Value};
use crate::cyrus::names;
use crate::cyrus::staging::sha1;

/// Tells it, as far as it isn't known.
pub(super) async fn tell(
    sender: &mut Sender<'_>,
    owner: &str,
    roots: &BTreeSet<String>,
    remote: &Remote,
) -> Result<(), SendError> {
    for root in roots {
        // One that can't be read is among what is damaged.
        let limits = users::quota(&sender.spool.config, root).unwrap_or_default();
        let known = remote.facts("QUOTA").find(|value| value.text_of("ROOT").is_ok_and(|known| known == *root));
        let is_known = known.map_or(limits.is_empty(), |value| users::same_quota(value, &limits));
        if !is_known {
            apply(sender, "QUOTA", users::told_quota(root, &limits)).await?;
        }
    }
    let Some(person) = sender.spool.person(owner) else { return Ok(()) };
    let [inbox, _] = names::prefixes(owner);
    if let Ok(subscribed) = users::subscriptions(&sender.spool.config, &person, &inbox) {
        subscriptions(sender, owner, subscribed, remote).await?;
    }
    for seen in users::seen(&sender.spool.config, &person).unwrap_or_default() {
        let [last_read, last_uid, last_change] = seen.numbers;
        let map = MapWriter::default().text("USERID", owner).text("UNIQUEID", &seen.unique_id);
        let map = map.number("LASTREAD", last_read).number("LASTUID", last_uid).number("LASTCHANGE", last_change);
        let map = map.text("SEENUIDS", &seen.uids).end();
        let mut known = remote.facts("SEEN");
        let is_same = |value: &Value| {
            value.text_of("UNIQUEID").is_ok_and(|id| id == seen.unique_id)
                && value.text_of("SEENUIDS").is_ok_and(|uids| uids == seen.uids)
                && value.number_of("LASTUID").is_ok_and(|uid| uid == last_uid)
        };
        if !known.any(is_same) {
            apply(sender, "SEEN", map).await?;
        }
    }
    let found = scripts::read(sender.spool, owner, &person);
    scripts(sender, owner, found, remote).await
}

async fn apply(sender: &mut Sender<'_>, what: &str, map: Vec<u8>) -> Result<(), SendError> {
    sender.replica.apply(what, &map).await?;
    sender.told.others += 1;
    Ok(())
}

async fn subscriptions(
    sender: &mut Sender<'_>,
    owner: &str,
    wanted: Vec<String>,
    remote: &Remote,
) -> Result<(), SendError> {
    let wanted: BTreeSet<String> = wanted.into_iter().collect();
    let known: BTreeSet<String> = remote.facts("LSUB").flat_map(Value::list).map(Value::text).collect();
    let map = |name: &String| MapWriter::default().text("USERID", owner).text("MBOXNAME", name).end();
    for name in wanted.difference(&known) {
        // Some list mailboxes that have no owner.
        if names::read(name).is_some() {
            apply(sender, "SUB", map(name)).await?;
        }
    }
    for name in known.difference(&wanted) {
        apply(sender, "UNSUB", map(name)).await?;
    }
    Ok(())
}

async fn scripts(sender: &mut Sender<'_>, owner: &str, found: Scripts, remote: &Remote) -> Result<(), SendError> {
    let known =
        |file: &str| remote.facts("SIEVE").find(|value| value.text_of("FILENAME").is_ok_and(|name| name == file));
    let map = |file: &str| MapWriter::default().text("USERID", owner).text("FILENAME", file);
    let mut files = BTreeSet::new();
    for script in &found.all {
        let file = format!("{}{ENDING}", script.name);
        let is_known =
            known(&file).is_some_and(|value| value.text_of("GUID").is_ok_and(|guid| guid == sha1(&script.text)));
        if !is_known {
            let map = map(&file).number("LAST_UPDATE", script.updated).text("CONTENT", &script.text);
            apply(sender, "SIEVE", map.end()).await?;
        }
        files.insert(file);
    }
    let active = found.active.map(|name| format!("{name}{ENDING}")).filter(|file| files.contains(file));
    let is_active = |value: &&Value| value.number_or_zero("ISACTIVE") == Ok(1);
    let known_active = remote.facts("SIEVE").find(is_active).and_then(|value| value.text_of("FILENAME").ok());
    if active != known_active {
        match &active {
            Some(file) => {
                let compiled = format!("{}.bc", file.trim_end_matches(ENDING));
                apply(sender, "ACTIVATE_SIEVE", map(&compiled).end()).await?;
            }
            None => apply(sender, "UNACTIVATE_SIEVE", MapWriter::default().text("USERID", owner).end()).await?,
        }
    }
    if found.damaged.is_empty() {
        let gone = remote.facts("SIEVE").filter_map(|value| value.text_of("FILENAME").ok());
        for file in gone.filter(|file| !files.contains(file)) {
            apply(sender, "UNSIEVE", map(&file).end()).await?;
        }
    }
    Ok(())
}
