//! How much one client, and one user, hands in in an hour.
//!
//! Counted in two windows, of which the former one fades out: who may send a hundred messages an hour can't send two
//! hundred around the full hour, and a count costs a few bytes whatever the limit is. What other edges have counted is
//! added, as far as it was heard of.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use sterna_account::edge_guard::{CountRow, GuardSince, HourCount, ROWS_MAX};
use sterna_account::service::Login;
use sterna_base::ids::random_bytes;
use sterna_base::{AccountId, NodeId, Timestamp};

/// A window, in milliseconds: what the limits are for.
const WINDOW_MS: i64 = 3600 * 1000;

/// Clients, and users, that are counted. When there are more, those are forgotten whose hours are over, and all when
/// that makes little room: who has that many addresses is not held back by counting them.
pub const COUNTED_MAX: usize = 100_000;

/// Users over their limit that administrators are told of, and for how long, in milliseconds.
pub const OVER_MAX: usize = 1000;
/// See [`OVER_MAX`]: a day.
pub const OVER_KEPT_MS: i64 = 24 * 3600 * 1000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Transactions that were begun.
    Messages,
    /// Recipients that were taken.
    Recipients,
}

impl Unit {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Messages => "messages",
            Unit::Recipients => "recipients",
        }
    }
}

/// What came of counting one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is within the limit.
    Yes,
    /// It is over the limit, for the first time in this window.
    FirstOver,
    /// It is over the limit again.
    Over,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    begins_ms: i64,
    now: u64,
    before: u64,
    is_told: bool,
}

impl Window {
    /// One more, if with what was counted elsewhere there are not too many.
    fn take(&mut self, at: Timestamp, most: u64, elsewhere: impl Iterator<Item = HourCount>) -> Taken {
        let since = at.0 - self.begins_ms;
        if !(0..WINDOW_MS).contains(&since) {
            let before = if (WINDOW_MS..2 * WINDOW_MS).contains(&since) { self.now } else { 0 };
            *self = Window { begins_ms: at.0 - at.0.rem_euclid(WINDOW_MS), now: 0, before, is_told: false };
        }
        let (mut now, mut before) = (self.now, self.before);
        for other in elsewhere {
            match self.begins_ms - other.begins_ms {
                0 => (now, before) = (now.saturating_add(other.now), before.saturating_add(other.before)),
                // Nothing came there since the hour began.
                WINDOW_MS => before = before.saturating_add(other.now),
                _ => {}
            }
        }
        let left_ms = (WINDOW_MS - (at.0 - self.begins_ms)).clamp(0, WINDOW_MS).unsigned_abs();
        let fading = before.saturating_mul(left_ms) / WINDOW_MS.unsigned_abs();
        if most > 0 && now.saturating_add(fading) >= most {
            return if std::mem::replace(&mut self.is_told, true) { Taken::Over } else { Taken::FirstOver };
        }
        self.now += 1;
        Taken::Yes
    }
}

impl Window {
    fn is_over(&self, at: Timestamp) -> bool {
        is_over(self.begins_ms, at)
    }

    fn told(&self) -> HourCount {
        HourCount { begins_ms: self.begins_ms, now: self.now, before: self.before }
    }
}

#[derive(Clone, Debug, Default)]
struct Count {
    messages: Window,
    recipients: Window,
    /// The change of this node's that it was last counted with; 0 when only others did.
    seq: u64,
    /// What other edges have counted: messages and recipients.
    elsewhere: Vec<(NodeId, HourCount, HourCount)>,
}

/// Whether the hour after the one that began then is over, too: nothing of it counts any more.
fn is_over(begins_ms: i64, at: Timestamp) -> bool {
    !(0..2 * WINDOW_MS).contains(&(at.0 - begins_ms))
}

impl Count {
    fn is_over(&self, at: Timestamp) -> bool {
        let elsewhere = || self.elsewhere.iter().flat_map(|(_, messages, recipients)| [messages, recipients]);
        self.messages.is_over(at)
            && self.recipients.is_over(at)
            && elsewhere().all(|count| is_over(count.begins_ms, at))
    }
}

/// Counts for each of those who hand in.
struct Counts<K>(Mutex<HashMap<K, Count>>);

impl<K: Eq + Hash + Clone> Counts<K> {
    /// Also whether all were forgotten, with what others have told.
    fn take(&self, key: K, unit: Unit, at: Timestamp, most: u64, changes: &AtomicU64) -> (Taken, bool) {
        let mut counts = self.0.lock();
        let is_full = counts.len() >= COUNTED_MAX && !counts.contains_key(&key);
        let is_cleared = is_full && {
            counts.retain(|_, count| !count.is_over(at));
            // Else the next ones would look through all of them again and again.
            counts.len() > COUNTED_MAX / 2
        };
        if is_cleared {
            counts.clear();
        }
        let Count { messages, recipients, seq, elsewhere } = counts.entry(key).or_default();
        let taken = match unit {
            Unit::Messages => messages.take(at, most, elsewhere.iter().map(|(_, messages, _)| *messages)),
            Unit::Recipients => recipients.take(at, most, elsewhere.iter().map(|(.., recipients)| *recipients)),
        };
        if taken == Taken::Yes {
            // Under the lock, so that nobody who asks for changes passes over one.
            *seq = changes.fetch_add(1, Ordering::Relaxed) + 1;
        }
        (taken, is_cleared)
    }

    /// What was counted here since, in its order, and where it was cut off if it was.
    fn changes(&self, since: u64) -> (Vec<(u64, CountRow<K>)>, Option<u64>) {
        let counts = self.0.lock();
        let changed = counts.iter().filter(|(_, count)| count.seq > since);
        let row = |(who, count): (&K, &Count)| {
            let (messages, recipients) = (count.messages.told(), count.recipients.told());
            (count.seq, CountRow { who: who.clone(), messages, recipients })
        };
        let mut changed: Vec<_> = changed.map(row).collect();
        drop(counts);
        changed.sort_unstable_by_key(|(seq, _)| *seq);
        let cut = (changed.len() > ROWS_MAX).then(|| {
            changed.truncate(ROWS_MAX);
            changed.last().map_or(since, |(seq, _)| *seq)
        });
        (changed, cut)
    }

    /// Takes what another edge has counted in the place of what it said before.
    fn learn(&self, node: NodeId, rows: impl Iterator<Item = CountRow<K>>, at: Timestamp) {
        let mut counts = self.0.lock();
        if counts.len() >= COUNTED_MAX {
            counts.retain(|_, count| !count.is_over(at));
        }
        for CountRow { who, messages, recipients } in rows {
            if counts.len() >= COUNTED_MAX && !counts.contains_key(&who) {
                continue;
            }
            let elsewhere = &mut counts.entry(who).or_default().elsewhere;
            elsewhere.retain(|(known, ..)| *known != node);
            elsewhere.push((node, messages, recipients));
        }
    }
}

/// A user who wanted to send more than users may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// Who.
    pub account: AccountId,
    /// The address that logged in.
    pub address: String,
    /// What there was too much of.
    pub unit: Unit,
    /// From where, the last time.
    pub peer: IpAddr,
    /// Since when.
    pub since: Timestamp,
    /// The last time.
    pub last: Timestamp,
    /// How often it was refused.
    pub refused: u64,
}

/// See the module.
pub struct Rates {
    clients: Counts<IpAddr>,
    users: Counts<AccountId>,
    over: Mutex<HashMap<AccountId, OverLimit>>,
    /// Names this run: what was counted in another one is gone.
    run: u64,
    changes: AtomicU64,
    /// How far other edges' counts were heard; they are heard again when they were forgotten here.
    heard: Mutex<HashMap<NodeId, GuardSince>>,
}

impl Default for Rates {
    fn default() -> Self {
        let (clients, users) = (Counts(Mutex::default()), Counts(Mutex::default()));
        let (run, changes) = (u64::from_be_bytes(random_bytes()), AtomicU64::new(0));
        Rates { clients, users, over: Mutex::default(), run, changes, heard: Mutex::default() }
    }
}

/// What was counted on one edge since somebody asked.
#[derive(Debug, Default)]
pub struct CountedHere {
    /// Which run of the node.
    pub run: u64,
    /// How far it goes.
    pub upto: u64,
    /// Clients.
    pub clients: Vec<CountRow<String>>,
    /// Users.
    pub users: Vec<CountRow<AccountId>>,
    /// Whether there is more.
    pub has_more: bool,
}

impl Rates {
    /// What was counted here since this change of this run.
    pub fn counted_since(&self, run: u64, since: u64) -> CountedHere {
        let since = if run == self.run { since } else { 0 };
        let now = self.changes.load(Ordering::Relaxed);
        let ((clients, cut), (users, cut_users)) = (self.clients.changes(since), self.users.changes(since));
        // Of what is cut off nothing may be passed over, and what was counted meanwhile may come again.
        let cut = cut.into_iter().chain(cut_users).min();
        let upto = cut.unwrap_or(now);
        let clients = clients.into_iter().filter(|(seq, _)| cut.is_none_or(|cut| *seq <= cut));
        let client = |row: CountRow<IpAddr>| CountRow {
            who: row.who.to_string(),
            messages: row.messages,
            recipients: row.recipients,
        };
        let users = users.into_iter().filter(|(seq, _)| cut.is_none_or(|cut| *seq <= cut));
        CountedHere {
            run: self.run,
            upto,
            clients: clients.map(|(_, row)| client(row)).collect(),
            users: users.map(|(_, row)| row).collect(),
            has_more: cut.is_some(),
        }
    }

    /// How far the counts of another edge were heard.
    pub fn heard(&self, node: NodeId) -> GuardSince {
        self.heard.lock().get(&node).copied().unwrap_or_default()
    }

    /// Takes what another edge has counted up to this.
    pub fn learn(
        &self,
        node: NodeId,
        clients: Vec<CountRow<String>>,
        users: Vec<CountRow<AccountId>>,
        upto: GuardSince,
        at: Timestamp,
    ) {
        let client = |row: CountRow<String>| {
            Some(CountRow { who: row.who.parse().ok()?, messages: row.messages, recipients: row.recipients })
        };
        self.clients.learn(node, clients.into_iter().filter_map(client), at);
        self.users.learn(node, users.into_iter(), at);
        self.heard.lock().insert(node, upto);
    }

    /// What was forgotten of other edges' counts is asked for again.
    fn taken(&self, (taken, is_cleared): (Taken, bool)) -> Taken {
        if is_cleared {
            self.heard.lock().clear();
        }
        taken
    }

    /// One more from a client's network; `most` of zero is no limit.
    pub fn client(&self, network: IpAddr, unit: Unit, at: Timestamp, most: u64) -> Taken {
        if most == 0 { Taken::Yes } else { self.taken(self.clients.take(network, unit, at, most, &self.changes)) }
    }

    /// One more from a user.
    pub fn user(&self, login: &Login, peer: IpAddr, unit: Unit, at: Timestamp, most: u64) -> Taken {
        if most == 0 {
            return Taken::Yes;
        }
        let taken = self.taken(self.users.take(login.account, unit, at, most, &self.changes));
        if taken != Taken::Yes {
            self.note(login, peer, unit, at);
        }
        taken
    }

    fn note(&self, login: &Login, peer: IpAddr, unit: Unit, at: Timestamp) {
        let mut over = self.over.lock();
        over.retain(|_, over| at.0 - over.last.0 < OVER_KEPT_MS);
        if over.len() >= OVER_MAX && !over.contains_key(&login.account) {
            return;
        }
        let (account, address) = (login.account, login.address.clone());
        let new = OverLimit { account, address, unit, peer, since: at, last: at, refused: 0 };
        let known = over.entry(account).or_insert(new);
        (known.unit, known.peer, known.last) = (unit, peer, at);
        known.refused += 1;
    }

    /// Users who were over their limit within the last day, the latest first.
    pub fn over(&self, now: Timestamp) -> Vec<OverLimit> {
        let over = self.over.lock();
        let mut found: Vec<_> = over.values().filter(|over| now.0 - over.last.0 < OVER_KEPT_MS).cloned().collect();
        found.sort_by_key(|over| std::cmp::Reverse(over.last));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = WINDOW_MS;
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn login(number: u64) -> Login {
        Login {
            account: AccountId(number),
            address: format!("u{number}@demo.test"),
            is_sudo: false,
            app_password: None,
        }
    }

    #[test]
    fn the_hour_before_fades_out() {
        let rates = Rates::default();
        let at = |ms: i64, times: usize| {
            let take = |_| rates.client(HERE, Unit::Messages, Timestamp(1_000 * HOUR + ms), 10) == Taken::Yes;
            (0..times).filter(|number| take(*number)).count()
        };
        assert_eq!(at(HOUR - 1000, 15), 10);
        assert_eq!(at(HOUR + 1000, 15), 1, "an hour must pass, not the full hour");
        assert_eq!(at(HOUR + HOUR / 2, 15), 4);
        assert_eq!(at(5 * HOUR, 15), 10);
        assert_eq!(at(3 * HOUR, 15), 10, "a clock that was set back begins anew");
    }

    #[test]
    fn units_clients_and_users_are_counted_apart() {
        let rates = Rates::default();
        let now = Timestamp(7);
        assert_eq!(rates.client(HERE, Unit::Messages, now, 1), Taken::Yes);
        assert_eq!(rates.client(HERE, Unit::Recipients, now, 1), Taken::Yes);
        assert_eq!(rates.client(HERE, Unit::Messages, now, 1), Taken::FirstOver);
        assert_eq!(rates.client(HERE, Unit::Messages, now, 1), Taken::Over);
        assert_eq!(rates.client(HERE, Unit::Messages, now, 0), Taken::Yes, "no limit");
        assert_eq!(rates.user(&login(1), HERE, Unit::Messages, now, 1), Taken::Yes);
        assert_eq!(rates.over(now), []);
        assert_eq!(rates.user(&login(1), HERE, Unit::Messages, now, 1), Taken::FirstOver);
        assert_eq!(rates.user(&login(1), HERE, Unit::Messages, Timestamp(9), 1), Taken::Over);
        assert_eq!(rates.user(&login(2), HERE, Unit::Messages, now, 1), Taken::Yes);
        let over = rates.over(now);
        assert_eq!((over.len(), over[0].refused, over[0].since, over[0].last), (1, 2, now, Timestamp(9)));
        assert_eq!(over[0].address, "u1@demo.test");
        assert_eq!(rates.over(Timestamp(9 + OVER_KEPT_MS)), []);
    }

    #[test]
    fn memory_has_an_end() {
        let rates = Rates::default();
        for number in 0..COUNTED_MAX as u32 + 10 {
            let client = IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
            rates.client(client, Unit::Messages, Timestamp(0), 1);
        }
        assert!(rates.clients.0.lock().len() <= COUNTED_MAX);
        for number in 0..OVER_MAX as u64 + 10 {
            rates.user(&login(number), HERE, Unit::Messages, Timestamp(0), 1);
            rates.user(&login(number), HERE, Unit::Messages, Timestamp(0), 1);
        }
        assert_eq!(rates.over(Timestamp(0)).len(), OVER_MAX);
    }

    #[test]
    fn those_whose_hours_are_over_make_room_first() {
        let (here, there) = (Rates::default(), Rates::default());
        let client = |number: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
        let node = NodeId([1; 16]);
        let now = Timestamp(1_000 * HOUR);
        assert_eq!(there.client(HERE, Unit::Messages, now, 1), Taken::Yes);
        let fill = |numbers: std::ops::Range<u32>, at: Timestamp| {
            for number in numbers {
                here.client(client(number), Unit::Messages, at, 1);
            }
        };
        fill(0..COUNTED_MAX as u32, Timestamp(now.0 - 2 * HOUR));
        tell(&there, &here, node, 0);
        assert_ne!(here.client(HERE, Unit::Messages, now, 1), Taken::Yes, "there is room for what is told");
        fill(0..COUNTED_MAX as u32 - 1, now);
        assert_ne!(here.client(HERE, Unit::Messages, now, 1), Taken::Yes, "it is remembered");
        assert_ne!(here.heard(node), GuardSince::default());
        fill(COUNTED_MAX as u32..COUNTED_MAX as u32 + 1, now);
        assert_eq!(here.heard(node), GuardSince::default(), "all are forgotten, and are asked for again");
        tell(&there, &here, node, 0);
        assert_ne!(here.client(HERE, Unit::Messages, now, 1), Taken::Yes);
    }

    /// What one tells, the other takes; how far it went.
    fn tell(from: &Rates, to: &Rates, node: NodeId, since: u64) -> u64 {
        let told = from.counted_since(from.run, since);
        assert!(!told.has_more);
        let upto = GuardSince { run: told.run, counts: told.upto, ..GuardSince::default() };
        to.learn(node, told.clients, told.users, upto, Timestamp(1_000 * HOUR));
        told.upto
    }

    #[test]
    fn what_other_edges_count_counts() {
        let (here, there, third) = (Rates::default(), Rates::default(), Rates::default());
        let (a, b) = (NodeId([1; 16]), NodeId([2; 16]));
        let at = |hour: i64, ms: i64| Timestamp(1_000 * HOUR + hour * HOUR + ms);
        for _ in 0..6 {
            assert_eq!(there.client(HERE, Unit::Messages, at(0, 0), 10), Taken::Yes);
            assert_eq!(there.user(&login(1), HERE, Unit::Recipients, at(0, 0), 10), Taken::Yes);
        }
        let upto = tell(&there, &here, a, 0);
        assert_eq!(tell(&there, &here, a, upto), upto, "there is nothing new");
        let taken = |rates: &Rates, at: Timestamp| {
            (0..20).filter(|_| rates.client(HERE, Unit::Messages, at, 10) == Taken::Yes).count()
        };
        assert_eq!(taken(&here, at(0, 1)), 4);
        let recipients = (0..20).filter(|_| here.user(&login(1), HERE, Unit::Recipients, at(0, 1), 10) == Taken::Yes);
        assert_eq!(recipients.count(), 4);
        tell(&here, &there, b, 0);
        assert_eq!(taken(&there, at(0, 2)), 0);
        // One who hears of both, after the hour is over: half of the ten fades out.
        tell(&here, &third, a, 0);
        tell(&there, &third, b, 0);
        tell(&there, &third, b, 0);
        assert_eq!(taken(&third, at(1, HOUR / 2)), 5);
        assert_eq!(taken(&third, at(3, 0)), 10);
    }

    #[test]
    fn many_who_are_counted_are_told_in_pieces() {
        let (here, there) = (Rates::default(), Rates::default());
        let client = |number: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
        let all = 2 * ROWS_MAX as u32 + 7;
        for number in 0..all {
            here.client(client(number), Unit::Messages, Timestamp(0), 1);
            here.user(&login(u64::from(number)), HERE, Unit::Messages, Timestamp(0), 1);
        }
        let (mut since, mut pieces) = (0, 0);
        loop {
            let told = here.counted_since(here.run, since);
            assert!(told.clients.len() <= ROWS_MAX && told.users.len() <= ROWS_MAX);
            there.learn(NodeId([1; 16]), told.clients, told.users, GuardSince::default(), Timestamp(0));
            (since, pieces) = (told.upto, pieces + 1);
            if !told.has_more {
                break;
            }
        }
        assert!(pieces > 2);
        for number in 0..all {
            assert_ne!(there.client(client(number), Unit::Messages, Timestamp(1), 1), Taken::Yes, "{number}");
            assert_ne!(there.user(&login(u64::from(number)), HERE, Unit::Messages, Timestamp(1), 1), Taken::Yes);
        }
        assert_eq!(here.counted_since(here.run + 1, since).clients.len(), ROWS_MAX, "another run begins anew");
    }
}
