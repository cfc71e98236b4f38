//! What would be told of an owner, and what of it is damaged: found before anything is told.

use std::collections::BTreeSet;

use serde::Serialize;

use super::disk::Spool;
use super::list::Listed;
use super::mailbox::Opened;
use super::{SpoolError, mailbox, message, scripts, users};
use crate::cyrus::names;

/// How closely is looked at messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Their files are there and have the right length.
    Lengths,
    /// Their contents are right, too: all of them are read.
    Contents,
}

/// Something that is damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The mailbox; empty when it is in none.
    pub mailbox: String,
    /// The message, when only that is damaged.
    pub uid: Option<u32>,
    /// What is wrong with which file.
    pub cause: String,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// Whose it is.
    pub owner: String,
    /// Mailboxes.
    pub mailboxes: u64,
    /// Messages that are sent where the other side lacks them.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Scripts.
    pub scripts: u64,
    /// What is damaged.
    pub damaged: Vec<Damage>,
}

impl Survey {
    /// Mailboxes of which nothing can be told.
    pub fn lost_mailboxes(&self) -> BTreeSet<&str> {
        let lost = self.damaged.iter().filter(|damage| damage.uid.is_none() && !damage.mailbox.is_empty());
        lost.map(|damage| damage.mailbox.as_str()).collect()
    }

    /// UIDs of messages of a mailbox that are lost.
    pub fn lost_messages(&self, mailbox: &str) -> BTreeSet<u32> {
        let lost = self.damaged.iter().filter(|damage| damage.mailbox == mailbox);
        lost.filter_map(|damage| damage.uid).collect()
    }

    fn damage(&mut self, mailbox: &str, uid: Option<u32>, error: &SpoolError) {
        self.damaged.push(Damage { mailbox: mailbox.to_owned(), uid, cause: error.to_string() });
    }
}

/// Whether the other side keeps messages of this mailbox: of calendars, scripts and what only waits for its end it
/// notes that they are there.
pub fn has_messages(name: &str) -> bool {
    names::read(name).is_some_and(|name| !name.is_deleted && !name.is_special())
}

/// Looks at everything of an owner.
pub fn survey(spool: &Spool, owner: &str, depth: Depth) -> Survey {
    let mut found = Survey { owner: owner.to_owned(), ..Survey::default() };
    for listed in spool.told(owner) {
        match mailbox::open(spool, listed) {
            Ok(opened) => {
                found.mailboxes += 1;
                if let Err(error) = messages(&opened, listed, depth, &mut found) {
                    found.damage(&listed.name, None, &error);
                }
                let quota = opened.told.quota_root.as_ref().map(|root| users::quota(&spool.config, root));
                if let Some(Err(error)) = quota {
                    found.damage("", None, &error);
                }
            }
            Err(error) => found.damage(&listed.name, None, &error),
        }
    }
    if let Some(person) = spool.person(owner) {
        let [inbox, _] = names::prefixes(owner);
        let subscriptions = users::subscriptions(&spool.config, &person, &inbox).map(|_| ());
        for error in
            [subscriptions, users::seen(&spool.config, &person).map(|_| ())].into_iter().filter_map(Result::err)
        {
            found.damage("", None, &error);
        }
        let scripts = scripts::read(spool, owner, &person);
        found.scripts = scripts.all.len() as u64;
        let damaged = scripts.damaged.into_iter();
        found.damaged.extend(damaged.map(|cause| Damage { mailbox: String::new(), uid: None, cause }));
    }
    // Quota roots and scripts are met more than once.
    let mut known = BTreeSet::new();
    found.damaged.retain(|damage| known.insert((damage.cause.clone(), damage.uid)));
    found
}

fn messages(opened: &Opened, listed: &Listed, depth: Depth, found: &mut Survey) -> Result<(), SpoolError> {
    for one in opened.records() {
        let (entry, _) = one?;
        if entry.is_expunged() || !has_messages(&listed.name) {
            continue;
        }
        let path = message::find(opened.folders_of(&entry), &entry);
        let checked = path.and_then(|path| match depth {
            Depth::Lengths => Ok(()),
            Depth::Contents => message::open(&path, &entry).map(|_| ()),
        });
        match checked {
            Ok(()) => {
                found.messages += 1;
                found.bytes += u64::from(entry.size);
            }
            Err(error) => found.damage(&listed.name, Some(entry.uid), &error),
        }
    }
    Ok(())
}
