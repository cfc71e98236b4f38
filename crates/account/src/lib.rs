//! The model everybody speaks: an account is everything one owner has, kept in one store, with one counter, and every
//! reader asks the same question: "what changed since n?"
//!
//! - [`Container`] and [`Item`] are what an account holds, [`Commit`] is how it changes, [`Changes`] is what changed.
//! - [`Read`] and [`Store`] are what an engine implements (blocking, one account each).
//! - [`Account`] is what a protocol session holds: the same interface whether the account lives on this node or
//!   another.
//! - [`service`] has the doors between protocols and the rest of the system: log-in, recipients, opening accounts.
//!
//! It names no engine, no protocol and no network.

pub mod account;
pub mod acl;
pub mod answered;
pub mod aside;
pub mod attachments;
pub mod calendars;
pub mod change;
pub mod check;
pub mod commit;
pub mod container;
pub mod digest;
pub mod edge_guard;
pub mod edge_report;
pub mod edge_reports;
pub mod files;
pub mod first_containers;
pub mod flags;
pub mod follow;
pub mod fork;
pub mod item;
pub mod kept;
pub mod links;
pub mod local;
pub mod lookup;
pub mod open_sessions;
pub mod own_containers;
pub mod retention;
pub mod scheduling;
pub mod scram;
pub mod scripts;
pub mod search;
pub mod service;
pub mod shares;
pub mod store;
pub mod trace;
pub mod turns;
pub mod uid_set;

pub use account::{Account, AccountError};
pub use acl::{Acl, AclEntry, Identifier, Rights};
pub use change::{Change, Changes, Cursor};
pub use commit::{Commit, CommitError, Committed, Content, FlagAction, Mutation, NewItem, Outcome};
pub use container::{Container, ContainerKind, Counts, SpecialUse};
pub use digest::Digest;
pub use flags::{FlagSet, Flags, InvalidKeyword, Keyword, SystemFlag};
pub use item::{Expunged, Item, ItemFlags, ItemParts, Retained, SUMMARY_START_BYTES};
pub use lookup::{Answer, Lookup};
pub use own_containers::container_named;
pub use store::{AsideName, Engine, Head, Quota, Read, Role, Store, StoreError};
pub use uid_set::UidSet;
