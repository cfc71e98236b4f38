//! The grammar of IMAP, held to tables, to random bytes and to another implementation.

mod commands;
mod differential;
mod streams;
