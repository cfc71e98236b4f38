//! Dialogs of IMAP: what a client says and what it must hear, over the real engine.

mod acls;
mod attributes;
mod awkward;
mod compressed;
mod condstore;
mod dialog;
mod ends;
mod faults;
mod fetches;
mod gone;
mod granted;
mod halves;
mod insides;
mod listings;
mod mailboxes;
mod messages;
mod names;
mod place;
mod qresync;
mod recent;
mod searches;
mod sessions;
mod sets;
mod sharing;
mod sorts;
mod states;
