//! Requests: how the directory changes. Each is data, so that it can be tried without being done, logged, and later
//! sent on from another node to the main one.

mod content;

use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, DomainId, Epoch, JobId, Modseq, NodeId, Timestamp};

use crate::acme::{Acme, Certificate};
use crate::contact::ContactPatch;
use crate::dkim::{DkimState, NewDkimKey};
use crate::firewall::Firewall;
use crate::model::{Durability, Member, MigrationPhase, Pace, Roles, Scope, Update, UpdateEvent};
use crate::rights::{
    FactorUse, Grant, NewApiToken, NewAppPassword, Passkey, PasskeyChange, Role, SecondFactor, Subject,
};
use crate::row::RowKind;
use crate::source::{Link, Source};

pub use content::{
    DomainPatch, GroupPatch, JobChange, NewDomain, NewGroup, NewJob, NewShared, NewUser, ServerPatch, SharedPatch,
    StageReport, UserPatch,
};

/// A change, done whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Makes a domain.
    CreateDomain(NewDomain),
    /// Changes a domain.
    SetDomain {
        /// Which.
        id: DomainId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
        /// What to change.
        patch: DomainPatch,
    },
    /// Deletes a domain that no address uses.
    DeleteDomain {
        /// Which.
        id: DomainId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
    },
    /// Takes an account id that nobody else will get, and notes that its store is about to be made
    /// ([`crate::PendingStore`]). First step of making an account: its store is made next, then [`Request::CreateUser`]
    /// or [`Request::CreateShared`] makes it known.
    ReserveAccount {
        /// Where its store will be made.
        server: NodeId,
    },
    /// Gives a reserved account up: its store, if it was made, is to be deleted.
    GiveUpAccount {
        /// Which.
        account: AccountId,
    },
    /// The store of an account that was given up or deleted, or a copy that nobody needs any more, is gone.
    StoreGone {
        /// Which.
        account: AccountId,
        /// Where.
        server: NodeId,
    },
    /// Makes a user and places the account, epoch 1. Repeating it for the same id and address is success.
    CreateUser {
        /// A reserved id. Zero when the request is only tried out.
        id: AccountId,
        /// What to make.
        new: NewUser,
        /// Where its store was made; the server that it was reserved for.
        server: NodeId,
    },
    /// Changes a user.
    SetUser {
        /// Which.
        id: AccountId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
        /// What to change.
        patch: UserPatch,
    },
    /// Makes a shared mailbox and places the account, epoch 1. Repeating it for the same id and address is success.
    CreateShared {
        /// A reserved id. Zero when the request is only tried out.
        id: AccountId,
        /// What to make.
        new: NewShared,
        /// Where its store was made; the server that it was reserved for.
        server: NodeId,
    },
    /// Changes a shared mailbox.
    SetShared {
        /// Which.
        id: AccountId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
        /// What to change.
        patch: SharedPatch,
    },
    /// Makes a group.
    CreateGroup(NewGroup),
    /// Changes a group, without its members.
    SetGroup {
        /// Which.
        id: AccountId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
        /// What to change.
        patch: GroupPatch,
    },
    /// Adds members to a group and removes others. Adding one that is there and removing one that isn't is success.
    SetMembers {
        /// Which.
        id: AccountId,
        /// To add.
        add: Vec<Member>,
        /// To remove.
        remove: Vec<Member>,
    },
    /// Makes an external contact.
    CreateContact {
        /// Whose.
        domain: DomainId,
        /// What it is to be.
        new: ContactPatch,
    },
    /// Changes an external contact; the groups of its domain that have it follow its address.
    SetContact {
        /// Which.
        id: AccountId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
        /// What to change.
        patch: ContactPatch,
    },
    /// Deletes an external contact, and takes it out of the groups of its domain.
    DeleteContact {
        /// Which.
        id: AccountId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
    },
    /// Deletes a user, group or shared mailbox, with its placement, memberships, copies and move, and notes each store
    /// that is to be deleted; the caller deletes them and says so with [`Request::StoreGone`].
    DeleteEntry {
        /// Which.
        id: AccountId,
        /// What the caller believes it to be.
        kind: RowKind,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
    },
    /// Puts a user, group or shared mailbox into the bin: all of it but its store, which stays where it is, ends at
    /// once.
    BinEntry {
        /// Which.
        id: AccountId,
        /// What the caller believes it to be.
        kind: RowKind,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
        /// When it goes for good.
        until: Timestamp,
        /// Who says so, for people.
        by: String,
    },
    /// Takes an entry out of the bin. Of its aliases those come back that nobody else has taken.
    RestoreEntry {
        /// Which.
        id: AccountId,
        /// A new main address, where the old one is taken or its domain is gone.
        address: Option<String>,
    },
    /// Deletes an entry in the bin for good, and notes each store that is to be deleted, as [`Request::DeleteEntry`].
    PurgeEntry {
        /// Which.
        id: AccountId,
    },
    /// Notes that an account shares something with somebody, or that it doesn't any more. Being so already is success.
    SetShare {
        /// Whose account, and with whom.
        share: crate::Share,
        /// Which of the two.
        shares: bool,
    },
    /// Makes a server known. Repeating it for the same id is a change of name, address and roles.
    PutServer {
        /// The id that it made itself.
        id: NodeId,
        /// Its name.
        name: String,
        /// `host:port` of its nodes' interface.
        address: String,
        /// What it does.
        roles: Roles,
    },
    /// Changes a server.
    SetServer {
        /// Which.
        id: NodeId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
        /// What to change.
        patch: ServerPatch,
    },
    /// Deletes a server that holds no account and no copy, and that nothing moves to.
    DeleteServer {
        /// Which.
        id: NodeId,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
    },
    /// Plans moves: all of them or none. Repeating it is success. An account that is moving is refused; only a failover
    /// takes the place of its move.
    BeginJob(NewJob),
    /// Plans moves back to where accounts were moved away from, as long as the copies there are kept.
    MoveBack {
        /// Which; at most [`crate::MOVES_PER_REQUEST_MAX`].
        accounts: Vec<AccountId>,
        /// For people.
        what: String,
        /// Who asks, for people.
        by: String,
    },
    /// Pauses, resumes or aborts a job.
    SetJob {
        /// Which.
        id: JobId,
        /// What to do.
        change: JobChange,
    },
    /// Begins a planned move: the target is to hold a copy. A copy that is there already is used.
    StartMove {
        /// Which.
        account: AccountId,
    },
    /// Hands out the epoch of a move whose copy has nearly caught up. From now on its source may be sealed. Repeated,
    /// the answer names the same epoch.
    CutOver {
        /// Which.
        account: AccountId,
        /// When the main node gives it up; in the future.
        deadline: Timestamp,
    },
    /// Places a moving account on its target: the one commit point of a move. Compare-and-set on the epoch.
    CommitMove {
        /// Which.
        account: AccountId,
        /// The epoch that the cut-over was given; the target is ready with it.
        epoch: Epoch,
    },
    /// Takes a move back. If a cut-over was under way, the account is placed again where it lives, with an epoch beyond
    /// the one that was handed out, which can never be committed then. No move is success: it is over, and the
    /// placement says how.
    AbortMove {
        /// Which.
        account: AccountId,
        /// Whether it is tried again: it goes on copying, or if it had failed is planned once more. Otherwise the move
        /// is no longer there, and a copy that was made for it is to be deleted.
        retry: bool,
        /// Why, for people.
        reason: String,
    },
    /// Takes a move back as [`Request::AbortMove`] does, and leaves a row that says why.
    FailMove {
        /// Which.
        account: AccountId,
        /// Why, for people.
        reason: String,
    },
    /// Lets accounts have a standby copy, or changes what acknowledgements wait for. A copy that is kept there for the
    /// way back becomes it. All of them or none.
    PutStandby {
        /// Which; at most [`crate::MOVES_PER_REQUEST_MAX`].
        accounts: Vec<AccountId>,
        /// Where.
        server: NodeId,
        /// What an acknowledgement waits for.
        durability: Durability,
    },
    /// Takes down how far a standby copy of durability 2 is. Compare-and-set on its row and on the epoch.
    SetStandbyStage(StageReport),
    /// The copy of an account on a server is no longer needed, whether kept or standby; its store is to be deleted.
    DropCopy {
        /// Which.
        account: AccountId,
        /// Where.
        server: NodeId,
    },
    /// A store that neither a placement nor a copy names is to be deleted; refused if its account doesn't live on
    /// another server.
    DropStore {
        /// Which.
        account: AccountId,
        /// Where.
        server: NodeId,
    },
    /// Forgets jobs that were over for [`crate::JOB_KEPT_MS`], and the oldest beyond [`crate::JOBS_KEPT_MAX`]; some of
    /// them, if there are many. One of which a move is left stays.
    PruneJobs,
    /// Drops kept copies whose time is over, at most [`crate::COPIES_PER_REQUEST_MAX`] of them.
    ExpireCopies {
        /// Those whose time ended by then; never later than now.
        before: Timestamp,
    },
    /// Places an account on its standby copy without asking its server, which becomes a standby copy. Compare-and-set
    /// on the epoch. A move to that server is thereby done; another one goes on from there.
    FailOver {
        /// Which.
        account: AccountId,
        /// The server of the standby copy.
        to: NodeId,
        /// The epoch that the caller has seen.
        expect: Epoch,
    },
    /// A machine begins to take another one's place ([`crate::Migration`]). The very same again is success.
    BeginMigration {
        /// The machine that is left.
        from: NodeId,
        /// The machine that takes its place.
        to: NodeId,
        /// Who asks, for people.
        #[serde(default)]
        by: String,
    },
    /// Changes how far the migration is. Being so already is success.
    SetMigration {
        /// Only if its row is still at this modseq.
        expect: Option<Modseq>,
        /// The next phase.
        phase: MigrationPhase,
        /// How accounts are switched, if that changes.
        pace: Option<Pace>,
    },
    /// Lets the new machine hold a copy of what lives on the old one, at most [`crate::COPIES_PER_REQUEST_MAX`] more.
    FollowMigration,
    /// Plans the moves of accounts that live on the wrong one of both machines, at most
    /// [`crate::MOVES_PER_REQUEST_MAX`] more.
    PlanMigration,
    /// Gives up copies that a migration needs no more, at most [`crate::COPIES_PER_REQUEST_MAX`].
    DropMigrationCopies,
    /// Removes the old machine of a migration that is done from the servers.
    ForgetMigrated,
    /// Takes down how updates stand, in the place of the row at `expect`.
    PutUpdate {
        /// Only if the row is still at this modseq; zero is that there is none.
        expect: Option<Modseq>,
        /// The whole row; its number of events is counted here.
        update: Box<Update>,
        /// What happened; its number, time and plan are filled in here.
        event: Option<UpdateEvent>,
    },
    /// Another node becomes the main one, as the migration wants it. This is the last change that this directory takes:
    /// in the same transaction it becomes a copy, for ever or until the role comes back. The only commit point.
    HandOverMain {
        /// Which.
        to: NodeId,
        /// Files in this machine's folder that stay there: at most [`crate::LEFT_BEHIND_MAX`] are remembered.
        left_behind: Vec<String>,
    },
    /// Adds a key that a domain can sign with.
    CreateDkimKey(NewDkimKey),
    /// Changes what a key is used for.
    SetDkimKey {
        /// Whose.
        domain: DomainId,
        /// Which.
        selector: String,
        /// What for.
        state: DkimState,
    },
    /// Deletes a key that is not in use.
    DeleteDkimKey {
        /// Whose.
        domain: DomainId,
        /// Which.
        selector: String,
    },
    /// Sets or (with no value) removes a setting.
    PutSetting {
        /// Only if it is still at this modseq in that scope; zero is that it isn't set there.
        #[serde(default)]
        expect: Option<Modseq>,
        /// What it is about.
        scope: Scope,
        /// Its name.
        name: String,
        /// Its value.
        value: Option<String>,
        /// Who asks, for people.
        #[serde(default)]
        by: String,
    },
    /// Sets a setting back to what it was before one of its changes.
    RevertSetting {
        /// [`crate::model::SettingChange::number`]
        change: u64,
        /// Who asks, for people.
        #[serde(default)]
        by: String,
    },
    /// Makes a role, or changes what it permits.
    PutRole {
        /// Its name and what it permits.
        role: Role,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
    },
    /// Deletes a role that nobody has.
    DeleteRole {
        /// Which.
        name: String,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
    },
    /// Grants a role to a user, or takes it back. Being so already is success.
    SetGrant {
        /// Who, which, where.
        grant: Grant,
        /// Which of the two.
        granted: bool,
    },
    /// Makes a source, or changes it.
    PutSource {
        /// What it is.
        source: Box<Source>,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
    },
    /// Forgets a source; its people stay, and are administered here.
    DeleteSource {
        /// Which.
        name: String,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
    },
    /// Makes or changes a user or group, and notes in the same commit where they come from.
    Linked {
        /// Where from; for whom is said by the request.
        link: Link,
        /// What else is done.
        request: Box<Request>,
    },
    /// Notes where somebody comes from.
    SetLink(Link),
    /// Forgets where somebody came from.
    Unlink {
        /// Who.
        account: AccountId,
    },
    /// Binds somebody at a provider of OpenID Connect to a user.
    BindSubject(Subject),
    /// Forgets who a user is at such providers.
    ForgetSubjects {
        /// Whose.
        account: AccountId,
    },
    /// Adds a token for programs.
    CreateApiToken(NewApiToken),
    /// Makes a token worthless.
    DeleteApiToken {
        /// Which.
        id: String,
    },
    /// Adds a password for one program of a user.
    CreateAppPassword(NewAppPassword),
    /// Makes an app password worthless.
    DeleteAppPassword {
        /// Whose.
        account: AccountId,
        /// Which.
        id: String,
    },
    /// Uses up a code of a second factor.
    UseSecondFactor {
        /// Whose.
        account: AccountId,
        /// Which.
        used: FactorUse,
    },
    /// Sets what a user has besides a password, or removes it.
    SetSecondFactor {
        /// Whose.
        account: AccountId,
        /// What; `None` removes it.
        factor: Option<SecondFactor>,
    },
    /// Adds a passkey to a user.
    CreatePasskey(Passkey),
    /// Changes a passkey, notes that it was used, or makes it worthless.
    ChangePasskey {
        /// Whose.
        account: AccountId,
        /// Which.
        id: String,
        /// What.
        change: PasskeyChange,
    },
    /// Puts a certificate of the installation in the place of the former one.
    PutCertificate(Certificate),
    /// Deletes a certificate of the installation.
    DeleteCertificate {
        /// Which.
        name: String,
    },
    /// Puts other rules between the machines in the place of those that are there.
    PutFirewall {
        /// All of them.
        firewall: Firewall,
        /// Only if they are still at this modseq; zero where there are none.
        expect: Option<Modseq>,
    },
    /// Takes down how the asking for certificates stands.
    PutAcme {
        /// How.
        acme: Acme,
        /// Only if it is still at this modseq.
        expect: Option<Modseq>,
    },
}

/// What a request did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The directory's modseq after it. A request that changed nothing takes none.
    pub modseq: Modseq,
    /// Whether anything changed.
    pub changed: bool,
    /// What was made.
    pub created: Option<Created>,
}

/// The id of what a request made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Created {
    /// A domain.
    Domain(DomainId),
    /// A reserved account, a group, or an external contact.
    Account(AccountId),
    /// A job, or the one that moves were added to.
    Job(JobId),
    /// The epoch of a cut-over, or with which an account was placed.
    Epoch(Epoch),
}
