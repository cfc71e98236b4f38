//! What a filter wants done with a message.

use sterna_account::service::{MessageBody, Refusal};

/// What becomes of the message, and how it is changed before.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What becomes of it.
    pub action: Action,
    /// Why, for people: in traces and logs.
    pub why: String,
    /// What is changed in it, in this order.
    pub changes: Vec<Change>,
    /// What is changed about it.
    pub envelope: Vec<EnvelopeChange>,
}

impl Verdict {
    /// Without changes.
    pub fn new(action: Action, why: impl Into<String>) -> Self {
        Verdict { action, why: why.into(), changes: Vec::new(), envelope: Vec::new() }
    }
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes on, to the next filter or to its recipients.
    Accept,
    /// It goes on, and into Junk. What users send has no Junk where it goes, and is refused.
    Quarantine,
    /// It is refused with these words, for now or for good.
    Refuse(Refusal),
    /// It is acknowledged and thrown away.
    Discard,
}

/// A change of a message. Names and values are made fit for a header when they are put in; what can't be is left out.
#[derive(Clone, Debug)]
pub enum Change {
    /// A field behind all others.
    Append {
        /// Its name.
        name: String,
        /// Its value, with the space before it; lines end in LF or CRLF.
        value: String,
    },
    /// A field before the one at this place; zero is in front of all.
    Insert {
        /// How many are before it. Return-Path is not counted.
        at: usize,
        /// Its name.
        name: String,
        /// Its value, as with [`Change::Append`].
        value: String,
    },
    /// Another value for a field; an empty one takes it out. Put behind all others when there is none.
    Replace {
        /// Its name.
        name: String,
        /// Which of this name: from one on; from minus one on, counted from the last.
        number: i64,
        /// Its value, as with [`Change::Append`].
        value: String,
    },
    /// Takes out all fields of this name.
    Remove {
        /// The name.
        name: String,
    },
    /// Another body.
    Body {
        /// It.
        body: MessageBody,
        /// Its length in bytes.
        size: u64,
    },
}

impl Change {
    /// A field of ours at the top.
    pub fn top(name: &str, value: impl std::fmt::Display) -> Self {
        Change::Insert { at: 0, name: name.to_owned(), value: format!(" {value}") }
    }
}

/// A change of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvelopeChange {
    /// Another reverse-path.
    From(String),
    /// One more recipient; one that is there already stays once.
    AddRcpt(String),
    /// One recipient less.
    RemoveRcpt(String),
}
