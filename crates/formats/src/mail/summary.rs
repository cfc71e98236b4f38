//! The summary of a message: stored beside its content, and derived from it, so that a format that is no longer
//! understood is made again from the bytes.

use serde::{Deserialize, Serialize};

use super::EnvelopeAddress;

/// The layout's version, in the first byte. Raise it with every change of the types below; stored summaries of other
/// versions are then made again when they are needed.
pub const VERSION: u8 = 3;

/// Enough of the stored bytes to read the [`Sizes`]: the version and two variable-length numbers.
pub const SIZES_BYTES_MAX: usize = 1 + 2 * 10;

/// What is known of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Its length in bytes.
    pub size: u64,
    /// Its length with every line ended by CRLF, the last one too: what POP3 sends, without byte-stuffing. The same as
    /// `size` of everything that came by SMTP.
    pub crlf_size: u64,
    /// The envelope of its own header.
    pub envelope: Envelope,
    /// The message itself as a part.
    pub root: Part,
}

/// The lengths of a message, which stand at the start of its stored summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// See [`Summary::size`].
    pub size: u64,
    /// See [`Summary::crlf_size`].
    pub crlf_size: u64,
}

/// Why stored bytes are no summary that we can use: make it again from the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SummaryError {
    /// Another version wrote it.
    #[error("the summary has another version")]
    Version,
    /// It is damaged.
    #[error("the summary is damaged")]
    Damaged,
}

/// The envelope of RFC 9051 section 7.5.2, as the header has it: unfolded, not decoded.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Envelope {
    /// Date
    #[serde(with = "serde_bytes")]
    pub date: Option<Vec<u8>>,
    /// Subject
    #[serde(with = "serde_bytes")]
    pub subject: Option<Vec<u8>>,
    /// From
    pub from: Vec<EnvelopeAddress>,
    /// Sender; empty when there is none (IMAP then shows From)
    pub sender: Vec<EnvelopeAddress>,
    /// Reply-To; empty when there is none (IMAP then shows From)
    pub reply_to: Vec<EnvelopeAddress>,
    /// To
    pub to: Vec<EnvelopeAddress>,
    /// Cc
    pub cc: Vec<EnvelopeAddress>,
    /// Bcc
    pub bcc: Vec<EnvelopeAddress>,
    /// In-Reply-To
    #[serde(with = "serde_bytes")]
    pub in_reply_to: Option<Vec<u8>>,
    /// Message-ID
    #[serde(with = "serde_bytes")]
    pub message_id: Option<Vec<u8>>,
    /// References; not part of IMAP's envelope, but of threads
    #[serde(with = "serde_bytes")]
    pub references: Option<Vec<u8>>,
}

/// One part, and where it lies in the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Where its header begins.
    pub header_start: u64,
    /// Where its body begins: after the empty line.
    pub body_start: u64,
    /// Where its body ends: before the line end that belongs to the next boundary.
    pub end: u64,
    /// Line ends in the body.
    pub lines: u64,
    /// Content-Type, or what stands for it.
    pub content_type: ContentType,
    /// Content-ID
    #[serde(with = "serde_bytes")]
    pub id: Option<Vec<u8>>,
    /// Content-Description
    #[serde(with = "serde_bytes")]
    pub description: Option<Vec<u8>>,
    /// Content-Transfer-Encoding, as written; `None` is 7bit.
    #[serde(with = "serde_bytes")]
    pub encoding: Option<Vec<u8>>,
    /// Content-MD5
    #[serde(with = "serde_bytes")]
    pub md5: Option<Vec<u8>>,
    /// Content-Disposition
    pub disposition: Option<Disposition>,
    /// Content-Language
    pub language: Vec<Vec<u8>>,
    /// Content-Location
    #[serde(with = "serde_bytes")]
    pub location: Option<Vec<u8>>,
    /// What is in it.
    pub body: PartBody,
}

/// What is in a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartBody {
    /// Anything without parts that we can see.
    Single,
    /// multipart/*; empty when no boundary was found.
    Multipart(Vec<Part>),
    /// message/rfc822 or message/global, not encoded.
    Message(Box<(Envelope, Part)>),
}

/// Content-Type of RFC 2045 section 5, as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentType {
    /// "text"
    #[serde(with = "serde_bytes")]
    pub media_type: Vec<u8>,
    /// "plain"
    #[serde(with = "serde_bytes")]
    pub subtype: Vec<u8>,
    /// The parameters, in order.
    pub parameters: Vec<Parameter>,
}

/// One parameter; RFC 2231 continuations and encodings are left as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    #[serde(with = "serde_bytes")]
    pub name: Vec<u8>,
    /// Its value, without quotes.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
}

/// Content-Disposition of RFC 2183.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disposition {
    /// "attachment"
    #[serde(with = "serde_bytes")]
    pub kind: Vec<u8>,
    /// The parameters, in order.
    pub parameters: Vec<Parameter>,
}

impl ContentType {
    /// What RFC 2045 section 5.2 says a part is that doesn't say it.
    pub fn text_plain() -> Self {
        let charset = Parameter { name: b"charset".to_vec(), value: b"us-ascii".to_vec() };
        ContentType { media_type: b"text".to_vec(), subtype: b"plain".to_vec(), parameters: vec![charset] }
    }

    /// What a part of multipart/digest is that doesn't say it (RFC 2046 section 5.1.5).
    pub fn message_rfc822() -> Self {
        ContentType { media_type: b"message".to_vec(), subtype: b"rfc822".to_vec(), parameters: Vec::new() }
    }

    /// Whether it is of this type, in any case.
    pub fn is(&self, media_type: &str, subtype: &str) -> bool {
        self.media_type.eq_ignore_ascii_case(media_type.as_bytes())
            && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }

    /// The value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        let found = self.parameters.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|parameter| parameter.value.as_slice())
    }
}

impl Part {
    /// Bytes of the body.
    pub fn body_size(&self) -> u64 {
        self.end - self.body_start
    }

    /// The parts that section numbers count below this one: those of a multipart, those of the message inside a
    /// message part, or the part itself as number one (RFC 9051 section 6.4.5.1).
    fn child(&self, number: u32) -> Option<&Part> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        match &self.body {
            PartBody::Multipart(parts) => parts.get(index),
            PartBody::Message(inner) => inner.1.numbered(number),
            PartBody::Single => None,
        }
    }

    /// The part of this number in a message of which this is the root.
    fn numbered(&self, number: u32) -> Option<&Part> {
        match &self.body {
            PartBody::Multipart(_) => self.child(number),
            _ => (number == 1).then_some(self),
        }
    }
}

impl Summary {
    /// The part of these section numbers: `[]` is the message itself, `[1]` its first part, `[4, 2]` the second part of
    /// the fourth, also when the fourth is a message.
    pub fn section(&self, numbers: &[u32]) -> Option<&Part> {
        let (first, rest) = match numbers.split_first() {
            None => return Some(&self.root),
            Some(split) => split,
        };
        rest.iter().try_fold(self.root.numbered(*first)?, |part, number| part.child(*number))
    }

    /// The bytes to be stored.
    pub fn encode(&self) -> Vec<u8> {
        // Writing into a vector can't fail; were it to, an empty summary is one that is made again.
        postcard::to_extend(self, vec![VERSION]).unwrap_or_default()
    }

    /// Reads only the envelope of stored bytes, which stands near their beginning: for what needs it of very many
    /// messages.
    ///
    /// # Errors
    /// [`SummaryError`]: make the summary again from the message.
    pub fn decode_envelope(bytes: &[u8]) -> Result<Envelope, SummaryError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => match postcard::take_from_bytes::<(u64, u64, Envelope)>(rest) {
                Ok(((_, _, envelope), _)) => Ok(envelope),
                Err(_) => Err(SummaryError::Damaged),
            },
            _ => Err(SummaryError::Version),
        }
    }

    /// Reads only the sizes of stored bytes, of which the first [`SIZES_BYTES_MAX`] are enough.
    ///
    /// # Errors
    /// [`SummaryError`]: make the summary again from the message.
    pub fn decode_sizes(start: &[u8]) -> Result<Sizes, SummaryError> {
        match start.split_first() {
            Some((&VERSION, rest)) => match postcard::take_from_bytes::<(u64, u64)>(rest) {
                Ok(((size, crlf_size), _)) => Ok(Sizes { size, crlf_size }),
                Err(_) => Err(SummaryError::Damaged),
            },
            _ => Err(SummaryError::Version),
        }
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// [`SummaryError`]: make it again from the message.
    pub fn decode(bytes: &[u8]) -> Result<Self, SummaryError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => postcard::from_bytes(rest).map_err(|_| SummaryError::Damaged),
            _ => Err(SummaryError::Version),
        }
    }
}
