//! Learning from users: what they put into Junk is spam, and what they take out of it is not. rspamd is taught so.
//!
//! A data server hears of it when the commit is durable, by whatever protocol it came, and writes down a lesson; it is
//! taught in the background, and again later when rspamd is down, also after a restart. Nobody waits for it. What is
//! lost is a lesson: when the power goes in the moment after a commit, or when there are too many.

mod store;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sterna_account::local::movements::{Movement, Movements};
use sterna_account::service::Accounts;
use sterna_account::{AccountError, Container, ItemParts, SpecialUse, StoreError, UidSet};
use sterna_base::{Clock, ContainerId};
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::filter::rspamd::{LearnError, LearnSettings, Lesson, Teacher};
pub use store::LearningError;
use store::{Learnt, Row, Store};

/// Movements that wait to be looked at; further ones are not learned from.
pub const MOVEMENTS_WAITING_MAX: usize = 10_000;
/// Largest message that is learned from, in bytes: it is in memory meanwhile. Spam is small.
pub const LEARNED_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// How long after a movement a message is learned from, in milliseconds: whoever put it there by mistake takes it back.
pub const DELAY_MS: i64 = 2000;
/// How long a lesson is kept that can't be taught, in milliseconds.
pub const KEPT_MS: i64 = 3 * 24 * 3600 * 1000;
/// Lessons that are taught at the same time.
const AT_ONCE: usize = 2;
/// Messages of one movement that are looked at at once.
const PAGE: usize = 500;
/// How long rspamd is left alone after it could not be asked.
const DOWN_PAUSE: Duration = Duration::from_secs(30);
/// The first wait after it could not learn a message; each further one is twice as long.
const RETRY_MS: i64 = 60 * 1000;
/// The longest.
const RETRY_MS_MAX: i64 = 6 * 3600 * 1000;
/// The longest sleep: clocks are set.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// See the module.
pub struct Learning {
    store: Store,
    accounts: Arc<dyn Accounts>,
    settings: watch::Receiver<Option<LearnSettings>>,
    clock: Arc<dyn Clock>,
    told: mpsc::Sender<Movement>,
    /// What is to be looked at, for the one who runs this.
    heard: Mutex<mpsc::Receiver<Movement>>,
    news: Notify,
}

impl Movements for Learning {
    fn is_wanted(&self) -> bool {
        self.settings.borrow().is_some()
    }

    fn moved(&self, movement: Movement) {
        let account = movement.account;
        if self.told.try_send(movement).is_err() {
            tracing::warn!(%account, "too much is put into Junk and taken out of it at once: not all is learned from");
        }
    }
}

impl Learning {
    /// With a file for the lessons, the accounts to read messages from, and where rspamd learns; `None` is nowhere.
    /// Blocks.
    ///
    /// # Errors
    /// When the file can't be used.
    pub fn open(
        file: &Path,
        accounts: Arc<dyn Accounts>,
        settings: watch::Receiver<Option<LearnSettings>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LearningError> {
        let (told, heard) = mpsc::channel(MOVEMENTS_WAITING_MAX);
        let (store, news) = (Store::open(file)?, Notify::new());
        Ok(Learning { store, accounts, settings, clock, told, heard: Mutex::new(heard), news })
    }

    /// Writes lessons down and teaches them, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.listen() => {}
            () = self.teach() => {}
        }
    }

    async fn listen(&self) {
        let mut heard = self.heard.lock().await;
        while let Some(movement) = heard.recv().await {
            let account = movement.account;
            match self.note(movement).await {
                Ok(0) => {}
                Ok(_) => self.news.notify_one(),
                Err(error) => {
                    tracing::warn!(%account, %error, "what was put into Junk, or taken out, is not learned from")
                }
            }
        }
    }

    /// Writes down what is to be learned from a movement; how many messages.
    async fn note(&self, movement: Movement) -> Result<usize, LearningError> {
        let account = self.accounts.open(movement.account).await?;
        let containers = account.containers().await?;
        let Some(lesson) = lesson(&containers, movement.from, movement.to) else { return Ok(0) };
        let (mut left, mut count) = (movement.uids, 0);
        while !left.is_empty() {
            let items = account.items(movement.to, &left, ItemParts::default(), PAGE).await?;
            let Some(last) = items.last().map(|item| item.uid) else { break };
            left = left.iter().filter(|uid| *uid > last).collect::<UidSet>();
            let small = items.iter().filter(|item| item.size <= LEARNED_BYTES_MAX);
            let rows: Vec<_> = small.map(|item| (movement.account, item.blob, item.size)).collect();
            count += rows.len();
            self.store.add(rows, lesson, self.clock.now()).await?;
        }
        Ok(count)
    }

    async fn teach(&self) {
        let mut settings = self.settings.clone();
        loop {
            let Some(now) = settings.borrow_and_update().clone() else {
                if settings.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let teacher = Teacher::new(now);
            let wait = match self.round(&teacher).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "the lessons for rspamd can't be read or written");
                    DOWN_PAUSE
                }
            };
            tokio::select! {
                () = self.news.notified(), if wait != DOWN_PAUSE => {}
                _ = settings.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Teaches what is due; how long to wait for the next.
    async fn round(&self, teacher: &Teacher) -> Result<Duration, LearningError> {
        loop {
            let now = self.clock.now();
            let due = self.store.due(now, AT_ONCE).await?;
            if due.is_empty() {
                let next = self.store.next().await?;
                let wait = next.map_or(SLEEP_MAX, |next| Duration::from_millis((next.0 - now.0).max(1).unsigned_abs()));
                return Ok(wait.min(SLEEP_MAX));
            }
            let mut is_down = false;
            for (row, taught) in futures_util::future::join_all(due.into_iter().map(|row| self.one(teacher, row))).await
            {
                is_down |= matches!(taught, Taught::Down);
                self.settle(row, taught).await?;
            }
            if is_down {
                return Ok(DOWN_PAUSE);
            }
        }
    }

    async fn one(&self, teacher: &Teacher, row: Row) -> (Row, Taught) {
        let account = row.account;
        let content = async { self.accounts.open(account).await?.blob(row.blob, 0..row.size).await };
        let taught = match content.await {
            Err(AccountError::NoSuchAccount(_) | AccountError::Store(StoreError::NoSuchBlob(_))) => Taught::Gone,
            Err(error) => {
                tracing::debug!(%account, %error, "a message that is to be learned from can't be read now");
                Taught::Later
            }
            Ok(content) => match teacher.teach(row.lesson, content).await {
                Ok(()) => Taught::Done,
                Err(LearnError::Down(cause)) => {
                    tracing::warn!(cause, "rspamd can't be taught; look at rspamd.learn-address and rspamd.password");
                    Taught::Down
                }
                Err(LearnError::Refused(cause)) => {
                    tracing::info!(%account, cause, "rspamd does not learn from a message now");
                    Taught::Later
                }
            },
        };
        (row, taught)
    }

    async fn settle(&self, row: Row, taught: Taught) -> Result<(), LearningError> {
        let now = self.clock.now();
        let is_old = now.0 - row.at.0 >= KEPT_MS;
        match taught {
            Taught::Done => {
                tracing::info!(account = %row.account, lesson = row.lesson.name(), "rspamd has learned from a message");
                self.store.settle(row, Learnt::Done).await
            }
            Taught::Gone => self.store.settle(row, Learnt::Done).await,
            Taught::Later | Taught::Down if is_old => {
                tracing::warn!(account = %row.account, "rspamd could not be taught for three days: a lesson is forgotten");
                self.store.settle(row, Learnt::Done).await
            }
            // That it can't be asked says nothing of this message.
            Taught::Down => Ok(()),
            Taught::Later => {
                let wait = RETRY_MS.saturating_mul(1 << row.attempts.min(10)).min(RETRY_MS_MAX);
                self.store.settle(row, Learnt::Again(now.plus_ms(wait))).await
            }
        }
    }
}

/// What came of a lesson.
enum Taught {
    Done,
    /// There is no such message any more.
    Gone,
    Later,
    Down,
}

/// What there is to be learned from messages that go from one mailbox to another. Whoever throws spam away does not say
/// that it is none.
fn lesson(containers: &[Container], from: ContainerId, to: ContainerId) -> Option<Lesson> {
    let of = |id| containers.iter().find(|container| container.id == id).map(|container| container.special_use);
    match (of(from)?, of(to)?) {
        (Some(SpecialUse::Junk), Some(SpecialUse::Junk | SpecialUse::Trash)) => None,
        (Some(SpecialUse::Junk), _) => Some(Lesson::Ham),
        (_, Some(SpecialUse::Junk)) => Some(Lesson::Spam),
        _ => None,
    }
}
