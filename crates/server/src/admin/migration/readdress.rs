//! What a setting would say if it named the new machine where it names the old one.

use std::collections::BTreeSet;
use std::net::IpAddr;

use sterna_directory::{filter_settings, settings};
use sterna_formats::network::Network;

/// How one of the two machines is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Its host in the list of servers: a name or an address.
    pub host: String,
    /// Names under which it serves clients and other mail servers.
    pub names: BTreeSet<String>,
    /// What its host in the list of servers leads to.
    pub reached_at: BTreeSet<IpAddr>,
    /// All addresses that it has, these among them; nobody's own ones (of loopback, of a link) are none.
    pub addresses: BTreeSet<IpAddr>,
}

/// What settings of this kind say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Networks, with spaces between.
    Networks,
    /// Hosts that are connected to, each in a word of its own form: `host:port`, `domain=host`, `inet:host:port`.
    Hosts,
}

/// Settings that may name a machine. Those that tell clients and the world a name ([`settings::EXTERNAL_URL`],
/// [`settings::DISCOVERY_HOST`]) are left out: such names stay, and DNS leads them elsewhere.
pub(super) const NAMING: [(&str, Kind); 9] = [
    (settings::NETWORKS, Kind::Networks),
    (settings::EXTERNAL_NETWORKS, Kind::Networks),
    (settings::RELAY_HOST, Kind::Hosts),
    (settings::ROUTES, Kind::Hosts),
    (settings::UNKNOWN_RECIPIENTS, Kind::Hosts),
    (filter_settings::CLAMAV_ADDRESS, Kind::Hosts),
    (filter_settings::RSPAMD_ADDRESS, Kind::Hosts),
    (filter_settings::RSPAMD_LEARN_ADDRESS, Kind::Hosts),
    (filter_settings::MILTER_ADDRESSES, Kind::Hosts),
];

/// A machine in the place of another one.
#[derive(Clone, Debug)]
pub(super) struct Readdress {
    pub old: Known,
    pub new: Known,
}

impl Readdress {
    /// What both have (the bridge of a container's host, the name that the new one took over) tells them apart from
    /// nothing, and is left out of the old one's.
    pub fn new(mut old: Known, new: Known) -> Self {
        old.addresses.retain(|address| !new.addresses.contains(address));
        old.reached_at.retain(|address| !new.addresses.contains(address));
        old.names.retain(|name| *name != new.host && !new.names.contains(name));
        Readdress { old, new }
    }

    /// The other value; `None` where it can stay as it is.
    pub fn value(&self, kind: Kind, value: &str) -> Option<String> {
        let other = match kind {
            Kind::Networks => self.networks(&value.split_whitespace().collect::<Vec<_>>()).join(" "),
            Kind::Hosts => value.split_whitespace().map(|word| self.word(word)).collect::<Vec<_>>().join(" "),
        };
        let is_same = other.split_whitespace().eq(value.split_whitespace());
        (!is_same).then_some(other)
    }

    /// Networks with the new machine in them where the old one was: its own ones (`/32`, `/128`) in the place of the
    /// old one's, or behind those that the old one lies in and the new one doesn't.
    pub fn networks(&self, networks: &[&str]) -> Vec<String> {
        let mut kept: Vec<String> = Vec::with_capacity(networks.len() + 1);
        let mut wanted = BTreeSet::new();
        for text in networks {
            let Ok(network) = text.parse::<Network>() else {
                kept.push((*text).to_owned());
                continue;
            };
            let mut is_old = false;
            for address in &self.old.addresses {
                is_old |= network == Network::of_host(*address);
                if network == Network::of_host(*address)
                    || self.old.reached_at.contains(address) && network.contains(*address)
                {
                    wanted.extend(self.reached_like(*address));
                }
            }
            if !is_old {
                kept.push((*text).to_owned());
            }
        }
        for address in wanted {
            let is_in = |text: &String| text.parse::<Network>().is_ok_and(|network| network.contains(address));
            if !kept.iter().any(is_in) {
                kept.push(Network::of_host(address).to_string());
            }
        }
        kept
    }

    /// The new machine's addresses of the same family, those first by which other servers reach it.
    fn reached_like(&self, old: IpAddr) -> Vec<IpAddr> {
        let same = |addresses: &BTreeSet<IpAddr>| -> Vec<IpAddr> {
            addresses.iter().copied().filter(|address| address.is_ipv4() == old.is_ipv4()).collect()
        };
        match same(&self.new.reached_at) {
            reached if reached.is_empty() => same(&self.new.addresses),
            reached => reached,
        }
    }

    /// A word with the new machine's host in the place of the old one's.
    fn word(&self, word: &str) -> String {
        let names = self.old.names.iter().chain(std::iter::once(&self.old.host));
        let names = names.filter(|name| !name.is_empty() && **name != self.new.host);
        for name in names {
            if let Some(other) = replaced(word, name, &self.new.host) {
                return other;
            }
        }
        for address in &self.old.addresses {
            let new = self.reached_like(*address).first().map_or(self.new.host.clone(), IpAddr::to_string);
            if let Some(other) = replaced(word, &address.to_string(), &new) {
                return other;
            }
        }
        word.to_owned()
    }
}

/// The word with `new` in the place of the host `old`, if that is the whole of a host in it.
fn replaced(word: &str, old: &str, new: &str) -> Option<String> {
    let is_of_host = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_');
    let at = word.to_ascii_lowercase().find(&old.to_ascii_lowercase())?;
    let (before, behind) = (word.get(..at)?, word.get(at + old.len()..)?);
    // The domain of a route is none of the hosts that are connected to.
    let is_route_of = behind.starts_with('=');
    let is_part = before.ends_with(is_of_host) || behind.starts_with(is_of_host);
    (!is_part && !is_route_of).then(|| format!("{before}{new}{behind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
        items.into_iter().collect()
    }

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// 192.0.2.1 goes to 198.51.100.2; both have a bridge, and the new one an address of IPv6.
    fn readdress() -> Readdress {
        let old = Known {
            host: "mail1.test".into(),
            names: set(["mx.tern.test".into(), "shared.tern.test".into()]),
            reached_at: set([at("192.0.2.1")]),
            addresses: set([at("192.0.2.1"), at("192.0.2.9"), at("172.17.0.1")]),
        };
        let new = Known {
            host: "mail2.test".into(),
            names: set(["shared.tern.test".into()]),
            reached_at: set([at("198.51.100.2")]),
            addresses: set([at("198.51.100.2"), at("2001:db8::2"), at("172.17.0.1")]),
        };
        Readdress::new(old, new)
    }

    fn networks(value: &str) -> Option<String> {
        readdress().value(Kind::Networks, value)
    }

    fn hosts(value: &str) -> Option<String> {
        readdress().value(Kind::Hosts, value)
    }

    #[test]
    fn the_old_machine_leaves_networks_and_the_new_one_comes_in() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(networks("192.0.2.1"), some("198.51.100.2/32"));
        assert_eq!(networks("10.0.0.0/8 192.0.2.9/32 ::1"), some("10.0.0.0/8 ::1 198.51.100.2/32"));
        // A network around the old one stays for whoever else is in it.
        assert_eq!(networks("192.0.2.0/24"), some("192.0.2.0/24 198.51.100.2/32"));
        assert_eq!(networks("192.0.2.0/24 198.51.100.0/24"), None);
        assert_eq!(networks("0.0.0.0/0"), None);
        // Neither is what both have, nor what neither has.
        assert_eq!(networks("172.17.0.1/32 127.0.0.0/8 fd00::/8"), None);
        assert_eq!(networks(""), None);
    }

    #[test]
    fn hosts_are_replaced_as_wholes() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(hosts("mail1.test"), some("mail2.test"));
        assert_eq!(hosts("MX.tern.test:2525"), some("mail2.test:2525"));
        assert_eq!(
            hosts("far.test=192.0.2.1:25 .near.test=elsewhere"),
            some("far.test=198.51.100.2:25 .near.test=elsewhere")
        );
        assert_eq!(
            hosts("inet:192.0.2.9:8891 unix:/run/milter.sock"),
            some("inet:198.51.100.2:8891 unix:/run/milter.sock")
        );
        for stays in [
            "notmail1.test",
            "mail1.test.example",
            "mail1.test=far",
            "192.0.2.10",
            "shared.tern.test:25",
            "127.0.0.1:11333",
            "",
        ] {
            assert_eq!(hosts(stays), None, "{stays}");
        }
    }

    #[test]
    fn without_another_name_or_address_nothing_changes() {
        let same = Known { host: "mail.test".into(), addresses: set([at("192.0.2.1")]), ..Known::default() };
        let readdress = Readdress::new(same.clone(), same);
        assert_eq!(readdress.value(Kind::Hosts, "mail.test 192.0.2.1:25"), None);
        assert_eq!(readdress.value(Kind::Networks, "192.0.2.1/32"), None);
    }
}
