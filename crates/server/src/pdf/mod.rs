//! The text of PDFs, for searches.
//!
//! PDF is large and its readers fall over what people make, so this program reads none of it: it starts itself again,
//! as `sterna read-pdf`, which gives up everything but standard input and output before it looks at the first byte
//! ([`worker`]). Whatever becomes of that process, here it is a document without text ([`reader`]).

pub mod reader;
pub mod worker;

/// Longest text of one document; the rest is left out. An index takes no more words of a message anyway.
pub const TEXT_BYTES_MAX: u64 = 1024 * 1024;

/// Longest document that is taken.
pub const PDF_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Seconds of processor time for one document.
pub const PROCESSOR_SECONDS_MAX: u64 = 10;

/// Address space of the process that reads.
pub const MEMORY_BYTES_MAX: u64 = 512 * 1024 * 1024;
