//! What is known of a message after one pass over its bytes.
//!
//! [`Scanner`] reads a message while it comes in and gives its [`Summary`]: envelope, structure, and where each part
//! lies. Nothing parses the message again: IMAP's sections are ranges, its structures are the summary's. Only a search
//! in bodies ([`text`]) reads them once more.

pub mod address_list;
pub mod charset;
pub mod encoded_word;
pub mod file_name;
pub mod fold;
pub mod header;
pub mod html;
mod html_names;
pub mod media_type;
pub mod office;
pub mod preview;
pub mod scanner;
pub mod stem;
pub mod summary;
pub mod text;
pub mod transfer;

pub use address_list::EnvelopeAddress;
pub use header::{Field, fields};
pub use scanner::Scanner;
pub use summary::{
    ContentType, Disposition, Envelope, Parameter, Part, PartBody, SIZES_BYTES_MAX, Sizes, Summary, SummaryError,
};
