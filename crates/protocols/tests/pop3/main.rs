//! Dialogs of POP3: what a client says and what it must hear, over the real engine. Other clients of the same account
//! speak IMAP.

#[path = "../imap/authority.rs"]
#[allow(dead_code)] // what only IMAP's dialogs use
mod authority;
#[path = "../imap/certificate.rs"]
mod certificate;
#[path = "../imap/dialog.rs"]
#[allow(dead_code)] // what only IMAP's dialogs use
mod dialog;
#[path = "../imap/failing.rs"]
mod failing;
#[path = "../imap/place.rs"]
mod place;

mod ends;
mod faults;
mod limits;
mod log_ins;
mod maildrops;
mod messages;
mod others;
mod pop;
