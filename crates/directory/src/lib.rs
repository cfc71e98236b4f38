//! The directory: domains, users, groups, shared mailboxes, servers, placements and settings of an installation.
//!
//! It is kept like an account: rows, one counter, deletions that are rows, "changes since", a digest. The main node
//! takes [`Request`]s; every node has a full copy in its own SQLite file and follows by [`Changes`], so that log-ins
//! and mail acceptance go on when the main node is down.
//!
//! - [`Directory`] is the asynchronous face; [`Core`] and [`Reader`] are the blocking core.
//! - [`Authentication`] checks log-ins; [`routing::resolve`] says where mail for an address goes.
//! - [`placement_policy`] chooses the server of a new account, [`move_plan`] those that accounts are moved to.
//!
//! Nothing here loads all users or looks at all of them. It never touches an account's store.

pub mod acme;
pub mod auth;
mod book;
pub mod check;
pub mod contact;
pub mod core;
mod deleted;
mod directory;
mod dkim;
mod error;
pub mod filter_settings;
pub mod firewall;
pub mod follow;
mod index;
mod job_event;
pub mod mail_tables;
pub mod model;
pub mod move_plan;
pub mod names;
pub mod password;
pub mod placement_policy;
pub mod read;
mod rehearsal;
pub mod request;
mod requests;
pub mod rights;
pub mod routing;
pub mod row;
mod schema;
mod senders;
pub mod settings;
mod share;
pub mod source;
mod write;

pub use crate::core::{Core, Mode, Standing};
pub use auth::Authentication;
pub use book::DomainBook;
pub use contact::{Contact, ContactPatch};
pub use deleted::Deleted;
pub use directory::Directory;
pub use dkim::{DKIM_KEYS_MAX, DkimKey, DkimState, NewDkimKey};
pub use error::{ApplyError, LISTED_BY, RequestError, StorageError};
pub use follow::Applied;
pub use job_event::{JOB_EVENTS_MAX, JobEvent, JobEventKind, MovedAccount};
pub use model::{
    Address, Copy, CopyPurpose, Domain, Durability, Entry, Group, Job, JobKind, JobState, MainNode, Member, Membership,
    Migration, MigrationPhase, Move, MovePhase, Pace, PasswordHash, PendingStore, Placement, Repository, Resource,
    Roles, Scope, Scram, Server, ServerStandby, Setting, SharedMailbox, StandbyStage, Update, UpdateEvent,
    UpdateFinding, UpdatePhase, UpdatePlan, UpdateRun, UpdateWork, UpdateWorkState, User,
};
pub use password::PasswordCost;
pub use read::{AddressPattern, AnyEntry, Reader, Selected, Selection, Versioned};
pub use request::{Created, Done, Request};
pub use row::{Change, Changes, Cursor, Head, RowKind};
pub use schema::FORMAT;
pub use share::Share;
pub use source::{Link, Mapping, Source, SourceKind};

/// Longest plan of an update, in bytes.
pub const UPDATE_PLAN_BYTES_MAX: usize = 1024 * 1024;
/// Longest key that signs a repository, in bytes.
pub const UPDATE_KEY_BYTES_MAX: usize = 64 * 1024;
/// Servers of one installation.
pub const SERVERS_MAX: usize = 1000;
/// Aliases of one domain.
pub const DOMAIN_ALIASES_MAX: usize = 1000;
/// Addresses of one entry, the main one counted.
pub const ADDRESSES_PER_ENTRY_MAX: usize = 500;
/// Most users and groups who may send with the addresses of one entry.
pub const SENDERS_MAX: usize = 256;
/// Most addresses that the mail of one entry is sent on to.
pub const FORWARDS_MAX: usize = 32;
/// Members that one group has itself.
pub const MEMBERS_PER_GROUP_MAX: usize = 100_000;
/// Accounts that one request plans moves or standby copies for; more are added to the same job by further requests.
pub const MOVES_PER_REQUEST_MAX: usize = 10_000;
/// Copies that one request drops.
pub const COPIES_PER_REQUEST_MAX: usize = 1000;
/// How long a job is remembered after it was over, in milliseconds: thirty days.
pub const JOB_KEPT_MS: i64 = 30 * 24 * 3600 * 1000;
/// Jobs that are over and remembered.
pub const JOBS_KEPT_MAX: u64 = 10_000;
/// Jobs that one request looks at to forget them.
pub const JOBS_PRUNED_MAX: usize = 200;
/// Files that are remembered of a machine whose place was taken, because they are not Sterna's.
pub const LEFT_BEHIND_MAX: usize = 20;
/// Servers that hold a copy of one account, that of its placement not counted.
pub const COPIES_PER_ACCOUNT_MAX: usize = 8;
