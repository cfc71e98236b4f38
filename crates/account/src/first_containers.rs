//! What a new account begins with.

use crate::{ContainerKind, Mutation, SpecialUse};

/// The mail folders of a new account, INBOX first. Their names are English here; clients show the special use in the
/// user's language (RFC 6154).
pub fn mutations() -> Vec<Mutation> {
    [
        ("INBOX", SpecialUse::Inbox),
        ("Archive", SpecialUse::Archive),
        ("Drafts", SpecialUse::Drafts),
        ("Junk", SpecialUse::Junk),
        ("Sent", SpecialUse::Sent),
        ("Trash", SpecialUse::Trash),
    ]
    .into_iter()
    .map(|(name, special_use)| Mutation::CreateContainer {
        parent: None,
        kind: ContainerKind::Mail,
        name: name.to_owned(),
        special_use: Some(special_use),
    })
    .collect()
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
