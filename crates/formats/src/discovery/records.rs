//! The records that DNS should have of a domain: one list, for people, zone files and checks.

use super::{DAV_PATH, DomainFacts, Service};

/// How long resolvers may keep them, where nobody says otherwise, in seconds.
pub const TTL_SECONDS: u32 = 3600;

/// Bytes of one string of a TXT record (RFC 1035 section 3.3.14).
const TXT_STRING_BYTES: usize = 255;

/// How much depends on a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Mail doesn't arrive, or is taken for forged, without it.
    Mail,
    /// Clients have to be told by hand without it.
    Clients,
    /// It is better to have it.
    Advised,
}

impl Need {
    /// As listings name it.
    pub fn name(self) -> &'static str {
        match self {
            Need::Mail => "mail",
            Need::Clients => "clients",
            Need::Advised => "advised",
        }
    }
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A mail exchanger.
    Mx {
        /// The smallest is tried first.
        preference: u16,
        /// Its name.
        host: String,
    },
    /// Where a service is (RFC 2782); that there is none where there is no host.
    Srv {
        /// The smallest is tried first.
        priority: u16,
        /// Its port.
        port: u16,
        /// Its name.
        host: Option<String>,
    },
    /// Another name of a host.
    Cname(String),
    /// A text.
    Txt(String),
}

impl Data {
    /// The type of the record.
    pub fn kind(&self) -> &'static str {
        match self {
            Data::Mx { .. } => "MX",
            Data::Srv { .. } => "SRV",
            Data::Cname(_) => "CNAME",
            Data::Txt(_) => "TXT",
        }
    }

    /// As people enter it in a form, without the quotes and parts of zone files.
    pub fn plain(&self) -> String {
        match self {
            Data::Txt(text) => text.clone(),
            _ => self.in_zone(),
        }
    }

    /// As a zone file has it (RFC 1035 section 5.1).
    pub fn in_zone(&self) -> String {
        match self {
            Data::Mx { preference, host } => format!("{preference} {host}."),
            Data::Srv { priority, port, host: Some(host) } => format!("{priority} 1 {port} {host}."),
            Data::Srv { host: None, .. } => "0 0 0 .".to_owned(),
            Data::Cname(host) => format!("{host}."),
            Data::Txt(text) => {
                let strings = text.as_bytes().chunks(TXT_STRING_BYTES).map(quoted);
                strings.collect::<Vec<_>>().join(" ")
            }
        }
    }
}

fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            byte => text.push_str(&format!("\\{byte:03}")),
        }
    }
    text.push('"');
    text
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name, without the dot at the end.
    pub name: String,
    /// What it says.
    pub data: Data,
    /// How much depends on it.
    pub need: Need,
    /// Whom it is for.
    pub purpose: &'static str,
}

impl Record {
    /// As a line of a zone file.
    pub fn zone_line(&self) -> String {
        format!("{}. {TTL_SECONDS} IN {} {}", self.name, self.data.kind(), self.data.in_zone())
    }
}

/// Services with SRV records: name, service, priority (RFC 6186 section 3.4: what is preferred among those that do the
/// same; RFC 8314 section 3: TLS from the first byte), whom for.
const SERVICES: &[(&str, Service, u16, &str)] = &[
    ("_imaps._tcp", Service::Imaps, 0, "reading mail (RFC 6186, 8314)"),
    ("_imap._tcp", Service::Imap, 10, "reading mail, STARTTLS"),
    ("_pop3s._tcp", Service::Pop3s, 20, "reading mail, POP3"),
    ("_pop3._tcp", Service::Pop3, 30, "reading mail, POP3 with STLS"),
    ("_submissions._tcp", Service::Submissions, 0, "sending mail (RFC 8314)"),
    ("_submission._tcp", Service::Submission, 10, "sending mail, STARTTLS (RFC 6186)"),
    ("_sieve._tcp", Service::Sieve, 0, "Sieve scripts (RFC 5804)"),
    ("_caldavs._tcp", Service::Https, 0, "calendars (RFC 6764)"),
    ("_carddavs._tcp", Service::Https, 0, "contacts (RFC 6764)"),
    ("_autodiscover._tcp", Service::Https, 0, "Outlook"),
];

/// Services that RFC 6186 section 3.4 and RFC 6764 section 3 let clients look for, and that are never offered without
/// TLS or not at all: saying so keeps clients from guessing.
const NEVER: &[(&str, &str)] =
    &[("_caldav._tcp", "calendars, without TLS: never"), ("_carddav._tcp", "contacts, without TLS: never")];

/// Everything that DNS should have of a domain, in the order in which people want to read it.
pub fn records(facts: &DomainFacts) -> Vec<Record> {
    let mut list = List { domain: &facts.domain, records: Vec::new() };
    list.mail(facts);
    list.services(facts);
    list.web(facts);
    list.records
}

struct List<'a> {
    domain: &'a str,
    records: Vec<Record>,
}

impl List<'_> {
    fn add(&mut self, prefix: &str, data: Data, need: Need, purpose: &'static str) {
        let dot = if prefix.is_empty() { "" } else { "." };
        self.records.push(Record { name: format!("{prefix}{dot}{}", self.domain), data, need, purpose });
    }

    fn mail(&mut self, facts: &DomainFacts) {
        for host in &facts.exchangers {
            self.add("", Data::Mx { preference: 10, host: host.clone() }, Need::Mail, "mail for the domain");
        }
        if let Some(senders) = &facts.senders {
            let others = senders.iter().filter(|host| !facts.exchangers.contains(host));
            let others: String = others.map(|host| format!(" a:{host}")).collect();
            let own = if facts.exchangers.is_empty() { "" } else { " mx" };
            let text = format!("v=spf1{own}{others} ~all");
            self.add("", Data::Txt(text), Need::Mail, "who sends for the domain (SPF)");
        }
        for (name, text) in &facts.dkim {
            let (name, data) = (name.clone(), Data::Txt(text.clone()));
            self.records.push(Record { name, data, need: Need::Mail, purpose: "key for signatures (DKIM)" });
        }
        let dmarc = format!("v=DMARC1; p=none; rua=mailto:postmaster@{}", self.domain);
        self.add("_dmarc", Data::Txt(dmarc), Need::Advised, "what others do with forged mail (DMARC)");
        if let Some(policy) = facts.mta_sts() {
            let text = "TLS for mail to the domain (MTA-STS)";
            self.add("_mta-sts", Data::Txt(policy.record()), Need::Mail, text);
            let reports = format!("v=TLSRPTv1; rua=mailto:postmaster@{}", self.domain);
            self.add("_smtp._tls", Data::Txt(reports), Need::Advised, "reports about TLS (TLS-RPT)");
        }
    }

    fn services(&mut self, facts: &DomainFacts) {
        for (name, service, priority, purpose) in SERVICES {
            let mut found = facts.endpoints.iter().filter(|endpoint| endpoint.service == *service).peekable();
            if found.peek().is_none() {
                // Outlook's isn't one of those that a client takes a "no" from.
                if *service != Service::Https || !name.starts_with("_auto") {
                    let data = Data::Srv { priority: 0, port: 0, host: None };
                    self.add(name, data, Need::Advised, "not offered: clients need not look");
                }
                continue;
            }
            for endpoint in found {
                let host = Some(endpoint.host.clone());
                let data = Data::Srv { priority: *priority, port: endpoint.port, host };
                self.add(name, data, Need::Clients, purpose);
            }
        }
        for (name, purpose) in NEVER {
            self.add(name, Data::Srv { priority: 0, port: 0, host: None }, Need::Advised, purpose);
        }
        if facts.endpoint(Service::Https).is_some() {
            for name in ["_caldavs._tcp", "_carddavs._tcp"] {
                let path = Data::Txt(format!("path={DAV_PATH}"));
                self.add(name, path, Need::Clients, "where DAV is on that host (RFC 6764)");
            }
        }
    }

    /// Names that clients make of the domain and ask by HTTPS at the usual port only.
    fn web(&mut self, facts: &DomainFacts) {
        let Some(https) = facts.endpoint(Service::Https).filter(|https| https.port == 443) else { return };
        let names = [
            ("autoconfig", Need::Clients, "Thunderbird and others; the certificate must have this name"),
            ("autodiscover", Need::Clients, "Outlook; the certificate must have this name"),
        ];
        for (name, need, purpose) in names {
            self.add(name, Data::Cname(https.host.clone()), need, purpose);
        }
        if facts.mta_sts().is_some() {
            let purpose = "where the policy of MTA-STS is; the certificate must have this name";
            self.add("mta-sts", Data::Cname(https.host.clone()), Need::Mail, purpose);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::facts;
    use super::*;

    fn lines(facts: &DomainFacts) -> Vec<String> {
        records(facts).iter().map(Record::zone_line).collect()
    }

    #[test]
    fn what_listens_is_announced_and_what_does_not_is_denied() {
        let lines = lines(&facts());
        for line in [
            "tern.test. 3600 IN MX 10 mail.tern.test.",
            "tern.test. 3600 IN TXT \"v=spf1 mx a:out.tern.test ~all\"",
            "_imaps._tcp.tern.test. 3600 IN SRV 0 1 993 mail.tern.test.",
            "_imap._tcp.tern.test. 3600 IN SRV 10 1 143 mail.tern.test.",
            "_pop3s._tcp.tern.test. 3600 IN SRV 0 0 0 .",
            "_caldavs._tcp.tern.test. 3600 IN SRV 0 1 443 mail.tern.test.",
            "_carddavs._tcp.tern.test. 3600 IN TXT \"path=/dav/\"",
            "_caldav._tcp.tern.test. 3600 IN SRV 0 0 0 .",
            "autoconfig.tern.test. 3600 IN CNAME mail.tern.test.",
            "mta-sts.tern.test. 3600 IN CNAME mail.tern.test.",
        ] {
            assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:#?}");
        }
    }

    #[test]
    fn without_https_nothing_of_it_is_announced() {
        let mut facts = facts();
        facts.endpoints.retain(|endpoint| endpoint.service != Service::Https);
        let lines = lines(&facts);
        let of_web = ["CNAME", "path=", "mta-sts", "_autodiscover"];
        assert!(!lines.iter().any(|line| of_web.iter().any(|word| line.contains(word))), "{lines:#?}");
        assert!(lines.iter().any(|line| line == "_caldavs._tcp.tern.test. 3600 IN SRV 0 0 0 ."));
    }

    #[test]
    fn other_ports_have_no_names_that_clients_make_themselves() {
        let mut facts = facts();
        facts.endpoints[5].port = 8443;
        assert!(records(&facts).iter().all(|record| record.data.kind() != "CNAME"));
        assert!(lines(&facts).iter().any(|line| line.contains("SRV 0 1 8443 mail.tern.test.")));
    }

    #[test]
    fn long_texts_are_cut_and_odd_characters_escaped() {
        let data = Data::Txt(format!("{}\"\\é", "a".repeat(254)));
        assert_eq!(data.in_zone(), format!("\"{}\\\"\" \"\\\\\\195\\169\"", "a".repeat(254)));
        assert_eq!(data.plain().len(), 258);
        let key = records(&facts()).into_iter().find(|record| record.name.starts_with("s1.")).unwrap();
        assert_eq!(key.data.in_zone().matches("\" \"").count(), 1);
    }

    #[test]
    fn a_relay_elsewhere_leaves_out_who_sends() {
        let facts = DomainFacts { senders: None, ..facts() };
        assert!(!lines(&facts).iter().any(|line| line.contains("v=spf1")));
    }
}
