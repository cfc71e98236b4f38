//! Rights (RFC 4314) as privileges (RFC 3744 section 3), and lists of rights as ACLs.

use std::collections::HashMap;

use sterna_account::{Acl, ContainerKind, Identifier, Rights};
use sterna_base::AccountId;
use sterna_formats::dav::write;

use crate::dav::paths;

/// What each privilege needs, in the order in which they are told; those with all of `all` have `all`, too.
const PRIVILEGES: [(&str, Rights); 9] = [
    ("D:read", Rights::READ),
    ("C:read-free-busy", Rights::READ),
    ("D:read-current-user-privilege-set", Rights::LOOKUP),
    ("D:write-properties", Rights::WRITE),
    ("D:write-content", Rights::INSERT),
    ("D:bind", Rights::INSERT),
    ("D:unbind", Rights::DELETE),
    ("D:read-acl", Rights::ADMINISTER),
    ("D:write-acl", Rights::ADMINISTER),
];

/// The privileges that come with some rights, as `privilege` elements.
pub fn privileges_of(rights: Rights) -> String {
    let mut xml = String::new();
    let mut push = |name: &str| xml.push_str(&format!("<D:privilege><{name}/></D:privilege>"));
    if rights == Rights::ALL {
        push("D:all");
        push("D:unlock");
    }
    if rights.has(Rights::WRITE | Rights::INSERT | Rights::DELETE) {
        push("D:write");
    }
    for (name, _) in PRIVILEGES.iter().filter(|(_, needed)| rights.has(*needed)) {
        push(name);
    }
    xml
}

/// What comes with a scheduling inbox or outbox for whoever may use it at all (RFC 6638 section 6).
pub fn scheduling(kind: ContainerKind) -> &'static str {
    match kind {
        ContainerKind::ScheduleInbox => {
            "<D:privilege><C:schedule-deliver/></D:privilege><D:privilege><C:schedule-query-freebusy/></D:privilege>"
        }
        _ => {
            "<D:privilege><C:schedule-send/></D:privilege><D:privilege><C:schedule-send-invite/></D:privilege>\
             <D:privilege><C:schedule-send-reply/></D:privilege>\
             <D:privilege><C:schedule-send-freebusy/></D:privilege>"
        }
    }
}

/// `DAV:supported-privilege-set`
pub const SUPPORTED: &str = "<D:supported-privilege><D:privilege><D:all/></D:privilege>\
    <D:description xml:lang=\"en\">Everything</D:description>\
    <D:supported-privilege><D:privilege><D:read/></D:privilege>\
    <D:description xml:lang=\"en\">Read</D:description>\
    <D:supported-privilege><D:privilege><C:read-free-busy/></D:privilege>\
    <D:description xml:lang=\"en\">See when somebody is busy</D:description></D:supported-privilege>\
    <D:supported-privilege><D:privilege><D:read-current-user-privilege-set/></D:privilege>\
    <D:description xml:lang=\"en\">See what one may do</D:description></D:supported-privilege></D:supported-privilege>\
    <D:supported-privilege><D:privilege><D:write/></D:privilege>\
    <D:description xml:lang=\"en\">Write</D:description>\
    <D:supported-privilege><D:privilege><D:write-properties/></D:privilege>\
    <D:description xml:lang=\"en\">Change properties</D:description></D:supported-privilege>\
    <D:supported-privilege><D:privilege><D:write-content/></D:privilege>\
    <D:description xml:lang=\"en\">Change what is in it</D:description></D:supported-privilege>\
    <D:supported-privilege><D:privilege><D:bind/></D:privilege>\
    <D:description xml:lang=\"en\">Add</D:description></D:supported-privilege>\
    <D:supported-privilege><D:privilege><D:unbind/></D:privilege>\
    <D:description xml:lang=\"en\">Delete</D:description></D:supported-privilege></D:supported-privilege>\
    <D:supported-privilege><D:privilege><D:read-acl/></D:privilege>\
    <D:description xml:lang=\"en\">See who may do what</D:description></D:supported-privilege>\
    <D:supported-privilege><D:privilege><D:write-acl/></D:privilege>\
    <D:description xml:lang=\"en\">Say who may do what</D:description></D:supported-privilege>\
    <D:supported-privilege><D:privilege><D:unlock/></D:privilege>\
    <D:description xml:lang=\"en\">Take locks of others away</D:description></D:supported-privilege>\
    </D:supported-privilege>";

/// `DAV:acl` (RFC 3744 section 5.5): the owner's entry, which nobody can change, and those of the list.
pub fn acl(owner: &str, acl: &Acl, addresses: &HashMap<AccountId, String>) -> String {
    let mut xml = String::new();
    let mut ace = |principal: &str, negative: bool, rights: Rights, is_protected: bool| {
        let word = if negative { "deny" } else { "grant" };
        xml.push_str(&format!("<D:ace><D:principal>{principal}</D:principal><D:{word}>"));
        xml.push_str(&privileges_of(rights));
        xml.push_str(&format!("</D:{word}>"));
        if is_protected {
            xml.push_str("<D:protected/>");
        }
        xml.push_str("</D:ace>");
    };
    let href = |address: &str| {
        let mut xml = String::new();
        write::href(&paths::principal(address), &mut xml);
        xml
    };
    ace(&href(owner), false, Rights::ALL, true);
    for entry in acl.entries() {
        let principal = match entry.identifier {
            Identifier::Anyone => "<D:authenticated/>".to_owned(),
            Identifier::Entry(id) => match addresses.get(&id) {
                Some(address) => href(address),
                None => continue,
            },
        };
        ace(&principal, entry.negative, entry.rights, false);
    }
    xml
}
