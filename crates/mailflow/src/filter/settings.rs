//! What administrators set about filters.

use std::time::Duration;

use super::clamav::ClamavSettings;
use super::rspamd::RspamdSettings;
use super::{Direction, Endpoint};

/// A kind of filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterKind {
    /// ClamAV's daemon.
    Clamav,
    /// rspamd.
    Rspamd,
    /// All milters, in their own order.
    Milter,
}

impl FilterKind {
    /// All, in the order that holds when nobody sets one: what is certain before what is likely.
    /// Milters may sign, and so come last.
    pub const ALL: [FilterKind; 3] = [FilterKind::Clamav, FilterKind::Rspamd, FilterKind::Milter];

    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            FilterKind::Clamav => "clamav",
            FilterKind::Rspamd => "rspamd",
            FilterKind::Milter => "milter",
        }
    }
}

/// The order that a setting says, by names; those that it leaves out come after the others.
pub fn in_order(setting: &str) -> Vec<FilterKind> {
    let named = setting.split_whitespace().filter_map(|name| FilterKind::ALL.into_iter().find(|k| k.name() == name));
    let mut order: Vec<FilterKind> = Vec::with_capacity(FilterKind::ALL.len());
    for kind in named.chain(FilterKind::ALL) {
        if !order.contains(&kind) {
            order.push(kind);
        }
    }
    order
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FiltersSettings {
    /// This host.
    pub own_name: String,
    /// Who is asked first.
    pub order: Vec<FilterKind>,
    /// ClamAV, if it is used.
    pub clamav: Option<ClamavSettings>,
    /// rspamd, if it is used.
    pub rspamd: Option<RspamdSettings>,
    /// The milters.
    pub milters: Vec<Common>,
}

/// Which mail a filter sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Applies {
    /// What comes from other servers.
    Incoming,
    /// What users and trusted hosts hand in.
    Submitted,
    /// Both.
    #[default]
    All,
}

impl Applies {
    /// Whether it sees mail of this direction.
    pub fn to(self, direction: Direction) -> bool {
        match self {
            Applies::Incoming => direction == Direction::Incoming,
            Applies::Submitted => direction == Direction::Submitted,
            Applies::All => true,
        }
    }

    /// From its name in settings.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "incoming" => Some(Applies::Incoming),
            "submitted" => Some(Applies::Submitted),
            "all" => Some(Applies::All),
            _ => None,
        }
    }
}

/// What becomes of a message that a filter can't look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDown {
    /// It goes on as if there were no such filter.
    Accept,
    /// Its sender tries again later.
    Defer,
    /// It is refused for good.
    Refuse,
}

impl WhenDown {
    /// From its name in settings.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "accept" => Some(WhenDown::Accept),
            "defer" => Some(WhenDown::Defer),
            "refuse" => Some(WhenDown::Refuse),
            _ => None,
        }
    }

    /// What is done, for people.
    pub(super) fn done(self) -> &'static str {
        match self {
            WhenDown::Accept => "accepted",
            WhenDown::Defer => "deferred",
            WhenDown::Refuse => "refused",
        }
    }
}

/// What all filters have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Which mail it sees.
    pub applies: Applies,
    /// What becomes of mail that it can't look at.
    pub when_down: WhenDown,
    /// How long it may take for one message, waiting for a place included.
    pub timeout: Duration,
    /// Messages that it looks at, at the same time.
    pub at_once: usize,
}

/// Milters as a setting names them: addresses with blanks between them, each with commas before what holds for it
/// alone (`unix:/run/opendkim/opendkim.sock,submitted,accept`). What can't be understood is left out.
pub fn milters(setting: &str, timeout: Duration, at_once: usize) -> Vec<Common> {
    let one = |words: &str| {
        let mut words = words.split(',');
        let endpoint = words.next()?.parse().ok()?;
        let (mut applies, mut when_down) = (Applies::default(), WhenDown::Defer);
        for word in words {
            match (Applies::from_name(word), WhenDown::from_name(word)) {
                (Some(word), _) => applies = word,
                (_, Some(word)) => when_down = word,
                _ => return None,
            }
        }
        Some(Common { endpoint, applies, when_down, timeout, at_once })
    };
    setting.split_whitespace().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milters_have_words_of_their_own() {
        let read = |setting| milters(setting, Duration::from_secs(1), 7);
        let found = read("unix:/a,submitted,accept 127.0.0.1:8891,refuse [::1]:1 unix:/b,often");
        let found: Vec<_> = found.iter().map(|c| (c.endpoint.to_string(), c.applies, c.when_down)).collect();
        let expected = [
            ("unix:/a".to_owned(), Applies::Submitted, WhenDown::Accept),
            ("127.0.0.1:8891".to_owned(), Applies::All, WhenDown::Refuse),
            ("[::1]:1".to_owned(), Applies::All, WhenDown::Defer),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_an_order_leaves_out_comes_last() {
        use FilterKind::{Clamav, Milter, Rspamd};
        assert_eq!(in_order(""), [Clamav, Rspamd, Milter]);
        assert_eq!(in_order("milter"), [Milter, Clamav, Rspamd]);
        assert_eq!(in_order("rspamd other rspamd milter clamav"), [Rspamd, Milter, Clamav]);
    }
}
