//! Domains and people as `sterna apply` takes them.

use serde::Serialize;

/// The file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Declaration {
    /// The domains.
    pub domains: Vec<Domain>,
    /// Who logs in.
    pub users: Vec<Person>,
    /// Shared mailboxes.
    pub mailboxes: Vec<Person>,
    /// Rooms and things.
    pub resources: Vec<Person>,
    /// People elsewhere.
    pub contacts: Vec<Contact>,
    /// Groups.
    pub groups: Vec<Group>,
}

/// A domain.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// Its other names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A user, a shared mailbox or a resource. What is nothing is written too, so that it becomes nothing here when that is
/// brought again; but nobody whose log-in waits for the mail is let in by it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Person {
    /// The main address.
    pub address: String,
    /// Others.
    pub aliases: Vec<String>,
    /// A log-in that is no address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// For people.
    pub display_name: String,
    /// The organisational unit, as a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// In bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// As the directory here keeps them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// Whether nobody logs in, and no mail is taken.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// Whether the address book of the domain doesn't show it.
    pub hidden: bool,
    /// Who may send as this one; nothing for a resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub senders: Option<Vec<String>>,
    /// Where mail goes on to; nothing for a resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_to: Option<Vec<String>>,
    /// Without a copy here; nothing for a resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_only: Option<bool>,
    /// What a resource has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
}

/// The rules of a resource.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Resource {
    /// `room` or `equipment`.
    pub kind: &'static str,
    /// Who answers: `auto`, `managers`, `nobody`.
    pub answers: &'static str,
    /// People that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// Who decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub managers: Vec<String>,
}

/// Somebody elsewhere.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Contact {
    /// The address.
    pub address: String,
    /// Which domain knows them.
    pub domain: String,
    /// For people.
    pub display_name: String,
}

/// A group.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Group {
    /// The main address.
    pub address: String,
    /// Others.
    pub aliases: Vec<String>,
    /// For people.
    pub display_name: String,
    /// Whether the address book of the domain doesn't show it.
    pub hidden: bool,
    /// Whether addresses elsewhere may be among the members.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub external_members: bool,
    /// Users, shared mailboxes, groups, and addresses elsewhere.
    pub members: Vec<String>,
}
