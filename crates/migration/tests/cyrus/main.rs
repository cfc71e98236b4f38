//! What comes from Cyrus: by its own `sync_client`, and from the files of one that doesn't run any more.

mod fixture;
mod replication;
mod spool;
