//! Distinct types for everything that is counted or named, so that swapping two of them does not compile.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[derive(schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    };
}

counter!(
    /// One owner's data: a user, a shared mailbox, a group with a mailbox. Given out by the directory, never reused
    /// within an installation, and always below 2^63 so that SQL engines can hold it.
    AccountId(u64)
);
counter!(
    /// A domain of the installation. Given out by the directory.
    DomainId(u64)
);
counter!(
    /// A typed collection inside an account. Given out by the account's own counter, never reused.
    ContainerId(u64)
);
counter!(
    /// An item's number inside its container (RFC 9051 section 2.3.1.1). Zero is not a UID; it stands for "before the
    /// first".
    Uid(u32)
);
counter!(
    /// RFC 9051 section 2.3.1.1: a mailbox that is deleted and made again gets a larger one.
    UidValidity(u32)
);
counter!(
    /// The account's one counter (RFC 7162 mod-sequence). 63 bits: RFC 7162 section 3.1 forbids more.
    Modseq(u64)
);
counter!(
    /// Who may write: handed out by the directory with a placement, only ever grows, checked inside every commit.
    Epoch(u64)
);

counter!(
    /// A piece of work of the main node that people can watch, pause and abort. Given out by the directory, never
    /// reused.
    JobId(u64)
);

impl Modseq {
    /// Before the first change: "changes since zero" is everything.
    pub const ZERO: Modseq = Modseq(0);

    /// The value the next commit takes.
    pub fn next(self) -> Modseq {
        Modseq(self.0 + 1)
    }
}

impl Uid {
    /// The largest UID there can be.
    pub const MAX: Uid = Uid(u32::MAX);

    /// The following UID; saturates, because a container that ran out of UIDs refuses to append instead of wrapping.
    pub fn next(self) -> Uid {
        Uid(self.0.saturating_add(1))
    }
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident($len:literal)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// The id whose bytes these are; `None` when the length is wrong.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for byte in &self.0 {
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = HexError;
            fn from_str(text: &str) -> Result<Self, HexError> {
                let mut bytes = [0; $len];
                decode_hex(text, &mut bytes)?;
                Ok($name(bytes))
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": format!("^[0-9a-fA-F]{{{}}}$", $len * 2) })
            }
        }

        /// Hexadecimal for people and JSON, plain bytes for compact formats.
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "{} bytes or their hexadecimal", $len)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<$name, E> {
                        $name::from_slice(bytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
                    }
                }
                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(Visitor)
                } else {
                    deserializer.deserialize_bytes(Visitor)
                }
            }
        }
    };
}

bytes_id!(
    /// A machine of the installation. Random, made once by the machine itself; never its address.
    NodeId(16)
);
bytes_id!(
    /// One installation: all nodes that share a directory. Random, made once at `init`; part of every node's
    /// certificate.
    InstallationId(16)
);
bytes_id!(
    /// Names one commit for ever, so that a commit whose answer was lost can be repeated and is answered, not repeated.
    OperationId(16)
);
bytes_id!(
    /// BLAKE3 of a blob's bytes: its name.
    BlobHash(32)
);

impl OperationId {
    /// A fresh id from the system's randomness.
    pub fn random() -> Self {
        OperationId(random_bytes())
    }
}

impl InstallationId {
    /// A fresh id from the system's randomness.
    pub fn random() -> Self {
        InstallationId(random_bytes())
    }
}

impl NodeId {
    /// A fresh id from the system's randomness.
    pub fn random() -> Self {
        NodeId(random_bytes())
    }
}

impl BlobHash {
    /// The name of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        BlobHash(*blake3::hash(bytes).as_bytes())
    }
}

/// Bytes from the system's randomness.
///
/// # Panics
/// When the system has none; nothing safe can be done without.
#[allow(clippy::expect_used)]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's random number source answers");
    bytes
}

/// So many random bytes, in hex: a secret, or a name that nobody else has.
pub fn random_hex<const N: usize>() -> String {
    random_bytes::<N>().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why a hexadecimal id could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HexError {
    /// Too many or too few digits.
    #[error("wrong number of hexadecimal digits")]
    Length,
    /// Something that is not 0-9 or a-f.
    #[error("not a hexadecimal digit")]
    Digit,
}

fn decode_hex(text: &str, out: &mut [u8]) -> Result<(), HexError> {
    let digits = text.as_bytes();
    if digits.len() != out.len() * 2 {
        return Err(HexError::Length);
    }
    let value = |digit: u8| (digit as char).to_digit(16).ok_or(HexError::Digit);
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (value(pair[0])? * 16 + value(pair[1])?) as u8;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_ids_read_what_they_print() {
        let id = OperationId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("zz".parse::<OperationId>(), Err(HexError::Length));
        assert_eq!("g".repeat(32).parse::<OperationId>(), Err(HexError::Digit));
    }

    #[test]
    fn a_uid_never_wraps() {
        assert_eq!(Uid::MAX.next(), Uid::MAX);
        assert_eq!(Uid(1).next(), Uid(2));
    }
}
