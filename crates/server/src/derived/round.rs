//! Looks after the derived calendars of this node's accounts, each when it is time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sterna_account::calendars::external::{self, External};
use sterna_account::calendars::{birthdays, name_shown, shown_name};
use sterna_account::local::LocalAccounts;
use sterna_account::service::Accounts;
use sterna_account::{Account, AccountError, CommitError};
use sterna_base::{AccountId, Clock, ContainerId};
use sterna_directory::{Directory, Reader, StorageError, settings};
use sterna_formats::calendar::birthday::Language;
use sterna_formats::calendar::feed::{Feed, FeedObject};
use sterna_formats::network::Network;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::fetch::{Fetched, Fetcher};

/// Accounts that are looked after at the same time: a file that is fetched is in memory.
const ACCOUNTS_AT_ONCE: usize = 4;

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
    turns: Arc<Semaphore>,
    /// Those that are being looked after.
    busy: Mutex<HashSet<AccountId>>,
}

impl Derived {
    /// Of a node with these accounts.
    pub fn new(
        local: Arc<LocalAccounts>,
        accounts: Arc<dyn Accounts>,
        directory: Directory,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (fetcher, turns) = (Fetcher::default(), Arc::new(Semaphore::new(ACCOUNTS_AT_ONCE)));
        let shared = Shared { local, accounts, directory, clock, fetcher, turns, busy: Mutex::default() };
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
            let Ok(turn) = self.shared.turns.clone().acquire_owned().await else { return };
            if !self.shared.busy.lock().insert(account) {
                self.shared.local.look_at_derived(account, Duration::from_secs(1));
                continue;
            }
            let (own, stop) = (self.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = own.look_and_note(account) => {}
                }
                own.shared.busy.lock().remove(&account);
                drop(turn);
            });
        }
    }

    async fn look_and_note(&self, account: AccountId) {
        let shared = &self.shared;
        match shared.look(account).await {
            Ok(Some(next)) => shared.local.look_at_derived(account, next.min(WAIT_MAX)),
            Ok(None)
            | Err(AccountError::NoSuchAccount(_))
            | Err(AccountError::Refused(CommitError::Sealed | CommitError::WrongEpoch { .. })) => {}
            Err(error) => {
                tracing::debug!(%account, %error, "derived calendars could not be looked after; that is tried again");
                shared.local.look_at_derived(account, AGAIN);
            }
        }
    }
}

impl Shared {
    /// Looks after the calendars of an account; how long until the next of them is due.
    async fn look(&self, id: AccountId) -> Result<Option<Duration>, AccountError> {
        if !self.local.get(id).await?.is_active().await? {
            return Ok(None);
        }
        let account = self.accounts.open(id).await?;
        let told = self.told(id).await.map_err(|error| AccountError::Unavailable(error.to_string()))?;
        match birthdays::follow(account.as_ref(), told.language).await {
            Ok(()) => {}
            // Files of others are fetched all the same.
            Err(AccountError::Refused(error @ (CommitError::OverQuota | CommitError::NameTaken))) => {
                tracing::debug!(account = %id, %error, "the calendar of birthdays stays as it is");
            }
            Err(error) => return Err(error),
        }
        let mut next = None;
        for (calendar, external) in external::list(account.as_ref()).await? {
            let now = self.clock.now();
            let due = match external.next_at > now {
                true => external.next_at,
                false => self.refresh(account.as_ref(), calendar.id, external, &told.networks).await?,
            };
            let wait = Duration::from_millis(u64::try_from(due.0 - now.0).unwrap_or(0));
            next = Some(next.map_or(wait, |known: Duration| known.min(wait)));
        }
        Ok(next)
    }

    /// Fetches the file of a calendar; when it is due again.
    async fn refresh(
        &self,
        account: &dyn Account,
        calendar: ContainerId,
        mut external: External,
        networks: &[Network],
    ) -> Result<sterna_base::Timestamp, AccountError> {
        let fetched = self.fetcher.fetch(&external, networks).await;
        let now = self.clock.now();
        match fetched {
            Ok(Fetched::Same) => {
                let unreadable = external.error.take().filter(|_| external.failures == 0);
                external.succeeded(now, unreadable);
            }
            Ok(Fetched::File { bytes, etag, last_modified }) => {
                let read = tokio::task::spawn_blocking(move || Feed::parse(&bytes)).await;
                match read.map_err(|error| AccountError::Unavailable(error.to_string()))? {
                    Err(error) => external.failed(now, error.to_string(), None),
                    Ok(feed) => match take_in(account, calendar, feed).await {
                        Ok((suggested_s, unreadable)) => {
                            (external.etag, external.last_modified) = (etag, last_modified);
                            external.suggested_s = suggested_s;
                            external.succeeded(now, unreadable);
                        }
                        Err(AccountError::Refused(CommitError::NoSuchContainer(_))) => return Ok(now),
                        Err(AccountError::Refused(error @ CommitError::OverQuota)) => {
                            external.failed(now, error.to_string(), None);
                        }
                        Err(error) => return Err(error),
                    },
                }
            }
            Err(error) => external.failed(now, error.why, error.not_before_s),
        }
        // The owner may have said something new meanwhile: what is known of the file is noted beside that.
        let Some(current) = external::read(account, calendar).await? else { return Ok(now) };
        if current.url == external.url {
            external.refresh_s = current.refresh_s;
            external::write(account, calendar, &external).await?;
        }
        Ok(external.next_at)
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
    let Feed { name, refresh_s, objects, unreadable, first_fault } = feed;
    let count = objects.len();
    let objects: Vec<FeedObject> = objects;
    let done = external::replace(account, calendar, objects, unreadable == 0).await?;
    tracing::debug!(account = %account.id(), %calendar, count, ?done, "an external calendar was fetched");
    if let Some(name) = name
        && shown_name(account, calendar).await?.is_none()
    {
        name_shown(account, calendar, &name).await?;
    }
    let said = first_fault.map(|first| format!("{unreadable} could not be read; the first: {first}"));
    Ok((refresh_s, said))
}
