//! Many accounts at once.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use sterna_account::{Account, AccountError};
use sterna_base::{AccountId, Secret};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::report::{AccountReport, ImportError, Mode, Report, Stage};
use crate::dav::account::DavImport;
use crate::dav::client::DavSource;
use crate::imap::account::{AccountImport, Choices, Identities};
use crate::imap::client::{Credentials, Source};
use crate::limits::PARALLEL_MAX;
use crate::objects::Objects;
use crate::sieve::account::{ScriptCheck, SieveImport};

/// Imports that are remembered after their end.
const ENDED_MAX: usize = 20;

/// An account of an import.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose mail is read at the source.
    pub login: String,
    /// That one's password; empty when a master logs in.
    pub password: Secret,
    /// Whose account it comes into, for people.
    pub target: String,
    /// That account.
    pub account: AccountId,
}

/// From where, and how.
#[derive(Clone)]
pub enum Way {
    /// Mail by IMAP.
    Imap {
        /// The server.
        source: Source,
        /// Who logs in for all, and the password, if somebody does.
        master: Option<(String, Secret)>,
    },
    /// Scripts by ManageSieve.
    Sieve {
        /// The server.
        source: Source,
        /// Who logs in for all, and the password, if somebody does.
        master: Option<(String, Secret)>,
        /// Who knows what runs here.
        check: ScriptCheck,
    },
    /// Calendars and address books by CalDAV and CardDAV.
    Dav {
        /// The server.
        source: DavSource,
        /// Who knows objects.
        objects: Arc<dyn Objects>,
    },
}

/// What is to be imported.
pub struct Import {
    /// From where.
    pub way: Way,
    /// The accounts.
    pub accounts: Vec<Wanted>,
    /// How many are read at the same time.
    pub parallel: usize,
    /// What for.
    pub mode: Mode,
    /// What is chosen.
    pub choices: Choices,
    /// What is left out by explicit choice: `LOGIN/MAILBOX`, `LOGIN/MAILBOX;UID=n`.
    pub set_aside: Vec<String>,
}

/// Where accounts are, and who is who.
#[async_trait]
pub trait Targets: Identities {
    /// The account with this id.
    ///
    /// # Errors
    /// What is wrong, for people; an account that can't be reached at present.
    async fn open(&self, account: AccountId) -> Result<Arc<dyn Account>, String>;
}

/// An import under way, or ended.
pub struct Running {
    /// What for.
    pub mode: Mode,
    reports: Vec<Report>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    /// How all accounts are.
    pub fn reports(&self) -> Vec<AccountReport> {
        self.reports.iter().map(Report::now).collect()
    }

    /// Whether nothing of it runs any more.
    pub fn is_over(&self) -> bool {
        self.tasks.is_closed() && self.tasks.is_empty()
    }

    /// Stops it; what was done stays, and the next one goes on from there.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

/// The imports of a node since it started.
#[derive(Default)]
pub struct Imports {
    all: Mutex<BTreeMap<u64, Arc<Running>>>,
    /// Accounts into which one is running: two at once would each bring everything.
    busy: Arc<Mutex<HashSet<AccountId>>>,
}

impl Imports {
    /// One by its number.
    pub fn get(&self, id: u64) -> Option<Arc<Running>> {
        self.all.lock().get(&id).cloned()
    }

    /// All that are remembered.
    pub fn all(&self) -> Vec<(u64, Arc<Running>)> {
        self.all.lock().iter().map(|(id, running)| (*id, running.clone())).collect()
    }

    /// Begins one; its number. It ends with the node's token.
    pub fn begin(&self, import: Import, targets: Arc<dyn Targets>, node: &CancellationToken) -> u64 {
        let stop = node.child_token();
        let permits = Arc::new(Semaphore::new(import.parallel.clamp(1, PARALLEL_MAX)));
        let (tasks, mut reports) = (TaskTracker::new(), Vec::new());
        for wanted in import.accounts {
            let report = Report::new(&wanted.login, &wanted.target);
            reports.push(report.clone());
            let prefix = format!("{}/", wanted.login);
            let own = import.set_aside.iter().filter_map(|name| name.strip_prefix(&prefix));
            let one = One {
                way: import.way.clone(),
                wanted,
                choices: import.choices.clone(),
                mode: import.mode,
                set_aside: Arc::new(own.map(str::to_owned).collect()),
                report,
                stop: stop.clone(),
                targets: targets.clone(),
                busy: self.busy.clone(),
            };
            let permits = permits.clone();
            tasks.spawn(async move {
                let permit = one.stop.run_until_cancelled(permits.acquire()).await;
                match permit {
                    Some(Ok(_permit)) => one.run().await,
                    _ => one.report.with(|report| report.stage = Stage::Stopped),
                }
            });
        }
        tasks.close();
        let running = Arc::new(Running { mode: import.mode, reports, stop, tasks });
        let mut all = self.all.lock();
        while all.len() >= ENDED_MAX {
            let Some(oldest) = all.iter().find(|(_, running)| running.is_over()).map(|(id, _)| *id) else { break };
            all.remove(&oldest);
        }
        let id = all.last_key_value().map_or(0, |(id, _)| *id) + 1;
        all.insert(id, running);
        id
    }
}

/// An account is busy as long as this is there, however its import ends.
struct Busy {
    account: AccountId,
    all: Arc<Mutex<HashSet<AccountId>>>,
}

impl Busy {
    /// `None` when it is busy already.
    fn take(account: AccountId, all: &Arc<Mutex<HashSet<AccountId>>>) -> Option<Self> {
        let is_free = all.lock().insert(account);
        is_free.then(|| Busy { account, all: all.clone() })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.all.lock().remove(&self.account);
    }
}

struct One {
    way: Way,
    wanted: Wanted,
    choices: Choices,
    mode: Mode,
    set_aside: Arc<HashSet<String>>,
    report: Report,
    stop: CancellationToken,
    targets: Arc<dyn Targets>,
    busy: Arc<Mutex<HashSet<AccountId>>>,
}

impl One {
    async fn run(self) {
        let report = self.report.clone();
        let Some(_busy) = Busy::take(self.wanted.account, &self.busy) else {
            report.with(|report| {
                report.stage = Stage::Failed;
                report.error = Some("another import into this account is running; wait for its end".to_owned());
            });
            return;
        };
        report.with(|report| report.stage = Stage::Running);
        let stop = self.stop.clone();
        let done = stop.run_until_cancelled(self.import()).await.unwrap_or(Err(ImportError::Stopped));
        report.with(|report| {
            report.folder = None;
            let is_whole = report.damaged.is_empty() && report.differences.is_empty();
            report.stage = match &done {
                Ok(()) if is_whole => Stage::Done,
                Ok(()) => Stage::Incomplete,
                Err(ImportError::Stopped) => Stage::Stopped,
                Err(_) => Stage::Failed,
            };
            report.error = done.err().map(|error| error.to_string() + remedy(&error));
        });
    }

    async fn import(self) -> Result<(), ImportError> {
        let account = self.targets.open(self.wanted.account).await;
        let account = account.map_err(|cause| ImportError::Account(AccountError::Unavailable(cause)))?;
        match self.way.clone() {
            Way::Imap { source, master } => self.mail(account, source, master).await,
            Way::Sieve { source, master, check } => self.scripts(account, source, master, check).await,
            Way::Dav { source, objects } => self.collections(account, source, objects).await,
        }
    }

    async fn mail(
        self,
        account: Arc<dyn Account>,
        source: Source,
        master: Option<(String, Secret)>,
    ) -> Result<(), ImportError> {
        let who = self.who(master);
        let identities: Arc<dyn Identities> = self.targets;
        AccountImport {
            source,
            who,
            account,
            mode: self.mode,
            choices: self.choices,
            set_aside: self.set_aside,
            identities,
            report: self.report,
        }
        .run()
        .await
    }

    /// Who logs in at the source.
    fn who(&self, master: Option<(String, Secret)>) -> Credentials {
        let (master, password) = match master {
            Some((master, password)) => (Some(master), password),
            None => (None, self.wanted.password.clone()),
        };
        Credentials { login: self.wanted.login.clone(), master, password }
    }

    async fn scripts(
        self,
        account: Arc<dyn Account>,
        source: Source,
        master: Option<(String, Secret)>,
        check: ScriptCheck,
    ) -> Result<(), ImportError> {
        let who = self.who(master);
        SieveImport { source, who, account, check, mode: self.mode, report: self.report }.run().await
    }

    async fn collections(
        self,
        account: Arc<dyn Account>,
        source: DavSource,
        objects: Arc<dyn Objects>,
    ) -> Result<(), ImportError> {
        DavImport {
            source: source.of(&self.wanted.login)?,
            login: self.wanted.login,
            password: self.wanted.password,
            account,
            objects,
            mode: self.mode,
            choices: self.choices,
            report: self.report,
        }
        .run()
        .await
    }
}

/// What to do about it, where that isn't plain.
fn remedy(error: &ImportError) -> &'static str {
    match error {
        ImportError::Account(AccountError::Refused(sterna_account::CommitError::OverQuota)) => {
            "; raise its quota (sterna user set --quota) and run the import again"
        }
        error if error.is_temporary() => "; run the import again, it goes on where it was",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_busy_until_its_import_ends_however_that_is() {
        let (all, account) = (Arc::default(), AccountId(1));
        let first = Busy::take(account, &all).unwrap();
        assert!(Busy::take(account, &all).is_none());
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _first = first;
            panic!("an import that ends so");
        }));
        assert!(ended.is_err() && Busy::take(account, &all).is_some());
    }
}
