//! What the runner knows of one destination.

use std::collections::{HashSet, VecDeque};

use sterna_base::Timestamp;

use super::message::{DeliveryId, Said};

/// Deliveries of one destination that are kept in memory; the others stay in the store until there is room.
pub const WINDOW: usize = 256;

/// Connections to a destination that nothing is known of.
const CONCURRENCY_FIRST: usize = 5;

/// The deliveries for one destination: those that may start, and those that run.
#[derive(Debug)]
pub struct Lane {
    ready: VecDeque<DeliveryId>,
    running: HashSet<DeliveryId>,
    /// Those that came while they ran: the row was settled and deleted already, and its number given to a new one.
    again: HashSet<DeliveryId>,
    /// Those that rest until the lane wakes, after a fault on this side.
    resting: HashSet<DeliveryId>,
    /// How many may run: one more with each success, one alone after the destination could not be reached.
    limit: usize,
    /// Whether the store may have more that is due.
    pub more: bool,
    /// Whether somebody is looking.
    pub looking: bool,
    /// Whether, since somebody looks, there came to be more that is due: what the look finds may be without it.
    missed: bool,
    /// Whether its turn will come.
    pub has_turn: bool,
    /// How often in a row the destination could not be reached.
    pub failures: u32,
    /// Until when it counts as unreachable, and why.
    unreachable: Option<(Timestamp, Said)>,
    /// When something becomes due.
    pub wake: Option<Timestamp>,
}

impl Default for Lane {
    fn default() -> Self {
        Lane {
            ready: VecDeque::new(),
            running: HashSet::new(),
            again: HashSet::new(),
            resting: HashSet::new(),
            limit: CONCURRENCY_FIRST,
            more: false,
            looking: false,
            missed: false,
            has_turn: false,
            failures: 0,
            unreachable: None,
            wake: None,
        }
    }
}

/// What can be done for a lane now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This delivery can be tried; with the reason, when the destination is known not to be reachable.
    Try(DeliveryId, Option<Said>),
    /// The store can be asked for more.
    Look,
    /// Nothing.
    Nothing,
}

impl Lane {
    /// A delivery that is due now.
    pub fn add(&mut self, id: DeliveryId) {
        if self.running.contains(&id) {
            self.again.insert(id);
        } else if self.more || self.ready.len() >= WINDOW {
            self.must_look();
        } else if !self.ready.contains(&id) {
            self.ready.push_back(id);
        }
    }

    /// It runs no more.
    fn done(&mut self, id: DeliveryId) {
        self.running.remove(&id);
        if self.again.remove(&id) {
            self.add(id);
        }
    }

    /// The store may have more that is due than whoever looks at present will find.
    fn must_look(&mut self) {
        self.more = true;
        self.missed |= self.looking;
    }

    /// What the store had.
    pub fn found(&mut self, ids: Vec<DeliveryId>) {
        self.looking = false;
        self.more = ids.len() >= WINDOW || std::mem::take(&mut self.missed);
        for id in ids {
            if !self.running.contains(&id) && !self.ready.contains(&id) {
                self.ready.push_back(id);
            }
        }
    }

    /// What to do next, with at most so many at a time.
    pub fn step(&mut self, now: Timestamp, most: usize) -> Step {
        let unreachable = self.unreachable.as_ref().filter(|(until, _)| now < *until).map(|(_, said)| said.clone());
        if self.running.len() >= self.limit.min(most) {
            return Step::Nothing;
        }
        if let Some(id) = self.ready.pop_front() {
            self.running.insert(id);
            return Step::Try(id, unreachable);
        }
        if self.more && !self.looking {
            self.looking = true;
            return Step::Look;
        }
        Step::Nothing
    }

    /// The deliveries that the store need not name.
    pub fn known(&self) -> Vec<DeliveryId> {
        self.ready.iter().chain(&self.running).chain(&self.resting).copied().collect()
    }

    /// A try is over, and the destination was there.
    pub fn reached(&mut self, id: DeliveryId, most: usize) {
        self.done(id);
        self.limit = (self.limit + 1).min(most);
        self.failures = 0;
        self.unreachable = None;
    }

    /// A try is over that says nothing of the destination.
    pub fn over(&mut self, id: DeliveryId) {
        self.done(id);
    }

    /// A try came to nothing by a fault on this side: it is not looked for before the lane wakes, as far as there is
    /// room to remember it.
    pub fn broke_off(&mut self, id: DeliveryId) {
        self.running.remove(&id);
        self.again.remove(&id);
        if self.resting.len() < WINDOW {
            self.resting.insert(id);
        }
    }

    /// Something is due.
    pub fn woken(&mut self) {
        self.resting.clear();
        self.wake = None;
        self.must_look();
    }

    /// A try is over, and the destination could not be reached: what waits was postponed until then, but for what must
    /// be told to its senders.
    pub fn not_reached(&mut self, id: DeliveryId, until: Timestamp, said: Said) {
        self.running.remove(&id);
        self.again.remove(&id);
        self.limit = 1;
        self.ready.clear();
        self.must_look();
        self.unreachable = Some((until, said));
    }

    /// The destination may be there again.
    pub fn forget_unreachable(&mut self) {
        self.unreachable = None;
    }

    /// Whether nothing is known that a later one would have to know.
    pub fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.running.is_empty() && !self.more && !self.looking && self.wake.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(0);

    #[test]
    fn runs_a_few_then_more_as_they_succeed() {
        let mut lane = Lane::default();
        (0..20).for_each(|n| lane.add(DeliveryId(n)));
        let start = |lane: &mut Lane| (0..20).filter(|_| matches!(lane.step(NOW, 8), Step::Try(..))).count();
        assert_eq!(start(&mut lane), CONCURRENCY_FIRST);
        (0..5).for_each(|n| lane.reached(DeliveryId(n), 8));
        assert_eq!(start(&mut lane), 8);
    }

    #[test]
    fn what_broke_off_rests_until_the_lane_wakes() {
        let mut lane = Lane::default();
        lane.add(DeliveryId(1));
        assert_eq!(lane.step(NOW, 8), Step::Try(DeliveryId(1), None));
        lane.broke_off(DeliveryId(1));
        assert_eq!(lane.known(), [DeliveryId(1)], "the store does not name it");
        assert_eq!(lane.step(NOW, 8), Step::Nothing);
        lane.woken();
        assert_eq!((lane.known(), lane.step(NOW, 8)), (Vec::new(), Step::Look));
    }

    #[test]
    fn what_comes_while_somebody_looks_is_not_lost() {
        let comes: [fn(&mut Lane); 3] =
            [|lane| lane.add(DeliveryId(7)), Lane::woken, |lane| lane.not_reached(DeliveryId(1), NOW, Said::default())];
        for come in comes {
            let mut lane = Lane::default();
            lane.woken();
            assert_eq!(lane.step(NOW, 8), Step::Look);
            come(&mut lane);
            lane.found(Vec::new());
            assert_eq!(lane.step(NOW, 8), Step::Look, "the store was read before it came");
            lane.found(Vec::new());
            assert_eq!(lane.step(NOW, 8), Step::Nothing);
        }
    }

    #[test]
    fn a_number_that_is_given_again_is_tried_again() {
        let mut lane = Lane::default();
        lane.add(DeliveryId(1));
        assert_eq!(lane.step(NOW, 8), Step::Try(DeliveryId(1), None));
        lane.add(DeliveryId(1));
        assert_eq!(lane.step(NOW, 8), Step::Nothing, "the one before still runs");
        lane.reached(DeliveryId(1), 8);
        assert_eq!(lane.step(NOW, 8), Step::Try(DeliveryId(1), None));
        lane.reached(DeliveryId(1), 8);
        assert_eq!(lane.step(NOW, 8), Step::Nothing);
    }

    #[test]
    fn what_does_not_fit_stays_in_the_store() {
        let mut lane = Lane::default();
        (0..WINDOW as i64 + 5).for_each(|n| lane.add(DeliveryId(n)));
        assert_eq!((lane.known().len(), lane.more), (WINDOW, true));
    }

    #[test]
    fn an_unreachable_destination_is_not_asked_before_its_time() {
        let mut lane = Lane::default();
        let said = Said { text: "no route".into(), ..Said::default() };
        lane.add(DeliveryId(1));
        lane.add(DeliveryId(2));
        assert_eq!(lane.step(NOW, 8), Step::Try(DeliveryId(1), None));
        lane.not_reached(DeliveryId(1), Timestamp(100), said.clone());
        assert_eq!(lane.step(NOW, 8), Step::Look);
        assert_eq!(lane.step(NOW, 8), Step::Nothing, "one look at a time");
        lane.found(vec![DeliveryId(3)]);
        assert_eq!(lane.step(NOW, 8), Step::Try(DeliveryId(3), Some(said)), "its sender must be told");
        lane.over(DeliveryId(3));
        lane.add(DeliveryId(4));
        assert_eq!(lane.step(Timestamp(100), 8), Step::Try(DeliveryId(4), None));
        lane.not_reached(DeliveryId(4), Timestamp(200), Said::default());
        lane.found(vec![DeliveryId(5)]);
        lane.forget_unreachable();
        assert_eq!(lane.step(Timestamp(100), 8), Step::Try(DeliveryId(5), None));
    }
}
