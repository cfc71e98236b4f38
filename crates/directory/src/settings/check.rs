//! What a setting may be.

use sterna_formats::dnsbl::ListSpec;
use sterna_formats::passage::Passage;

use super::*;
use crate::{RequestError, filter_settings, names};

/// Names that a certificate is for besides those of the services.
const ACME_NAMES_MAX: usize = 50;

/// Checks a setting and gives its value in the stored form. Names that the directory doesn't know are other crates' and
/// are kept as they are.
pub(crate) fn check(name: &str, value: &str) -> Result<String, RequestError> {
    let good_name = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-./".contains(&b));
    if !good_name {
        return Err(names::invalid("name", "small letters, digits, and - . / only"));
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(names::invalid("value", "it is longer than 16 KiB"));
    }
    match name {
        PLUS_SEPARATORS => {
            let value = if value == "none" { "" } else { value };
            let good = value.len() <= 4 && value.chars().all(|c| "+-=._#".contains(c));
            good.then(|| value.to_owned())
                .ok_or_else(|| names::invalid("value", "at most four of + - = . _ #, or none"))
        }
        ACME_DIRECTORY => acme_directory(value),
        ACME_TERMS => {
            let good = value == "agreed";
            good.then(|| value.to_owned()).ok_or_else(|| names::invalid("value", "it must be agreed"))
        }
        ACME_NAMES => {
            let found: Option<Vec<String>> = value.split_whitespace().map(names::domain).collect();
            let found = found.filter(|found| found.len() <= ACME_NAMES_MAX);
            let invalid = || names::invalid("value", format!("at most {ACME_NAMES_MAX} names of hosts, with spaces"));
            found.map(|found| found.join(" ")).ok_or_else(invalid)
        }
        ACME_CHALLENGES => {
            let kinds: Vec<&str> = value.split_whitespace().collect();
            let good = !kinds.is_empty() && kinds.iter().all(|kind| matches!(*kind, "tls-alpn-01" | "http-01"));
            let invalid = || names::invalid("value", "tls-alpn-01, http-01 or both, with a space");
            good.then(|| kinds.join(" ")).ok_or_else(invalid)
        }
        ACME_CONTACT | REPORTS_CONTACT => names::address(value)
            .map(|(local, domain)| format!("{local}@{domain}"))
            .ok_or_else(|| names::invalid("value", "it must be an address")),
        REPORTS_ORGANIZATION => {
            let good = !value.is_empty() && value.len() <= 200 && !value.chars().any(char::is_control);
            good.then(|| value.to_owned()).ok_or_else(|| names::invalid("value", "a name of at most 200 bytes"))
        }
        CATCH_ALL => names::external(value).ok_or_else(|| names::invalid("value", "it must be an address")),
        POSTMASTER => names::address(value)
            .map(|(local, domain)| format!("{local}@{domain}"))
            .ok_or_else(|| names::invalid("value", "it must be an address")),
        DEFAULT_DOMAIN => names::domain(value).ok_or_else(|| names::invalid("value", "it must be a domain name")),
        RETENTION_DAYS => {
            let days = value.trim().parse::<u32>().ok().filter(|days| *days <= RETENTION_DAYS_MAX);
            let invalid = || names::invalid("value", "it must be a number of days, at most 3650");
            days.map(|days| days.to_string()).ok_or_else(invalid)
        }
        FULL_MAILBOX => {
            let good = matches!(value, "defer" | "refuse");
            good.then(|| value.to_owned()).ok_or_else(|| names::invalid("value", "it must be defer or refuse"))
        }
        UNKNOWN_RECIPIENTS_CHECK => {
            let good = matches!(value, "ask" | "accept");
            good.then(|| value.to_owned()).ok_or_else(|| names::invalid("value", "it must be ask or accept"))
        }
        CALENDAR_MAIL => {
            let good = matches!(value, "add" | "update" | "off");
            good.then(|| value.to_owned()).ok_or_else(|| names::invalid("value", "it must be add, update or off"))
        }
        OAUTH_URL | OPENID_ISSUER | EXTERNAL_URL => {
            let is_url = value.starts_with("https://") || value.starts_with("http://");
            let good = is_url && value.bytes().all(|byte| byte.is_ascii_graphic());
            good.then(|| value.to_owned())
                .ok_or_else(|| names::invalid("value", "it must begin with https:// or http://"))
        }
        DMARC => {
            let good = matches!(value, "enforce" | "mark" | "off");
            good.then(|| value.to_owned()).ok_or_else(|| names::invalid("value", "it must be enforce, mark or off"))
        }
        BLOCK_LISTS => block_lists(value),
        GREYLIST_ALLOW => {
            let parsed: Result<Vec<Passage>, _> = value.split_whitespace().map(str::parse).collect();
            let parsed = parsed.map_err(|error| names::invalid("value", error.to_string()))?;
            Ok(parsed.iter().map(Passage::to_string).collect::<Vec<_>>().join(" "))
        }
        BLOCK_LISTS_ACTION => {
            let good = matches!(value, "refuse" | "mark");
            good.then(|| value.to_owned()).ok_or_else(|| names::invalid("value", "it must be refuse or mark"))
        }
        COLLECT | GREYLIST => {
            let good = matches!(value, "on" | "off");
            good.then(|| value.to_owned()).ok_or_else(|| names::invalid("value", "it must be on or off"))
        }
        MTA_STS_MODE => {
            let good = matches!(value, "enforce" | "testing" | "none" | "off");
            good.then(|| value.to_owned())
                .ok_or_else(|| names::invalid("value", "it must be enforce, testing, none or off"))
        }
        DISCOVERY_EXCHANGERS => {
            let hosts: Option<Vec<String>> = value.split_whitespace().map(names::domain).collect();
            let hosts = hosts.filter(|hosts| !hosts.is_empty() && hosts.len() <= EXCHANGERS_MAX);
            let invalid = || names::invalid("value", format!("at most {EXCHANGERS_MAX} names of hosts, with spaces"));
            hosts.map(|hosts| hosts.join(" ")).ok_or_else(invalid)
        }
        DISCOVERY_HOST => names::domain(value).ok_or_else(|| names::invalid("value", "it must be the name of a host")),
        AUTHSERV_ID => names::domain(value).ok_or_else(|| names::invalid("value", "it must be a domain name")),
        ARC_TRUSTED => {
            let domains: Option<Vec<String>> = value.split_whitespace().map(names::domain).collect();
            let invalid = || names::invalid("value", "it must be domain names, with spaces");
            domains.map(|domains| domains.join(" ")).ok_or_else(invalid)
        }
        RELAY_TLS | SENDING_TLS => {
            let good = matches!(value, "never" | "opportunistic" | "encrypt" | "verify");
            let invalid = || names::invalid("value", "it must be never, opportunistic, encrypt or verify");
            good.then(|| value.to_owned()).ok_or_else(invalid)
        }
        DANE | MTA_STS | REPORTS_DMARC | REPORTS_HEALTH | REPORTS_TLS => {
            let good = matches!(value, "on" | "off");
            good.then(|| value.to_owned()).ok_or_else(|| names::invalid("value", "it must be on or off"))
        }
        REPORTS_HEALTH_TO => {
            let addresses: Option<Vec<String>> = value.split_whitespace().map(names::external).collect();
            let invalid = || names::invalid("value", "it must be addresses, with spaces");
            addresses.filter(|to| !to.is_empty()).map(|to| to.join(" ")).ok_or_else(invalid)
        }
        RELAY_HOST | UNKNOWN_RECIPIENTS => {
            host(value).ok_or_else(|| names::invalid("value", "it must be HOST or HOST:PORT"))
        }
        ROUTES => routes(value).ok_or_else(|| names::invalid("value", "DOMAIN=HOST or DOMAIN=HOST:PORT, with spaces")),
        NETWORKS | EXTERNAL_NETWORKS => {
            networks(value).ok_or_else(|| names::invalid("value", "networks such as 192.0.2.0/24, with spaces"))
        }
        LANGUAGE => {
            let good = matches!(value, "en" | "fr" | "de");
            good.then(|| value.to_owned()).ok_or_else(|| names::invalid("value", "it must be en, fr or de"))
        }
        OAUTH_TOKENS => {
            let good = matches!(value, "ask" | "verify");
            good.then(|| value.to_owned()).ok_or_else(|| names::invalid("value", "it must be ask or verify"))
        }
        PASSKEYS => {
            let good = matches!(value, "off" | "second-factor" | "instead-of-password");
            let invalid = || names::invalid("value", "it must be off, second-factor or instead-of-password");
            good.then(|| value.to_owned()).ok_or_else(invalid)
        }
        SCRAM => {
            let good = matches!(value, "off" | "keep" | "offer");
            good.then(|| value.to_owned()).ok_or_else(|| names::invalid("value", "it must be off, keep or offer"))
        }
        name => match bounds(name) {
            Some((least, most)) => {
                let number = value.trim().parse::<u64>().ok().filter(|number| (least..=most).contains(number));
                let invalid = || names::invalid("value", format!("it must be a number from {least} to {most}"));
                number.map(|number| number.to_string()).ok_or_else(invalid)
            }
            None => filter_settings::check(name, value).unwrap_or_else(|| Ok(value.to_owned())),
        },
    }
}

/// An authority's name, or the URL of its directory.
fn acme_directory(value: &str) -> Result<String, RequestError> {
    let is_named = matches!(value, "letsencrypt" | "letsencrypt-staging");
    let is_url = value.len() > "https://".len()
        && value.starts_with("https://")
        && value.bytes().all(|byte| byte.is_ascii_graphic());
    (is_named || is_url).then(|| value.to_owned()).ok_or_else(|| {
        names::invalid("value", "it must be letsencrypt, letsencrypt-staging or the https:// URL of an ACME directory")
    })
}

/// A host with or without a port, in small letters.
fn host(value: &str) -> Option<String> {
    let good = !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"[]:.-_".contains(&b));
    good.then(|| value.to_ascii_lowercase())
}

/// Lists with single spaces between them.
fn block_lists(value: &str) -> Result<String, RequestError> {
    let lists: Vec<&str> = value.split_whitespace().collect();
    if lists.len() > BLOCK_LISTS_MAX {
        return Err(names::invalid("value", format!("at most {BLOCK_LISTS_MAX} lists")));
    }
    let parsed = lists.into_iter().map(|list| list.parse::<ListSpec>().map(|list| list.to_string()));
    let parsed = parsed.collect::<Result<Vec<_>, _>>().map_err(|error| names::invalid("value", error.to_string()))?;
    Ok(parsed.join(" "))
}

/// Routes with single spaces between them; `None` when one is none.
fn routes(value: &str) -> Option<String> {
    let route = |route: &str| {
        let (domain, hop) = route.split_once('=')?;
        let name = names::domain(domain.strip_prefix('.').unwrap_or(domain))?;
        let dot = if domain.starts_with('.') { "." } else { "" };
        Some(format!("{dot}{name}={}", host(hop)?))
    };
    let routes: Option<Vec<String>> = value.split_whitespace().map(route).collect();
    routes.map(|routes| routes.join(" "))
}

/// Networks with single spaces between them; `None` when one is none.
fn networks(value: &str) -> Option<String> {
    let good = |network: &&str| {
        let (address, bits) = network.split_once('/').unwrap_or((network, ""));
        let Ok(address) = address.parse::<std::net::IpAddr>() else { return false };
        let most = if address.is_ipv4() { 32 } else { 128 };
        bits.is_empty() || bits.parse::<u8>().is_ok_and(|bits| bits <= most)
    };
    let networks: Vec<&str> = value.split_whitespace().collect();
    networks.iter().all(good).then(|| networks.join(" "))
}
