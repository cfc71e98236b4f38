//! The methods, one file each.

pub mod acl;
pub mod copy;
pub mod delete;
pub mod get;
pub mod lock;
pub mod mkcol;
pub mod options;
pub mod post;
pub mod propfind;
pub mod proppatch;
pub mod put;
pub mod report;
pub mod unlock;
