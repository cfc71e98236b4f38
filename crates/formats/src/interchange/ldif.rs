//! People in LDIF (RFC 2849), as directories and Thunderbird write them (inetOrgPerson, RFC 2798; mozillaAbPerson), to
//! cards and back.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::lines::Lines;
use super::{Fault, OBJECTS_MAX, Object, uid_of};
use crate::content_line::{Component, split_list, split_structured, unescape};

/// Longest record, in bytes.
const RECORD_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Attributes that are one property of a card, with what stands before its value.
const SIMPLE: &[(&str, &str)] = &[
    ("mail", "EMAIL"),
    ("mozillasecondemail", "EMAIL"),
    ("telephonenumber", "TEL;TYPE=WORK"),
    ("homephone", "TEL;TYPE=HOME"),
    ("mobile", "TEL;TYPE=CELL"),
    ("cellphone", "TEL;TYPE=CELL"),
    ("pager", "TEL;TYPE=PAGER"),
    ("facsimiletelephonenumber", "TEL;TYPE=FAX"),
    ("fax", "TEL;TYPE=FAX"),
    ("title", "TITLE"),
    ("description", "NOTE"),
    ("labeleduri", "URL"),
    ("mozillaworkurl", "URL"),
    ("mozillahomeurl", "URL"),
    ("mozillanickname", "NICKNAME"),
];

/// Addresses: which attributes, and the kind.
const ADDRESSES: &[([&str; 5], &str)] = &[
    (["street", "l", "st", "postalcode", "c"], "WORK"),
    (
        [
            "mozillahomestreet",
            "mozillahomelocalityname",
            "mozillahomestate",
            "mozillahomepostalcode",
            "mozillahomecountryname",
        ],
        "HOME",
    ),
];

type Record = BTreeMap<String, Vec<String>>;

/// Cards made of the records of a file, one in memory at a time.
pub struct People<R> {
    lines: Lines<R>,
    /// The first line of the next record, when it was read already.
    held: Option<(usize, Vec<u8>)>,
    count: usize,
    ended: bool,
}

impl<R: BufRead> People<R> {
    /// Of a file.
    pub fn new(reader: R) -> Self {
        People { lines: Lines::new(reader), held: None, count: 0, ended: false }
    }

    /// The lines of one record, unfolded, with its first line's number.
    fn record(&mut self) -> io::Result<Option<(usize, Vec<Vec<u8>>)>> {
        let (mut lines, mut size): (Vec<Vec<u8>>, usize) = (Vec::new(), 0);
        let mut first = 0;
        loop {
            let next = match self.held.take() {
                Some(held) => Some(held),
                None => self.lines.next()?.map(|(_, line)| line.to_vec()).map(|line| (self.lines.number, line)),
            };
            let Some((number, line)) = next else {
                self.ended = true;
                break;
            };
            if line.is_empty() {
                if lines.is_empty() { continue } else { break }
            }
            size += line.len();
            if size > RECORD_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a record is longer than 10 MiB"));
            }
            if let Some(more) = line.strip_prefix(b" ") {
                if let Some(last) = lines.last_mut() {
                    last.extend_from_slice(more);
                }
                continue;
            }
            if lines.is_empty() {
                first = number;
            }
            lines.push(line);
        }
        lines.retain(|line| !line.starts_with(b"#"));
        Ok((!lines.is_empty()).then_some((first, lines)))
    }
}

impl<R: BufRead> Iterator for People<R> {
    type Item = Result<Object, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended && self.count <= OBJECTS_MAX {
            match self.record() {
                Ok(None) => {}
                Ok(Some((line, lines))) => {
                    let found = person(line, &lines);
                    if let Some(found) = found.transpose() {
                        self.count += 1;
                        return Some(found);
                    }
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(Fault::new(self.lines.number + 1, error.to_string())));
                }
            }
        }
        None
    }
}

/// The card of a record; `None` for what is no entry, such as `version: 1`.
fn person(line: usize, lines: &[Vec<u8>]) -> Result<Option<Object>, Fault> {
    let mut record = Record::new();
    for text in lines {
        let (name, value) = attribute(text).map_err(|reason| Fault::new(line, reason))?;
        record.entry(name).or_default().push(value);
    }
    if !record.contains_key("dn") {
        let is_version = record.len() == 1 && record.contains_key("version");
        return if is_version { Ok(None) } else { Err(Fault::new(line, "the record has no dn")) };
    }
    if record.contains_key("changetype") {
        return Err(Fault::new(line, "it is a change, not an entry"));
    }
    let classes: Vec<String> =
        record.get("objectclass").into_iter().flatten().map(|class| class.to_ascii_lowercase()).collect();
    let is_person = classes.iter().any(|class| class.contains("person"));
    if !is_person && !classes.is_empty() {
        return Err(Fault::new(line, format!("it is no person but {}", classes.join(", "))));
    }
    card(line, &record).map(Some)
}

fn attribute(line: &[u8]) -> Result<(String, String), String> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or("a line is not “name: value”")?;
    let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
    // Options such as ;lang-de or ;binary don't change what it is.
    let name = name.split(';').next().unwrap_or_default().trim().to_owned();
    let value = match &line[colon + 1..] {
        [b':', rest @ ..] => STANDARD.decode(rest.trim_ascii()).map_err(|_| format!("{name}: the base64 is broken"))?,
        [b'<', ..] => return Err(format!("{name}: values in other files are not fetched")),
        rest => rest.trim_ascii().to_vec(),
    };
    // Photographs and the like are no text; they are passed over.
    Ok((name, String::from_utf8(value).unwrap_or_default()))
}

fn card(line: usize, record: &Record) -> Result<Object, Fault> {
    let first = |name: &str| record.get(name).and_then(|values| values.first()).map_or("", |value| value.trim());
    let (family, given) = (first("sn"), first("givenname"));
    let joined = format!("{given} {family}");
    let names = [first("displayname"), first("cn"), joined.trim(), first("o"), first("mail")];
    let name = names.into_iter().find(|name| !name.is_empty()).ok_or_else(|| Fault::new(line, "it has no name"))?;
    let mut text = "BEGIN:VCARD\r\nVERSION:3.0\r\n".to_owned();
    let mut add = |name: &str, value: &str| text.push_str(&format!("{name}:{value}\r\n"));
    add("UID", &uid_of(first("dn").as_bytes()));
    add("FN", &escape(name));
    add("N", &format!("{};{};;;", escape(family), escape(given)));
    for (attribute, property) in SIMPLE {
        let values = record.get(*attribute).into_iter().flatten().map(|value| value.trim());
        for value in values.filter(|value| !value.is_empty()) {
            add(property, &escape(value));
        }
    }
    let organisation = [first("o"), first("company"), first("ou"), first("department")];
    let units: Vec<String> = organisation.into_iter().filter(|unit| !unit.is_empty()).map(escape).collect();
    if !units.is_empty() {
        add("ORG", &units.join(";"));
    }
    for (attributes, kind) in ADDRESSES {
        let [street, place, state, code, country] = attributes.map(|name| escape(first(name)));
        let street = if *kind == "WORK" && street.is_empty() { escape(first("postaladdress")) } else { street };
        if ![&street, &place, &state, &code, &country].iter().all(|part| part.is_empty()) {
            add(&format!("ADR;TYPE={kind}"), &format!(";;{street};{place};{state};{code};{country}"));
        }
    }
    let birth = [first("birthyear"), first("birthmonth"), first("birthday")];
    if let [Ok(year), Ok(month), Ok(day)] = birth.map(str::parse::<u16>)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
    {
        add("BDAY", &format!("{year:04}-{month:02}-{day:02}"));
    }
    text.push_str("END:VCARD\r\n");
    // Folded as content lines are.
    let mut folded = String::new();
    for component in crate::content_line::parse(text.as_bytes()).map_err(|error| Fault::new(line, error.to_string()))? {
        crate::content_line::write(&component, &mut folded);
    }
    Ok(Object { line, text: folded })
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ',' | ';' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// A card as a record with the empty line behind it; `None` when it is none, or has no name.
pub fn record(card: &[u8]) -> Option<String> {
    let cards = crate::content_line::parse(card).ok()?;
    let card = cards.iter().find(|component| component.name == "VCARD")?;
    let name = card.text("FN").filter(|name| !name.trim().is_empty())?;
    let mails: Vec<String> = card.all("EMAIL").map(|mail| unescape(&mail.value)).collect();
    let mut text = String::new();
    let dn = match mails.first() {
        Some(mail) => format!("cn={},mail={}", dn_escape(&name), dn_escape(mail)),
        None => format!("cn={}", dn_escape(&name)),
    };
    line("dn", &dn, &mut text);
    for class in ["top", "person", "organizationalPerson", "inetOrgPerson", "mozillaAbPersonAlpha"] {
        line("objectclass", class, &mut text);
    }
    line("cn", &name, &mut text);
    let parts: Vec<String> = card.value("N").map(structured).unwrap_or_default();
    let part = |at: usize| parts.get(at).map(String::as_str).unwrap_or_default();
    // A person must have a surname (RFC 4519).
    line("sn", if part(0).is_empty() { &name } else { part(0) }, &mut text);
    line("givenName", part(1), &mut text);
    for (at, mail) in mails.iter().enumerate() {
        line(if at == 1 { "mozillaSecondEmail" } else { "mail" }, mail, &mut text);
    }
    for tel in card.all("TEL") {
        line(telephone(tel), &unescape(&tel.value), &mut text);
    }
    for (property, attribute) in
        [("TITLE", "title"), ("NOTE", "description"), ("URL", "mozillaWorkUrl"), ("NICKNAME", "mozillaNickname")]
    {
        if let Some(value) = card.text(property) {
            line(attribute, &value, &mut text);
        }
    }
    let units = card.value("ORG").map(structured).unwrap_or_default();
    for (unit, attribute) in units.iter().zip(["o", "ou"]) {
        line(attribute, unit, &mut text);
    }
    address(card, &mut text);
    text.push('\n');
    Some(text)
}

fn structured(value: &str) -> Vec<String> {
    split_structured(value).map(|part| split_list(part).map(unescape).collect::<Vec<_>>().join(", ")).collect()
}

fn telephone(tel: &crate::content_line::Property) -> &'static str {
    let kinds = tel.parameter("TYPE").unwrap_or_default().join(",").to_ascii_uppercase();
    match kinds {
        kinds if kinds.contains("FAX") => "facsimileTelephoneNumber",
        kinds if kinds.contains("CELL") => "mobile",
        kinds if kinds.contains("HOME") => "homePhone",
        kinds if kinds.contains("PAGER") => "pager",
        _ => "telephoneNumber",
    }
}

fn address(card: &Component, text: &mut String) {
    for adr in card.all("ADR") {
        let parts = structured(&adr.value);
        let is_home =
            adr.parameter("TYPE").is_some_and(|kinds| kinds.iter().any(|kind| kind.eq_ignore_ascii_case("HOME")));
        let names: [&str; 5] = match is_home {
            false => ["street", "l", "st", "postalCode", "c"],
            true => [
                "mozillaHomeStreet",
                "mozillaHomeLocalityName",
                "mozillaHomeState",
                "mozillaHomePostalCode",
                "mozillaHomeCountryName",
            ],
        };
        for (name, part) in names.into_iter().zip(parts.iter().skip(2)) {
            line(name, part, text);
        }
    }
}

/// A line of a record; nothing for an empty value (RFC 2849: what is not SAFE is in base64).
fn line(name: &str, value: &str, out: &mut String) {
    if value.is_empty() {
        return;
    }
    let safe = value.is_ascii()
        && !value.starts_with([' ', ':', '<'])
        && !value.ends_with(' ')
        && !value.contains(['\n', '\r', '\0']);
    if safe {
        out.push_str(&format!("{name}: {value}\n"));
    } else {
        out.push_str(&format!("{name}:: {}\n", STANDARD.encode(value)));
    }
}

/// RFC 4514 section 2.4.
fn dn_escape(value: &str) -> String {
    let mut escaped = String::new();
    for c in value.trim().chars() {
        if "\",+;<>\\=".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card;

    const FILE: &str = "version: 1\n\n# a comment\ndn: cn=Ana Tern,ou=people\nobjectClass: inetOrgPerson\ncn: Ana Tern\n\
        sn: Tern\ngivenName: Ana\nmail: ana@tern.test\ntelephoneNumber: +49 1\nmobile: +49 2\nstreet: Way 1; left\n\
        l: Coast\no: Birds, Inc.\ndescription:: RsO8ciBhbGxlCg==\nlabeledURI: https://x.test/\n very/long\n\n\
        dn: cn=all\nobjectclass: groupOfNames\ncn: all\n\n\
        dn: cn=x\ncn:: !!!\n\n\
        dn: mail=ben@tern.test\nmail: ben@tern.test\n";

    #[test]
    fn people_become_cards_and_the_rest_is_told() {
        let (mut objects, mut faults) = (Vec::new(), Vec::new());
        for found in People::new(FILE.as_bytes()) {
            match found {
                Ok(object) => objects.push(object),
                Err(fault) => faults.push((fault.line, fault.reason)),
            }
        }
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].1.contains("groupofnames") && faults[1].1.contains("base64"), "{faults:?}");
        assert_eq!(objects.iter().map(|object| object.line).collect::<Vec<_>>(), [3, 26]);
        let ana = &objects[0].text;
        for part in [
            "FN:Ana Tern\r\n",
            "N:Tern;Ana;;;",
            "EMAIL:ana@tern.test",
            "TEL;TYPE=CELL:+49 2",
            "ORG:Birds\\, Inc.",
            "ADR;TYPE=WORK:;;Way 1\\; left;Coast;;;",
            "NOTE:Für alle",
            "URL:https://x.test/very/long",
        ] {
            assert!(ana.contains(part), "{part} is not in {ana}");
        }
        for object in &objects {
            card::Facts::of(&card::parse(object.text.as_bytes()).unwrap()).unwrap();
        }
        assert!(objects[1].text.contains("FN:ben@tern.test"));
    }

    #[test]
    fn cards_become_records_that_are_read_again() {
        let card = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:1\r\nFN:Zoë; Tern\\, Dr.\r\nN:Tern;Zoë;;;\r\nEMAIL:z@x.test\r\n\
            TEL;TYPE=HOME:1\r\nADR;TYPE=HOME:;;Way\\, 2;Coast;;99;\r\nORG:A;B\r\nEND:VCARD\r\n";
        let text = record(card.as_bytes()).unwrap();
        assert!(text.contains("homePhone: 1\n") && text.contains("o: A\nou: B\n"), "{text}");
        let found = People::new(text.as_bytes()).next().unwrap().unwrap();
        for part in
            ["N:Tern;Zoë;;;", "EMAIL:z@x.test", "TEL;TYPE=HOME:1", "ADR;TYPE=HOME:;;Way\\, 2;Coast;;99;", "ORG:A;B"]
        {
            assert!(found.text.contains(part), "{part} is not in {}", found.text);
        }
        assert_eq!(record(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"), None);
    }
}
