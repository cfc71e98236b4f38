//! Looks after the derived calendars of this node's accounts, each when it is time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sterna_account::calendars::birthdays;
use sterna_account::calendars::external::{self, External, Keep};
use sterna_account::local::LocalAccounts;
use sterna_account::local::latency::in_background;
use sterna_account::service::Accounts;
use sterna_account::{Account, AccountError, CommitError};
use sterna_base::{AccountId, Clock, ContainerId, Timestamp};
use sterna_directory::{Directory, Reader, StorageError, settings};
use sterna_formats::calendar::birthday::Language;
use sterna_formats::calendar::feed::Feed;
use sterna_formats::network::Network;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::fetch::{Fetched, Fetcher};

/// Accounts whose contacts are followed, and where it is found out what is due, at the same time.
const LOOKS_AT_ONCE: usize = 4;

/// Files that are fetched at the same time, each of another account: a file is in memory.
const FETCHES_AT_ONCE: usize = 4;

/// How long a file may take to be read.
const PARSE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an account waits whose calendars could not be looked after.
const AGAIN: Duration = Duration::from_secs(60);

/// Between two accounts when a node has started and looks at all of them.
const FIRST_LOOKS_PAUSE: Duration = Duration::from_millis(20);

/// The longest wait for something that is due: a clock that is set changes what is due.
const WAIT_MAX: Duration = Duration::from_secs(6 * 3600);

/// Looks after derived calendars. Cheap to clone.
#[derive(Clone)]
pub struct Derived {
    shared: Arc<Shared>,
}

struct Shared {
    local: Arc<LocalAccounts>,
    /// The same accounts as users write them: a commit waits for standby copies.
    accounts: Arc<dyn Accounts>,
    directory: Directory,
    clock: Arc<dyn Clock>,
    fetcher: Fetcher,
    looks: Arc<Semaphore>,
    fetches: Arc<Semaphore>,
    /// Accounts that are being looked at.
    looked_at: Arc<Mutex<HashSet<AccountId>>>,
    /// Accounts of which a file is fetched, or waits for its turn.
    fetched_for: Arc<Mutex<HashSet<AccountId>>>,
    /// Calendars about which nothing could be noted after a fetch, and until when they wait all the same.
    held: Mutex<HashMap<(AccountId, ContainerId), Timestamp>>,
}

/// An account among those that are busy, until this is dropped: also when what was done for it panics.
struct Busy {
    all: Arc<Mutex<HashSet<AccountId>>>,
    account: AccountId,
}

impl Busy {
    /// `None` when it is busy already.
    fn with(all: &Arc<Mutex<HashSet<AccountId>>>, account: AccountId) -> Option<Self> {
        all.lock().insert(account).then(|| Busy { all: all.clone(), account })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.all.lock().remove(&self.account);
    }
}

impl Derived {
    /// Of a node with these accounts.
    pub fn new(
        local: Arc<LocalAccounts>,
        accounts: Arc<dyn Accounts>,
        directory: Directory,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let shared = Shared {
            local,
            accounts,
            directory,
            clock,
            fetcher: Fetcher::default(),
            looks: Arc::new(Semaphore::new(LOOKS_AT_ONCE)),
            fetches: Arc::new(Semaphore::new(FETCHES_AT_ONCE)),
            looked_at: Arc::default(),
            fetched_for: Arc::default(),
            held: Mutex::default(),
        };
        Derived { shared: Arc::new(shared) }
    }

    /// Looks after them until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.look_at_all() => {}
            () = self.look_when_due(&stop) => {}
        }
    }

    /// What was due while the node was down, and what another version didn't know of.
    async fn look_at_all(&self) {
        match self.shared.local.list().await {
            Ok(accounts) => {
                for (at, account) in accounts.into_iter().enumerate() {
                    let after = FIRST_LOOKS_PAUSE.saturating_mul(u32::try_from(at).unwrap_or(u32::MAX));
                    self.shared.local.look_at_derived(account, after);
                }
            }
            Err(error) => tracing::warn!(%error, "accounts can't be listed; external calendars wait for a change"),
        }
        std::future::pending::<()>().await;
    }

    async fn look_when_due(&self, stop: &CancellationToken) {
        loop {
            let account = self.shared.local.derived_due().await;
            let Ok(turn) = self.shared.looks.clone().acquire_owned().await else { return };
            let Some(busy) = Busy::with(&self.shared.looked_at, account) else {
                self.shared.local.look_at_derived(account, Duration::from_secs(1));
                continue;
            };
            let (own, stop) = (self.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = in_background(own.look_and_note(account, &stop)) => {}
                }
                drop((busy, turn));
            });
        }
    }

    async fn look_and_note(&self, account: AccountId, stop: &CancellationToken) {
        let next = self.shared.look(account).await;
        match self.wait(account, next) {
            Some(Duration::ZERO) => self.fetch_in_turn(account, stop.clone()),
            Some(wait) => self.shared.local.look_at_derived(account, wait),
            None => {}
        }
    }

    /// How long until somebody is to look again, after a look that found this out.
    fn wait(&self, account: AccountId, next: Result<Option<Duration>, AccountError>) -> Option<Duration> {
        match next {
            Ok(next) => next.map(|next| next.min(WAIT_MAX)),
            Err(error) if is_elsewhere(&error) => None,
            Err(error) => {
                tracing::debug!(%account, %error, "derived calendars could not be looked after; that is tried again");
                Some(AGAIN)
            }
        }
    }

    /// Fetches one file of the account when it is its turn, and lets it be looked at again: whoever has many waits for
    /// as many turns.
    fn fetch_in_turn(&self, account: AccountId, stop: CancellationToken) {
        // Whoever fetches one already looks afterwards.
        let Some(busy) = Busy::with(&self.shared.fetched_for, account) else { return };
        let own = self.clone();
        tokio::spawn(async move {
            let fetching = async {
                let Ok(turn) = own.shared.fetches.clone().acquire_owned().await else { return };
                let fetched = own.shared.fetch_first(account).await;
                drop((turn, busy));
                if let Some(wait) = own.wait(account, fetched.map(|()| Some(Duration::ZERO))) {
                    own.shared.local.look_at_derived(account, wait);
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = in_background(fetching) => {}
            }
        });
    }
}

/// Whether the account is not here (any more): whoever has it looks after it.
fn is_elsewhere(error: &AccountError) -> bool {
    matches!(
        error,
        AccountError::NoSuchAccount(_) | AccountError::Refused(CommitError::Sealed | CommitError::WrongEpoch { .. })
    )
}

impl Shared {
    /// Follows the contacts of an account; how long until the next of its files is to be fetched, or somebody is to
    /// look again.
    async fn look(&self, id: AccountId) -> Result<Option<Duration>, AccountError> {
        if !self.local.get(id).await?.is_active().await? {
            return Ok(None);
        }
        let account = self.accounts.open(id).await?;
        let told = self.told(id).await.map_err(|error| AccountError::Unavailable(error.to_string()))?;
        let again = match birthdays::follow(account.as_ref(), told.language).await {
            Ok(()) => None,
            Err(error) if is_elsewhere(&error) => return Err(error),
            // Files of others are fetched all the same.
            Err(AccountError::Refused(error @ (CommitError::OverQuota | CommitError::NameTaken))) => {
                tracing::debug!(account = %id, %error, "the calendar of birthdays stays as it is");
                None
            }
            Err(error) => {
                tracing::debug!(account = %id, %error, "the calendar of birthdays is behind; that is tried again");
                Some(AGAIN)
            }
        };
        let now = self.clock.now();
        let next = self
            .by_time(account.as_ref())
            .await?
            .first()
            .map(|(due, ..)| Duration::from_millis(u64::try_from(due.0.saturating_sub(now.0)).unwrap_or(0)));
        Ok(next.into_iter().chain(again).min())
    }

    /// The external calendars of an account, those first that are due first.
    async fn by_time(&self, account: &dyn Account) -> Result<Vec<(Timestamp, ContainerId, External)>, AccountError> {
        let all = external::list(account).await?;
        let (id, now) = (account.id(), self.clock.now());
        let mut held = self.held.lock();
        held.retain(|_, until| *until > now);
        let until = |calendar: ContainerId| held.get(&(id, calendar)).copied().unwrap_or(Timestamp(0));
        let due = |(calendar, external): (sterna_account::Container, External)| {
            (external.next_at.max(until(calendar.id)), calendar.id, external)
        };
        let mut all: Vec<_> = all.into_iter().map(due).collect();
        all.sort_by_key(|(due, ..)| *due);
        Ok(all)
    }

    /// Fetches the one file of an account that has been due longest.
    async fn fetch_first(&self, id: AccountId) -> Result<(), AccountError> {
        if !self.local.get(id).await?.is_active().await? {
            return Ok(());
        }
        let account = self.accounts.open(id).await?;
        let told = self.told(id).await.map_err(|error| AccountError::Unavailable(error.to_string()))?;
        let now = self.clock.now();
        let first = self.by_time(account.as_ref()).await?.into_iter().next().filter(|(due, ..)| *due <= now);
        let Some((_, calendar, began)) = first else { return Ok(()) };
        let mut external = began.clone();
        self.refresh(account.as_ref(), calendar, &mut external, &told.networks).await?;
        let noted = external::update(account.as_ref(), calendar, |current| current.fetched(&began, &external));
        match noted.await {
            Ok(_) => Ok(()),
            Err(error) if is_elsewhere(&error) => Err(error),
            Err(error) => {
                tracing::debug!(account = %id, %calendar, %error, "what became of a fetch can't be noted");
                self.held.lock().insert((id, calendar), external.next_at);
                Ok(())
            }
        }
    }

    /// Fetches the file of a calendar, and says in `external` what became of that.
    ///
    /// # Errors
    /// Only when the account is elsewhere.
    async fn refresh(
        &self,
        account: &dyn Account,
        calendar: ContainerId,
        external: &mut External,
        networks: &[Network],
    ) -> Result<(), AccountError> {
        let fetched = self.fetcher.fetch(external, networks).await;
        let now = self.clock.now();
        let (bytes, etag, last_modified) = match fetched {
            Ok(Fetched::File { bytes, etag, last_modified }) => (bytes, etag, last_modified),
            Ok(Fetched::Same) => {
                let unreadable = external.error.take().filter(|_| external.failures == 0);
                external.succeeded(now, unreadable);
                return Ok(());
            }
            Err(error) => {
                external.failed(now, error.why, error.not_before_s);
                return Ok(());
            }
        };
        let until = Instant::now() + PARSE_TIMEOUT;
        let read = tokio::task::spawn_blocking(move || Feed::parse(&bytes, || Instant::now() > until)).await;
        let feed = match read {
            Ok(Ok(feed)) => feed,
            Ok(Err(error)) => {
                external.failed(now, error.to_string(), None);
                return Ok(());
            }
            Err(error) => {
                tracing::error!(account = %account.id(), %calendar, %error, "reading an external calendar failed");
                external.failed(now, "the file can't be read".to_owned(), None);
                return Ok(());
            }
        };
        match take_in(account, calendar, feed).await {
            Ok((suggested_s, unreadable)) => {
                (external.etag, external.last_modified) = (etag, last_modified);
                external.suggested_s = suggested_s;
                external.succeeded(self.clock.now(), unreadable);
            }
            Err(error) if is_elsewhere(&error) => return Err(error),
            // It is gone, and nothing will be noted about it.
            Err(AccountError::Refused(CommitError::NoSuchContainer(_))) => {}
            Err(AccountError::Refused(error)) if !matches!(error, CommitError::Store(_)) => {
                external.failed(self.clock.now(), error.to_string(), None);
            }
            Err(error) => {
                tracing::warn!(account = %account.id(), %calendar, %error, "an external calendar can't be stored");
                external.failed(self.clock.now(), "the server could not store it".to_owned(), None);
            }
        }
        Ok(())
    }

    async fn told(&self, account: AccountId) -> Result<Told, StorageError> {
        let read = move |reader: &Reader<'_>| {
            let domain = reader.domain_of(account)?;
            let language = reader.setting_for(domain.as_ref(), settings::LANGUAGE)?;
            let networks = reader.setting_for(None, settings::EXTERNAL_NETWORKS)?.unwrap_or_default();
            Ok::<_, StorageError>(Told {
                language: Language::named(language.as_deref().unwrap_or_default()),
                networks: networks.split_whitespace().filter_map(|network| network.parse().ok()).collect(),
            })
        };
        self.directory.read(read).await
    }
}

/// What the directory says.
struct Told {
    language: Language,
    networks: Vec<Network>,
}

/// Makes a calendar what a file says: how often that wants to be asked for, and what could not be read.
async fn take_in(
    account: &dyn Account,
    calendar: ContainerId,
    feed: Feed,
) -> Result<(Option<i64>, Option<String>), AccountError> {
    let Feed { name, refresh_s, objects, unstored, is_whole, unreadable, first_fault } = feed;
    let count = objects.len();
    let keep = if is_whole { Keep::Uids(&unstored) } else { Keep::All };
    let done = external::replace(account, calendar, objects, keep).await?;
    tracing::debug!(account = %account.id(), %calendar, count, ?done, "an external calendar was fetched");
    if let Some(name) = name {
        external::name_by_file(account, calendar, &name).await?;
    }
    let said = first_fault.map(|first| format!("{unreadable} could not be read; the first: {first}"));
    Ok((refresh_s, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_busy_once_and_not_after_a_panic() {
        let all = Arc::default();
        let busy = Busy::with(&all, AccountId(1)).unwrap();
        assert!(Busy::with(&all, AccountId(1)).is_none() && Busy::with(&all, AccountId(2)).is_some());
        let fell = std::thread::spawn(move || {
            let _busy = busy;
            panic!("while it is busy");
        });
        assert!(fell.join().is_err() && Busy::with(&all, AccountId(1)).is_some());
    }
}
