//! `:user` and `:detail` (RFC 5233), with the separators of the owner's domain. The interpreter knows "+" alone, so
//! these tests look elsewhere: at fields that only the interpreter sees, and at names of the envelope that scripts
//! can't say, in which the address is divided already.

use std::borrow::Cow;

use mail_parser::parsers::MessageStream;
use mail_parser::{Addr, Address, Header, HeaderName, HeaderValue, Message};
use serde_json::{Value, json};
use sieve::Envelope;
use sieve::runtime::Variable;
use sterna_account::service::Owner;
use sterna_formats::smtp::subaddresses;

/// Fields that the interpreter sees besides those of the message begin with these.
const USER_FIELD: &str = "x-sterna-user-of-";
/// See [`USER_FIELD`].
const DETAIL_FIELD: &str = "x-sterna-detail-of-";

/// Names of the envelope that stand for a part of another one: no script can say them, because what they need
/// (`envelope-dsn`, `envelope-deliverby`) is not offered.
const ENVELOPE: [(&str, &str, &str, Envelope); 4] = [
    ("From", "User", "ByMode", Envelope::ByMode),
    ("From", "Detail", "ByTrace", Envelope::ByTrace),
    ("To", "User", "Notify", Envelope::Notify),
    ("To", "Detail", "Ret", Envelope::Ret),
];

/// User and detail of an address: by the separator that leaves an address of the owner, else by the first.
fn divide<'a>(owner: &Owner, address: &'a str) -> (&'a str, Option<&'a str>) {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let local = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(local);
    if owner.addresses.iter().any(|own| is(own, local, domain)) {
        return (local, None);
    }
    let mut parts = subaddresses(local, &owner.plus_separators);
    let own = parts.find(|(user, _)| owner.addresses.iter().any(|own| is(own, user, domain)));
    let first = || subaddresses(local, &owner.plus_separators).next();
    own.or_else(first).map_or((local, None), |(user, detail)| (user, Some(detail)))
}

/// Whether an address is one of the owner's, with or without a detail.
pub fn is_own(owner: &Owner, address: &str) -> bool {
    let Some((_, domain)) = address.rsplit_once('@') else { return false };
    let (user, _) = divide(owner, address);
    owner.addresses.iter().any(|own| is(own, user, domain))
}

fn is(own: &str, local: &str, domain: &str) -> bool {
    own.rsplit_once('@').is_some_and(|(own_local, own_domain)| {
        own_local.eq_ignore_ascii_case(local) && own_domain.eq_ignore_ascii_case(domain)
    })
}

/// Makes the tests of a compiled script look where the parts are; says whether there are such tests of fields.
pub fn change(instruction: &mut Value) -> bool {
    let part = |test: &Value| test.get("address_part").and_then(Value::as_str).map(str::to_owned);
    if let Some(test) = instruction.pointer_mut("/Test/Envelope") {
        let Some(part) = part(test) else { return false };
        if part == "User" || part == "Detail" {
            for name in test.get_mut("envelope_list").and_then(Value::as_array_mut).into_iter().flatten() {
                let stands = ENVELOPE.iter().find(|(known, of, ..)| *of == part && name.as_str() == Some(known));
                if let Some((_, _, stands, _)) = stands {
                    *name = json!(stands);
                }
            }
            test["address_part"] = json!("All");
        }
        return false;
    }
    let Some(test) = instruction.pointer_mut("/Test/Address") else { return false };
    let prefix = match part(test).as_deref() {
        Some("User") => USER_FIELD,
        Some("Detail") => DETAIL_FIELD,
        _ => return false,
    };
    for name in test.get_mut("header_list").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(text) = name.get("Text").and_then(Value::as_str) {
            *name = json!({ "Text": format!("{prefix}{text}") });
            continue;
        }
        let mut parts = vec![json!({ "Text": prefix })];
        match name.get_mut("List").and_then(Value::as_array_mut) {
            Some(list) => parts.append(list),
            None => parts.push(name.take()),
        }
        *name = json!({ "List": parts });
    }
    test["address_part"] = json!("All");
    true
}

/// The parts of the envelope's addresses.
pub fn envelope(owner: &Owner, mail_from: &str, rcpt_to: &str) -> Vec<(Envelope, Variable)> {
    let mut found = Vec::new();
    for (of, part, _, name) in ENVELOPE {
        let (user, detail) = divide(owner, if of == "From" { mail_from } else { rcpt_to });
        let text = if part == "User" { Some(user) } else { detail };
        found.extend(text.map(|text| (name, Variable::from(text.to_owned()))));
    }
    found
}

/// Adds the fields that [`change`] makes tests look at. They have no place in the message: what the interpreter writes
/// of a changed message is without them.
pub fn add_fields(owner: &Owner, message: &mut Message<'_>) {
    let raw = message.raw_message.clone();
    for part in &mut message.parts {
        let mut added = Vec::new();
        for header in &mut part.headers {
            let name = header.name.as_str().to_owned();
            if [USER_FIELD, DETAIL_FIELD].iter().any(|prefix| name.to_ascii_lowercase().starts_with(prefix)) {
                // A stranger's, who knows these names: no test finds it any more.
                header.name = HeaderName::Other(Cow::Owned(format!("{name} ")));
                continue;
            }
            let addresses = addresses(header, &raw);
            let divided: Vec<_> = addresses.iter().map(|address| divide(owner, address)).collect();
            let users = divided.iter().map(|(user, _)| (*user).to_owned()).collect();
            let details = divided.iter().filter_map(|(_, detail)| detail.map(str::to_owned)).collect();
            added.push(field(format!("{USER_FIELD}{name}"), users));
            added.push(field(format!("{DETAIL_FIELD}{name}"), details));
        }
        part.headers.append(&mut added);
    }
}

/// The addresses in a field, as it came.
fn addresses(header: &Header<'_>, raw: &[u8]) -> Vec<String> {
    let text = |address: &Addr<'_>| address.address.as_deref().map(str::to_owned);
    let of = |addresses: &Address<'_>| addresses.iter().filter_map(text).collect();
    if let HeaderValue::Address(addresses) = &header.value {
        return of(addresses);
    }
    let value = raw.get(header.offset_start as usize..header.offset_end as usize).unwrap_or_default();
    match MessageStream::new(value).parse_address() {
        HeaderValue::Address(addresses) => of(&addresses),
        _ => Vec::new(),
    }
}

fn field(name: String, texts: Vec<String>) -> Header<'static> {
    let address = |text: String| Addr { name: None, address: Some(Cow::Owned(text)) };
    Header {
        name: HeaderName::Other(Cow::Owned(name)),
        value: HeaderValue::Address(Address::List(texts.into_iter().map(address).collect())),
        // Nothing is at this place, and nothing is what is written of it.
        offset_field: 1,
        offset_start: 0,
        offset_end: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_that_leaves_an_own_address_goes_first() {
        let addresses = ["jean-luc@tern.test", "ana@tern.test", "ana+a@tern.test"].map(str::to_owned).to_vec();
        let owner = Owner { addresses, plus_separators: "+-".into(), ..Owner::default() };
        for (address, user, detail) in [
            ("jean-luc@tern.test", "jean-luc", None),
            ("Jean-Luc-lists@TERN.test", "Jean-Luc", Some("lists")),
            ("jean-paul@tern.test", "jean", Some("paul")),
            ("ana-x+y@tern.test", "ana", Some("x+y")),
            ("ana+a@tern.test", "ana+a", None),
            ("\"ana+b c\"@tern.test", "ana", Some("b c")),
            ("zoe=x@far.test", "zoe=x", None),
            ("", "", None),
        ] {
            assert_eq!(divide(&owner, address), (user, detail), "{address}");
        }
        assert!(is_own(&owner, "ana-x@tern.test") && !is_own(&owner, "ana=x@tern.test"));
        assert!(!is_own(&owner, "ana-x@far.test") && !is_own(&owner, "ana"));
        let none = Owner { plus_separators: String::new(), ..owner };
        assert_eq!(divide(&none, "ana-x@tern.test"), ("ana-x", None));
    }
}
