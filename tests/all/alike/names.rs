//! Which mailboxes there are, so that nothing is asked whose answer the rules leave open.

use std::collections::BTreeSet;

/// The names that were made.
#[derive(Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// Whether a command is of those that have one answer. Left open is whether what stands above a new mailbox becomes
    /// one, and what remains of a mailbox that is deleted while others are below it (RFC 9051 sections 6.3.4, 6.3.5).
    pub fn allow(&self, text: &str) -> bool {
        let Some((verb, rest)) = text.split_once(' ') else { return true };
        let (first, second) = (first_name(rest), second_name(rest));
        match verb {
            "CREATE" => self.has_above(first),
            "DELETE" => !self.has_below(first),
            "RENAME" => self.has_above(second) && !is_below(second, first) && !is_below(first, second),
            "SUBSCRIBE" => self.0.contains(first),
            _ => true,
        }
    }

    /// Takes in a command that succeeded.
    pub fn done(&mut self, text: &str) {
        let Some((verb, rest)) = text.split_once(' ') else { return };
        let (first, second) = (first_name(rest), second_name(rest));
        match verb {
            "CREATE" => drop(self.0.insert(first.to_owned())),
            "DELETE" => drop(self.0.remove(first)),
            "RENAME" => {
                let moved = |name: &String| format!("{second}{}", &name[first.len()..]);
                let is_moved = |name: &String| name == first || is_below(name, first);
                let (go, stay): (BTreeSet<String>, BTreeSet<String>) =
                    std::mem::take(&mut self.0).into_iter().partition(is_moved);
                self.0 = go.iter().map(moved).chain(stay).collect();
            }
            _ => {}
        }
    }

    fn has_above(&self, name: &str) -> bool {
        name.rsplit_once('/').is_none_or(|(above, _)| self.0.contains(above))
    }

    fn has_below(&self, name: &str) -> bool {
        self.0.iter().any(|other| is_below(other, name))
    }
}

fn is_below(name: &str, above: &str) -> bool {
    name.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

/// The name of a mailbox that stands first, with or without quotes.
pub fn first_name(text: &str) -> &str {
    let name = text.strip_prefix('"').map(|rest| rest.split('"').next());
    name.unwrap_or_else(|| text.split(' ').next()).unwrap_or_default()
}

fn second_name(text: &str) -> &str {
    let rest = text.trim_start_matches('"').get(first_name(text).len()..).unwrap_or_default();
    first_name(rest.trim_start_matches(['"', ' ']).trim_end_matches('"'))
}
