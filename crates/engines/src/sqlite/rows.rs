//! Rows of the tables as the types of the model.

use rusqlite::Row;
use sterna_account::follow::Progress;
use sterna_account::{
    Container, ContainerKind, Counts, Cursor, Digest, Expunged, Flags, Head, Item, ItemFlags, Keyword, Quota, Retained,
    Role, SpecialUse,
};
use sterna_base::{AccountId, BlobHash, ContainerId, Epoch, Modseq, Timestamp, Uid, UidValidity};

use crate::settle::Equality;

/// Columns of [`container`].
pub const CONTAINER: &str = "container, parent, kind, name, special_use, uid_validity, uid_next, modseq, \
     highest_modseq, items, bytes, unseen, deleted, deleted_bytes, keywords, digest, acl";

/// Columns of [`item_flags`].
pub const ITEM_FLAGS: &str = "uid, modseq, flags, keywords_low, keywords_high";

/// Columns of [`item`]; `i` is the item, `b` its blob.
pub const ITEM: &str = "i.container, i.uid, i.modseq, i.flags, i.keywords_low, i.keywords_high, i.size, \
     i.internal_date, i.saved_at, i.name, i.blob, b.hash, i.object_uid";

/// How many they are.
pub const ITEM_COLUMNS: usize = 13;

/// Columns of [`expunged`]; `e` is the tombstone, `b` the blob that is retained.
pub const EXPUNGED: &str = "e.container, e.uid, e.modseq, e.expunged_at, e.size, e.flags, e.keywords_low, \
     e.keywords_high, e.internal_date, e.name, b.hash";

type Result<T> = rusqlite::Result<T>;

/// SQL integers have a sign and ours do not; all our values stay below 2^63.
pub fn sql(number: u64) -> i64 {
    number.cast_signed()
}

fn number(row: &Row<'_>, column: usize) -> Result<u64> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

fn uid(row: &Row<'_>, column: usize) -> Result<Uid> {
    Ok(Uid(row.get(column)?))
}

fn damaged(column: usize, what: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, what.to_owned().into())
}

/// A digest column.
pub fn digest(row: &Row<'_>, column: usize) -> Result<Digest> {
    let bytes: [u8; 16] = row.get(column)?;
    Ok(Digest(u128::from_le_bytes(bytes)))
}

/// The value of a digest column.
pub fn digest_column(digest: Digest) -> Vec<u8> {
    digest.0.to_le_bytes().to_vec()
}

/// A hash column.
pub fn hash(row: &Row<'_>, column: usize) -> Result<BlobHash> {
    Ok(BlobHash(row.get(column)?))
}

/// Flags from their column and the two after it.
pub fn flags(row: &Row<'_>, column: usize) -> Result<Flags> {
    let (low, high) = (number(row, column + 1)?, number(row, column + 2)?);
    Ok(Flags { system: row.get(column)?, keywords: u128::from(high) << 64 | u128::from(low) })
}

/// The two columns of keywords.
pub fn keyword_columns(flags: Flags) -> (i64, i64) {
    (sql(flags.keywords as u64), sql((flags.keywords >> 64) as u64))
}

/// The numbers that an account gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Of the next container.
    pub next_container: u64,
    /// Of the next blob.
    pub next_blob: u64,
    /// The last one given.
    pub last_uid_validity: u64,
    /// Of the last operation.
    pub operations: u64,
}

/// Columns of [`head`].
pub const ACCOUNT: &str = "account, modseq, epoch, role, next_container, next_blob, last_uid_validity, bytes_max, \
     items_max, bytes_used, items_used, digest, operations";

/// The row of the account.
pub fn head(row: &Row<'_>) -> Result<(Head, Numbers)> {
    let limit = |column: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned));
    let role = Role::from_number(row.get(3)?).ok_or_else(|| damaged(3, "an unknown role"))?;
    let quota =
        Quota { bytes_max: limit(7)?, items_max: limit(8)?, bytes_used: number(row, 9)?, items_used: number(row, 10)? };
    let head = Head {
        account: AccountId(number(row, 0)?),
        modseq: Modseq(number(row, 1)?),
        epoch: Epoch(number(row, 2)?),
        role,
        quota,
        digest: digest(row, 11)?,
    };
    let numbers = Numbers {
        next_container: number(row, 4)?,
        next_blob: number(row, 5)?,
        last_uid_validity: number(row, 6)?,
        operations: number(row, 12)?,
    };
    Ok((head, numbers))
}

/// How far a follower is, and whether it was its source: columns modseq, container, uid, answers, is_equal.
pub fn progress(row: &Row<'_>) -> Result<(Progress, Equality)> {
    let (modseq, container) = (Modseq(number(row, 0)?), ContainerId(number(row, 1)?));
    let rows = Cursor { modseq, container, uid: uid(row, 2)? };
    let equality = Equality::from_number(row.get(4)?).ok_or_else(|| damaged(4, "an unknown equality"))?;
    Ok((Progress { rows, answers: number(row, 3)? }, equality))
}

/// A container.
pub fn container(row: &Row<'_>) -> Result<Container> {
    let parent = number(row, 1)?;
    let keywords: String = row.get(14)?;
    let keywords = keywords.split_ascii_whitespace().map(Keyword::new).collect::<std::result::Result<_, _>>();
    Ok(Container {
        id: ContainerId(number(row, 0)?),
        parent: (parent != 0).then_some(ContainerId(parent)),
        kind: ContainerKind::from_number(row.get(2)?).ok_or_else(|| damaged(2, "an unknown kind"))?,
        name: row.get(3)?,
        special_use: SpecialUse::from_number(row.get(4)?),
        uid_validity: UidValidity(row.get(5)?),
        uid_next: uid(row, 6)?,
        modseq: Modseq(number(row, 7)?),
        highest_modseq: Modseq(number(row, 8)?),
        counts: Counts {
            items: number(row, 9)?,
            bytes: number(row, 10)?,
            unseen: number(row, 11)?,
            deleted: number(row, 12)?,
            deleted_bytes: number(row, 13)?,
        },
        keywords: keywords.map_err(|_| damaged(14, "an invalid keyword"))?,
        digest: digest(row, 15)?,
        acl: row.get::<_, String>(16)?.parse().map_err(|_| damaged(16, "an invalid list of rights"))?,
    })
}

/// The narrow row of an item.
pub fn item_flags(row: &Row<'_>) -> Result<ItemFlags> {
    Ok(ItemFlags { uid: uid(row, 0)?, modseq: Modseq(number(row, 1)?), flags: flags(row, 2)? })
}

/// An item, and the number of its blob.
pub fn item(row: &Row<'_>) -> Result<(Item, i64)> {
    let item = Item {
        container: ContainerId(number(row, 0)?),
        uid: uid(row, 1)?,
        modseq: Modseq(number(row, 2)?),
        flags: flags(row, 3)?,
        blob: hash(row, 11)?,
        size: number(row, 6)?,
        internal_date: Timestamp(row.get(7)?),
        saved_at: Timestamp(row.get(8)?),
        name: row.get(9)?,
        object_uid: row.get(12)?,
        summary: None,
        body: None,
    };
    Ok((item, row.get(10)?))
}

/// A tombstone.
pub fn expunged(row: &Row<'_>) -> Result<Expunged> {
    let blob: Option<[u8; 32]> = row.get(10)?;
    let retained = match blob {
        None => None,
        Some(hash) => Some(Retained {
            blob: BlobHash(hash),
            size: number(row, 4)?,
            flags: flags(row, 5)?,
            internal_date: Timestamp(row.get(8)?),
            name: row.get(9)?,
        }),
    };
    Ok(Expunged {
        container: ContainerId(number(row, 0)?),
        uid: uid(row, 1)?,
        modseq: Modseq(number(row, 2)?),
        expunged_at: Timestamp(row.get(3)?),
        retained,
    })
}
