//! One file per command. Each is a method of the session.

mod auth;
mod bdat;
mod data;
mod ehlo;
mod help;
pub(crate) mod mail;
mod noop;
mod quit;
mod rcpt;
mod rset;
mod starttls;
mod vrfy;
