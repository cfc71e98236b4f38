//! What other servers said of addresses, for a while and in bounded memory.

use std::collections::HashMap;

use sterna_base::Timestamp;

use crate::queue::{Destination, Said};

/// How long it is not asked again whether an address that exists still does, in milliseconds.
pub const TAKEN_FRESH_MS: i64 = 3600 * 1000;
/// The same for one that was refused: shorter, because whoever is made over there wants mail soon.
pub const REFUSED_FRESH_MS: i64 = 5 * 60 * 1000;
/// How long it is believed that an address exists while its server can't be asked, in milliseconds: as long as mail for
/// it would wait in the queue.
pub const TAKEN_KEPT_MS: i64 = 5 * 24 * 3600 * 1000;
/// The same for one that was refused.
pub const REFUSED_KEPT_MS: i64 = 3 * 3600 * 1000;
/// Answers of one generation; there are two of each kind, and the older one goes when the younger one is full. An
/// address takes some two hundred bytes, one that was refused up to a thousand.
pub const ANSWERS_MAX: usize = 50_000;

/// Which address, of which server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(Destination, String);

impl Key {
    /// The local part is the other server's matter, and kept as it is; the domain is not.
    pub fn new(destination: &Destination, address: &str) -> Self {
        let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        Key(destination.clone(), format!("{local}@{}", domain.to_lowercase()))
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What was said when it was refused.
    pub refused: Option<Said>,
    /// Whether it need not be asked for again.
    pub is_fresh: bool,
}

struct Answer {
    refused: Option<Said>,
    at: Timestamp,
}

/// Two generations.
#[derive(Default)]
struct Generations {
    young: HashMap<Key, Answer>,
    old: HashMap<Key, Answer>,
}

impl Generations {
    fn get(&self, key: &Key) -> Option<&Answer> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn put(&mut self, key: Key, answer: Answer) {
        if self.young.len() >= ANSWERS_MAX && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, answer);
    }

    fn remove(&mut self, key: &Key) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

/// See the module. Addresses that exist and those that were refused are kept apart: whoever tries many names drives out
/// none that exists.
#[derive(Default)]
pub struct Answers {
    taken: Generations,
    refused: Generations,
}

impl Answers {
    /// What was said, if that is worth anything yet. A clock that was set back makes nothing fresh.
    pub fn get(&self, key: &Key, now: Timestamp) -> Option<Kept> {
        let answer = self.taken.get(key).or_else(|| self.refused.get(key))?;
        let (fresh_ms, kept_ms) = match answer.refused {
            None => (TAKEN_FRESH_MS, TAKEN_KEPT_MS),
            Some(_) => (REFUSED_FRESH_MS, REFUSED_KEPT_MS),
        };
        let age_ms = now.0 - answer.at.0;
        let is_fresh = (0..fresh_ms).contains(&age_ms);
        (age_ms < kept_ms).then(|| Kept { refused: answer.refused.clone(), is_fresh })
    }

    /// Keeps what was said.
    pub fn put(&mut self, key: Key, refused: Option<Said>, at: Timestamp) {
        let (here, there) = match refused {
            None => (&mut self.taken, &mut self.refused),
            Some(_) => (&mut self.refused, &mut self.taken),
        };
        there.remove(&key);
        here.put(key, Answer { refused, at });
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        [&self.taken, &self.refused].map(|kept| kept.young.len() + kept.old.len()).iter().sum()
    }
}
