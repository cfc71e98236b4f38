//! Where domains want their reports: the records `_dmarc` (RFC 9989) and `_smtp._tls` (RFC 8460 section 3).

use crate::remote::{DnsError, Resolver};

/// Addresses of one record that get reports.
const URIS_MAX: usize = 5;

/// Questions on the way up from a domain (RFC 9989 section 4.10).
const NAMES_MAX: usize = 8;

/// A record of tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record(Vec<(String, String)>);

/// Where one report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uri {
    /// By mail.
    Mail {
        /// To whom.
        address: String,
        /// The most bytes that are taken, if that is said.
        bytes_max: Option<u64>,
    },
    /// By HTTPS: host and path.
    Https {
        /// Where.
        host: String,
        /// What.
        path: String,
    },
}

impl Record {
    /// The one record of this version; `None` when there is not exactly one.
    pub fn of(texts: &[String], version: &str) -> Option<Self> {
        let tags = |text: &String| -> Vec<(String, String)> {
            let tags = text.split(';').filter_map(|tag| tag.split_once('='));
            tags.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned())).collect()
        };
        let mut ours = texts
            .iter()
            .map(tags)
            .filter(|tags| tags.first().is_some_and(|(name, value)| name == "v" && value == version));
        let (Some(tags), None) = (ours.next(), ours.next()) else { return None };
        Some(Record(tags))
    }

    /// The value of a tag.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// Where reports go (`rua=`).
    pub fn uris(&self) -> Vec<Uri> {
        self.tag("rua").unwrap_or_default().split(',').filter_map(|uri| Uri::parse(uri.trim())).take(URIS_MAX).collect()
    }
}

impl Uri {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        if scheme.eq_ignore_ascii_case("https") {
            let (host, path) = rest.strip_prefix("//")?.split_once('/').unwrap_or((rest.strip_prefix("//")?, ""));
            let good = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
            let is_name = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
            return (is_name && good(path))
                .then(|| Uri::Https { host: host.to_ascii_lowercase(), path: format!("/{path}") });
        }
        if !scheme.eq_ignore_ascii_case("mailto") {
            return None;
        }
        let (address, bytes_max) = match rest.split_once('!') {
            Some((address, size)) => (address, Some(size_bytes(size)?)),
            None => (rest, None),
        };
        let address = percent_decoded(address.split('?').next()?)?;
        let (local, domain) = address.rsplit_once('@')?;
        let good = !local.is_empty()
            && local.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b))
            && domain.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
            && domain.contains('.');
        good.then(|| Uri::Mail { address: format!("{local}@{}", domain.to_ascii_lowercase()), bytes_max })
    }
}

/// A number with a unit (RFC 7489 section 6.4, `dmarc-uri`).
fn size_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            decoded.push(u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

/// The record of a domain's policy, and the name that has it: the domain's own, or the longest one above it.
///
/// # Errors
/// [`DnsError::Temporary`].
pub async fn dmarc(resolver: &dyn Resolver, domain: &str) -> Result<Option<(String, Record)>, DnsError> {
    let mut name = domain;
    for _ in 0..NAMES_MAX {
        if let Some(record) = Record::of(&texts(resolver, &format!("_dmarc.{name}")).await?, "DMARC1") {
            return Ok(Some((name.to_owned(), record)));
        }
        let labels = name.split('.').count();
        let skipped = if labels > NAMES_MAX { labels - NAMES_MAX + 1 } else { 1 };
        match name.splitn(skipped + 1, '.').nth(skipped) {
            Some(parent) if !parent.is_empty() => name = parent,
            _ => break,
        }
    }
    Ok(None)
}

/// The record that says where TLS reports go.
///
/// # Errors
/// [`DnsError::Temporary`].
pub async fn tls(resolver: &dyn Resolver, domain: &str) -> Result<Option<Record>, DnsError> {
    Ok(Record::of(&texts(resolver, &format!("_smtp._tls.{domain}")).await?, "TLSRPTv1"))
}

/// Whether a domain lets another send it reports about a third (RFC 7489 section 7.1): or anybody could have them
/// sent to whom he likes.
///
/// # Errors
/// [`DnsError::Temporary`].
pub async fn accepts(resolver: &dyn Resolver, about: &str, destination: &str) -> Result<bool, DnsError> {
    let is_own = destination == about || destination.strip_suffix(about).is_some_and(|rest| rest.ends_with('.'));
    if is_own {
        return Ok(true);
    }
    let found = texts(resolver, &format!("{about}._report._dmarc.{destination}")).await?;
    Ok(found.iter().any(|text| text.split(';').next().is_some_and(|first| first.trim() == "v=DMARC1")))
}

async fn texts(resolver: &dyn Resolver, name: &str) -> Result<Vec<String>, DnsError> {
    match resolver.txt(name).await {
        Err(DnsError::NoSuchDomain) => Ok(Vec::new()),
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_say_where_reports_go() {
        let record = |text: &str| Record::of(&[text.to_owned()], "DMARC1");
        let mail = |address: &str, bytes_max| Uri::Mail { address: address.to_owned(), bytes_max };
        let found =
            record("v=DMARC1; p=none; rua=mailto:a@b.test!10m, mailto:x%2Cy@c.test,mailto:d@E.test,https://f.test/g");
        let https = Uri::Https { host: "f.test".into(), path: "/g".into() };
        assert_eq!(found.unwrap().uris(), [mail("a@b.test", Some(10 << 20)), mail("d@e.test", None), https]);
        for bad in [
            "mailto:a",
            "mailto:a@b",
            "mailto:a b@c.test",
            "mailto:a@b.test!1x",
            "http://a.test/",
            "mailto:\"a\"@b.test",
        ] {
            assert_eq!(record(&format!("v=DMARC1; rua={bad}")).unwrap().uris(), [], "{bad}");
        }
        assert_eq!(record("p=none; v=DMARC1"), None);
        assert_eq!(Record::of(&["v=DMARC1".to_owned(), "v=DMARC1".to_owned()], "DMARC1"), None);
    }
}
