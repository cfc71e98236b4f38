//! An account as files: what somebody takes along who leaves, and what brings it back.
//!
//! It is a tar stream, or a folder with the same files:
//!
//! ```text
//! manifest.json                     what is there, and what names and numbers it had
//! mail/cur/SECONDS.U7.sterna,S=N,U=7:2,S    the INBOX as a Maildir; U is the UID
//! mail/.Archive.2026/cur/...        the other folders, as Maildir++ has them
//! mail/dovecot-uidlist, dovecot-keywords    UIDs and keywords in the words of another server, so that it keeps them
//! calendars/NAME/*.ics              calendars, tasks, journals: one file for each object, as vdir has them
//! contacts/NAME/*.vcf               address books
//! files/...                         the file space
//! sieve/NAME.sieve                  scripts
//! summary.json                      how much it is: the last file; without it, something is missing
//! ```
//!
//! So every part can be read by other programs: Maildirs by mail servers and mutt, vdirs by vdirsyncer and khal.

pub mod folder;
pub mod maildir;
pub mod manifest;
pub mod mbox;
mod read;
mod tar;
mod write;

pub use manifest::{Manifest, Summary};
pub use read::{Existing, TakeError, Taken, take};
pub use write::{WriteError, write};
pub(crate) use write::{file_name, unique};

/// The file that says what is there: the first.
pub const MANIFEST: &str = "manifest.json";

/// The file that says how much it was: the last.
pub const SUMMARY: &str = "summary.json";

/// Where the mail is.
pub const MAIL: &str = "mail";

/// Where calendars, tasks and journals are.
pub const CALENDARS: &str = "calendars";

/// Where address books are.
pub const CONTACTS: &str = "contacts";

/// Where the file space is.
pub const FILES: &str = "files";

/// Where scripts are.
pub const SCRIPTS: &str = "sieve";

/// How names of scripts end.
pub const SCRIPT_ENDING: &str = ".sieve";
