//! Lengths of RFC 5321 section 4.5.3.1 and its extensions, in bytes.

/// A local-part (RFC 5321 section 4.5.3.1.1).
pub const LOCAL_PART_BYTES_MAX: usize = 64;

/// A local-part that stands for a whole address elsewhere (`SRS0=...`, the Sender Rewriting Scheme): it holds a domain
/// and a local-part of its own.
pub const SRS_LOCAL_PART_BYTES_MAX: usize = 240;

/// A domain (RFC 5321 section 4.5.3.1.2).
pub const DOMAIN_BYTES_MAX: usize = 255;

/// A path without its brackets: longer than the 256 of RFC 5321 section 4.5.3.1.3, which leave no room for the longest
/// local-part with the longest domain.
pub const PATH_BYTES_MAX: usize = SRS_LOCAL_PART_BYTES_MAX + 1 + DOMAIN_BYTES_MAX;

/// A command line with its CRLF. RFC 5321 section 4.5.3.1.4 asks for 512 and every extension adds to it (RFC 3461:
/// 500 for ORCPT, RFC 6531: 10, RFC 4954: 500); 2048 holds them all.
pub const COMMAND_LINE_BYTES_MAX: usize = 2048;

/// A line of an AUTH exchange with its CRLF (RFC 4954 section 4: 12288 octets).
pub const AUTH_LINE_BYTES_MAX: usize = 12288;

/// ENVID before decoding (RFC 3461 section 4.4).
pub const ENVID_BYTES_MAX: usize = 100;

/// ORCPT before decoding (RFC 3461 section 4.2).
pub const ORCPT_BYTES_MAX: usize = 500;

/// Received fields of a message; more are a loop (RFC 5321 section 6.3: at least 100).
pub const HOPS_MAX: u32 = 100;

/// Parameters of one MAIL or RCPT command.
pub const PARAMS_MAX: usize = 16;
