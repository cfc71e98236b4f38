//! The text form of a one-time token.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sterna_base::{BlobHash, NodeId, ids};

const PREFIX: &str = "sterna-join-";
const FORMAT: u8 = 1;
const SECRET_BYTES: usize = 20;
const CHECK_BYTES: usize = 4;

/// What an administrator carries to the new machine: whom to trust, and the secret to be let in with.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// The fingerprint of the installation's authority.
    pub authority: BlobHash,
    /// The main node: any other node of the installation could have the same chain.
    pub main: NodeId,
    pub(crate) secret: [u8; SECRET_BYTES],
}

/// Why a text is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFormatError {
    /// It doesn't begin like one.
    #[error("a join token begins with {PREFIX}; copy the whole line that the main node printed")]
    Prefix,
    /// Characters are missing or wrong.
    #[error("the join token is incomplete or mistyped; copy the whole line that the main node printed")]
    Damaged,
    /// A newer version made it.
    #[error("the join token was made by a newer version; install the main node's version here first")]
    Newer,
}

impl JoinToken {
    /// A new token with a random secret.
    pub(crate) fn generate(authority: BlobHash, main: NodeId) -> Self {
        JoinToken { authority, main, secret: ids::random_bytes() }
    }

    /// What is stored in place of the secret. It has 160 random bits, so a plain hash can't be turned round.
    pub(crate) fn hash_of(secret: &[u8]) -> BlobHash {
        BlobHash::of(secret)
    }

    /// The secret in hexadecimal, as it is sent.
    pub(crate) fn secret_text(&self) -> String {
        self.secret.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&self.authority.0);
        bytes.extend_from_slice(&self.main.0);
        bytes.extend_from_slice(&self.secret);
        let check = BlobHash::of(&bytes);
        bytes.extend_from_slice(&check.0[..CHECK_BYTES]);
        bytes
    }
}

/// The text itself. There is no `Debug` that shows it by accident.
impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.bytes()))
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken(of node {}, redacted)", self.main)
    }
}

impl FromStr for JoinToken {
    type Err = TokenFormatError;

    fn from_str(text: &str) -> Result<Self, TokenFormatError> {
        let text = text.trim().strip_prefix(PREFIX).ok_or(TokenFormatError::Prefix)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenFormatError::Damaged)?;
        let (content, check) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or(TokenFormatError::Damaged)?;
        if BlobHash::of(content).0[..CHECK_BYTES] != *check {
            return Err(TokenFormatError::Damaged);
        }
        let (&format, rest) = content.split_first().ok_or(TokenFormatError::Damaged)?;
        if format != FORMAT {
            return Err(TokenFormatError::Newer);
        }
        let (authority, rest) = rest.split_first_chunk::<32>().ok_or(TokenFormatError::Damaged)?;
        let (main, secret) = rest.split_first_chunk::<16>().ok_or(TokenFormatError::Damaged)?;
        let secret = secret.try_into().map_err(|_| TokenFormatError::Damaged)?;
        Ok(JoinToken { authority: BlobHash(*authority), main: NodeId(*main), secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_a_mistyped_one_is_not() {
        let token = JoinToken::generate(BlobHash::of(b"ca"), NodeId::random());
        let text = token.to_string();
        assert_eq!(format!(" {text}\n").parse(), Ok(token.clone()));
        assert_eq!(text[1..].parse::<JoinToken>(), Err(TokenFormatError::Prefix));
        assert_eq!(text[..text.len() - 1].parse::<JoinToken>(), Err(TokenFormatError::Damaged));
        let mistyped = text.replace('-', "_").replacen("sterna_join_", PREFIX, 1).replace(&text[40..42], "00");
        assert_eq!(mistyped.parse::<JoinToken>(), Err(TokenFormatError::Damaged));
        assert!(!format!("{token:?}").contains(&token.secret_text()));
    }
}
