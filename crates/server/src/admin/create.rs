//! Making and deleting accounts: the directory and the data server, in an order in which a crash at any point leaves
//! nothing that anybody can see.
//!
//! Making: an id is reserved with a note of where its store will be (durable, never given again), the store is made
//! on the data server (repeatable), and one commit turns the note into the entry and its placement. Deleting: one
//! commit turns entry and placement into a note, then the store is deleted, then the note. [`super::sweep`] finishes
//! what was interrupted.

use sterna_base::{AccountId, Epoch, NodeId, failpoint};
use sterna_directory::request::{NewShared, NewUser};
use sterna_directory::{Done, Link, PendingStore, Request, RequestError, RowKind};

use super::doors::{AdminState, ProvisionError};
use super::problem::Problem;
use super::resolve;

/// The epoch of a new account.
const FIRST_EPOCH: Epoch = Epoch(1);

/// A new entry that has an account.
#[derive(Clone)]
pub(super) enum NewEntry {
    User(NewUser),
    Shared(NewShared),
    /// A user who comes from elsewhere.
    Linked(NewUser, Link),
}

impl NewEntry {
    fn address(&self) -> &str {
        match self {
            NewEntry::User(new) | NewEntry::Linked(new, _) => &new.address,
            NewEntry::Shared(new) => &new.address,
        }
    }

    fn quota_bytes(&self) -> Option<u64> {
        match self {
            NewEntry::User(new) | NewEntry::Linked(new, _) => new.quota_bytes,
            NewEntry::Shared(new) => new.quota_bytes,
        }
    }

    fn request(&self, id: AccountId, server: NodeId) -> Request {
        match self.clone() {
            NewEntry::User(new) => Request::CreateUser { id, new, server },
            NewEntry::Shared(new) => Request::CreateShared { id, new, server },
            NewEntry::Linked(new, link) => {
                Request::Linked { link, request: Box::new(Request::CreateUser { id, new, server }) }
            }
        }
    }
}

/// What came of deleting a store that a note is there for.
pub(super) enum Deletion {
    /// It is gone, and so is the note.
    Done,
    /// It is tried again.
    Failed,
    /// It is tried again when the server answers.
    Unanswered,
}

impl AdminState {
    /// Does a request, or only checks it. On a node that isn't the main one, the problem names the one that is.
    pub(crate) async fn write(&self, request: Request, dry_run: bool) -> Result<Done, Problem> {
        let result = match dry_run {
            true => self.directory.try_out(request).await,
            false => self.directory.submit(request).await,
        };
        match result {
            Err(RequestError::NotMain) => Err(self.not_main().await),
            result => Ok(result?),
        }
    }

    /// Where writes go instead.
    pub(super) async fn not_main(&self) -> Problem {
        let mut problem = Problem::from(RequestError::NotMain);
        let servers = self.directory.servers().await.unwrap_or_default();
        if let Some(main) = servers.into_iter().map(|found| found.value).find(|server| server.roles.main) {
            problem.remedy = format!("Run the command on “{}” ({}).", main.name, main.address);
            problem.main = Some(format!("{} ({})", main.name, main.address));
        }
        problem
    }

    /// Makes a user or shared mailbox with its store. `None` after a dry run.
    pub(super) async fn create_account(
        &self,
        new: NewEntry,
        server: Option<String>,
        dry_run: bool,
    ) -> Result<Option<AccountId>, Problem> {
        if !self.directory.is_main() {
            return Err(self.not_main().await);
        }
        let server = self.choose(&new, server).await?;
        // Before anything is made anywhere: whether it could be.
        self.write(new.request(AccountId(0), server), true).await?;
        if dry_run {
            return Ok(None);
        }
        let id = self.directory.reserve_account(server).await?;
        match self.make_known(&new, id, server).await {
            Ok(()) => Ok(Some(id)),
            Err(problem) => {
                self.directory.submit(Request::GiveUpAccount { account: id }).await?;
                self.delete_pending(id, server).await?;
                Err(problem)
            }
        }
    }

    /// Makes a user who comes from elsewhere.
    pub(crate) async fn create_linked(&self, new: NewUser, link: Link) -> Result<AccountId, Problem> {
        let made = self.create_account(NewEntry::Linked(new, link), None, false).await?;
        made.ok_or_else(|| Problem::no_such("user", ""))
    }

    async fn make_known(&self, new: &NewEntry, id: AccountId, server: NodeId) -> Result<(), Problem> {
        self.provision.create(id, server, FIRST_EPOCH).await?;
        if let Some(bytes_max) = new.quota_bytes() {
            self.provision.set_quota(id, server, Some(bytes_max)).await?;
        }
        self.write(new.request(id, server), false).await.map(|_| ())
    }

    async fn choose(&self, new: &NewEntry, server: Option<String>) -> Result<NodeId, Problem> {
        let address = new.address().to_owned();
        let (domain, explicit) = self
            .directory
            .read(move |reader| {
                let Some((_, name)) = sterna_directory::names::address(&address) else {
                    let reason = format!("“{address}” is not an address");
                    return Err(Problem::from(RequestError::Invalid { field: "address", reason }));
                };
                let domain = resolve::domain(reader, &name)?.value.id;
                let explicit = server.map(|text| resolve::server(reader, &text)).transpose()?;
                Ok((domain, explicit.map(|found| found.value.id)))
            })
            .await?;
        Ok(self.directory.choose_server(domain, explicit).await?)
    }

    /// Deletes an entry, and its store if it has one.
    pub(super) async fn delete_entry(
        &self,
        id: AccountId,
        kind: RowKind,
        expect: Option<sterna_base::Modseq>,
        dry_run: bool,
    ) -> Result<(), Problem> {
        self.write(Request::DeleteEntry { id, kind, expect }, dry_run).await?;
        if !dry_run {
            self.delete_stores_of(id).await?;
        }
        Ok(())
    }

    /// Deletes the stores of an account that nobody has any more.
    pub(super) async fn delete_stores_of(&self, id: AccountId) -> Result<(), Problem> {
        for store in self.directory.read(move |reader| reader.pending_stores_of(id)).await? {
            self.delete_pending(id, store.server).await?;
        }
        Ok(())
    }

    /// Deletes a store if a note is there for it, and then the note; what fails is left to [`super::sweep`].
    ///
    /// # Errors
    /// When the directory can't be read.
    pub(super) async fn delete_pending(&self, account: AccountId, server: NodeId) -> Result<Deletion, Problem> {
        let _turn = self.memory.deleting.take(account).await;
        // Looked up in its turn: somebody else may have deleted it just before, and what is there now may be a new
        // copy.
        let pending = self.directory.read(move |reader| reader.pending_store(account, server)).await?;
        let Some(PendingStore { epoch, .. }) = pending.filter(|pending| pending.deleting) else {
            return Ok(Deletion::Done);
        };
        let deleted = self.provision.delete(account, server, epoch).await;
        self.memory.note_refusal(account, server, deleted.as_ref().err());
        if let Err(error) = deleted {
            tracing::warn!(%account, %error, "a store could not be deleted; it will be tried again");
            let is_silent = matches!(error, ProvisionError::Unreachable { .. });
            return Ok(if is_silent { Deletion::Unanswered } else { Deletion::Failed });
        }
        failpoint::reached("main-store-gone");
        if let Err(error) = self.directory.submit(Request::StoreGone { account, server }).await {
            tracing::warn!(%account, %error, "a deleted store could not be noted; it will be tried again");
            return Ok(Deletion::Failed);
        }
        Ok(Deletion::Done)
    }

    /// Brings the store's quota to what the directory says.
    pub(super) async fn set_quota(&self, id: AccountId, bytes_max: Option<u64>) -> Result<(), Problem> {
        match self.directory.placement(id).await? {
            Some(placement) => Ok(self.provision.set_quota(id, placement.server, bytes_max).await?),
            None => Ok(()),
        }
    }
}
