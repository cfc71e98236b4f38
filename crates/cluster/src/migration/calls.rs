//! What the machine that becomes the main node asks of the one that is it.

use serde::{Deserialize, Serialize};
use sterna_base::{BlobHash, NodeId};

/// Bytes of a file in one answer.
pub const PART_BYTES: u64 = 1024 * 1024;
/// Most files that one machine offers.
pub const FILES_MAX: usize = 64;
/// Longest file that is taken, in bytes.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// What a machine has that no row of the directory and no store of an account has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Its files, as they were when this was asked.
    pub files: Vec<OfferedFile>,
    /// What its configuration says that its successor has to say, too: a TOML table.
    #[serde(default)]
    pub config: String,
    /// Files that nobody knows, by their path in its folder: they stay.
    #[serde(default)]
    pub left_behind: Vec<String>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedFile {
    /// Its path in the node's folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its content.
    pub hash: BlobHash,
    /// Its permissions.
    pub mode: u32,
}

/// Asks for a part of an offered file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartQuery {
    /// Its path.
    pub name: String,
    /// From where on.
    pub offset: u64,
}

/// The main node asks a machine to fetch what another one offers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FetchCall {
    /// Which one.
    pub from: NodeId,
}

/// What was fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Files that are there now.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// See [`Offer::left_behind`].
    #[serde(default)]
    pub left_behind: Vec<String>,
}
