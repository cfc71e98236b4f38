//! The answers of the setup: typed, prefilled, kept.

use serde::{Deserialize, Serialize};

use super::door::{Machine, Person};
use crate::i18n::{Lang, text};

/// Longest name of a person, in bytes; the directory has its own limits, this one keeps the file small.
const NAME_BYTES_MAX: usize = 200;
/// Longest part of an address before the @ (RFC 5321 section 4.5.3.1.1), in bytes.
const LOCAL_PART_BYTES_MAX: usize = 64;
/// Longest name in DNS, in bytes (RFC 1035 section 2.3.4).
const DOMAIN_BYTES_MAX: usize = 253;
/// Longest path of a file.
const PATH_BYTES_MAX: usize = 1024;
/// Longest place for backups.
const BACKUP_BYTES_MAX: usize = 1024;

/// What was answered; what is not there was not asked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// Who administers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub administrator: Option<Administrator>,
    /// Where it is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What clients see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// Where accounts live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Where copies go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// Who gets accounts now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<People>,
}

/// Who administers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Administrator {
    /// What people call them.
    #[serde(default)]
    pub name: String,
    /// Their address, up to the @.
    pub local_part: String,
    /// argon2id, as a PHC string: the password itself is kept nowhere.
    pub password_hash: String,
}

/// Where the installation is found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// `https://mail.example.org`, with a port if it isn't 443.
    pub url: String,
    /// The first mail domain.
    pub domain: String,
}

/// What clients see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Certificate {
    /// The one that the node made itself, for now.
    SelfSigned,
    /// The administrator's.
    Files {
        /// PEM file with the certificate and those between it and its root.
        certificate: String,
        /// PEM file with its key.
        key: String,
    },
    /// One that an authority issues and renews by itself (ACME, RFC 8555).
    Acme {
        /// "letsencrypt", "letsencrypt-staging", or the URL of an authority's directory.
        #[serde(default = "usual_authority")]
        directory: String,
        /// That its terms of service were read and are agreed to.
        #[serde(default)]
        terms_agreed: bool,
        /// Where the authority writes to when something is wrong; nowhere when empty.
        #[serde(default)]
        contact: String,
        /// PEM file with what the authority's own connections are believed by, for one that the system doesn't know.
        #[serde(default)]
        roots: String,
    },
}

/// Whom most people ask.
pub fn usual_authority() -> String {
    "letsencrypt".to_owned()
}

/// Where accounts live.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Names of the servers for new accounts of the domain; none is all.
    #[serde(default)]
    pub selected: Vec<String>,
}

/// Where copies go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// A folder or the address of a store; empty is later.
    #[serde(default)]
    pub place: String,
}

/// Who got accounts; they are in the directory and not kept twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// How many.
    #[serde(default)]
    pub created: u32,
}

/// What is wrong with fields: the field's name and the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<(&'static str, String)>);

impl Mistakes {
    /// One more.
    pub fn add(&mut self, field: &'static str, text: impl Into<String>) {
        self.0.push((field, text.into()));
    }

    /// The first of a field.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == field).map(|(_, text)| text.as_str())
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(field, text)| (*field, text.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn has_controls(text: &str) -> bool {
    text.chars().any(char::is_control)
}

impl Administrator {
    /// What is wrong with name and address; the directory has the last word.
    pub fn mistakes(&self, lang: Lang) -> Mistakes {
        let mut found = Mistakes::default();
        if self.name.len() > NAME_BYTES_MAX || has_controls(&self.name) {
            found.add("name", text::setup_mistake_name(lang));
        }
        let local = &self.local_part;
        let is_bad = |character: char| {
            character.is_whitespace() || character.is_control() || "@<>()[]\\,;:\"".contains(character)
        };
        if local.is_empty() || local.len() > LOCAL_PART_BYTES_MAX || local.chars().any(is_bad) {
            found.add("local_part", text::setup_mistake_local_part(lang));
        }
        found
    }
}

impl Place {
    /// In the form in which it is kept: what people leave out or add is mended, letters are small.
    pub fn tidied(url: &str, domain: &str) -> Self {
        let url = url.trim().trim_end_matches('/');
        let url = if url.is_empty() || url.contains("://") { url.to_owned() } else { format!("https://{url}") };
        let url = url.strip_suffix(":443").unwrap_or(&url).to_lowercase();
        let domain = domain.trim().trim_end_matches('.').trim_start_matches('@').to_lowercase();
        Place { url, domain }
    }

    /// What is wrong with it.
    pub fn mistakes(&self, lang: Lang) -> Mistakes {
        let mut found = Mistakes::default();
        if self.host().is_none() {
            found.add("url", text::setup_mistake_url(lang));
        }
        if !is_domain(&self.domain) {
            found.add("domain", text::setup_mistake_domain(lang));
        }
        found
    }

    /// The host of the URL, as DNS has it; `None` when it isn't `https://host[:port]`.
    pub fn host(&self) -> Option<String> {
        let authority = self.url.strip_prefix("https://")?;
        let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
        let is_port = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
        let is_port = is_port && port.parse::<u16>().is_ok_and(|port| port > 0);
        (is_port && is_domain(host)).then(|| idna::domain_to_ascii(host).ok())?
    }
}

/// Whether it is a name with a dot that DNS can have; an IP address is none.
pub fn is_domain(name: &str) -> bool {
    let Ok(ascii) = idna::domain_to_ascii_strict(name) else { return false };
    let label = |label: &str| !label.is_empty() && label.len() <= 63;
    let is_number = ascii.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    ascii.contains('.') && ascii.len() <= DOMAIN_BYTES_MAX && ascii.split('.').all(label) && !is_number
}

impl Certificate {
    /// What is wrong with it, before the files are looked at.
    pub fn mistakes(&self, lang: Lang) -> Mistakes {
        let mut found = Mistakes::default();
        let is_path = |path: &str| path.starts_with('/') && path.len() <= PATH_BYTES_MAX && !has_controls(path);
        match self {
            Certificate::SelfSigned => {}
            Certificate::Files { certificate, key } => {
                for (field, path) in [("certificate", certificate), ("key", key)] {
                    if !is_path(path) {
                        found.add(field, text::setup_mistake_path(lang));
                    }
                }
            }
            Certificate::Acme { directory, terms_agreed, contact, roots } => {
                let is_named = matches!(directory.as_str(), "letsencrypt" | "letsencrypt-staging");
                let is_url = directory.starts_with("https://")
                    && directory.len() <= PATH_BYTES_MAX
                    && directory.bytes().all(|byte| byte.is_ascii_graphic());
                if !is_named && !is_url {
                    found.add("directory", text::setup_mistake_authority(lang));
                }
                if !terms_agreed {
                    found.add("terms_agreed", text::setup_mistake_terms(lang));
                }
                let is_address = contact.len() <= 320
                    && contact.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty())
                    && !contact.chars().any(|c| c.is_whitespace() || c.is_control());
                if !contact.is_empty() && !is_address {
                    found.add("contact", text::setup_mistake_contact(lang));
                }
                if !roots.is_empty() && !is_path(roots) {
                    found.add("roots", text::setup_mistake_path(lang));
                }
            }
        }
        found
    }
}

impl Backup {
    /// What is wrong with it.
    pub fn mistakes(&self, lang: Lang) -> Mistakes {
        let mut found = Mistakes::default();
        if self.place.len() > BACKUP_BYTES_MAX || has_controls(&self.place) {
            found.add("place", text::setup_mistake_path(lang));
        }
        found
    }
}

/// What is offered where nothing was answered.
pub fn offered(machine: &Machine) -> Place {
    if !is_domain(&machine.host) {
        return Place::default();
    }
    let port = if machine.https_port == 443 { String::new() } else { format!(":{}", machine.https_port) };
    let domain = machine.host.split_once('.').map(|(_, domain)| domain).filter(|domain| is_domain(domain));
    Place { url: format!("https://{}{port}", machine.host), domain: domain.unwrap_or(&machine.host).to_owned() }
}

/// An answers file: the same answers, with a password instead of its hash, and people and servers that are to be.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswersFile {
    /// Who administers it.
    pub administrator: Option<FileAdministrator>,
    /// Where it is found.
    pub place: Option<Place>,
    /// What clients see.
    pub certificate: Option<Certificate>,
    /// Where accounts live.
    pub storage: Option<Storage>,
    /// Where copies go.
    pub backup: Option<Backup>,
    /// Who gets accounts.
    pub people: Vec<Person>,
}

/// The administrator in an answers file.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileAdministrator {
    /// What people call them.
    pub name: String,
    /// Their address, up to the @.
    pub local_part: String,
    /// The password, or nothing when its hash is given.
    pub password: String,
    /// Its hash (argon2id).
    pub password_hash: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_of_a_place_is_mended_or_refused() {
        let place = Place::tidied(" Mail.Example.ORG:443/ ", "@Example.org.");
        assert_eq!(place, Place { url: "https://mail.example.org".into(), domain: "example.org".into() });
        assert!(place.mistakes(Lang::En).is_empty());
        assert_eq!(
            Place::tidied("https://müller.example:8443", "x.y").host().as_deref(),
            Some("xn--mller-kva.example")
        );
        for url in [
            "http://a.test",
            "https://",
            "https://a",
            "https://a.test/x",
            "https://u@a.test",
            "https://a.test:0",
            "https://a.test:99999",
            "https://192.0.2.1",
            "https://[::1]",
            "https://a..test",
            "https://a_b.test",
            "https://a.test?x",
            "https://a.test\u{0}",
            "javascript:alert(1)",
            "",
        ] {
            assert_eq!(Place { url: url.into(), domain: "x.test".into() }.host(), None, "{url}");
        }
        for domain in
            ["", "test", "a b.test", "192.0.2.1", "<x>.test", &"a.".repeat(200), &format!("{}.test", "a".repeat(64))]
        {
            assert!(!is_domain(domain), "{domain}");
        }
    }

    #[test]
    fn what_is_offered_is_what_the_machine_is_called() {
        let machine = |host: &str, https_port| Machine { host: host.into(), https_port, ..Machine::default() };
        let both = |machine| {
            let Place { url, domain } = offered(&machine);
            (url, domain)
        };
        assert_eq!(both(machine("mail.example.org", 443)), ("https://mail.example.org".into(), "example.org".into()));
        assert_eq!(both(machine("example.org", 8443)), ("https://example.org:8443".into(), "example.org".into()));
        assert_eq!(both(machine("localhost", 443)), (String::new(), String::new()));
    }

    #[test]
    fn authorities_are_named_and_their_terms_agreed_to() {
        let mistakes = |directory: &str, terms_agreed| {
            let contact = "ana@tern.test".to_owned();
            let chosen =
                Certificate::Acme { directory: directory.to_owned(), terms_agreed, contact, roots: String::new() };
            chosen.mistakes(Lang::Fr).all().map(|(field, _)| field.to_owned()).collect::<Vec<_>>()
        };
        assert!(mistakes("letsencrypt", true).is_empty() && mistakes("https://ca.test/dir", true).is_empty());
        assert_eq!(mistakes("letsencrypt", false), ["terms_agreed"]);
        for bad in
            ["", "http://ca.test/dir", "https://ca.test/a b", "javascript:x", &format!("https://{}", "a".repeat(2000))]
        {
            assert_eq!(mistakes(bad, true), ["directory"], "{bad}");
        }
        for contact in ["ana", "@x", "a b@x.test", "a@x\u{7}"] {
            let directory = usual_authority();
            let chosen =
                Certificate::Acme { directory, terms_agreed: true, contact: contact.to_owned(), roots: "x".into() };
            let found = chosen.mistakes(Lang::De).all().map(|(field, _)| field.to_owned()).collect::<Vec<_>>();
            assert!(found.contains(&"contact".to_owned()) && found.contains(&"roots".to_owned()), "{found:?}");
        }
    }

    #[test]
    fn administrators_have_addresses() {
        let mistakes = |local: &str| {
            let local_part = local.to_owned();
            Administrator { local_part, ..Administrator::default() }.mistakes(Lang::De).all().count()
        };
        assert_eq!((mistakes("ana"), mistakes("ana.x+y"), mistakes("añá")), (0, 0, 0));
        for bad in ["", "a b", "a@b", "a\u{7}", "<a>", &"a".repeat(65)] {
            assert_eq!(mistakes(bad), 1, "{bad}");
        }
    }
}
