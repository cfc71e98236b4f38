//! What a search asks for.

use serde::{Deserialize, Serialize};
use sterna_base::{BlobHash, Timestamp};

use crate::UidSet;

/// What a message must be like. Texts are compared folded ([`sterna_formats::mail::fold`]) and match anywhere, also
/// inside words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// All or none.
    Const(bool),
    /// Those that don't match it.
    Not(Box<Filter>),
    /// Those that match all.
    And(Vec<Filter>),
    /// Those that match at least one.
    Or(Vec<Filter>),
    /// Longer than so many bytes.
    Larger(u64),
    /// Shorter than so many bytes.
    Smaller(u64),
    /// By [`crate::Item::internal_date`].
    Internal(Span),
    /// By [`crate::Item::saved_at`].
    Saved(Span),
    /// By the day that the Date field names, taken for midnight in UTC; those without a date don't match.
    Sent(Span),
    /// Those of this content.
    Content(BlobHash),
    /// Those that have a field of this name with this text in its value; an empty text is in every value.
    Header {
        /// The field's name; case doesn't matter.
        #[serde(with = "serde_bytes")]
        name: Vec<u8>,
        /// What is in its value.
        text: String,
    },
    /// In the texts of the body, which are those of its text parts, of messages inside and of attached documents.
    Body(String),
    /// In the body, the header, or the headers of its parts.
    Text(String),
    /// Of a filter on texts: those that have each word of its text, or a form of it, in the same place, wherever and in
    /// whatever order ([`sterna_formats::mail::stem`]). Every message that matches the filter itself is among them.
    Fuzzy(Box<Filter>),
}

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span {
    /// Its first moment; `None` has no beginning.
    pub from: Option<Timestamp>,
    /// The first moment after it; `None` has no end.
    pub before: Option<Timestamp>,
}

impl Span {
    /// Whether the moment is in it.
    pub fn contains(&self, moment: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= moment) && self.before.is_none_or(|before| moment < before)
    }
}

/// What a step of a search found out.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Found {
    /// Those that match.
    pub matching: UidSet,
    /// Those that are to be asked about again, because the step was long enough; a subset of what was asked, and
    /// smaller.
    pub open: UidSet,
}
