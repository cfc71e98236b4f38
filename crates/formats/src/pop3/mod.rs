//! POP3 (RFC 1939): command lines, and messages as they are sent.

mod command;
mod multi_line;

pub use command::{Command, CommandError};
pub use multi_line::MultiLine;
