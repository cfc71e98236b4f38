//! Accounts that come from other servers: by IMAP, CalDAV, CardDAV and ManageSieve, as an administrator asks for it, by
//! the replication of a Cyrus server, which brings them itself, or as files; and accounts as files, for whoever leaves.
//!
//! Whatever the source, the same holds. What is done is noted in the account, in the commit that does it, so that an
//! interrupted import goes on where it was and nothing comes twice. UIDs and UIDVALIDITY stay where the mailbox here is
//! new ([`sterna_account::Mutation::SetNumbers`]). What can't be read or kept is named; it is left out only when
//! somebody has said so.

pub mod archive;
pub mod bluemind;
pub mod cyrus;
pub mod dav;
pub mod imap;
pub mod limits;
pub mod objects;
pub mod run;
pub mod sieve;
pub mod spool;
pub mod target;
