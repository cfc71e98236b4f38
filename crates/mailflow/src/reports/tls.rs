//! TLS reports (RFC 8460): how sessions with a domain's mail exchangers went.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{About, time};
use crate::remote::{Observation, PolicyUsed};

/// Longest words of a failure that are told, in bytes.
const REASON_BYTES_MAX: usize = 200;

/// One session as it is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seen {
    policy: Policy,
    failure: Option<Failure>,
}

/// Which policy counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Policy {
    kind: String,
    lines: Vec<String>,
    hosts: Vec<String>,
}

/// What was wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Failure {
    kind: String,
    host: String,
    address: String,
    reason: String,
}

impl Seen {
    /// From what a connection showed.
    pub fn new(seen: &Observation) -> Self {
        let (kind, lines, hosts) = match &seen.policy {
            PolicyUsed::Tlsa(records) => ("tlsa", records.clone(), Vec::new()),
            PolicyUsed::Sts(lines, hosts) => ("sts", lines.clone(), hosts.clone()),
            PolicyUsed::None => ("no-policy-found", Vec::new(), Vec::new()),
        };
        let failure = seen.failure.as_ref().map(|failure| Failure {
            kind: failure.kind.name().to_owned(),
            host: seen.host.clone(),
            address: seen.address.map(|address| address.to_canonical().to_string()).unwrap_or_default(),
            reason: failure.text.chars().filter(|c| !c.is_control()).take(REASON_BYTES_MAX).collect(),
        });
        Seen { policy: Policy { kind: kind.to_owned(), lines, hosts }, failure }
    }
}

/// The report (RFC 8460 section 4.4).
pub fn report(about: &About<'_>, seen: &[(Seen, u64)]) -> Vec<u8> {
    let mut policies: BTreeMap<&Policy, (u64, Vec<(&Failure, u64)>)> = BTreeMap::new();
    for (seen, count) in seen {
        let (good, failures) = policies.entry(&seen.policy).or_default();
        match &seen.failure {
            None => *good += count,
            Some(failure) => failures.push((failure, *count)),
        }
    }
    let policies: Vec<Value> = policies.iter().map(|(policy, found)| policy_json(about, policy, found)).collect();
    let report = json!({
        "organization-name": about.organization,
        "date-range": { "start-datetime": time(about.begin_seconds()), "end-datetime": time(about.end_seconds()) },
        "contact-info": about.contact,
        "report-id": about.id,
        "policies": policies,
    });
    report.to_string().into_bytes()
}

fn policy_json(about: &About<'_>, policy: &Policy, (good, failures): &(u64, Vec<(&Failure, u64)>)) -> Value {
    let mut described = json!({ "policy-type": policy.kind, "policy-domain": about.domain });
    if !policy.lines.is_empty() {
        described["policy-string"] = json!(policy.lines);
    }
    if !policy.hosts.is_empty() {
        described["mx-host"] = json!(policy.hosts);
    }
    let bad: u64 = failures.iter().map(|(_, count)| count).sum();
    let mut json = json!({
        "policy": described,
        "summary": { "total-successful-session-count": good, "total-failure-session-count": bad },
    });
    if !failures.is_empty() {
        json["failure-details"] = failures.iter().map(|(failure, count)| failure_json(failure, *count)).collect();
    }
    json
}

fn failure_json(failure: &Failure, count: u64) -> Value {
    let mut json = json!({ "result-type": failure.kind, "failed-session-count": count });
    for (name, value) in [
        ("receiving-mx-hostname", &failure.host),
        ("receiving-ip", &failure.address),
        ("failure-reason-code", &failure.reason),
    ] {
        if !value.is_empty() {
            json[name] = json!(value);
        }
    }
    json
}
