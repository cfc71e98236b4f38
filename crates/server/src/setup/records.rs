//! The records of a domain beside what DNS has of them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sterna_formats::discovery::{Data, Record};
use sterna_mailflow::remote::{Dns, DnsError, Resolver};
use sterna_web::setup::door::{Found, RecordRow};

/// How long DNS may take for one record.
const WAIT: Duration = Duration::from_secs(4);

/// Asks DNS for each record, all at once.
pub async fn compared(dns: &Arc<Dns>, records: Vec<Record>) -> Vec<RecordRow> {
    join_all(records.into_iter().map(|record| row(dns, record))).await
}

async fn row(dns: &Dns, record: Record) -> RecordRow {
    let found = match tokio::time::timeout(WAIT, found(dns, &record)).await {
        Ok(found) => found,
        Err(_) => Found::Unknown("DNS does not answer".to_owned()),
    };
    RecordRow {
        kind: record.data.kind(),
        value: record.data.plain(),
        zone: record.zone_line(),
        need: record.need.name(),
        purpose: record.purpose,
        name: record.name,
        found,
    }
}

async fn found(dns: &Dns, record: &Record) -> Found {
    let name = &record.name;
    match &record.data {
        Data::Mx { host, .. } => {
            let answer = dns.mx(name).await.map(|found| found.into_iter().map(|mx| (mx.host, mx.preference)).collect());
            judge(answer, |(found, _): &(String, u16)| same(found, host), |(host, number)| format!("{number} {host}."))
        }
        Data::Srv { port, host, .. } => judge(
            dns.services(name).await,
            |found| found.port == *port && same(&found.host, host.as_deref().unwrap_or_default()),
            |found| format!("{} {} {} {}.", found.priority, found.weight, found.port, found.host),
        ),
        Data::Cname(host) => alias(dns, name, host).await,
        Data::Txt(text) => text_of(dns.txt(name).await, text),
    }
}

/// A name may be another one's alias, or have the same addresses: both lead where they should.
async fn alias(dns: &Dns, name: &str, host: &str) -> Found {
    let (alias, own, meant) = tokio::join!(dns.alias(name), dns.addresses(name), dns.addresses(host));
    match (alias, own) {
        (Ok(Some(alias)), _) if same(&alias, host) => Found::Right,
        (Ok(Some(alias)), _) => Found::Other(vec![format!("{alias}.")]),
        (Ok(None) | Err(_), own) => {
            let meant = meant.unwrap_or_default();
            judge(own, |address| meant.contains(address), ToString::to_string)
        }
    }
}

/// Of texts, only those of the same kind count: a name may have others for other purposes.
fn text_of(answer: Result<Vec<String>, DnsError>, text: &str) -> Found {
    let kind = text.split([';', ' ']).next().unwrap_or_default().to_ascii_lowercase();
    let is_marked = kind.starts_with("v=") || kind.starts_with("path=");
    let is_kind = |found: &String| {
        !is_marked || found.to_ascii_lowercase().starts_with(kind.split_inclusive('=').next().unwrap_or_default())
    };
    let answer = answer.map(|found| found.into_iter().filter(is_kind).collect());
    let squeezed = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
    judge(answer, |found: &String| squeezed(found) == squeezed(text), Clone::clone)
}

fn judge<T>(answer: Result<Vec<T>, DnsError>, is_right: impl Fn(&T) -> bool, show: impl Fn(&T) -> String) -> Found {
    match answer {
        Ok(found) if found.iter().any(&is_right) => Found::Right,
        Ok(found) if found.is_empty() => Found::Missing,
        Err(DnsError::NoSuchDomain) => Found::Missing,
        Ok(found) => Found::Other(found.iter().map(show).collect()),
        Err(error) => Found::Unknown(error.to_string()),
    }
}

/// Names are compared without case and without the dot at the end.
fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_with_those_of_their_kind() {
        let answer = |texts: &[&str]| Ok(texts.iter().map(|text| (*text).to_owned()).collect());
        let spf = "v=spf1 mx ~all";
        assert_eq!(text_of(answer(&["google-verification=1", "v=spf1  mx ~all"]), spf), Found::Right);
        assert_eq!(text_of(answer(&[]), spf), Found::Missing);
        assert_eq!(text_of(Err(DnsError::NoSuchDomain), spf), Found::Missing);
        let other = text_of(answer(&["v=spf1 -all"]), spf);
        assert_eq!(other, Found::Other(vec!["v=spf1 -all".into()]));
        assert!(matches!(text_of(Err(DnsError::Temporary("x".into())), spf), Found::Unknown(_)));
        // Resolvers put long keys together from their parts.
        assert_eq!(text_of(answer(&["v=DKIM1;k=rsa; p=AAAA BBBB"]), "v=DKIM1; k=rsa; p=AAAABBBB"), Found::Right);
    }
}
