//! Dialogs of ManageSieve: what a client says and what it must hear, over the real engine.

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

mod awkward;
mod faults;
mod log_ins;
mod scripts;
mod sieve;
