//! Names in DNS that lead to the machine that is left, looked up until they lead to the one in its place.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::Serialize;
use sterna_mailflow::remote::{Dns, DnsError, Resolver};

use super::super::doors::AdminState;
use super::super::problem::Problem;
use super::readdress::Readdress;

/// How long DNS may take for one name.
const WAIT: Duration = Duration::from_secs(4);
/// Names that are looked up at the same time.
const AT_ONCE: usize = 16;
/// Domains whose names are looked up; those of further ones are the same, but for names of their own.
const DOMAINS_MAX: usize = 200;
/// Names that are looked up.
const NAMES_MAX: usize = 1000;

/// One name in DNS.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "AfterwardsName")]
pub(super) struct NameView {
    name: String,
    /// "A" for addresses, "MX" for mail exchangers.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What DNS says now.
    found: Vec<String>,
    /// What it should say.
    wanted: Vec<String>,
    /// "done", "old" (it leads to the machine that is left), "neither" (leads to none of the two: a proxy or router
    /// perhaps, which has to lead on to the new machine), "missing" or "unknown".
    state: &'static str,
    /// Why it is unknown.
    cause: Option<String>,
}

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    Addresses(String),
    Exchangers(String),
}

/// All names by which the world finds the installation. Where nothing can be asked, none.
pub(super) async fn looked_up(
    state: &AdminState,
    readdress: &Readdress,
    problems: &mut Vec<String>,
) -> Result<Vec<NameView>, Problem> {
    let (Some(discovery), Some(tools)) = (&state.discovery, &state.dkim) else { return Ok(Vec::new()) };
    let domains = state.directory.read(|reader| reader.domains("", DOMAINS_MAX + 1)).await?;
    let mut questions = BTreeSet::new();
    for domain in domains.iter().take(DOMAINS_MAX) {
        for name in std::iter::once(&domain.value.name).chain(&domain.value.aliases) {
            let Some(found) = discovery.find(name).await? else { continue };
            let facts = found.facts;
            let hosts = facts.exchangers.into_iter().chain(facts.senders.into_iter().flatten());
            let hosts = hosts.chain(facts.endpoints.into_iter().map(|endpoint| endpoint.host));
            questions.extend(hosts.map(Question::Addresses));
            // A name that both machines have stays in the records of domains.
            if !readdress.old.names.is_empty() {
                questions.insert(Question::Exchangers(facts.domain));
            }
        }
    }
    if domains.len() > DOMAINS_MAX {
        problems
            .push(format!("names of the first {DOMAINS_MAX} domains were looked up; for others: sterna domain dns"));
    }
    let questions: Vec<Question> = questions.into_iter().take(NAMES_MAX).collect();
    let asked = questions.into_iter().map(|question| ask(&tools.dns, readdress, question));
    let asked: Vec<_> = asked.collect();
    Ok(futures_util::stream::iter(asked).buffered(AT_ONCE).collect().await)
}

async fn ask(dns: &Dns, readdress: &Readdress, question: Question) -> NameView {
    let late = || DnsError::Temporary("DNS does not answer".to_owned());
    match question {
        Question::Addresses(name) => {
            let answer = tokio::time::timeout(WAIT, dns.addresses(&name)).await.unwrap_or_else(|_| Err(late()));
            of_addresses(name, answer, readdress)
        }
        Question::Exchangers(name) => {
            let answer = tokio::time::timeout(WAIT, dns.mx(&name)).await.unwrap_or_else(|_| Err(late()));
            of_exchangers(name, answer.map(|found| found.into_iter().map(|mx| mx.host).collect()), readdress)
        }
    }
}

/// A name is done when it leads to the new machine, whoever else it leads to.
fn of_addresses(name: String, answer: Result<Vec<IpAddr>, DnsError>, readdress: &Readdress) -> NameView {
    let (old, new) = (&readdress.old.addresses, &readdress.new);
    let wanted = if new.reached_at.is_empty() { &new.addresses } else { &new.reached_at };
    let judged = answer.map(|found| {
        let is_in =
            |addresses: &BTreeSet<IpAddr>| found.iter().any(|address| addresses.contains(&address.to_canonical()));
        let state = match found.is_empty() {
            true => "missing",
            false if is_in(old) => "old",
            false if is_in(&new.addresses) => "done",
            false => "neither",
        };
        (found.iter().map(IpAddr::to_string).collect(), state)
    });
    view(name, "A", wanted.iter().map(IpAddr::to_string).collect(), judged)
}

fn of_exchangers(name: String, answer: Result<Vec<String>, DnsError>, readdress: &Readdress) -> NameView {
    let wanted: Vec<String> = readdress.new.names.iter().cloned().collect();
    let judged = answer.map(|found| {
        let plain = |host: &String| host.trim_end_matches('.').to_ascii_lowercase();
        let is_in = |names: &BTreeSet<String>| found.iter().any(|host| names.contains(&plain(host)));
        let state = match found.is_empty() {
            true => "missing",
            false if is_in(&readdress.old.names) => "old",
            false if is_in(&readdress.new.names) => "done",
            false => "neither",
        };
        (found, state)
    });
    view(name, "MX", wanted, judged)
}

fn view(
    name: String,
    kind: &'static str,
    wanted: Vec<String>,
    judged: Result<(Vec<String>, &'static str), DnsError>,
) -> NameView {
    let (found, state, cause) = match judged {
        Ok((found, state)) => (found, state, None),
        Err(DnsError::NoSuchDomain) => (Vec::new(), "missing", None),
        Err(error) => (Vec::new(), "unknown", Some(error.to_string())),
    };
    NameView { name, kind, found, wanted, state, cause }
}

#[cfg(test)]
mod tests {
    use super::super::readdress::Known;
    use super::*;

    fn readdress() -> Readdress {
        let known = |name: &str, address: &str| {
            let address: IpAddr = address.parse().unwrap();
            Known {
                host: name.to_owned(),
                names: [name.to_owned()].into(),
                reached_at: [address].into(),
                addresses: [address].into(),
            }
        };
        Readdress::new(known("mx1.tern.test", "192.0.2.1"), known("mx2.tern.test", "192.0.2.2"))
    }

    #[test]
    fn a_name_is_done_when_it_leads_to_the_new_machine() {
        let state = |addresses: &[&str]| {
            let found = addresses.iter().map(|text| text.parse().unwrap()).collect();
            of_addresses("mail.tern.test".into(), Ok(found), &readdress()).state
        };
        assert_eq!(state(&["192.0.2.1"]), "old");
        assert_eq!(state(&["192.0.2.2", "192.0.2.1"]), "old", "some would still come to the old one");
        assert_eq!(state(&["192.0.2.2", "192.0.2.7"]), "done");
        assert_eq!(state(&["::ffff:192.0.2.2"]), "done");
        assert_eq!(state(&["203.0.113.7"]), "neither");
        assert_eq!(state(&[]), "missing");
        let failed = of_addresses("x".into(), Err(DnsError::Temporary("no".into())), &readdress());
        assert_eq!((failed.state, failed.wanted), ("unknown", vec!["192.0.2.2".to_owned()]));
    }

    #[test]
    fn mail_exchangers_are_names() {
        let state = |hosts: &[&str]| {
            let found = hosts.iter().map(|host| (*host).to_owned()).collect();
            of_exchangers("tern.test".into(), Ok(found), &readdress()).state
        };
        assert_eq!(state(&["MX1.tern.test."]), "old");
        assert_eq!(state(&["mx2.tern.test"]), "done");
        assert_eq!(state(&["filter.far.test"]), "neither");
        assert_eq!(of_exchangers("x".into(), Err(DnsError::NoSuchDomain), &readdress()).state, "missing");
    }
}
