//! All filters, one after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use sterna_account::service::{Envelope, Message, Rcpt, Refusal};
use sterna_base::{Clock, Timestamp};
use sterna_formats::smtp::Mailbox;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::breaker::Breaker;
use super::clamav::Clamav;
use super::field::words;
use super::milter::{Followed, Milter};
use super::rspamd::Rspamd;
use super::{
    Action, Change, Common, ContentFilter, Direction, Draft, EnvelopeChange, FILTERS_TIMEOUT, Facts, FilterError,
    FilterKind, FiltersSettings, HEALTH_EVERY, HEALTH_TIMEOUT, Verdict, WhenDown,
};
use crate::auth::HEADER_BYTES_MAX;
use crate::delivery::Keep;
use crate::provenance::Provenance;
use crate::trace::Trace;

/// Recipients that filters may add to one message.
const ADDED_RCPTS_MAX: usize = 100;

/// Longest reason in a trace or a log, in bytes.
const WHY_BYTES_MAX: usize = 800;

/// The filters of an edge.
pub struct Filters {
    settings: watch::Receiver<FiltersSettings>,
    made: Mutex<Option<(FiltersSettings, Chain)>>,
    clock: Arc<dyn Clock>,
    spool_folder: PathBuf,
    trace: Trace,
}

/// The filters in their order.
pub(super) type Chain = Arc<Vec<Placed>>;

/// A message after its filters.
#[derive(Debug)]
pub struct Examined {
    /// Its envelope, which filters may have changed.
    pub envelope: Envelope,
    /// The message.
    pub message: Message,
    /// Where it goes in accounts.
    pub keep: Keep,
    /// What was found out before.
    pub provenance: Provenance,
    /// Recipients that filters added: they need no permission to relay.
    pub added: Vec<String>,
}

impl Examined {
    /// As it came.
    pub fn new(envelope: Envelope, message: Message, keep: Keep) -> Self {
        Examined { envelope, message, keep, provenance: Provenance::default(), added: Vec::new() }
    }
}

/// How a filter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterHealth {
    /// Its name.
    pub name: String,
    /// What it says about itself, or why it can't be asked.
    pub state: Result<String, String>,
    /// Since when it is well, or not.
    pub since: Timestamp,
}

impl Filters {
    /// With a folder for messages that are too large for memory; it is emptied by those who start the node.
    pub fn new(
        settings: watch::Receiver<FiltersSettings>,
        clock: Arc<dyn Clock>,
        spool_folder: PathBuf,
        trace: Trace,
    ) -> Self {
        Filters { settings, made: Mutex::new(None), clock, spool_folder, trace }
    }

    /// The filters that are set now. They are made anew when a setting of one changes.
    fn chain(&self) -> Chain {
        let settings = self.settings.borrow();
        let mut made = self.made.lock();
        if let Some((former, chain)) = &*made
            && *former == *settings
        {
            return chain.clone();
        }
        let chain = Arc::new(placed(&settings, &self.spool_folder));
        *made = Some((settings.clone(), chain.clone()));
        chain
    }

    /// Those without settings.
    #[cfg(test)]
    pub(super) fn of(filters: Vec<(Arc<dyn ContentFilter>, Common)>, clock: Arc<dyn Clock>, folder: PathBuf) -> Self {
        let chain = filters.into_iter().map(|(filter, common)| Placed::new(filter, &common)).collect();
        let made = Mutex::new(Some((FiltersSettings::default(), Arc::new(chain))));
        let settings = watch::channel(FiltersSettings::default()).1;
        Filters { settings, made, clock, spool_folder: folder, trace: Trace::none() }
    }

    /// What the filters make of a message; `None` when one of them throws it away.
    ///
    /// # Errors
    /// What the client is told, when one refuses it, or can't look at it and must.
    pub async fn examine(
        &self,
        envelope: Envelope,
        message: Message,
        keep: Keep,
        direction: Direction,
    ) -> Result<Option<Examined>, Refusal> {
        let (chain, own_name) = (self.chain(), self.settings.borrow().own_name.clone());
        let concerned: Vec<&Placed> = chain.iter().filter(|placed| placed.common.applies.to(direction)).collect();
        let mut examined = Examined::new(envelope, message, keep);
        if concerned.is_empty() {
            return Ok(Some(examined));
        }
        let Some(mut draft) = Draft::of(examined.message.clone()).await.map_err(unreadable)? else {
            let text = format!("The header of the message is longer than {HEADER_BYTES_MAX} bytes");
            return Err(Refusal::new(552, (5, 3, 4), text));
        };
        let whole = Instant::now() + FILTERS_TIMEOUT;
        for placed in concerned {
            let facts = Facts { envelope: &examined.envelope, direction, own_name: &own_name };
            let result = placed.ask(&facts, &draft, whole, &*self.clock).await;
            if direction == Direction::Incoming {
                draft.strip(placed.filter.own_fields());
            }
            let verdict = match result {
                Ok(verdict) => for_direction(verdict, direction),
                Err(FilterError::Message(error)) => return Err(unreadable(error)),
                Err(error) => without(placed, &error),
            };
            self.tell(placed, &examined.envelope, &verdict);
            match verdict.action {
                Action::Accept => {}
                Action::Quarantine => examined.keep = Keep::Junk,
                Action::Refuse(refusal) => {
                    return Err(refusal.because(format!("{}: {}", placed.filter.name(), verdict.why)));
                }
                Action::Discard => return Ok(None),
            }
            apply(placed.filter.name(), &mut draft, &mut examined, verdict.changes, verdict.envelope);
        }
        examined.message = draft.finish(self.spool_folder.clone()).await.map_err(unreadable)?;
        Ok(Some(examined))
    }

    /// Lets milters follow a transaction whose envelope has no recipients yet.
    ///
    /// # Errors
    /// What the client is told, when one of them refuses the sender.
    pub async fn begin(&self, envelope: &Envelope, direction: Direction) -> Result<Option<Followed>, Refusal> {
        let own_name = self.settings.borrow().own_name.clone();
        let (chain, clock, trace) = (self.chain(), self.clock.clone(), self.trace.clone());
        Followed::begin(chain, envelope, direction, own_name, clock, trace).await
    }

    fn tell(&self, placed: &Placed, envelope: &Envelope, verdict: &Verdict) {
        let done = match &verdict.action {
            Action::Accept => "accepted",
            Action::Quarantine => "into Junk",
            Action::Refuse(refusal) if refusal.is_temporary() => "deferred",
            Action::Refuse(_) => "refused",
            Action::Discard => "thrown away",
        };
        let (filter, why) = (placed.filter.name(), words(&verdict.why, WHY_BYTES_MAX));
        self.trace.verdict(envelope.transaction, format!("filter {filter}: {done}: {why}"));
        tracing::info!(transaction = %envelope.transaction, filter, done, why, "filtered");
    }

    /// How each filter is, as far as that is known.
    pub fn health(&self) -> Vec<FilterHealth> {
        let of = |placed: &Placed| {
            let known = placed.breaker.known()?;
            Some(FilterHealth { name: placed.filter.name().to_owned(), state: known.state, since: known.since })
        };
        self.chain().iter().filter_map(of).collect()
    }

    /// Asks all filters again and again whether they are there.
    pub async fn watch_health(&self) {
        let mut settings = self.settings.clone();
        loop {
            let chain = self.chain();
            for placed in chain.iter() {
                placed.ask_health(&*self.clock).await;
            }
            // New settings are new filters.
            if let Ok(Err(_)) = timeout(HEALTH_EVERY, settings.changed()).await {
                return;
            }
        }
    }
}

fn placed(settings: &FiltersSettings, spool_folder: &Path) -> Vec<Placed> {
    let mut placed = Vec::new();
    for kind in &settings.order {
        match kind {
            FilterKind::Clamav => placed.extend(settings.clamav.iter().map(|clamav| {
                let common = clamav.common.clone();
                Placed::new(Arc::new(Clamav::new(clamav.clone())), &common)
            })),
            FilterKind::Rspamd => placed.extend(settings.rspamd.iter().map(|rspamd| {
                let common = rspamd.common.clone();
                Placed::new(Arc::new(Rspamd::new(rspamd.clone())), &common)
            })),
            FilterKind::Milter => placed.extend(settings.milters.iter().map(|common| {
                let milter = Arc::new(Milter::new(common.clone(), spool_folder.to_owned()));
                // It has places of its own, because it takes one for a whole transaction.
                let common = Common { at_once: Semaphore::MAX_PERMITS, ..common.clone() };
                Placed { milter: Some(milter.clone()), ..Placed::new(milter, &common) }
            })),
        }
    }
    placed
}

/// One filter with what is known of it.
pub(super) struct Placed {
    filter: Arc<dyn ContentFilter>,
    /// The same, if it is one that follows transactions.
    pub milter: Option<Arc<Milter>>,
    pub common: Common,
    places: Semaphore,
    breaker: Breaker,
}

impl Placed {
    fn new(filter: Arc<dyn ContentFilter>, common: &Common) -> Self {
        let places = Semaphore::new(common.at_once);
        Placed { filter, milter: None, common: common.clone(), places, breaker: Breaker::default() }
    }

    async fn ask(
        &self,
        facts: &Facts<'_>,
        draft: &Draft,
        whole: Instant,
        clock: &dyn Clock,
    ) -> Result<Verdict, FilterError> {
        let start = Instant::now();
        let deadline = whole.min(start + self.common.timeout);
        let limit = deadline - start;
        // Closed never: the semaphore lives as long as this.
        let place = timeout_at(deadline, self.places.acquire()).await;
        let _place = place.map_err(|_| FilterError::Busy(limit))?;
        // After the wait for a place: those who waited behind one that hangs need not find that out themselves.
        self.may_ask()?;
        let looked = timeout_at(deadline, self.filter.look(facts, draft)).await;
        let looked = looked.unwrap_or(Err(FilterError::Late(limit)));
        self.note(&looked, clock);
        looked
    }

    /// Whether it is worth asking.
    ///
    /// # Errors
    /// [`FilterError::Resting`].
    pub fn may_ask(&self) -> Result<(), FilterError> {
        self.breaker.may_ask(Instant::now()).map_err(FilterError::Resting)
    }

    /// Remembers how it was.
    pub fn note<T>(&self, looked: &Result<T, FilterError>, clock: &dyn Clock) {
        let filter = self.filter.name();
        match looked {
            Ok(_) => {
                if self.breaker.worked(clock.now()) {
                    tracing::info!(filter, "the filter works again");
                }
            }
            // It answers, if only that it can't look at this one.
            Err(FilterError::Message(_) | FilterError::Unable(_) | FilterError::Resting(_) | FilterError::Busy(_)) => {}
            Err(error) => self.failed(error, clock),
        }
    }

    fn failed(&self, error: &FilterError, clock: &dyn Clock) {
        let (filter, done) = (self.filter.name(), self.common.when_down.done());
        if self.breaker.failed(Instant::now(), clock.now(), error.to_string()) {
            tracing::warn!(filter, %error, "the filter is down; meanwhile mail is {done} without it");
        }
    }

    async fn ask_health(&self, clock: &dyn Clock) {
        let asked = timeout(HEALTH_TIMEOUT, self.filter.health()).await;
        match asked.unwrap_or(Err(FilterError::Late(HEALTH_TIMEOUT))) {
            Ok(about) => {
                if self.breaker.said(Instant::now(), clock.now(), about) {
                    tracing::info!(filter = self.filter.name(), "the filter can be asked again");
                }
            }
            Err(error) => self.failed(&error, clock),
        }
    }
}

/// There is no Junk where users' mail goes: they are told instead.
fn for_direction(verdict: Verdict, direction: Direction) -> Verdict {
    if verdict.action != Action::Quarantine || direction == Direction::Incoming {
        return verdict;
    }
    let text = format!("The message is not sent, because of what is in it: {}", words(&verdict.why, 200));
    Verdict { action: Action::Refuse(Refusal::new(550, (5, 7, 1), text)), ..verdict }
}

/// What is done without the filter.
pub(super) fn without(placed: &Placed, error: &FilterError) -> Verdict {
    let text = "The message can't be checked at present";
    let action = match placed.common.when_down {
        WhenDown::Accept => Action::Accept,
        WhenDown::Defer => Action::Refuse(Refusal::new(451, (4, 7, 1), format!("{text}; try again later"))),
        WhenDown::Refuse => Action::Refuse(Refusal::new(550, (5, 7, 1), text)),
    };
    Verdict::new(action, format!("down: {error}"))
}

fn apply(
    filter: &str,
    draft: &mut Draft,
    examined: &mut Examined,
    changes: Vec<Change>,
    envelope: Vec<EnvelopeChange>,
) {
    let transaction = examined.envelope.transaction;
    for change in changes {
        let wanted = format!("{change:.200?}");
        if !draft.change(change) {
            tracing::info!(%transaction, filter, wanted, "a filter wants a change that can't be made");
        }
    }
    for change in envelope {
        tracing::info!(%transaction, filter, ?change, "a filter changes the envelope");
        let (rcpts, is) =
            (&mut examined.envelope.recipients, |rcpt: &Rcpt, a: &str| rcpt.address.eq_ignore_ascii_case(a));
        match change {
            EnvelopeChange::From(address) if !address.is_empty() && Mailbox::parse(&address).is_err() => {}
            EnvelopeChange::From(address) => {
                if draft.has("Return-Path") {
                    let value = format!(" <{address}>");
                    draft.change(Change::Replace { name: "Return-Path".to_owned(), number: 1, value });
                }
                examined.envelope.mail_from = address;
            }
            EnvelopeChange::RemoveRcpt(address) => {
                rcpts.retain(|rcpt| !is(rcpt, &address));
                examined.added.retain(|added| !added.eq_ignore_ascii_case(&address));
            }
            EnvelopeChange::AddRcpt(address) => {
                let is_good = Mailbox::parse(&address).is_ok() && examined.added.len() < ADDED_RCPTS_MAX;
                if is_good && !rcpts.iter().any(|rcpt| is(rcpt, &address)) {
                    rcpts.push(Rcpt { address: address.clone(), ..Rcpt::default() });
                    examined.added.push(address);
                }
            }
        }
    }
}

/// The answers for the recipients that the client named, from those of an envelope that filters may have changed. Whom
/// a filter took out is answered for by the filter. When somebody it added can't be delivered to now, the client comes
/// again; when never, that is in the trace and no fault of the client's.
pub(crate) fn answers(
    asked: &[String],
    envelope: &Envelope,
    answers: Vec<Result<(), Refusal>>,
) -> Vec<Result<(), Refusal>> {
    let mut by_address: Vec<(&str, Result<(), Refusal>)> =
        envelope.recipients.iter().map(|rcpt| &*rcpt.address).zip(answers).collect();
    let mut own: Vec<_> = Vec::with_capacity(asked.len());
    for address in asked {
        let place = by_address.iter().position(|(found, _)| found == address);
        own.push(place.map_or(Ok(()), |place| by_address.remove(place).1));
    }
    let later = by_address.into_iter().find_map(|(_, answer)| answer.err().filter(Refusal::is_temporary));
    if let (Some(refusal), Some(first)) = (later, own.first_mut().filter(|first| first.is_ok())) {
        *first = Err(refusal);
    }
    own
}

fn unreadable(error: std::io::Error) -> Refusal {
    Refusal::new(451, (4, 3, 0), "The message could not be taken in; try again later").because(error)
}
