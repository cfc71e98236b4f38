//! The grammar of IMAP (RFC 9051 section 9, RFC 3501 section 9): bytes to commands, responses to bytes.
//!
//! [`frame::Framer`] cuts the stream into commands, [`parse`] reads one, [`append`] those that have messages inside,
//! [`write`] and [`envelope`] write responses.

pub mod append;
pub mod base_subject;
pub mod command;
pub mod date;
pub mod envelope;
pub mod frame;
mod lexer;
pub mod notify;
mod parse;
mod parse_fetch;
mod parse_list;
mod parse_metadata;
mod parse_search;
mod parse_sort;
pub mod sequence;
pub mod thread;
pub mod url;
pub mod write;

pub use append::AppendStart;
pub use command::{Body, Command};
pub use frame::{Frame, Framer};
pub use lexer::ParseError;
pub use parse::{command, command_within, tag_of};
pub use sequence::SequenceSet;
