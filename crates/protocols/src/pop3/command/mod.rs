//! One file for each command.

pub mod auth;
pub mod capa;
pub mod dele;
pub mod list;
pub mod pass;
pub mod quit;
pub mod retr;
pub mod rset;
pub mod stat;
pub mod stls;
pub mod top;
pub mod uidl;
pub mod user;
pub mod utf8;

use sterna_formats::pop3::Command;

/// What a command is called, for the log.
pub fn name(command: &Command) -> &'static str {
    match command {
        Command::Capa => "CAPA",
        Command::Stls => "STLS",
        Command::Utf8 => "UTF8",
        Command::User(_) => "USER",
        Command::Pass(_) => "PASS",
        Command::Auth { .. } => "AUTH",
        Command::Stat => "STAT",
        Command::List(_) => "LIST",
        Command::Uidl(_) => "UIDL",
        Command::Retr(_) => "RETR",
        Command::Top { .. } => "TOP",
        Command::Dele(_) => "DELE",
        Command::Rset => "RSET",
        Command::Noop => "NOOP",
        Command::Quit => "QUIT",
    }
}
