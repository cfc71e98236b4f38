//! ManageSieve (RFC 5804): commands as they come, and strings as they are sent.

mod command;
mod frame;
mod write;

pub use command::{Command, CommandError};
pub use frame::{Frame, Framer, QUOTED_BYTES_MAX, Token};
pub use write::string;
