//! An installation in memory: it remembers what the setup wanted of it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use sterna_base::{Secret, Timestamp};

use crate::setup::answers::{Administrator, Certificate, Place};
use crate::setup::door::*;

/// A public address in the machine's own network.
pub const NEIGHBOUR: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

/// What it has.
#[derive(Default)]
pub struct Model {
    /// Each domain with its address.
    pub domains: Mutex<Vec<(String, String)>>,
    /// Addresses of administrators with the hash of their password.
    pub administrators: Mutex<Vec<(String, String)>>,
    /// Other people.
    pub people: Mutex<Vec<Person>>,
    /// Servers beside this one.
    pub servers: Mutex<Vec<ServerRow>>,
    /// For which servers invitations were made.
    pub invited: Mutex<Vec<String>>,
    /// On which accounts are made.
    pub selected: Mutex<Vec<String>>,
    /// Messages that were sent.
    pub sent: Mutex<Vec<Option<String>>>,
    /// How often the end was told.
    pub finished: AtomicUsize,
    /// How often anything was looked at.
    pub looked: AtomicUsize,
    /// Why an authority refuses.
    pub certificate_failure: Mutex<Option<Refusal>>,
    /// Refuses the next change.
    pub refuses: Mutex<Option<Refusal>>,
}

impl Model {
    fn may(&self) -> Result<(), Refusal> {
        self.refuses.lock().take().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Installation for Model {
    fn machine(&self) -> Machine {
        Machine {
            name: "mail1".into(),
            host: "mail1.tern.test".into(),
            https_port: 443,
            version: "1.0.0".into(),
            folder: "/var/lib/sterna".into(),
            cluster_address: "mail1.tern.test:7700".into(),
        }
    }

    async fn hash(&self, password: Secret) -> Result<String, Refusal> {
        Ok(format!("$argon2id$of {} bytes", password.expose().len()))
    }

    async fn put_place(&self, former: Option<&str>, place: &Place) -> Result<(), Refusal> {
        self.may()?;
        let mut domains = self.domains.lock();
        domains.retain(|(name, _)| Some(name.as_str()) != former);
        domains.push((place.domain.clone(), place.url.clone()));
        // Who is in a domain is called as the domain is.
        for (address, _) in self.administrators.lock().iter_mut() {
            let (local, domain) = address.rsplit_once('@').unwrap_or_default();
            if Some(domain) == former {
                *address = format!("{local}@{}", place.domain);
            }
        }
        Ok(())
    }

    async fn put_administrator(&self, former: Option<&str>, new: &Administrator, domain: &str) -> Result<(), Refusal> {
        self.may()?;
        let address = format!("{}@{domain}", new.local_part);
        let mut administrators = self.administrators.lock();
        administrators.retain(|(known, _)| Some(known.as_str()) != former && *known != address);
        administrators.push((address, new.password_hash.clone()));
        Ok(())
    }

    async fn check(&self, check: Check, place: Option<&Place>) -> Finding {
        self.looked.fetch_add(1, Ordering::SeqCst);
        let host = place.and_then(Place::host).unwrap_or_default();
        match check {
            Check::Ports => Finding::Closed { services: vec!["smtp 0.0.0.0:25: <in use>".into()] },
            Check::Outbound => Finding::OutboundClosed { tried: vec!["mx.far.test: refused".into()] },
            Check::OutboundWeb => Finding::OutboundClosed { tried: vec!["ca.far.test: <late>".into()] },
            Check::Access => Finding::NotReachedAround { tried: vec!["203.0.113.9:25 from 10.0.0.2: <late>".into()] },
            Check::Address => Finding::AddressMissing { host },
            Check::ReverseDns => {
                Finding::ReverseWrong { address: "192.0.2.1".parse().unwrap(), names: Vec::new(), host }
            }
            Check::Resolver => Finding::Validates,
            Check::BlockLists => Finding::NotListed { lists: 2 },
            Check::Clock => Finding::ClockWrong { offset_ms: -7_350 },
            Check::Memory => Finding::Amount { bytes: 512 << 20, wanted_bytes: 1 << 30 },
            Check::Disk => Finding::Amount { bytes: 5 << 30, wanted_bytes: 1 << 30 },
        }
    }

    async fn records(&self, domain: &str) -> Result<Records, Refusal> {
        let row = |kind, value: &str, need, found| RecordRow {
            name: domain.to_owned(),
            kind,
            value: value.to_owned(),
            zone: format!("{domain}. 3600 IN {kind} {value}"),
            need,
            purpose: "mail for the domain",
            found,
        };
        let rows = vec![
            row("MX", "10 mail.tern.test.", "mail", Found::Right),
            row("TXT", "v=spf1 mx ~all", "mail", Found::Other(vec!["v=spf1 -all".into()])),
            row("SRV", "0 0 0 .", "advised", Found::Missing),
        ];
        Ok(Records { rows, problems: vec!["an edge is silent".into()] })
    }

    async fn put_certificate(&self, certificate: &Certificate) -> Result<(), Refusal> {
        match certificate {
            Certificate::Files { key, .. } if key.ends_with(".missing") => {
                Err(Refusal::new("certificate", "the key can't be read", "Name another."))
            }
            _ => self.may(),
        }
    }

    async fn is_near(&self, address: IpAddr, _: Option<&Place>) -> bool {
        address == NEIGHBOUR
    }

    async fn certificate(&self) -> CertificateState {
        let failure = self.certificate_failure.lock().clone();
        CertificateState { file: "/c".into(), is_own: true, failure, ..CertificateState::default() }
    }

    async fn servers(&self) -> Result<Vec<ServerRow>, Refusal> {
        let own = ServerRow {
            id: "1".into(),
            name: "mail1".into(),
            roles: vec!["main".into(), "data".into()],
            answers: true,
            version: Some("1.0.0".into()),
            ..ServerRow::default()
        };
        Ok([vec![own], self.servers.lock().clone()].concat())
    }

    async fn invite(&self, name: &str) -> Result<Invitation, Refusal> {
        self.may()?;
        let mut invited = self.invited.lock();
        invited.push(name.to_owned());
        let command = Secret::new(format!("sterna init --join mail1 --token secret{}", invited.len()));
        Ok(Invitation { id: invited.len().to_string(), command, expires_at: Timestamp(1_800_003_600_000) })
    }

    async fn rename_server(&self, id: &str, name: &str) -> Result<(), Refusal> {
        self.may()?;
        let mut servers = self.servers.lock();
        let known = servers.iter_mut().find(|server| server.id == id);
        let known = known.ok_or_else(|| Refusal::new("no-such", "there is none", "Look."))?;
        name.clone_into(&mut known.name);
        Ok(())
    }

    async fn select_servers(&self, _domain: &str, names: &[String]) -> Result<(), Refusal> {
        self.may()?;
        names.clone_into(&mut self.selected.lock());
        Ok(())
    }

    async fn import_people(&self, csv: &str) -> Result<ImportedPeople, Refusal> {
        let mut done = ImportedPeople::default();
        for (number, line) in csv.lines().enumerate().skip(1) {
            match line.split_once(',') {
                Some((address, name)) if address.contains('@') => {
                    let (address, name) = (address.to_owned(), name.to_owned());
                    self.people.lock().push(Person { address, name, server: String::new() });
                    done.there += 1;
                }
                _ => done.errors.push((number + 1, line.to_owned(), "this is no address".to_owned())),
            }
        }
        Ok(done)
    }

    async fn put_person(&self, person: &Person) -> Result<(), Refusal> {
        if person.address.starts_with("bad") {
            return Err(Refusal::new("invalid", "no such letters", "Choose others."));
        }
        let mut people = self.people.lock();
        if !people.contains(person) {
            people.push(person.clone());
        }
        Ok(())
    }

    async fn send_proof(&self, _administrator: &str, elsewhere: Option<&str>) -> Result<String, Refusal> {
        self.may()?;
        let mut sent = self.sent.lock();
        sent.push(elsewhere.map(str::to_owned));
        Ok(format!("<{}@tern.test>", sent.len()))
    }

    async fn proof(&self, message_id: &str, elsewhere: Option<&str>) -> Result<Proof, Refusal> {
        let event = |what: &str, recipient: &str| ProofEvent {
            at: "2027-01-15T08:00:01Z".into(),
            what: what.into(),
            recipient: recipient.into(),
            detail: "spf=pass dkim=pass".into(),
            host: String::new(),
        };
        let to = "ana@tern.test".to_owned();
        let events = vec![event("verdict", ""), event("delivered", &to)];
        let answers = elsewhere.map(|from| event("delivered", from)).into_iter().collect();
        Ok(Proof { to, message_id: message_id.to_owned(), events, answers })
    }

    async fn finished(&self) {
        self.finished.fetch_add(1, Ordering::SeqCst);
    }
}
