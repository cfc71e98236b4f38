//! From entries of a directory to people and groups as this installation knows them.

use std::collections::BTreeMap;

use ldap3::SearchEntry;
use sterna_directory::{Mapping, Source, SourceKind, names};

/// Second bit of `userAccountControl`: `ACCOUNTDISABLE` (MS-ADTS section 2.2.16).
const ACCOUNT_DISABLE: i64 = 2;

/// Aliases that are taken of one entry.
const ALIASES_MAX: usize = 100;

/// A person or a group, as a source has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What never changes of it.
    pub external_id: String,
    /// Its present name.
    pub dn: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// The log-in, or the name of a group.
    pub login: String,
    /// The main address.
    pub address: String,
    /// Further ones. Rising.
    pub aliases: Vec<String>,
    /// For people.
    pub display_name: String,
    /// The organisational unit, if the source says so.
    pub unit: Option<String>,
    /// Whether they are suspended there.
    pub suspended: bool,
    /// Of a group: names of entries, or log-ins.
    pub members: Vec<String>,
}

/// One attribute's values: as text, and as bytes where they are none.
struct Attributes {
    texts: BTreeMap<String, Vec<String>>,
    bytes: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Attributes {
    fn all(&self, name: &str) -> &[String] {
        match name.is_empty() {
            true => &[],
            false => self.texts.get(&name.to_lowercase()).map_or(&[], Vec::as_slice),
        }
    }

    fn first(&self, name: &str) -> &str {
        self.all(name).iter().map(|value| value.trim()).find(|value| !value.is_empty()).unwrap_or_default()
    }

    /// The values of all attributes that are named.
    fn members(&self, names: &str) -> Vec<String> {
        names.split(',').flat_map(|name| self.all(name.trim())).cloned().collect()
    }

    /// A stable id as text: bytes in hex.
    fn id(&self, name: &str, kind: SourceKind) -> String {
        let bytes = self.bytes.get(&name.to_lowercase()).and_then(|values| values.first()).map(Vec::as_slice);
        let text = self.first(name);
        match (bytes, kind) {
            (Some(bytes), _) => hex(bytes),
            // Sixteen bytes can be text by accident: the same GUID is always written the same way.
            (None, SourceKind::ActiveDirectory) => self
                .texts
                .get(&name.to_lowercase())
                .and_then(|v| v.first())
                .map_or_else(String::new, |v| hex(v.as_bytes())),
            (None, SourceKind::OpenLdap) => text.to_owned(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An entry that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// What never changes of it; `None` when not even that is known.
    pub external_id: Option<String>,
    /// Why, for people.
    pub why: String,
}

/// What an entry says, or why it can't be used.
///
/// # Errors
/// The reason.
pub fn read(source: &Source, domains: &[String], entry: SearchEntry, is_group: bool) -> Result<Found, Unusable> {
    let SearchEntry { dn, attrs, bin_attrs } = entry;
    let lower = |name: String| name.to_lowercase();
    let attributes = Attributes {
        texts: attrs.into_iter().map(|(name, values)| (lower(name), values)).collect(),
        bytes: bin_attrs.into_iter().map(|(name, values)| (lower(name), values)).collect(),
    };
    let mapping = &source.mapping;
    let external_id = attributes.id(&mapping.id, source.kind);
    if external_id.is_empty() {
        let why = format!("{dn}: it has no {}; may the bind DN read it?", mapping.id);
        return Err(Unusable { external_id: None, why });
    }
    let name = attributes.first(if is_group { &mapping.group_name } else { &mapping.login }).to_lowercase();
    let mut own = own_addresses(mapping, domains, &attributes);
    let address = match own.is_empty() {
        false => own.remove(0),
        true => format!("{}@{}", local_part(&name), domains.first().map(String::as_str).unwrap_or_default()),
    };
    if names::address(&address).is_none() {
        let (attribute, login) = (&mapping.address, if is_group { &mapping.group_name } else { &mapping.login });
        let why = format!("{dn}: neither {attribute} nor {login} gives an address in {}", domains.join(", "));
        return Err(Unusable { external_id: Some(external_id), why });
    }
    own.truncate(ALIASES_MAX);
    own.sort_unstable();
    let display_name = match attributes.first(&mapping.display_name) {
        "" => attributes.first(if is_group { &mapping.group_name } else { &mapping.login }),
        name => name,
    };
    let unit = (!mapping.unit.is_empty() && !is_group).then(|| attributes.first(&mapping.unit).to_owned());
    Ok(Found {
        external_id,
        is_group,
        address,
        aliases: own,
        display_name: one_line(display_name),
        unit,
        suspended: !is_group && is_suspended(&mapping.suspended, attributes.all(&mapping.suspended)),
        members: if is_group { attributes.members(&mapping.members) } else { Vec::new() },
        login: name,
        dn,
    })
}

/// Addresses in the source's domain, each once, the main one first.
fn own_addresses(mapping: &Mapping, domains: &[String], attributes: &Attributes) -> Vec<String> {
    let plain = attributes.all(&mapping.address).iter().map(String::as_str);
    // `SMTP:` is the main one of `proxyAddresses`, others are `smtp:`, and there are ones that are no mail at all.
    let proxies = attributes.all(&mapping.aliases).iter();
    let mut proxies: Vec<&String> = proxies.collect();
    proxies.sort_by_key(|value| !value.starts_with("SMTP:"));
    let proxies = proxies.into_iter().filter_map(|value| match value.split_once(':') {
        Some((scheme, rest)) => scheme.eq_ignore_ascii_case("smtp").then_some(rest),
        None => Some(value.as_str()),
    });
    let mut own = Vec::new();
    for text in plain.chain(proxies) {
        let Some((local, domain)) = names::address(text) else { continue };
        if domains.contains(&domain) {
            // Addresses exist under every name of the domain: the first is how they are written.
            let address = format!("{local}@{}", domains[0]);
            if !own.contains(&address) {
                own.push(address);
            }
        }
    }
    own
}

/// A name as the local part of an address: spaces are dots, what can't be there goes.
fn local_part(name: &str) -> String {
    let spaced: String = name.trim().chars().map(|c| if c.is_whitespace() { '.' } else { c }).collect();
    let kept: String = spaced.chars().filter(|c| c.is_alphanumeric() || ".-_+".contains(*c)).collect();
    kept.trim_matches('.').to_owned()
}

fn is_suspended(attribute: &str, values: &[String]) -> bool {
    match attribute.eq_ignore_ascii_case("userAccountControl") {
        true => {
            values.first().and_then(|value| value.parse::<i64>().ok()).is_some_and(|bits| bits & ACCOUNT_DISABLE != 0)
        }
        false => values.iter().any(|value| !value.is_empty() && !value.eq_ignore_ascii_case("false") && value != "0"),
    }
}

/// Fit for a display name here.
fn one_line(text: &str) -> String {
    let mut line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.truncate(line.floor_char_boundary(names::DISPLAY_BYTES_MAX));
    line.trim().to_owned()
}
