//! The asynchronous face of the directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rusqlite::Connection;
use sterna_base::{AccountId, Clock, DomainId, Modseq, NodeId, Timestamp};
use tokio::sync::{Semaphore, watch};

use crate::core::{Core, Mode};
use crate::model::{Placement, Server};
use crate::placement_policy;
use crate::read::{Reader, Versioned};
use crate::request::{Created, Done, Request};
use crate::row::{Changes, Cursor, Head};
use crate::{Applied, ApplyError, RequestError, StorageError};

/// Connections that read at the same time.
const READERS_MAX: usize = 8;

/// A node's directory. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Directory {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    /// Whether this node is the main one. It ceases to be when it hands that over.
    is_main: AtomicBool,
    clock: Arc<dyn Clock>,
    /// Locked for the length of a transaction, on blocking threads only.
    core: Mutex<Core>,
    /// Connections that nobody reads through at present; never more than [`READERS_MAX`], because `permits` bounds
    /// those that are out.
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
    modseq: watch::Sender<Modseq>,
    /// Whether a write failed in a way that leaves unknown what is on the disk.
    stopped: Arc<AtomicBool>,
}

impl Directory {
    /// Opens the directory's file, making it when there is none. Blocks for a moment: call it when the node starts.
    ///
    /// # Errors
    /// When the file can't be opened, has a later format, or belongs to a node with another role or installation.
    pub fn open(path: &Path, mode: Mode, clock: Arc<dyn Clock>) -> Result<Self, StorageError> {
        Self::over(Core::open(path, mode)?, path, clock)
    }

    /// Opens it beside the program that may write it, to be read.
    ///
    /// # Errors
    /// When the file can't be opened or has another format.
    pub fn inspect(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StorageError> {
        Self::over(Core::inspect(path)?, path, clock)
    }

    /// The format of a file, which may be one that this version doesn't know.
    ///
    /// # Errors
    /// When the file can't be read or isn't a directory's.
    pub fn format_of(path: &Path) -> Result<i64, StorageError> {
        crate::schema::format_of(&Core::open_reader(path)?)
    }

    fn over(core: Core, path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StorageError> {
        let head = core.reader().head()?;
        let shared = Shared {
            path: path.to_owned(),
            is_main: AtomicBool::new(matches!(core.mode, Mode::Main(_))),
            clock,
            stopped: core.stopped.clone(),
            core: Mutex::new(core),
            idle: Mutex::new(Vec::new()),
            permits: Semaphore::new(READERS_MAX),
            modseq: watch::Sender::new(head.modseq),
        };
        Ok(Directory { shared: Arc::new(shared) })
    }

    /// Whether this node is the main one.
    pub fn is_main(&self) -> bool {
        self.shared.is_main.load(Ordering::Acquire)
    }

    /// Whether it takes no more changes until the node is started again: a write failed in a way that leaves unknown
    /// what is on the disk. It is still read.
    pub fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Acquire)
    }

    /// The present time, by the directory's clock.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The modseq as it grows; on a copy, the one up to which it is complete. A receiver may miss steps in between,
    /// never the last one.
    pub fn watch(&self) -> watch::Receiver<Modseq> {
        self.shared.modseq.subscribe()
    }

    /// Runs reads on a blocking thread, all on one state of the directory.
    ///
    /// # Errors
    /// What the reads say, or the file.
    pub async fn read<T, E, F>(&self, reads: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
    {
        let _permit = self.shared.permits.acquire().await.map_err(|_| StorageError::Stopping)?;
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || {
            let idle = shared.idle.lock().pop();
            let conn = idle.map_or_else(|| Core::open_reader(&shared.path), Ok)?;
            let result = Reader::new(&conn).snapshot(reads);
            // After an error the connection may be in any state; a new one costs less than finding out.
            if result.is_ok() {
                shared.idle.lock().push(conn);
            }
            result
        });
        task.await.map_err(|_| StorageError::Stopping)?
    }

    /// Does a request. When this returns `Ok`, a power cut loses nothing of it.
    ///
    /// # Errors
    /// Why it was not done; [`RequestError::NotMain`] on a copy.
    pub async fn submit(&self, request: Request) -> Result<Done, RequestError> {
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || {
            let mut core = shared.core.lock();
            let done = core.submit(&request, &*shared.clock, false)?;
            shared.is_main.store(matches!(core.mode, Mode::Main(_)), Ordering::Release);
            drop(core);
            shared.announce(done.modseq);
            Ok(done)
        });
        task.await.map_err(|_| StorageError::Stopping)?
    }

    /// Checks a request as if it were done, and does nothing.
    ///
    /// # Errors
    /// Why it would not be done.
    pub async fn try_out(&self, request: Request) -> Result<Done, RequestError> {
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || shared.core.lock().submit(&request, &*shared.clock, true));
        task.await.map_err(|_| StorageError::Stopping)?
    }

    /// Takes an account id that nobody else will get: the first step of making an account on this server.
    ///
    /// # Errors
    /// When this is a copy or the file can't be written.
    pub async fn reserve_account(&self, server: NodeId) -> Result<AccountId, RequestError> {
        match self.submit(Request::ReserveAccount { server }).await?.created {
            Some(Created::Account(id)) => Ok(id),
            _ => Err(StorageError::Damaged("a reserved account has no id".to_owned()).into()),
        }
    }

    /// Which server a new account of a domain goes to: the one asked for, or by policy.
    ///
    /// # Errors
    /// [`RequestError::NoServer`] with the reason for each server, [`RequestError::NoSuch`] for the domain.
    pub async fn choose_server(&self, domain: DomainId, explicit: Option<NodeId>) -> Result<NodeId, RequestError> {
        self.read(move |reader| {
            let domain = reader
                .domain(domain)?
                .ok_or_else(|| RequestError::NoSuch { what: "domain", id: domain.to_string() })?;
            let candidates = reader.candidates()?;
            Ok(placement_policy::choose(&candidates, &domain.value.servers, explicit)?)
        })
        .await
    }

    /// How far the directory is; a follower asks the main node for changes after [`Head::position`].
    ///
    /// # Errors
    /// When the file can't be read; the same holds for the other reading methods.
    pub async fn head(&self) -> Result<Head, StorageError> {
        self.read(|reader| reader.head()).await
    }

    /// Rows after a cursor: what followers ask for.
    pub async fn changes_since(&self, after: Cursor, limit: usize) -> Result<Changes, StorageError> {
        // The page makes its own snapshot, so it goes around the one of `read`.
        self.read(move |reader| reader.changes_page(&after, limit)).await
    }

    /// Takes one page of the main node's changes.
    ///
    /// # Errors
    /// [`ApplyError`]; nothing of the page was applied then.
    pub async fn apply(&self, page: Changes) -> Result<Applied, ApplyError> {
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || {
            let applied = shared.core.lock().apply(&page)?;
            shared.announce(applied.modseq);
            Ok(applied)
        });
        task.await.map_err(|_| StorageError::Stopping)?
    }

    /// Empties a copy, to be filled from the start; see [`Core::start_again`].
    ///
    /// # Errors
    /// When this is the main node, or the file can't be written.
    pub async fn start_again(&self) -> Result<(), ApplyError> {
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || shared.core.lock().start_again());
        task.await.map_err(|_| StorageError::Stopping)?
    }

    /// Verifies every invariant of the directory; empty when all is well. See [`Reader::check`].
    pub async fn check(&self) -> Result<Vec<String>, StorageError> {
        self.read(|reader| reader.check()).await
    }

    /// Where an account lives.
    pub async fn placement(&self, account: AccountId) -> Result<Option<Placement>, StorageError> {
        self.read(move |reader| Ok(reader.placement(account)?.map(|found| found.value))).await
    }

    /// A server by id.
    pub async fn server(&self, id: NodeId) -> Result<Option<Server>, StorageError> {
        self.read(move |reader| Ok(reader.server(id)?.map(|found| found.value))).await
    }

    /// The servers by name.
    pub async fn servers(&self) -> Result<Vec<Versioned<Server>>, StorageError> {
        self.read(|reader| reader.servers()).await
    }
}

impl Shared {
    fn announce(&self, modseq: Modseq) {
        self.modseq.send_if_modified(|current| {
            let grown = modseq > *current;
            *current = modseq.max(*current);
            grown
        });
    }
}
