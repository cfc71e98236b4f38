//! The milter protocol, version 6, as a mail server speaks it: packets, what is negotiated, what is told a milter, and
//! what it answers. There is no RFC; the constants are those of libmilter's `mfdef.h`.

mod answer;
mod command;
mod options;
mod packet;

pub use answer::{Answer, AnswerError, Modification};
pub use command::{Command, Macros, Stage, read_command};
pub use options::{Actions, Offer, Options, OptionsError, Steps};
pub use packet::{PACKET_BYTES_MAX, Packet, PacketError, next_packet, write_packet};

/// The version that is spoken.
pub const VERSION: u32 = 6;

/// Oldest version that is understood. Sendmail 8.12 spoke it; libmilter still does.
pub const VERSION_MIN: u32 = 2;

/// Largest piece of a body in one packet, in bytes, unless more was negotiated.
pub const BODY_CHUNK_BYTES: usize = 65_535;
