//! What the tests of the directory share.

use sterna_base::{AccountId, DomainId, InstallationId, ManualClock, NodeId, Secret, Timestamp};
use sterna_directory::request::{NewDomain, NewGroup, NewShared, NewUser};
use sterna_directory::{Core, Created, Done, Member, Mode, PasswordCost, Request, RequestError, Roles, password};
use tempfile::TempDir;

pub const INSTALLATION: InstallationId = InstallationId([7; 16]);
pub const ALPHA: NodeId = NodeId([0xa; 16]);
pub const BETA: NodeId = NodeId([0xb; 16]);

/// A main node's directory in a folder of its own, with two servers.
pub struct Main {
    pub folder: TempDir,
    pub core: Core,
    pub clock: ManualClock,
}

impl Main {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::open(&folder.path().join("directory.db"), Mode::Main(INSTALLATION)).unwrap();
        let mut main = Main { folder, core, clock: ManualClock::at(Timestamp(1_000_000)) };
        for (id, name) in [(ALPHA, "alpha"), (BETA, "beta")] {
            let roles = Roles { data: true, ..Roles::default() };
            main.submit(Request::PutServer { id, name: name.into(), address: format!("{name}:24"), roles }).unwrap();
        }
        main
    }

    pub fn reopen(&mut self) {
        self.core = Core::open(&self.folder.path().join("directory.db"), Mode::Main(INSTALLATION)).unwrap();
    }

    pub fn submit(&mut self, request: Request) -> Result<Done, RequestError> {
        self.clock.advance_ms(1);
        self.core.submit(&request, &self.clock, false)
    }

    pub fn domain(&mut self, name: &str, aliases: &[&str]) -> DomainId {
        let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        let new = NewDomain { name: name.into(), aliases, ..NewDomain::default() };
        match self.submit(Request::CreateDomain(new)).unwrap().created {
            Some(Created::Domain(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    pub fn reserve(&mut self, server: NodeId) -> AccountId {
        self.try_reserve(server).unwrap()
    }

    /// `None` when the server holds no accounts.
    pub fn try_reserve(&mut self, server: NodeId) -> Option<AccountId> {
        match self.submit(Request::ReserveAccount { server }).ok()?.created {
            Some(Created::Account(id)) => Some(id),
            other => panic!("{other:?}"),
        }
    }

    pub fn try_user(&mut self, new: NewUser) -> Result<AccountId, RequestError> {
        let id = self.reserve(ALPHA);
        self.submit(Request::CreateUser { id, new, server: ALPHA }).map(|_| id)
    }

    pub fn user(&mut self, address: &str, aliases: &[&str]) -> AccountId {
        self.try_user(new_user(address, aliases)).unwrap()
    }

    pub fn shared(&mut self, address: &str) -> AccountId {
        let id = self.reserve(BETA);
        let new = NewShared { address: address.into(), ..NewShared::default() };
        self.submit(Request::CreateShared { id, new, server: BETA }).unwrap();
        id
    }

    pub fn group(&mut self, address: &str, members: &[Member]) -> AccountId {
        let new = NewGroup { address: address.into(), members: members.to_vec(), ..NewGroup::default() };
        match self.submit(Request::CreateGroup(new)).unwrap().created {
            Some(Created::Account(id)) => id,
            other => panic!("{other:?}"),
        }
    }

    pub fn add(&mut self, group: AccountId, member: Member) -> Result<Done, RequestError> {
        self.submit(Request::SetMembers { id: group, add: vec![member], remove: vec![] })
    }
}

pub fn new_user(address: &str, aliases: &[&str]) -> NewUser {
    NewUser {
        address: address.into(),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        password_hash: Some(password::hash(&Secret::new("sesame"), PasswordCost::TEST).unwrap()),
        ..NewUser::default()
    }
}
