//! Dialogs of IMAP: what a client says and what it must hear, over the real engine.

mod awkward;
mod condstore;
mod dialog;
mod ends;
mod faults;
mod gone;
mod insides;
mod mailboxes;
mod messages;
mod sessions;
mod sets;
mod states;
