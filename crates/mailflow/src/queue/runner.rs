//! Works the queue off.
//!
//! The runner keeps a bounded window of each destination in memory and starts tries, a few for each destination and
//! some for all, in turn. Everything else stays in the store. It never reads what was just put in: it is told.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sterna_base::{Clock, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::attempt::{Attempt, Carrier, Ended, Notifier};
use super::backoff::Times;
use super::error::QueueError;
use super::lane::{Lane, Step, WINDOW};
use super::message::{DeliveryId, Destination, Said};
use super::news::{Happened, New};
use super::store::Queue;
use crate::trace::Trace;

/// Destinations that one look at the store names at most.
const DESTINATIONS_PER_LOOK: usize = 1000;

/// How long to sleep at most: the clock may be set.
const SLEEP_MOST: Duration = Duration::from_secs(60);

/// How long to wait after the store could not be read.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What administrators can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunnerSettings {
    /// When to try again, to warn and to give up.
    pub times: Times,
    /// Tries at the same time.
    pub tries_most: usize,
    /// Tries at the same time for one destination.
    pub tries_per_destination_most: usize,
}

impl Default for RunnerSettings {
    fn default() -> Self {
        RunnerSettings { times: Times::default(), tries_most: 200, tries_per_destination_most: 20 }
    }
}

/// See the module.
pub struct Runner {
    queue: Arc<Queue>,
    carrier: Arc<dyn Carrier>,
    notifier: Arc<dyn Notifier>,
    clock: Arc<dyn Clock>,
    settings: watch::Receiver<RunnerSettings>,
    lanes: HashMap<Destination, Lane>,
    /// Destinations that may have something to start, in turn.
    turns: VecDeque<Destination>,
    timers: BTreeSet<(Timestamp, Destination)>,
    tasks: JoinSet<Event>,
    tries: usize,
    trace: Trace,
}

/// What a task gives when it ends.
enum Event {
    Tried(Destination, DeliveryId, Ended, Option<Timestamp>),
    Looked(Destination, Result<(Vec<DeliveryId>, Option<Timestamp>), QueueError>),
    Listed(Result<Vec<(Destination, Timestamp)>, QueueError>),
}

impl Runner {
    /// A runner that has not looked yet.
    pub fn new(
        queue: Arc<Queue>,
        carrier: Arc<dyn Carrier>,
        notifier: Arc<dyn Notifier>,
        clock: Arc<dyn Clock>,
        settings: watch::Receiver<RunnerSettings>,
    ) -> Self {
        Runner {
            queue,
            carrier,
            notifier,
            clock,
            settings,
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            timers: BTreeSet::new(),
            tasks: JoinSet::new(),
            tries: 0,
            trace: Trace::none(),
        }
    }

    /// With a place to write down what becomes of messages.
    pub fn with_trace(self, trace: Trace) -> Self {
        Runner { trace, ..self }
    }

    /// Runs until it is told to stop, or the queue can't be written any more. Tries that are under way are brought to
    /// their ends: what another server has taken must be known here.
    pub async fn run(mut self, stop: CancellationToken) {
        self.list(None);
        loop {
            self.start();
            let (queue, sleep) = (self.queue.clone(), self.until_next_timer());
            tokio::select! {
                () = stop.cancelled() => {
                    while self.tasks.join_next().await.is_some() {}
                    return;
                }
                Some(ended) = self.tasks.join_next() => match ended {
                    Ok(Event::Tried(_, _, Ended::Stopped, _)) => {
                        tracing::error!("the queue can't be written; nothing is sent until the node is started again");
                        return;
                    }
                    Ok(event) => self.ended(event),
                    // Tries catch their panics, and what reads has its own thread: nothing is left to panic here.
                    Err(error) => tracing::error!(%error, "a task of the queue broke off; start the node again"),
                },
                happened = queue.news.wait() => self.happened(happened),
                () = tokio::time::sleep(sleep) => self.wake(),
            }
        }
    }

    /// Starts what can be started; each destination in its turn.
    fn start(&mut self) {
        let settings = *self.settings.borrow();
        let now = self.clock.now();
        while self.tries < settings.tries_most
            && let Some(destination) = self.turns.pop_front()
        {
            let Some(lane) = self.lanes.get_mut(&destination) else { continue };
            lane.has_turn = false;
            match lane.step(now, settings.tries_per_destination_most) {
                Step::Try(id, assumed) => {
                    let failures = lane.failures;
                    self.take_turn(&destination);
                    self.try_delivery(destination, id, assumed, failures, settings.times);
                }
                Step::Look => {
                    let known = lane.known();
                    self.look(destination, now, known);
                }
                Step::Nothing => {
                    if lane.is_idle() {
                        self.lanes.remove(&destination);
                    }
                }
            }
        }
    }

    fn try_delivery(
        &mut self,
        destination: Destination,
        id: DeliveryId,
        assumed: Option<Said>,
        failures: u32,
        times: Times,
    ) {
        let attempt = Attempt {
            queue: self.queue.clone(),
            carrier: self.carrier.clone(),
            notifier: self.notifier.clone(),
            clock: self.clock.clone(),
            destination: destination.clone(),
            times,
            failures,
            trace: self.trace.clone(),
        };
        self.tries += 1;
        self.tasks.spawn(async move {
            let (ended, next) = attempt.run(id, assumed).await;
            Event::Tried(destination, id, ended, next)
        });
    }

    fn look(&mut self, destination: Destination, now: Timestamp, known: Vec<DeliveryId>) {
        let queue = self.queue.clone();
        self.tasks.spawn(async move {
            let found = queue.due(destination.clone(), now, known, WINDOW).await;
            if found.is_err() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Event::Looked(destination, found)
        });
    }

    fn list(&mut self, after: Option<Destination>) {
        let queue = self.queue.clone();
        self.tasks.spawn(async move {
            let found = queue.destinations(after, DESTINATIONS_PER_LOOK).await;
            if found.is_err() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Event::Listed(found)
        });
    }

    fn ended(&mut self, event: Event) {
        match event {
            Event::Tried(destination, id, ended, next) => self.tried(destination, id, ended, next),
            Event::Looked(destination, found) => self.looked(destination, found),
            Event::Listed(Ok(found)) => {
                if found.len() >= DESTINATIONS_PER_LOOK {
                    self.list(found.last().map(|(destination, _)| destination.clone()));
                }
                for (destination, first) in found {
                    self.due_at(destination, first);
                }
            }
            Event::Listed(Err(error)) => {
                tracing::error!(cause = error.cause(), "the queue could not be read");
                self.list(None);
            }
        }
    }

    fn tried(&mut self, destination: Destination, id: DeliveryId, ended: Ended, next: Option<Timestamp>) {
        self.tries -= 1;
        let most = self.settings.borrow().tries_per_destination_most;
        let lane = self.lanes.entry(destination.clone()).or_default();
        match (ended, next) {
            (Ended::NotReached(said), Some(next)) => {
                lane.failures += 1;
                lane.not_reached(id, next, said);
            }
            (Ended::Reached, _) => lane.reached(id, most),
            (Ended::BrokeOff, _) => lane.broke_off(id),
            _ => lane.over(id),
        }
        self.take_turn(&destination);
        if let Some(next) = next {
            self.due_at(destination, next);
        }
    }

    fn looked(&mut self, destination: Destination, found: Result<(Vec<DeliveryId>, Option<Timestamp>), QueueError>) {
        self.take_turn(&destination);
        let lane = self.lanes.entry(destination.clone()).or_default();
        match found {
            Ok((ids, next)) => {
                lane.found(ids);
                if let Some(next) = next {
                    self.due_at(destination, next);
                }
            }
            Err(error) => {
                tracing::error!(%destination, cause = error.cause(), "the queue could not be read");
                (lane.looking, lane.more) = (false, true);
            }
        }
    }

    fn happened(&mut self, happened: Happened) {
        if happened.anything {
            // Whoever says "try again now" knows something: what couldn't be reached is asked again.
            self.lanes.values_mut().for_each(Lane::forget_unreachable);
            self.list(None);
        }
        let now = self.clock.now();
        for New { id, destination, due } in happened.new {
            if due > now {
                self.due_at(destination, due);
            } else {
                self.lanes.entry(destination.clone()).or_default().add(id);
                self.take_turn(&destination);
            }
        }
    }

    fn take_turn(&mut self, destination: &Destination) {
        let lane = self.lanes.entry(destination.clone()).or_default();
        if !std::mem::replace(&mut lane.has_turn, true) {
            self.turns.push_back(destination.clone());
        }
    }

    /// The destination is looked at then; earlier times stand.
    fn due_at(&mut self, destination: Destination, due: Timestamp) {
        let lane = self.lanes.entry(destination.clone()).or_default();
        if lane.wake.is_none_or(|wake| due < wake) {
            if let Some(before) = lane.wake.replace(due) {
                self.timers.remove(&(before, destination.clone()));
            }
            self.timers.insert((due, destination));
        }
    }

    fn until_next_timer(&self) -> Duration {
        let Some((first, _)) = self.timers.first() else { return SLEEP_MOST };
        let ms = first.0.saturating_sub(self.clock.now().0).max(0);
        Duration::from_millis(ms.unsigned_abs()).min(SLEEP_MOST)
    }

    fn wake(&mut self) {
        let now = self.clock.now();
        while self.timers.first().is_some_and(|(due, _)| *due <= now)
            && let Some((_, destination)) = self.timers.pop_first()
        {
            if let Some(lane) = self.lanes.get_mut(&destination) {
                lane.woken();
                self.take_turn(&destination);
            }
        }
    }
}
