//! A message of iTIP comes into an account: what is stored changes, and the owner's programs find it in the scheduling
//! inbox (RFC 6638 section 4).

use bytes::Bytes;
use sterna_base::{AccountId, ContainerId, OperationId, Timestamp};
use sterna_formats::calendar::itip::receive::{Effect, Ignored, Received};
use sterna_formats::calendar::itip::{self, Message, Method};
use sterna_formats::calendar::{Calendar, Facts};

use super::{body, cancelled, content, default_calendar, find, scheduling_collection};
use crate::commit::Expect;
use crate::{Account, AccountError, CommitError, ContainerKind, FlagSet, Item, ItemParts, Mutation, NewItem, UidSet};

/// How often it is tried again because something changed meanwhile.
const TRIES: usize = 8;

/// Most messages in a scheduling inbox; the oldest go first. Many programs never look there.
const INBOX_ITEMS_MAX: u64 = 500;

/// How many of the oldest are looked at, to be taken out, when one is added.
const TIDIED_MAX: usize = 32;

/// A message for an account.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Names it: taken in once, however often it is tried.
    pub id: OperationId,
    /// Who has sent it, as far as that is known for sure.
    pub sender: &'a str,
    /// The address that it was sent to.
    pub recipient: &'a str,
    /// The message.
    pub text: &'a Bytes,
    /// All addresses of the owner, the main one first.
    pub own: &'a [String],
    /// Whether only what is known already changes, and nothing new comes in.
    pub only_known: bool,
    /// Whether the owner's programs find nothing in the scheduling inbox: others have answered, and that is all.
    pub is_silent: bool,
}

/// What became of it.
#[derive(Clone, Debug)]
pub enum Taken {
    /// An object is there, or another one than before.
    Stored {
        /// As it is now.
        object: Box<Calendar>,
        /// What the message asked.
        method: Method,
    },
    /// It is in the inbox for the owner to decide.
    Shown,
    /// It is to be answered.
    Answered(Box<Message>),
    /// Nothing.
    Ignored(Ignored),
}

/// Takes a message in; when this returns, it is durable.
///
/// # Errors
/// When the account can't be read or written.
pub async fn receive(account: &dyn Account, incoming: Incoming<'_>, now: Timestamp) -> Result<Taken, AccountError> {
    let Ok(message) = Calendar::parse(incoming.text) else { return Ok(Taken::Ignored(Ignored::Method)) };
    let (Some(method), Ok(facts)) = (Method::of(&message), itip::facts(&message)) else {
        return Ok(Taken::Ignored(Ignored::Method));
    };
    if !itip::is_scheduled(facts.kind) {
        return Ok(Taken::Ignored(Ignored::Method));
    }
    for _ in 0..TRIES {
        let found = find(account, &facts.uid).await?;
        if found.is_none() && incoming.only_known {
            return Ok(Taken::Ignored(Ignored::Unknown));
        }
        if found.is_none() && method == Method::Request && cancelled::is_cancelled(account, &message).await? {
            return Ok(Taken::Ignored(Ignored::Stale));
        }
        let stored = match &found {
            Some((_, item)) => Calendar::parse(&body(account, item).await?).ok(),
            None => None,
        };
        let (sender, recipient, own) = (incoming.sender, incoming.recipient, incoming.own);
        let received =
            Received { stored: stored.as_ref(), message: &message, sender, recipient, own, now_s: now.seconds() };
        let mut steps = Vec::new();
        let taken = match received.effect() {
            // The invitation is still to come, and must change nothing then.
            Effect::Nothing(Ignored::Unknown) if method == Method::Cancel => {
                let steps = cancelled::remembered(account, &message, now).await?;
                if !steps.is_empty() {
                    account.commit(operation(incoming.id, account.id()), steps).await?;
                }
                return Ok(Taken::Ignored(Ignored::Unknown));
            }
            Effect::Nothing(why) => return Ok(Taken::Ignored(why)),
            Effect::Answered(answer) => return Ok(Taken::Answered(answer)),
            Effect::Shown => Taken::Shown,
            Effect::Put(root) => {
                let object = Calendar::of(root);
                let Ok(facts) = Facts::of(&object) else { return Ok(Taken::Ignored(Ignored::Method)) };
                let (container, name, expect) = match &found {
                    Some((container, item)) => (container.id, name_of(item), Expect::Content(item.blob)),
                    None => {
                        let calendar = default_calendar(account, facts.kind).await?;
                        (calendar.id, format!("{}.ics", incoming.id), Expect::Absent)
                    }
                };
                steps.push(put(account, (container, name), &object.text(), &facts, expect).await?);
                if method == Method::Cancel {
                    // Its owner may throw the cancelled meeting away before an older invitation comes.
                    steps.extend(cancelled::remembered(account, &message, now).await?);
                }
                Taken::Stored { object: Box::new(object), method }
            }
        };
        if !incoming.is_silent {
            steps.extend(into_inbox(account, &incoming, &facts).await?);
        }
        match account.commit(operation(incoming.id, account.id()), steps).await {
            Ok(_) => return Ok(taken),
            Err(AccountError::Refused(
                CommitError::Unexpected | CommitError::ObjectUidTaken { .. } | CommitError::NoSuchContainer(_),
            )) => {}
            Err(error) => return Err(error),
        }
    }
    Err(AccountError::Unavailable("its calendars change again and again".to_owned()))
}

fn name_of(item: &Item) -> String {
    item.name.clone().unwrap_or_default()
}

/// The step that writes an object.
///
/// # Errors
/// When its content can't be staged.
pub async fn put(
    account: &dyn Account,
    (container, name): (ContainerId, String),
    text: &str,
    facts: &Facts,
    expect: Expect,
) -> Result<Mutation, AccountError> {
    let (content, _) = content(account, Bytes::copy_from_slice(text.as_bytes())).await?;
    let item = NewItem {
        content,
        summary: Some(facts.encode().into()),
        internal_date: None,
        flags: FlagSet::default(),
        name: Some(name),
        object_uid: Some(facts.uid.clone()),
    };
    Ok(Mutation::Put { container, item, expect })
}

/// The steps that put the message into the inbox, and take the oldest ones out when it is full.
async fn into_inbox(
    account: &dyn Account,
    incoming: &Incoming<'_>,
    facts: &Facts,
) -> Result<Vec<Mutation>, AccountError> {
    let inbox = scheduling_collection(account, ContainerKind::ScheduleInbox).await?;
    let (content, _) = content(account, incoming.text.clone()).await?;
    let item = NewItem {
        content,
        summary: Some(facts.encode().into()),
        internal_date: None,
        flags: FlagSet::default(),
        name: Some(format!("{}.ics", incoming.id)),
        object_uid: None,
    };
    let mut steps = vec![Mutation::Put { container: inbox.id, item, expect: Expect::Any }];
    if inbox.counts.items >= INBOX_ITEMS_MAX {
        let oldest = account.items(inbox.id, &UidSet::all(), ItemParts::default(), TIDIED_MAX).await?;
        let names = oldest.into_iter().filter_map(|item| item.name);
        steps.extend(names.map(|name| Mutation::Remove { container: inbox.id, name }));
    }
    Ok(steps)
}

/// Notes in the sender's own object that a message which had to wait has arrived now (SCHEDULE-STATUS 1.2). When the
/// object says something else by now, that stays.
///
/// # Errors
/// When the account can't be read or written.
pub async fn note_delivery(account: &dyn Account, message: &Bytes, recipient: &str) -> Result<(), AccountError> {
    let Some(facts) = Calendar::parse(message).ok().and_then(|message| itip::facts(&message).ok()) else {
        return Ok(());
    };
    for _ in 0..TRIES {
        let Some((container, item)) = find(account, &facts.uid).await? else { return Ok(()) };
        let Ok(mut object) = Calendar::parse(&body(account, &item).await?) else { return Ok(()) };
        if itip::status_of(&object, recipient).as_deref() != Some("1.0") {
            return Ok(());
        }
        itip::set_status(&mut object.root, recipient, "1.2");
        let Ok(facts) = Facts::of(&object) else { return Ok(()) };
        let place = (container.id, name_of(&item));
        let step = put(account, place, &object.text(), &facts, Expect::Content(item.blob)).await?;
        match account.commit(OperationId::random(), vec![step]).await {
            Ok(_) => return Ok(()),
            Err(AccountError::Refused(CommitError::Unexpected)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Names the commit of a message to an account: the same for every try, different for every account.
fn operation(id: OperationId, account: AccountId) -> OperationId {
    let mut hasher = blake3::Hasher::new_derive_key("sterna scheduling operation 1");
    hasher.update(&id.0).update(&account.0.to_be_bytes());
    let mut operation = [0; 16];
    hasher.finalize_xof().fill(&mut operation);
    OperationId(operation)
}
