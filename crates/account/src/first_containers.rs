//! What a new account begins with.

use bytes::Bytes;
use sterna_base::ContainerId;

use crate::commit::Expect;
use crate::{ContainerKind, Content, FlagSet, Mutation, NewItem, SpecialUse};

/// The name of the container with the names of mailboxes that the owner subscribed to.
pub const SUBSCRIPTIONS: &str = "subscriptions";

/// Name and special use of each.
const FOLDERS: [(&str, SpecialUse); 6] = [
    ("INBOX", SpecialUse::Inbox),
    ("Archive", SpecialUse::Archive),
    ("Drafts", SpecialUse::Drafts),
    ("Junk", SpecialUse::Junk),
    ("Sent", SpecialUse::Sent),
    ("Trash", SpecialUse::Trash),
];

/// The mail folders of a new account, INBOX first. Their names are English here; clients show the special use in the
/// user's language (RFC 6154).
pub fn mutations() -> Vec<Mutation> {
    let folder = |(name, special_use): (&str, SpecialUse)| Mutation::CreateContainer {
        parent: None,
        kind: ContainerKind::Mail,
        name: name.to_owned(),
        special_use: Some(special_use),
    };
    FOLDERS.into_iter().map(folder).collect()
}

/// Makes the container of [`subscriptions`].
pub fn subscriptions_container() -> Mutation {
    let (kind, name) = (ContainerKind::Subscriptions, SUBSCRIPTIONS.to_owned());
    Mutation::CreateContainer { parent: None, kind, name, special_use: None }
}

/// Subscribes to the first folders: clients that show only subscribed ones, Thunderbird among them, would show nothing
/// but the INBOX to new users, and make a Trash of their own.
pub fn subscriptions(container: ContainerId) -> Vec<Mutation> {
    FOLDERS.into_iter().map(|(name, _)| subscription(container, name.to_owned())).collect()
}

/// Subscribes to a mailbox.
pub fn subscription(container: ContainerId, name: String) -> Mutation {
    let content = Content::Inline(Bytes::new());
    let (summary, internal_date, flags, name) = (None, None, FlagSet::default(), Some(name));
    let item = NewItem { content, summary, internal_date, flags, name, object_uid: None };
    Mutation::Put { container, item, expect: Expect::Any }
}

/// The calendar, the task list, the address book and the root of the files of a new account; for accounts that are
/// older than these, made when somebody first looks for them.
pub fn groupware() -> Vec<Mutation> {
    [
        ("Calendar", ContainerKind::Calendar),
        ("Tasks", ContainerKind::Tasks),
        ("Contacts", ContainerKind::AddressBook),
        ("files", ContainerKind::Files),
    ]
    .into_iter()
    .map(|(name, kind)| Mutation::CreateContainer { parent: None, kind, name: name.to_owned(), special_use: None })
    .collect()
}
