//! SMTP and LMTP on the wire: bytes to types and back, no I/O.
//!
//! - [`Command`] is a parsed command line (RFC 5321 section 4.1.1 and its extensions).
//! - [`DataReceiver`] takes the content after DATA apart while it streams in; it ends on CRLF.CRLF and on nothing else.
//! - [`Reply`] is an answer with its enhanced status code.
//!
//! The grammar is our own (docs/decisions/0014-our-own-smtp-grammar.md). Nothing here may guess: what it doesn't allow
//! is an error, because two servers that guess differently make smuggling possible.

pub mod address;
pub mod answer;
pub mod command;
pub mod data;
pub mod hops;
pub mod limits;
pub mod line;
pub mod params;
pub mod reply;
pub mod stuffing;
pub mod trace;

pub use address::{AddressError, Domain, Mailbox, subaddresses};
pub use answer::{Answer, AnswerError, AnswerReader};
pub use command::{Command, CommandError};
pub use data::{DataReceiver, LineEndings};
pub use hops::HopCounter;
pub use line::{Line, next_line};
pub use params::{Body, MailParams, ParamError, RcptParams, Ret, to_xtext};
pub use reply::Reply;
pub use stuffing::DotStuffer;
