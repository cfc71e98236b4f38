//! Digests: two copies of a container are equal at one modseq when their digests are.

use std::fmt;

use serde::{Deserialize, Serialize};
use sterna_base::{ContainerId, Modseq};

use crate::{Container, Expunged, Item};

/// An order-free sum (mod 2^128) of a hash of each row. Kept in the commit that changes the rows, so that comparing two
/// copies costs nothing; a sum rather than XOR, because a row that was counted twice must not cancel itself.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Digest(pub u128);

impl Digest {
    /// Adds a row.
    pub fn add(&mut self, row: Digest) {
        self.0 = self.0.wrapping_add(row.0);
    }

    /// Takes a row away that was added before.
    pub fn remove(&mut self, row: Digest) {
        self.0 = self.0.wrapping_sub(row.0);
    }

    /// The hash of a live item: identity, flags, content, dates and name. Keyword bits count as bits; the keyword list
    /// itself is part of [`Digest::of_container`].
    pub fn of_item(item: &Item) -> Self {
        let mut hasher = RowHasher::new(b'i');
        hasher.number(item.container.0).number(u64::from(item.uid.0)).number(item.modseq.0);
        hasher.number(u64::from(item.flags.system)).bytes(&item.flags.keywords.to_le_bytes());
        hasher.bytes(&item.blob.0).number(item.size);
        hasher.number(item.internal_date.0 as u64).number(item.saved_at.0 as u64);
        hasher.optional(item.name.as_deref());
        // Only where there is one: digests from before there were any stay what they were.
        if item.object_uid.is_some() {
            hasher.optional(item.object_uid.as_deref());
        }
        hasher.finish()
    }

    /// The hash of a tombstone. What is retained does not count: one copy may have purged it a moment earlier.
    pub fn of_expunged(expunged: &Expunged) -> Self {
        let mut hasher = RowHasher::new(b'x');
        hasher.number(expunged.container.0).number(u64::from(expunged.uid.0)).number(expunged.modseq.0);
        hasher.finish()
    }

    /// The hash of a container's tombstone.
    pub fn of_deleted_container(id: ContainerId, modseq: Modseq) -> Self {
        let mut hasher = RowHasher::new(b'd');
        hasher.number(id.0).number(modseq.0);
        hasher.finish()
    }

    /// The hash of a container's own row, with the sum over its items inside.
    pub fn of_container(container: &Container) -> Self {
        let mut hasher = RowHasher::new(b'c');
        hasher.number(container.id.0).number(container.parent.map_or(0, |id| id.0));
        hasher.number(container.kind as u64).optional(Some(&container.name));
        hasher.number(container.special_use.map_or(0, |special_use| special_use as u64));
        hasher.number(u64::from(container.uid_validity.0)).number(u64::from(container.uid_next.0));
        hasher.number(container.highest_modseq.0).bytes(&container.digest.0.to_le_bytes());
        for keyword in &container.keywords {
            hasher.optional(Some(keyword.as_str()));
        }
        // Only where there is one: digests from before there were any stay what they were.
        if !container.acl.is_empty() {
            hasher.number(u64::MAX).optional(Some(&container.acl.to_string()));
        }
        hasher.finish()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl schemars::JsonSchema for Digest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Digest".into()
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-f]{1,32}$" })
    }
}

/// Hexadecimal text: JSON numbers end at 2^53.
impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Digest).map_err(serde::de::Error::custom)
    }
}

/// Feeds fields in an unambiguous form: numbers have a fixed width, texts carry their length.
struct RowHasher(blake3::Hasher);

impl RowHasher {
    fn new(kind: u8) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[kind]);
        RowHasher(hasher)
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    fn optional(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            None => self.number(u64::MAX),
            Some(text) => self.number(text.len() as u64).bytes(text.as_bytes()),
        }
    }

    fn finish(&self) -> Digest {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.0.finalize().as_bytes()[..16]);
        Digest(u128::from_le_bytes(bytes))
    }
}
