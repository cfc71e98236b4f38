//! What is known of a message: held to messages whose structure is known beforehand, to another parser, and to any
//! bytes.

mod any_bytes;
mod headers;
mod structure;
mod tree;
