//! The main node's tokens: a small file of its own, because a token is no part of the directory that every node copies.
//! Secrets are stored hashed; a token is crossed out, durably, before anybody is let in with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sterna_base::{BlobHash, Clock, NodeId, Timestamp, atomic_file};

use super::{JoinRefused, JoinToken};
use crate::identity::CLUSTER_FOLDER;
use crate::limits::{TOKEN_MEMORY_MS, TOKENS_MAX};
use crate::nodes::NodeRoles;

const TOKENS_FILE: &str = "tokens.json";
/// Hexadecimal digits of a token's id: the beginning of its hash.
const TOKEN_ID_DIGITS: usize = 12;

/// What a token lets a machine become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenGrant {
    /// The name that the new node gets; `None` lets it choose its own.
    #[serde(default)]
    pub name: Option<String>,
    /// The roles that it may take.
    pub roles: NodeRoles,
    /// How long the token holds, in milliseconds.
    pub lifetime_ms: i64,
    /// The node whose place the new one is to take, with `roles`; `None` for one that joins.
    #[serde(default)]
    pub replaces: Option<NodeId>,
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenEntry {
    /// Names it in lists and for revoking; not secret.
    pub id: String,
    /// What it is for.
    pub grant: TokenGrant,
    /// BLAKE3 of the secret.
    pub hash: BlobHash,
    /// When it was made.
    pub made_at: Timestamp,
    /// From when on it is not taken any more.
    pub expires_at: Timestamp,
    /// Who came in with it, and the hash of the key that was certified. The same node with the same key is answered
    /// again: the first answer may have been lost.
    #[serde(default)]
    pub used: Option<TokenUse>,
}

/// Who used a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUse {
    /// The node.
    pub node: NodeId,
    /// BLAKE3 of its signing request.
    pub request: BlobHash,
    /// When.
    pub at: Timestamp,
}

/// Why the tokens can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TokenBookError {
    /// The file system refused.
    #[error("{}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The file can't be read as tokens. Delete it; tokens that are open must be made anew then.
    #[error("{} is damaged: {cause}; delete it and make new tokens", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
    /// Too many tokens are open.
    #[error("{TOKENS_MAX} join tokens are open; wait until some expire")]
    TooMany,
}

/// The tokens of an installation. All methods are blocking.
pub struct TokenBook {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    entries: Mutex<Vec<TokenEntry>>,
}

impl TokenBook {
    /// Opens the book in a main node's data directory; there being none yet is an empty one.
    ///
    /// # Errors
    /// When the file is there but can't be read.
    pub fn open(data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, TokenBookError> {
        let path = data_dir.join(CLUSTER_FOLDER).join(TOKENS_FILE);
        let entries = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| TokenBookError::Damaged { path: path.clone(), cause: error.to_string() })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(cause) => return Err(TokenBookError::File { path, cause }),
        };
        Ok(TokenBook { path, clock, entries: Mutex::new(entries) })
    }

    /// Makes a token.
    ///
    /// # Errors
    /// When it can't be stored; then there is none.
    pub fn issue(
        &self,
        authority: BlobHash,
        main: NodeId,
        grant: TokenGrant,
    ) -> Result<(JoinToken, TokenEntry), TokenBookError> {
        let now = self.clock.now();
        let token = JoinToken::generate(authority, main);
        let hash = JoinToken::hash_of(&token.secret);
        let entry = TokenEntry {
            id: hash.to_string()[..TOKEN_ID_DIGITS].to_owned(),
            expires_at: now.plus_ms(grant.lifetime_ms),
            grant,
            hash,
            made_at: now,
            used: None,
        };
        let mut entries = self.entries.lock();
        let mut next: Vec<TokenEntry> =
            entries.iter().filter(|entry| entry.expires_at.plus_ms(TOKEN_MEMORY_MS) > now).cloned().collect();
        if next.len() >= TOKENS_MAX {
            return Err(TokenBookError::TooMany);
        }
        next.push(entry.clone());
        self.write(&next)?;
        *entries = next;
        Ok((token, entry))
    }

    /// The tokens that are remembered.
    pub fn list(&self) -> Vec<TokenEntry> {
        self.entries.lock().clone()
    }

    /// Makes an open token worthless, durably; says whether there was one of this id. A used one stays on record.
    ///
    /// # Errors
    /// When it can't be written down; the token holds then.
    pub fn revoke(&self, id: &str) -> Result<bool, TokenBookError> {
        let mut entries = self.entries.lock();
        let mut next = entries.clone();
        next.retain(|entry| entry.id != id || entry.used.is_some());
        let found = next.len() < entries.len();
        if found {
            self.write(&next)?;
            *entries = next;
        }
        Ok(found)
    }

    /// Whether the secret could be used now by this node with this request, and for what; changes nothing.
    ///
    /// # Errors
    /// [`JoinRefused::WrongToken`], [`JoinRefused::TokenUsed`], [`JoinRefused::TokenExpired`].
    pub fn check(&self, secret: &[u8], node: NodeId, request: BlobHash) -> Result<TokenGrant, JoinRefused> {
        let entries = self.entries.lock();
        let at = self.find(&entries, secret, node, request)?;
        Ok(entries[at].grant.clone())
    }

    /// Whether this node has used the token before with the same request: then its answer was lost.
    pub fn is_repetition(&self, secret: &[u8], node: NodeId, request: BlobHash) -> bool {
        let entries = self.entries.lock();
        let found = self.find(&entries, secret, node, request);
        found.is_ok_and(|at| entries[at].used.is_some())
    }

    /// Crosses the token out, durably.
    ///
    /// # Errors
    /// As [`TokenBook::check`], and [`JoinRefused::Failed`] when it can't be written down.
    pub fn consume(&self, secret: &[u8], node: NodeId, request: BlobHash) -> Result<(), JoinRefused> {
        let mut entries = self.entries.lock();
        let at = self.find(&entries, secret, node, request)?;
        if entries[at].used.is_some() {
            return Ok(());
        }
        let mut next = entries.clone();
        next[at].used = Some(TokenUse { node, request, at: self.clock.now() });
        self.write(&next).map_err(|error| JoinRefused::Failed(error.to_string()))?;
        *entries = next;
        Ok(())
    }

    /// Comparing hashes of secrets tells nothing about a secret through time.
    fn find(
        &self,
        entries: &[TokenEntry],
        secret: &[u8],
        node: NodeId,
        request: BlobHash,
    ) -> Result<usize, JoinRefused> {
        let hash = JoinToken::hash_of(secret);
        let at = entries.iter().position(|entry| entry.hash == hash).ok_or(JoinRefused::WrongToken)?;
        let entry = &entries[at];
        match &entry.used {
            Some(used) if used.node != node || used.request != request => {
                return Err(JoinRefused::TokenUsed { by: used.node });
            }
            _ => {}
        }
        let ago_ms = self.clock.now().0 - entry.expires_at.0;
        if ago_ms >= 0 {
            return Err(JoinRefused::TokenExpired { ago_ms });
        }
        Ok(at)
    }

    fn write(&self, entries: &[TokenEntry]) -> Result<(), TokenBookError> {
        let text = serde_json::to_vec_pretty(entries)
            .map_err(|error| TokenBookError::Damaged { path: self.path.clone(), cause: error.to_string() })?;
        atomic_file::write(&self.path, &text, 0o600)
            .map_err(|cause| TokenBookError::File { path: self.path.clone(), cause })
    }
}
