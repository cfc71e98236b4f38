//! Contacts as cards: vCard 3.0 (RFC 2426), which every program reads.

use sterna_formats::content_line::{Component, Parameter, Property, write};

use super::element::{cleaned, escaped};
use super::tables::Row;

/// The parts of an address, in their order (RFC 2426 section 3.2.1).
const ADDRESS: [&str; 7] =
    ["postofficebox", "extendedaddress", "streetaddress", "locality", "region", "postalcode", "countryname"];

/// Columns that hold one text each, and their properties.
const TEXTS: [(&str, &str); 9] = [
    ("nickname", "NICKNAME"),
    ("title", "TITLE"),
    ("role", "ROLE"),
    ("note", "NOTE"),
    ("spouse", "X-SPOUSE"),
    ("manager", "X-MANAGER"),
    ("assistant", "X-ASSISTANT"),
    ("gender", "X-GENDER"),
    ("source", "SOURCE"),
];

/// Columns that hold several values with parameters.
const LISTS: [(&str, &str, &str); 4] = [
    ("tel", "tel_parameters", "TEL"),
    ("email", "email_parameters", "EMAIL"),
    ("impp", "impp_parameters", "IMPP"),
    ("urls", "urls_parameters", "URL"),
];

/// A card with these categories.
pub fn card(row: &Row, uid: &str, categories: &[String]) -> String {
    let mut card = Component { name: "VCARD".to_owned(), ..Component::default() };
    let mut push = |name: &str, value: String| card.properties.push(Property::new(name, value));
    push("VERSION", "3.0".to_owned());
    push("UID", escaped(uid));
    push("FN", escaped(&full_name(row, uid)));
    let names = ["familynames", "givennames", "additionalnames", "honorificprefixes", "honoricficsuffixes"];
    let parts: Vec<String> = names.iter().map(|name| row.text(name).map(names_of).unwrap_or_default()).collect();
    push("N", parts.join(";"));
    for (column, name) in [("bday", "BDAY"), ("anniversary", "X-ANNIVERSARY")] {
        if let Some(day) = row.text(column).and_then(super::dump::value::date) {
            push(name, day.to_string());
        }
    }
    let organisation: Vec<String> =
        ["company", "division", "department"].iter().map(|name| escaped(row.text(name).unwrap_or_default())).collect();
    if organisation.iter().any(|part| !part.is_empty()) {
        push("ORG", organisation.join(";").trim_end_matches(';').to_owned());
    }
    for (column, name) in TEXTS {
        if let Some(text) = row.text(column) {
            push(name, escaped(text));
        }
    }
    if !categories.is_empty() {
        push("CATEGORIES", categories.iter().map(|category| escaped(category)).collect::<Vec<_>>().join(","));
    }
    card.properties.extend(addresses(row));
    for (values, parameters, name) in LISTS {
        let parameters = row.array(parameters);
        for (n, value) in row.array(values).into_iter().enumerate() {
            let Some(value) = value.filter(|value| !value.trim().is_empty()) else { continue };
            let parameters = parameters.get(n).and_then(|text| text.as_deref());
            // A URI has no escapes of its own (RFC 2426 section 4).
            let value = if name == "URL" { cleaned(value.trim()) } else { escaped(value.trim()) };
            card.properties.push(with_parameters(name, value, parameters));
        }
    }
    card.properties.extend(members(row));
    let mut text = String::new();
    write(&card, &mut text);
    text
}

fn full_name(row: &Row, uid: &str) -> String {
    let joined = || {
        let parts = [row.text("givennames"), row.text("familynames")];
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    let first = |column: &str| row.texts(column).into_iter().next();
    row.text("formated_name")
        .map(str::to_owned)
        .or_else(joined)
        .or_else(|| row.text("company").map(str::to_owned))
        .or_else(|| first("email"))
        .or_else(|| row.text("item_displayname").map(str::to_owned))
        .unwrap_or_else(|| uid.to_owned())
}

/// Several names of one kind stand with commas between them, in the old system as in a card.
fn names_of(text: &str) -> String {
    text.split(',').map(|name| escaped(name.trim())).collect::<Vec<_>>().join(",")
}

fn addresses(row: &Row) -> Vec<Property> {
    let columns: Vec<Vec<Option<String>>> = ADDRESS.iter().map(|column| row.array(column)).collect();
    let (labels, parameters) = (row.array("adr_label"), row.array("adr_parameters"));
    let count = columns.iter().map(Vec::len).max().unwrap_or_default().max(labels.len());
    let at = |list: &[Option<String>], n: usize| list.get(n).and_then(|text| text.as_deref()).map(str::to_owned);
    let mut found = Vec::new();
    for n in 0..count {
        let mut parts: Vec<String> = columns.iter().map(|column| at(column, n).unwrap_or_default()).collect();
        if parts.iter().all(|part| part.trim().is_empty()) {
            // What was typed without parts is the street, with its lines.
            let Some(label) = at(&labels, n).filter(|label| label.contains([' ', '\n'])) else { continue };
            parts[2] = label;
        }
        let value = parts.iter().map(|part| escaped(part.trim())).collect::<Vec<_>>().join(";");
        found.push(with_parameters("ADR", value, at(&parameters, n).as_deref()));
    }
    found
}

/// A property with parameters as the old system keeps them: `TYPE=home;TYPE=voice`.
fn with_parameters(name: &str, value: String, parameters: Option<&str>) -> Property {
    let mut property = Property::new(name, value);
    for parameter in parameters.unwrap_or_default().split(';') {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let (name, value) = (name.trim().to_uppercase(), value.trim().to_owned());
        let is_name = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
        if !is_name || value.is_empty() || value.chars().any(char::is_control) {
            continue;
        }
        let value = if name == "TYPE" { value.to_uppercase() } else { value };
        match property.parameters.iter_mut().find(|known| known.name == name) {
            Some(known) => known.values.push(value),
            None => property.parameters.push(Parameter { name, values: vec![value] }),
        }
    }
    property
}

/// Lists of people, in the form that Apple's programs and many others read.
fn members(row: &Row) -> Vec<Property> {
    if !row.get("kind").is_some_and(|kind| kind.eq_ignore_ascii_case("group")) {
        return Vec::new();
    }
    let (uids, mailto, names) = (row.array("member_item_uid"), row.array("member_mailto"), row.array("member_cn"));
    let at = |list: &[Option<String>], n: usize| {
        list.get(n).and_then(|text| text.as_deref()).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let mut found = vec![Property::new("X-ADDRESSBOOKSERVER-KIND", "group")];
    for n in 0..uids.len().max(mailto.len()) {
        let value = match (at(&uids, n), at(&mailto, n)) {
            (Some(uid), _) => format!("urn:uuid:{uid}"),
            (None, Some(mailto)) => format!("mailto:{mailto}"),
            (None, None) => continue,
        };
        let mut member = Property::new("X-ADDRESSBOOKSERVER-MEMBER", value);
        if let Some(name) = at(&names, n) {
            member.set_parameter("X-CN", &name);
        }
        found.push(member);
    }
    found
}
