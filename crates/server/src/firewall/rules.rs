//! The rules of one node as nft(8) reads them: a table of our own, in which nothing but the ports between the machines
//! is decided. What others have in theirs holds as before.

use std::collections::BTreeSet;
use std::fmt::Write;

use sterna_formats::network::Network;

/// A node's table; nobody else has any business in it. Nodes of one machine differ by their port for other nodes.
pub fn table(own_port: u16) -> String {
    format!("inet sterna_{own_port}")
}

/// Who may reach what on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeRules {
    /// Its port for other nodes.
    pub own_port: u16,
    /// Ports that are for the installation's machines only.
    pub ports: BTreeSet<u16>,
    /// From where they may be reached, besides the machine itself.
    pub networks: BTreeSet<Network>,
    /// Ports among them that are open for everybody now: who joins isn't known yet.
    pub open: BTreeSet<u16>,
}

impl NodeRules {
    /// The whole table, in place of the one that is loaded: nft does that in one step, and never half of it.
    pub fn text(&self) -> String {
        let table = table(self.own_port);
        let mut text = format!("table {table}\ndelete table {table}\ntable {table} {{\n");
        for (set, kind, is_ipv4) in [("nodes4", "ipv4_addr", true), ("nodes6", "ipv6_addr", false)] {
            let here = self.networks.iter().filter(|network| network.is_ipv4() == is_ipv4);
            let elements: Vec<_> = here.map(Network::to_string).collect();
            let _ = writeln!(text, "  set {set} {{\n    type {kind}\n    flags interval\n    auto-merge");
            if !elements.is_empty() {
                let _ = writeln!(text, "    elements = {{ {} }}", elements.join(", "));
            }
            text.push_str("  }\n");
        }
        text.push_str("  chain input {\n    type filter hook input priority filter - 10; policy accept;\n");
        text.push_str("    iif \"lo\" accept\n");
        let guarded = listed(self.ports.difference(&self.open));
        if !guarded.is_empty() {
            let _ = writeln!(text, "    tcp dport {{ {guarded} }} ip saddr @nodes4 accept");
            let _ = writeln!(text, "    tcp dport {{ {guarded} }} ip6 saddr @nodes6 accept");
            let _ = writeln!(text, "    tcp dport {{ {guarded} }} counter drop");
        }
        text.push_str("  }\n}\n");
        text
    }
}

fn listed<'a>(ports: impl Iterator<Item = &'a u16>) -> String {
    ports.map(u16::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> BTreeSet<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_table_is_replaced_as_a_whole() {
        let rules = NodeRules {
            own_port: 7700,
            ports: [7700, 24].into(),
            networks: networks(&["192.0.2.7", "192.0.2.0/28", "2001:db8::1"]),
            open: BTreeSet::new(),
        };
        let expected = "table inet sterna_7700
delete table inet sterna_7700
table inet sterna_7700 {
  set nodes4 {
    type ipv4_addr
    flags interval
    auto-merge
    elements = { 192.0.2.0/28, 192.0.2.7/32 }
  }
  set nodes6 {
    type ipv6_addr
    flags interval
    auto-merge
    elements = { 2001:db8::1/128 }
  }
  chain input {
    type filter hook input priority filter - 10; policy accept;
    iif \"lo\" accept
    tcp dport { 24, 7700 } ip saddr @nodes4 accept
    tcp dport { 24, 7700 } ip6 saddr @nodes6 accept
    tcp dport { 24, 7700 } counter drop
  }
}
";
        assert_eq!(rules.text(), expected);
    }

    #[test]
    fn who_joins_is_let_in_and_to_nothing_else() {
        let rules = NodeRules { ports: [7700, 24].into(), open: [7700].into(), ..NodeRules::default() };
        let text = rules.text();
        assert!(text.contains("tcp dport { 24 } counter drop"), "{text}");
        assert!(!text.contains("{ 7700"), "{text}");
        let open = NodeRules { ports: [7700].into(), open: [7700].into(), ..NodeRules::default() };
        assert!(!open.text().contains("drop"));
    }
}
