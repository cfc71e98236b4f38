//! The commands, one file each.

pub mod append;
pub mod authenticate;
pub mod capability;
pub mod close;
pub mod copy;
pub mod create;
pub mod delete;
pub mod enable;
pub mod expunge;
pub mod fetch;
pub mod id;
pub mod idle;
pub mod list;
pub mod login;
pub mod lsub;
pub mod namespace;
pub mod rename;
pub mod search;
pub mod section;
pub mod select;
pub mod sets;
pub mod starttls;
pub mod status;
pub mod store;
pub mod subscribe;
