//! The settings of content filters: programs beside this one that look at mail before it is acknowledged.

use crate::RequestError;
use crate::names;

/// In which order filters are asked, by their names; those that are left out come last.
pub const FILTER_ORDER: &str = "filter.order";

/// Where ClamAV's daemon listens (`unix:/run/clamav/clamd.ctl` or `host:port`); it is not used when not set.
pub const CLAMAV_ADDRESS: &str = "clamav.address";
/// Which mail it sees: "incoming" (from other servers), "submitted" (from users and trusted hosts), or "all".
pub const CLAMAV_APPLIES_TO: &str = "clamav.applies-to";
/// What becomes of mail that it can't look at, because it is down or late: "accept", "defer" or "refuse".
pub const CLAMAV_WHEN_DOWN: &str = "clamav.when-down";
/// What becomes of infected mail from other servers: "refuse" or "quarantine" (into Junk).
pub const CLAMAV_WHEN_FOUND: &str = "clamav.when-found";
/// What becomes of mail that is too large for it: "accept", "defer" or "refuse".
pub const CLAMAV_WHEN_TOO_LARGE: &str = "clamav.when-too-large";
/// Largest message that is given to it, in bytes.
pub const CLAMAV_BYTES_MAX: &str = "clamav.bytes-max";
/// Seconds that it may take for a message.
pub const CLAMAV_TIMEOUT_SECONDS: &str = "clamav.timeout-seconds";
/// Messages that it looks at, at the same time.
pub const CLAMAV_PARALLEL: &str = "clamav.parallel";

/// Where rspamd listens (`host:port`, `https://host:port` or `unix:/path`); it is not used when not set.
pub const RSPAMD_ADDRESS: &str = "rspamd.address";
/// Which mail it sees.
pub const RSPAMD_APPLIES_TO: &str = "rspamd.applies-to";
/// What becomes of mail that it can't look at.
pub const RSPAMD_WHEN_DOWN: &str = "rspamd.when-down";
/// What becomes of spam from other servers that rspamd doesn't want refused: "junk" or "mark" (its header says so).
pub const RSPAMD_WHEN_SPAM: &str = "rspamd.when-spam";
/// The password that it wants to hear.
pub const RSPAMD_PASSWORD: &str = "rspamd.password";
/// Who vouches for the certificate of an rspamd with TLS, in PEM; the system's authorities when not set.
pub const RSPAMD_AUTHORITIES: &str = "rspamd.authorities";
/// Where rspamd learns from what users put into Junk and take out of it: its controller, as [`RSPAMD_ADDRESS`] has it;
/// nothing is learned when not set.
pub const RSPAMD_LEARN_ADDRESS: &str = "rspamd.learn-address";
/// Seconds that it may take for a message.
pub const RSPAMD_TIMEOUT_SECONDS: &str = "rspamd.timeout-seconds";
/// Messages that it looks at, at the same time.
pub const RSPAMD_PARALLEL: &str = "rspamd.parallel";

/// Where milters listen, in the order in which they are asked, with spaces between them; behind each, with commas, what
/// holds for it alone: "incoming", "submitted" or "all" (when neither is said), "accept", "defer" (when none is said)
/// or "refuse" (`unix:/run/opendkim/opendkim.sock,submitted,accept`).
pub const MILTER_ADDRESSES: &str = "milter.addresses";
/// Seconds that each may take for a message.
pub const MILTER_TIMEOUT_SECONDS: &str = "milter.timeout-seconds";
/// Messages that each looks at, at the same time, from MAIL on.
pub const MILTER_PARALLEL: &str = "milter.parallel";

/// Settings that are numbers: name, what holds when it isn't set, smallest, largest.
pub(crate) const NUMBERS: &[(&str, u64, u64, u64)] = &[
    (CLAMAV_BYTES_MAX, 25 * 1024 * 1024, 1024, 4 * 1024 * 1024 * 1024),
    (CLAMAV_PARALLEL, 10, 1, 10_000),
    (CLAMAV_TIMEOUT_SECONDS, 120, 1, 240),
    (MILTER_PARALLEL, 1000, 1, 100_000),
    (MILTER_TIMEOUT_SECONDS, 120, 1, 240),
    (RSPAMD_PARALLEL, 50, 1, 10_000),
    (RSPAMD_TIMEOUT_SECONDS, 60, 1, 240),
];

/// Each with what holds when it isn't set.
pub(crate) const KNOWN: &[(&str, Option<&str>)] = &[
    (FILTER_ORDER, Some("clamav rspamd milter")),
    (CLAMAV_ADDRESS, None),
    (CLAMAV_APPLIES_TO, Some("all")),
    (CLAMAV_BYTES_MAX, Some("26214400")),
    (CLAMAV_PARALLEL, Some("10")),
    (CLAMAV_TIMEOUT_SECONDS, Some("120")),
    (CLAMAV_WHEN_DOWN, Some("defer")),
    (CLAMAV_WHEN_FOUND, Some("refuse")),
    (CLAMAV_WHEN_TOO_LARGE, Some("accept")),
    (MILTER_ADDRESSES, None),
    (MILTER_PARALLEL, Some("1000")),
    (MILTER_TIMEOUT_SECONDS, Some("120")),
    (RSPAMD_ADDRESS, None),
    (RSPAMD_APPLIES_TO, Some("incoming")),
    (RSPAMD_AUTHORITIES, None),
    (RSPAMD_LEARN_ADDRESS, None),
    (RSPAMD_PARALLEL, Some("50")),
    (RSPAMD_PASSWORD, None),
    (RSPAMD_TIMEOUT_SECONDS, Some("60")),
    (RSPAMD_WHEN_DOWN, Some("accept")),
    (RSPAMD_WHEN_SPAM, Some("junk")),
];

/// The names in [`FILTER_ORDER`].
const FILTERS: &[&str] = &["clamav", "rspamd", "milter"];

/// Which mail a filter sees.
const APPLIES: &[&str] = &["incoming", "submitted", "all"];
/// What becomes of mail that it can't look at.
const WHEN_DOWN: &[&str] = &["accept", "defer", "refuse"];

/// The words that a setting can be, if it is such a setting.
fn words(name: &str) -> Option<&'static [&'static str]> {
    match name {
        CLAMAV_APPLIES_TO | RSPAMD_APPLIES_TO => Some(APPLIES),
        CLAMAV_WHEN_DOWN | CLAMAV_WHEN_TOO_LARGE | RSPAMD_WHEN_DOWN => Some(WHEN_DOWN),
        CLAMAV_WHEN_FOUND => Some(&["refuse", "quarantine"]),
        RSPAMD_WHEN_SPAM => Some(&["junk", "mark"]),
        _ => None,
    }
}

/// What holds for a setting, set to this or to nothing.
pub fn or_default(name: &str, set: Option<String>) -> String {
    let default = KNOWN.iter().find(|(known, _)| *known == name).and_then(|(_, default)| *default);
    set.unwrap_or_else(|| default.unwrap_or_default().to_owned())
}

/// The value in its stored form; `None` for a setting that is not one of these, or is a number.
pub(crate) fn check(name: &str, value: &str) -> Option<Result<String, RequestError>> {
    if let Some(words) = words(name) {
        let good = words.contains(&value);
        return Some(good.then(|| value.to_owned()).ok_or_else(|| invalid(format!("one of {}", words.join(", ")))));
    }
    match name {
        CLAMAV_ADDRESS => {
            let value = value.trim();
            Some(is_endpoint(value).then(|| value.to_owned()).ok_or_else(|| invalid("unix:/PATH or HOST:PORT".into())))
        }
        RSPAMD_ADDRESS | RSPAMD_LEARN_ADDRESS => {
            let value = value.trim();
            let good = match value.strip_prefix("https://") {
                Some(rest) => !rest.starts_with("unix:") && is_endpoint(rest),
                None => is_endpoint(value),
            };
            let what = "unix:/PATH, HOST:PORT or https://HOST:PORT";
            Some(good.then(|| value.to_owned()).ok_or_else(|| invalid(what.into())))
        }
        RSPAMD_AUTHORITIES => {
            let good = value.contains("-----BEGIN CERTIFICATE-----") && value.contains("-----END CERTIFICATE-----");
            let what = "certificates in PEM: sterna config set rspamd.authorities \"$(cat ca.pem)\"";
            Some(good.then(|| value.to_owned()).ok_or_else(|| invalid(what.into())))
        }
        MILTER_ADDRESSES => {
            let milters: Vec<&str> = value.split_whitespace().collect();
            let what =
                "addresses (unix:/PATH or HOST:PORT), with spaces, and words such as submitted or accept behind them";
            let good = milters.iter().all(|milter| is_milter(milter));
            Some(good.then(|| milters.join(" ")).ok_or_else(|| invalid(what.into())))
        }
        FILTER_ORDER => {
            let named: Vec<&str> = value.split_whitespace().collect();
            let good = named.iter().all(|name| FILTERS.contains(name));
            Some(good.then(|| named.join(" ")).ok_or_else(|| invalid(format!("names out of {}", FILTERS.join(", ")))))
        }
        _ => None,
    }
}

fn invalid(what: String) -> RequestError {
    names::invalid("value", format!("it must be {what}"))
}

/// An address, and words behind commas.
fn is_milter(value: &str) -> bool {
    let mut words = value.split(',');
    let known = [APPLIES, WHEN_DOWN].concat();
    words.next().is_some_and(is_endpoint) && words.all(|word| known.contains(&word))
}

/// Whether something can listen there.
fn is_endpoint(value: &str) -> bool {
    if let Some(path) = value.strip_prefix("unix:") {
        return path.starts_with('/') && !path.contains([' ', ',']) && !path.contains(char::is_control);
    }
    let Some((host, port)) = value.rsplit_once(':') else { return false };
    let good = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"[]:.-_".contains(&b));
    good && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(name: &str, value: &str) -> Option<String> {
        check(name, value).unwrap().ok()
    }

    #[test]
    fn addresses_of_filters_are_sockets_or_hosts_with_ports() {
        for good in ["unix:/run/clamav/clamd.ctl", "127.0.0.1:3310", "[::1]:3310", "filter.example:11333"] {
            assert_eq!(taken(CLAMAV_ADDRESS, good).as_deref(), Some(good));
        }
        assert_eq!(taken(RSPAMD_ADDRESS, "https://filter.example:1").as_deref(), Some("https://filter.example:1"));
        assert_eq!(taken(RSPAMD_LEARN_ADDRESS, "https://unix:/run/x"), None);
        assert_eq!(taken(CLAMAV_ADDRESS, "https://filter.example:1"), None);
        for bad in ["", "filter.example", "unix:clamd", "/run/clamd", "host:0", "host:x", "a b:1", "http://a:1"] {
            assert_eq!(taken(CLAMAV_ADDRESS, bad), None, "{bad}");
        }
    }

    #[test]
    fn milters_have_words_behind_them() {
        let good = "unix:/run/a.sock,submitted,accept  127.0.0.1:8891";
        let expected = "unix:/run/a.sock,submitted,accept 127.0.0.1:8891";
        assert_eq!(taken(MILTER_ADDRESSES, good).as_deref(), Some(expected));
        for bad in ["unix:/a,often", "submitted,unix:/a", "unix:/a,", ",accept", "a b"] {
            assert_eq!(taken(MILTER_ADDRESSES, bad), None, "{bad}");
        }
    }

    #[test]
    fn orders_are_of_filters() {
        assert_eq!(taken(FILTER_ORDER, " rspamd  clamav ").as_deref(), Some("rspamd clamav"));
        assert_eq!(taken(FILTER_ORDER, "rspamd postfix"), None);
        assert_eq!(taken(RSPAMD_WHEN_DOWN, "bounce"), None);
        assert_eq!(or_default(RSPAMD_WHEN_DOWN, None), "accept");
    }

    #[test]
    fn numbers_have_the_defaults_that_are_shown() {
        for (name, default, least, most) in NUMBERS {
            assert_eq!(or_default(name, None), default.to_string());
            assert!(least <= default && default <= most);
        }
    }
}
