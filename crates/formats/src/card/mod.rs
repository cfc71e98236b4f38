//! Cards (vCard 2.1 to 4: RFC 2426, RFC 6350): what the server must know of them. The bytes themselves are stored as
//! they came.

mod facts;
mod made;
mod query;

pub use facts::{Facts, Refusal};
pub use made::{DirectoryCard, directory_card};
pub use query::{AddressData, Filter};

use crate::content_line::{self, Component, ContentLineError};

/// Why bytes are no card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Not even content lines.
    #[error(transparent)]
    Syntax(#[from] ContentLineError),
    /// Something else, or more than one.
    #[error("it is not one VCARD")]
    NotOneCard,
}

/// A card from its text.
///
/// # Errors
/// [`CardError`].
pub fn parse(bytes: &[u8]) -> Result<Component, CardError> {
    let mut found = content_line::parse(bytes)?;
    match (found.pop(), found.is_empty()) {
        (Some(card), true) if card.name == "VCARD" => Ok(card),
        _ => Err(CardError::NotOneCard),
    }
}
