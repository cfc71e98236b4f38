//! Encodings, header fields and release numbers.
//!
//! MessagePack with named fields: half the size of JSON, bytes stay bytes, and a field that one side doesn't know is
//! passed over (see `docs/decisions`).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sterna_base::Epoch;

/// The release of this binary as nodes compare it. It grows by one with every release; neighbours understand each
/// other.
pub const RELEASE: u32 = 1;

/// The sender's release.
pub const RELEASE_HEADER: HeaderName = HeaderName::from_static("sterna-release");
/// The epoch under which the sender believes to call an account.
pub const EPOCH_HEADER: HeaderName = HeaderName::from_static("sterna-epoch");
/// Set on a copy's question that something waits for, so that it isn't slowed.
pub const URGENT_HEADER: HeaderName = HeaderName::from_static("sterna-urgent");

/// The media type of account calls.
pub const MESSAGE_PACK: HeaderValue = HeaderValue::from_static("application/msgpack");
/// The media type of control calls.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The media type of blobs.
pub const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// What can't be encoded or decoded.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WireError(String);

/// Whether a node of that release and this one can talk: the same, or neighbours.
pub fn releases_fit(theirs: u32, ours: u32) -> bool {
    theirs.abs_diff(ours) <= 1
}

/// The release in a request's or answer's header; zero when there is none.
pub fn release_of(headers: &HeaderMap) -> u32 {
    number(headers, &RELEASE_HEADER).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// The epoch in a request's header.
pub fn epoch_of(headers: &HeaderMap) -> Option<Epoch> {
    number(headers, &EPOCH_HEADER).map(Epoch)
}

/// Whether something waits for the answer.
pub fn is_urgent(headers: &HeaderMap) -> bool {
    headers.contains_key(&URGENT_HEADER)
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// A value as MessagePack with named fields.
///
/// # Errors
/// When the value can't be written so.
pub fn pack<T: Serialize>(value: &T) -> Result<Bytes, WireError> {
    rmp_serde::to_vec_named(value).map(Bytes::from).map_err(|error| WireError(error.to_string()))
}

/// A value from MessagePack.
///
/// # Errors
/// When the bytes are not one.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    rmp_serde::from_slice(bytes).map_err(|error| WireError(error.to_string()))
}

/// A value as JSON.
///
/// # Errors
/// When the value can't be written so.
pub fn to_json<T: Serialize>(value: &T) -> Result<Bytes, WireError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| WireError(error.to_string()))
}

/// A value from JSON.
///
/// # Errors
/// When the bytes are not one.
pub fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    serde_json::from_slice(bytes).map_err(|error| WireError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use sterna_account::Flags;
    use sterna_base::{BlobHash, Uid};

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Old {
        uid: Uid,
        flags: Flags,
        hash: BlobHash,
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct New {
        hash: BlobHash,
        added: Option<String>,
        uid: Uid,
        flags: Flags,
        #[serde(default)]
        optional: u32,
    }

    #[test]
    fn a_release_reads_what_its_neighbour_writes() {
        let flags = Flags { system: 3, keywords: u128::MAX - 5 };
        let new = New { hash: BlobHash::of(b"x"), added: Some("a".into()), uid: Uid(7), flags, optional: 1 };
        let old: Old = unpack(&pack(&new).unwrap()).unwrap();
        assert_eq!(old, Old { uid: Uid(7), flags, hash: BlobHash::of(b"x") });
        let back: New = unpack(&pack(&old).unwrap()).unwrap();
        assert_eq!(back, New { added: None, optional: 0, ..new });
    }

    #[test]
    fn neighbouring_releases_fit() {
        let fits: Vec<u32> = (0..6).filter(|&theirs| releases_fit(theirs, 3)).collect();
        assert_eq!(fits, [2, 3, 4]);
    }
}
