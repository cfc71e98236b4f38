//! Making and deleting accounts: the directory and the data server, in an order in which a crash at any point leaves
//! nothing that anybody can see.
//!
//! Making: an id is reserved (durable, never given again), the store is made on the data server (repeatable), and one
//! commit makes the entry and its placement known. What is left behind by a crash in between is a store that no
//! placement names; `sterna check` finds it. Deleting: the entry and its placement go in one commit, then the store;
//! a server that doesn't answer keeps its store until then, and the log says so.

use sterna_base::{AccountId, Epoch, NodeId};
use sterna_directory::request::{NewShared, NewUser};
use sterna_directory::{Done, Request, RequestError, RowKind};

use super::doors::AdminState;
use super::problem::Problem;
use super::resolve;

/// The epoch of a new account.
const FIRST_EPOCH: Epoch = Epoch(1);

/// A new entry that has an account.
#[derive(Clone)]
pub(super) enum NewEntry {
    User(NewUser),
    Shared(NewShared),
}

impl NewEntry {
    fn address(&self) -> &str {
        match self {
            NewEntry::User(new) => &new.address,
            NewEntry::Shared(new) => &new.address,
        }
    }

    fn quota_bytes(&self) -> Option<u64> {
        match self {
            NewEntry::User(new) => new.quota_bytes,
            NewEntry::Shared(new) => new.quota_bytes,
        }
    }

    fn request(&self, id: AccountId, server: NodeId) -> Request {
        match self.clone() {
            NewEntry::User(new) => Request::CreateUser { id, new, server },
            NewEntry::Shared(new) => Request::CreateShared { id, new, server },
        }
    }
}

impl AdminState {
    /// Does a request, or only checks it. On a node that isn't the main one, the problem names the one that is.
    pub(super) async fn write(&self, request: Request, dry_run: bool) -> Result<Done, Problem> {
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
        let id = self.directory.reserve_account().await?;
        self.provision.create(id, server, FIRST_EPOCH).await?;
        if let Some(bytes_max) = new.quota_bytes() {
            self.provision.set_quota(id, server, Some(bytes_max)).await?;
        }
        match self.write(new.request(id, server), false).await {
            Ok(_) => Ok(Some(id)),
            Err(problem) => {
                self.delete_store(id, server).await;
                Err(problem)
            }
        }
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
        let placement = self.directory.placement(id).await?;
        self.write(Request::DeleteEntry { id, kind, expect }, dry_run).await?;
        if let Some(placement) = placement
            && !dry_run
        {
            self.delete_store(id, placement.server).await;
        }
        Ok(())
    }

    async fn delete_store(&self, id: AccountId, server: NodeId) {
        if let Err(error) = self.provision.delete(id, server).await {
            tracing::warn!(account = %id, %error, "a store that nobody uses is left behind; “sterna check” finds it");
        }
    }

    /// Brings the store's quota to what the directory says.
    pub(super) async fn set_quota(&self, id: AccountId, bytes_max: Option<u64>) -> Result<(), Problem> {
        match self.directory.placement(id).await? {
            Some(placement) => Ok(self.provision.set_quota(id, placement.server, bytes_max).await?),
            None => Ok(()),
        }
    }
}
