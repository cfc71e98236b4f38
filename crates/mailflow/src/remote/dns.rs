//! What sending needs of DNS, and the order in which hosts are tried (RFC 5321 section 5.1).

use std::net::IpAddr;

use async_trait::async_trait;

/// Hosts of one destination that are tried in one go.
pub const HOSTS_MAX: usize = 10;

/// Addresses of one host that are tried in one go.
pub const ADDRESSES_MAX: usize = 4;

/// One mail exchanger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    /// Lower is asked first.
    pub preference: u16,
    /// Its name, in lower case and without the dot at the end; empty for a null MX (RFC 7505).
    pub host: String,
}

/// Where a service is (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// The smallest is tried first.
    pub priority: u16,
    /// Among those of the same priority, its share.
    pub weight: u16,
    /// Its port.
    pub port: u16,
    /// Its host; empty when there is no such service.
    pub host: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// There is no such name. It is certain.
    #[error("the domain does not exist")]
    NoSuchDomain,
    /// The servers can't be asked, or say that they can't answer.
    #[error("DNS does not answer: {0}")]
    Temporary(String),
}

/// Asks DNS.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// The mail exchangers of a domain; empty when it has none.
    ///
    /// # Errors
    /// [`DnsError`].
    async fn mx(&self, domain: &str) -> Result<Vec<Mx>, DnsError>;

    /// The addresses of a host; empty when it has none.
    ///
    /// # Errors
    /// [`DnsError`].
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError>;

    /// The texts of a name, each put together; empty when it has none.
    ///
    /// # Errors
    /// [`DnsError`].
    async fn txt(&self, name: &str) -> Result<Vec<String>, DnsError>;
}

/// Why a domain takes no mail, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoMail {
    /// It says so (RFC 7505).
    #[error("the domain takes no mail")]
    NullMx,
    /// The best exchanger for it is this server, which doesn't have it.
    #[error("the mail exchanger of the domain is this server, which does not have the domain: mail would loop")]
    Loop,
}

/// The hosts to try, best first. Among equals the order is drawn with `random`, so that their load is spread. This
/// server's own name and whatever is not better is left out: mail never goes back (RFC 5321 section 5.1).
///
/// # Errors
/// [`NoMail`].
pub fn hosts(domain: &str, mut exchangers: Vec<Mx>, own: &str, random: u64) -> Result<Vec<String>, NoMail> {
    if exchangers.is_empty() {
        return if domain.eq_ignore_ascii_case(own) { Err(NoMail::Loop) } else { Ok(vec![domain.to_owned()]) };
    }
    exchangers.retain(|mx| !mx.host.is_empty());
    if exchangers.is_empty() {
        return Err(NoMail::NullMx);
    }
    let ours = exchangers.iter().filter(|mx| mx.host.eq_ignore_ascii_case(own)).map(|mx| mx.preference).min();
    if let Some(ours) = ours {
        exchangers.retain(|mx| mx.preference < ours);
    }
    if exchangers.is_empty() {
        return Err(NoMail::Loop);
    }
    let mut state = random | 1;
    let mut keyed: Vec<(u16, u64, String)> = exchangers
        .into_iter()
        .map(|mx| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (mx.preference, state, mx.host)
        })
        .collect();
    keyed.sort_unstable();
    keyed.dedup_by(|a, b| a.2 == b.2);
    Ok(keyed.into_iter().map(|(_, _, host)| host).take(HOSTS_MAX).collect())
}

/// The addresses to try: IPv6 and IPv4 in turn, so that a network that has only one of them costs one failure.
pub fn in_turn(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut found = Vec::new();
    while found.len() < ADDRESSES_MAX {
        let before = found.len();
        found.extend(v6.next());
        found.extend(v4.next());
        if found.len() == before {
            break;
        }
    }
    found.truncate(ADDRESSES_MAX);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mx(preference: u16, host: &str) -> Mx {
        Mx { preference, host: host.to_owned() }
    }

    #[test]
    fn best_first_and_never_back() {
        let some = vec![mx(20, "b"), mx(10, "a"), mx(30, "me"), mx(40, "c")];
        assert_eq!(hosts("x", some, "me", 1), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(hosts("x", vec![mx(10, "me"), mx(10, "other")], "me", 1), Err(NoMail::Loop));
        assert_eq!(hosts("x", Vec::new(), "me", 1), Ok(vec!["x".to_owned()]));
        assert_eq!(hosts("me", Vec::new(), "me", 1), Err(NoMail::Loop));
        assert_eq!(hosts("x", vec![mx(0, "")], "me", 1), Err(NoMail::NullMx));
    }

    #[test]
    fn equals_take_turns() {
        let both = || vec![mx(10, "a"), mx(10, "b")];
        let first = |random| hosts("x", both(), "me", random).unwrap()[0].clone();
        let drawn: std::collections::BTreeSet<String> = (1..64_u64).map(|n| first(n << 32)).collect();
        assert_eq!(drawn.len(), 2);
    }

    #[test]
    fn both_families_are_tried() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "192.0.2.4"].map(address).to_vec();
        let expected = ["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"].map(address).to_vec();
        assert_eq!(in_turn(all), expected);
    }
}
