//! Files that programs write for others to read: many calendar objects in one iCalendar file (RFC 5545), many cards in
//! one vCard file (RFC 6350), and people in LDIF (RFC 2849). They are taken apart into the objects that collections
//! hold, each with the line where it begins. What can't be read is told with its line and does not hinder the rest.

pub mod ics;
pub mod ldif;
mod lines;
pub mod vcf;

pub use lines::PHYSICAL_LINE_BYTES_MAX;

/// Most objects that one file is taken apart into.
pub const OBJECTS_MAX: usize = 1_000_000;

/// One object of a file, to be stored as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Where it begins, from one on.
    pub line: usize,
    /// Its text.
    pub text: String,
}

/// What could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Fault {
    /// Where, from one on.
    pub line: usize,
    /// Why, for people.
    pub reason: String,
}

impl Fault {
    pub(crate) fn new(line: usize, reason: impl Into<String>) -> Self {
        Fault { line, reason: reason.into() }
    }
}

/// The UID of something that has none: made of what it says, so that reading it again finds the same.
pub(crate) fn uid_of(text: &[u8]) -> String {
    // FNV-1a twice, with different beginnings: UIDs have to differ, not to withstand anybody.
    let hash =
        |seed: u64| text.iter().fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("import-{:016x}{:016x}", hash(0xcbf2_9ce4_8422_2325), hash(0x9e37_79b9_7f4a_7c15))
}
