//! What a certificate is for: the names under which the services of the installation are found, as far as DNS leads
//! them here. An authority refuses the whole order for one name that leads elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_directory::acme::{CERTIFICATE_NAMES_MAX, LeftOut};
use sterna_directory::{Directory, Reader, RequestError, StorageError, settings};
use sterna_mailflow::remote::{Dns, DnsError, Resolver};

use crate::node::discovery::Discovery;

/// Names that are looked up in DNS.
const NAMES_MAX: usize = 1000;

/// Lookups at the same time.
const LOOKUPS_AT_ONCE: usize = 16;

/// How long one may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Names that could be in a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those by which edges are found; where they lead is here.
    pub own: BTreeSet<String>,
    /// Those of domains, which may lead to somebody else.
    pub others: BTreeSet<String>,
}

/// Names, sorted out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Those that lead here, those of edges first.
    pub found: Vec<String>,
    /// The others.
    pub left_out: Vec<LeftOut>,
}

/// The names of all services of all domains.
///
/// # Errors
/// When the directory can't be read.
pub async fn wanted(directory: &Directory, discovery: &Discovery, further: &[String]) -> Result<Wanted, RequestError> {
    let (domains, external) = directory.read(said).await?;
    let mut wanted = Wanted::default();
    wanted.own.extend(further.iter().cloned());
    wanted.own.extend(external);
    for domain in domains {
        let Some(found) = discovery.find(&domain).await? else { continue };
        let facts = found.facts;
        wanted.own.extend(facts.endpoints.iter().map(|endpoint| endpoint.host.clone()));
        wanted.others.extend(facts.exchangers.iter().cloned());
        wanted.others.extend(["autoconfig", "autodiscover"].map(|label| format!("{label}.{}", facts.domain)));
        if facts.mta_sts.is_some() {
            wanted.others.insert(format!("mta-sts.{}", facts.domain));
        }
    }
    Ok(wanted.sorted_out())
}

impl Wanted {
    /// Only what can be in a certificate, each once.
    fn sorted_out(self) -> Self {
        let good = |name: &String| {
            name.contains('.') && name.parse::<IpAddr>().is_err() && idna::domain_to_ascii_strict(name).is_ok()
        };
        let lower = |names: BTreeSet<String>| names.into_iter().map(|name| name.to_ascii_lowercase()).filter(good);
        let own: BTreeSet<String> = lower(self.own).take(NAMES_MAX).collect();
        let others = lower(self.others).filter(|name| !own.contains(name)).take(NAMES_MAX).collect();
        Wanted { own, others }
    }
}

/// All names of all domains that are not suspended, and the host of the external URL.
fn said(reader: &Reader<'_>) -> Result<(Vec<String>, Option<String>), StorageError> {
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = reader.domains(&after, PAGE_ITEMS_MAX)?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.value.name);
        for domain in page.into_iter().map(|found| found.value).filter(|domain| !domain.suspended) {
            names.push(domain.name);
            names.extend(domain.aliases);
        }
        if names.len() >= NAMES_MAX {
            break;
        }
    }
    let url = reader.setting_for(None, settings::EXTERNAL_URL)?;
    let host = url.and_then(|url| Some(url.parse::<http::Uri>().ok()?.host()?.to_owned()));
    Ok((names, host))
}

/// What DNS says of one name.
type Answer = Result<Vec<IpAddr>, String>;

/// Which of them lead here. A name of which DNS says nothing at present stays if the certificate has it.
pub async fn leading_here(dns: &Dns, wanted: Wanted, known: &[String]) -> Names {
    let all: Vec<String> = wanted.own.iter().chain(&wanted.others).cloned().collect();
    let look = |name: String| async move {
        let answer = tokio::time::timeout(LOOKUP_TIMEOUT, dns.addresses(&name)).await;
        let answer = answer.unwrap_or_else(|_| Err(DnsError::Temporary("it took too long".to_owned())));
        let answer = match answer {
            Err(DnsError::NoSuchDomain) => Ok(Vec::new()),
            answer => answer.map_err(|error| error.to_string()),
        };
        (name, answer)
    };
    let answers: BTreeMap<String, Answer> =
        futures_util::stream::iter(all.into_iter().map(look)).buffer_unordered(LOOKUPS_AT_ONCE).collect().await;
    sorted(&wanted, &answers, known)
}

fn sorted(wanted: &Wanted, answers: &BTreeMap<String, Answer>, known: &[String]) -> Names {
    let addresses = |name: &String| answers.get(name).and_then(|answer| answer.as_ref().ok()).into_iter().flatten();
    let here: BTreeSet<IpAddr> = wanted.own.iter().flat_map(addresses).copied().collect();
    let mut names = Names::default();
    for name in wanted.own.iter().chain(&wanted.others) {
        let elsewhere = || addresses(name).find(|address| !here.contains(address));
        let why = match answers.get(name) {
            Some(Err(_)) if known.contains(name) => None,
            Some(Err(cause)) => Some(format!("DNS says nothing of {name} at present: {cause}")),
            None => Some(format!("{name} was not looked for")),
            Some(Ok(found)) if found.is_empty() => Some(format!("{name} has no address in DNS")),
            Some(Ok(_)) => elsewhere().map(|at| format!("{name} leads to {at}, which is not this installation")),
        };
        let why = why.or_else(|| {
            let is_full = names.found.len() >= CERTIFICATE_NAMES_MAX;
            is_full.then(|| format!("the certificate has {CERTIFICATE_NAMES_MAX} names already, without {name}"))
        });
        match why {
            None => names.found.push(name.clone()),
            Some(why) => names.left_out.push(LeftOut { name: name.clone(), why, again_at: None }),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_lead_here_are_asked_for() {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<String>>();
        let own = set(&["mail.tern.test", "localhost", "192.0.2.1", "Imap.tern.test", "a_b.tern.test"]);
        let others = set(&["mail.tern.test", "mx.else.test", "autoconfig.tern.test", "gone.test", "silent.test"]);
        let wanted = Wanted { own, others }.sorted_out();
        assert_eq!(wanted.own, set(&["imap.tern.test", "mail.tern.test"]));
        assert!(!wanted.others.contains("mail.tern.test"));
        let at = |text: &str| Ok(vec![text.parse::<IpAddr>().unwrap()]);
        let both = Ok(vec!["192.0.2.1".parse().unwrap(), "2001:db8::9".parse().unwrap()]);
        let answers: BTreeMap<String, Answer> = [
            ("mail.tern.test", at("192.0.2.1")),
            ("imap.tern.test", Ok(Vec::new())),
            ("mx.else.test", both),
            ("autoconfig.tern.test", at("192.0.2.1")),
            ("gone.test", Err("timeout".to_owned())),
            ("silent.test", Err("timeout".to_owned())),
        ]
        .map(|(name, answer)| (name.to_owned(), answer))
        .into();
        let names = sorted(&wanted, &answers, &["silent.test".to_owned()]);
        assert_eq!(names.found, ["mail.tern.test", "autoconfig.tern.test", "silent.test"]);
        let why: Vec<&str> = names.left_out.iter().map(|one| one.why.as_str()).collect();
        assert_eq!(
            why,
            [
                "imap.tern.test has no address in DNS",
                "DNS says nothing of gone.test at present: timeout",
                "mx.else.test leads to 2001:db8::9, which is not this installation",
            ]
        );
    }

    #[test]
    fn a_certificate_has_only_so_many_names() {
        let own: BTreeSet<String> = (0..150).map(|number| format!("n{number:03}.test")).collect();
        let answers = own.iter().map(|name| (name.clone(), Ok(vec!["192.0.2.1".parse().unwrap()]))).collect();
        let names = sorted(&Wanted { own, others: BTreeSet::new() }, &answers, &[]);
        assert_eq!((names.found.len(), names.left_out.len()), (CERTIFICATE_NAMES_MAX, 50));
    }
}
