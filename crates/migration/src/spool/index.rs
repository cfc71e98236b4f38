//! `cyrus.index`: a header and a record of fixed length for each message, in the order of UIDs, expunged ones among
//! them as long as they are remembered. All numbers have 32 bits unless said otherwise.
//!
//! Header: 8 minor version, 12 where records begin, 16 their length, 20 how many, 24 last append, 28 last UID,
//! 40 last POP3 log-in, 44 UIDVALIDITY, 60 options, 68 highest modseq (64 bits), 100 sum of the records,
//! 104 recent UID, 108 recent time, 112 POP3 shows from, 120 sum of annotations, 128 modseq at creation (64 bits, from
//! version 16), at the end a CRC-32 from version 12 on.
//!
//! Record: 0 UID, 4 INTERNALDATE, 8 date, 12 size, 28 changed last, 32 flags, 36 keywords (128 bits), 52 saved (from
//! version 15), 60 SHA-1 (20 bytes), 80 modseq (64 bits), 88 thread (64 bits, from version 13), 96 modseq at creation
//! (64 bits, from version 16), at the end a CRC-32 from version 12 on.

use super::Bad;
use super::fields::{Fields, crc32};

/// Versions that have these places.
const VERSIONS: std::ops::RangeInclusive<u32> = 10..=19;
/// The shortest header and record of them.
const HEADER_BYTES_MIN: usize = 96;
const RECORD_BYTES_MIN: usize = 88;
/// The longest of either.
const PART_BYTES_MAX: usize = 4096;
/// From which version on there are sums over header and records.
const SUMMED: u32 = 12;

/// Flags of a record, from the lowest bit.
const SYSTEM: [(u32, &str); 5] =
    [(1 << 2, "\\Deleted"), (1 << 0, "\\Answered"), (1 << 1, "\\Flagged"), (1 << 3, "\\Draft"), (1 << 4, "\\Seen")];
const ARCHIVED: u32 = 1 << 29;
const EXPUNGED: u32 = 1 << 31;

/// An index.
#[derive(Clone, Debug)]
pub struct Index {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
    count: usize,
    /// Its version.
    pub version: u32,
    /// UIDs up to this one were given.
    pub last_uid: u32,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// HIGHESTMODSEQ.
    pub highest_modseq: u64,
    /// Bits.
    pub options: u32,
    /// The sums that Cyrus noted.
    pub sums: (u32, u32),
    /// Further numbers, by the names that replication has for them.
    pub numbers: Vec<(&'static str, u64)>,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its UID.
    pub uid: u32,
    /// INTERNALDATE.
    pub internal_date: u32,
    /// Its length.
    pub size: u32,
    /// When it changed last.
    pub last_updated: u32,
    /// Bits of the system.
    pub flags: u32,
    /// Bits of keywords.
    pub keywords: u128,
    /// When it came into the mailbox.
    pub saved: u32,
    /// Its SHA-1.
    pub guid: [u8; 20],
    /// When it changed last, in modseqs.
    pub modseq: u64,
    /// Its thread.
    pub thread: u64,
    /// The modseq with which it came.
    pub created_modseq: u64,
}

impl Entry {
    /// Whether it is only remembered.
    pub fn is_expunged(&self) -> bool {
        self.flags & EXPUNGED != 0
    }

    /// Whether its file is on the archive partition.
    pub fn is_archived(&self) -> bool {
        self.flags & ARCHIVED != 0
    }

    /// Its flags by name, in the order in which replication tells them.
    pub fn flag_names(&self, keywords: &[Option<String>]) -> Vec<String> {
        let is_set = |(bit, name): &(u32, &str)| (self.flags & bit != 0).then(|| (*name).to_owned());
        let mut names: Vec<String> = SYSTEM[..4].iter().filter_map(is_set).collect();
        if self.is_expunged() {
            names.push("\\Expunged".to_owned());
        }
        names.extend(SYSTEM[4..].iter().filter_map(is_set));
        let own =
            keywords.iter().enumerate().filter(|(bit, _)| self.keywords.checked_shr(*bit as u32).unwrap_or(0) & 1 == 1);
        names.extend(own.filter_map(|(_, name)| name.clone()));
        names
    }
}

impl Index {
    /// Takes a file; its records are looked at when they are asked for.
    ///
    /// # Errors
    /// [`Bad`].
    pub fn read(bytes: Vec<u8>) -> Result<Self, Bad> {
        let fields = Fields(&bytes);
        let version = fields.u32(8)?;
        if !VERSIONS.contains(&version) {
            return Err(Bad("its version is none of 10 to 19"));
        }
        let (start, length, count) = (fields.length(12)?, fields.length(16)?, fields.length(20)?);
        if !(HEADER_BYTES_MIN..=PART_BYTES_MAX).contains(&start)
            || !(RECORD_BYTES_MIN..=PART_BYTES_MAX).contains(&length)
        {
            return Err(Bad("its header or its records have an absurd length"));
        }
        let end = count.checked_mul(length).and_then(|all| all.checked_add(start));
        if end.is_none_or(|end| end > bytes.len()) {
            return Err(Bad("it has fewer records than it says"));
        }
        if version >= SUMMED && fields.u32(start - 4)? != crc32(&[fields.slice(0, start - 4)?]) {
            return Err(Bad("its header has another sum"));
        }
        // What a header of this version has no room for is zero.
        let small = |at: usize| if at + 4 < start { fields.u32(at) } else { Ok(0) };
        let mut numbers = vec![
            ("RECENTUID", u64::from(small(104)?)),
            ("RECENTTIME", u64::from(small(108)?)),
            ("LAST_APPENDDATE", u64::from(small(24)?)),
            ("POP3_LAST_LOGIN", u64::from(small(40)?)),
            ("POP3_SHOW_AFTER", u64::from(small(112)?)),
        ];
        if version >= 16 && start > 136 {
            numbers.extend(Some(("CREATEDMODSEQ", fields.u64(128)?)).filter(|(_, modseq)| *modseq > 0));
        }
        let sums = (small(100)?, small(120)?);
        let (last_uid, uid_validity, options) = (fields.u32(28)?, fields.u32(44)?, fields.u32(60)?);
        let highest_modseq = fields.u64(68)?;
        Ok(Index {
            bytes,
            start,
            length,
            count,
            version,
            last_uid,
            uid_validity,
            highest_modseq,
            options,
            sums,
            numbers,
        })
    }

    /// How many records it has.
    pub fn count(&self) -> usize {
        self.count
    }

    /// All records, by UID. The first error is the last item.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry, Bad>> + '_ {
        let (mut before, mut is_over) = (0, false);
        (0..self.count).map_while(move |at| {
            if is_over {
                return None;
            }
            let entry = self.entry(at).and_then(|entry| match entry.uid > before {
                true => Ok(entry),
                false => Err(Bad("its records are out of order")),
            });
            match &entry {
                Ok(entry) => before = entry.uid,
                Err(_) => is_over = true,
            }
            Some(entry)
        })
    }

    fn entry(&self, at: usize) -> Result<Entry, Bad> {
        let record = Fields(&self.bytes).slice(self.start + at * self.length, self.length)?;
        let (fields, sum_at) = (Fields(record), self.length - 4);
        if self.version >= SUMMED && fields.u32(sum_at)? != crc32(&[&record[..sum_at]]) {
            return Err(Bad("a record has another sum"));
        }
        let words = [fields.u32(36)?, fields.u32(40)?, fields.u32(44)?, fields.u32(48)?];
        let keywords = words.iter().rev().fold(0, |all, word| (all << 32) | u128::from(*word));
        let since = |version: u32, at: usize| if self.version >= version { fields.u64(at) } else { Ok(0) };
        Ok(Entry {
            uid: fields.u32(0)?,
            internal_date: fields.u32(4)?,
            size: fields.u32(12)?,
            last_updated: fields.u32(28)?,
            flags: fields.u32(32)?,
            keywords,
            saved: if self.version >= 15 { fields.u32(52)? } else { 0 },
            guid: fields.slice(60, 20)?.try_into().map_err(|_| Bad("it ends too early"))?,
            modseq: fields.u64(80)?,
            thread: since(13, 88)?,
            created_modseq: since(16, 96)?,
        })
    }

    /// Options as letters.
    pub fn option_letters(&self) -> String {
        let letters = [(1, 'P'), (1 << 2, 'S'), (1 << 3, 'D'), (1 << 4, 'A')];
        letters.into_iter().filter(|(bit, _)| self.options & bit != 0).map(|(_, letter)| letter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(bytes: &mut [u8], at: usize, number: u32) {
        bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }

    fn record(version: u32, uid: u32) -> Vec<u8> {
        let mut record = vec![0; if version >= 16 { 112 } else { 96 }];
        for (at, number) in
            [(0, uid), (4, 1_000), (12, 28), (28, 2_000), (32, EXPUNGED | 1 << 4), (36, 2), (48, 1 << 31)]
        {
            put(&mut record, at, number);
        }
        put(&mut record, 84, 9);
        summed(record)
    }

    fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
        let at = bytes.len() - 4;
        let sum = crc32(&[&bytes[..at]]);
        put(&mut bytes, at, sum);
        bytes
    }

    fn file(version: u32, uids: &[u32]) -> Vec<u8> {
        let records: Vec<Vec<u8>> = uids.iter().map(|uid| record(version, *uid)).collect();
        let mut header = vec![0; if version >= 14 { 160 } else { 128 }];
        let (start, length) = (header.len() as u32, records.first().map_or(112, Vec::len) as u32);
        for (at, number) in
            [(8, version), (12, start), (16, length), (20, uids.len() as u32), (28, 7), (44, 5), (60, 9)]
        {
            put(&mut header, at, number);
        }
        put(&mut header, 72, 11);
        [summed(header), records.concat()].concat()
    }

    #[test]
    fn header_and_records_are_read() {
        for version in [12, 17] {
            let index = Index::read(file(version, &[3, 7])).unwrap();
            assert_eq!((index.last_uid, index.uid_validity, index.highest_modseq, index.count()), (7, 5, 11, 2));
            assert_eq!(index.option_letters(), "PD");
            let entries: Vec<Entry> = index.entries().map(Result::unwrap).collect();
            assert_eq!((entries[0].uid, entries[1].uid, entries[0].size, entries[0].modseq), (3, 7, 28, 9));
            let mut keywords = vec![None; 128];
            keywords[1] = Some("b".to_owned());
            keywords[127] = Some("z".to_owned());
            assert_eq!(entries[0].flag_names(&keywords), ["\\Expunged", "\\Seen", "b", "z"]);
            assert_eq!(entries[0].flag_names(&[]), ["\\Expunged", "\\Seen"]);
        }
    }

    #[test]
    fn what_is_damaged_is_named() {
        let bad = |index: Index| index.entries().find_map(Result::err);
        let good = file(17, &[3, 7]);
        let mut wrong = good.clone();
        wrong[170] ^= 1;
        assert_eq!(bad(Index::read(wrong).unwrap()), Some(Bad("a record has another sum")));
        assert_eq!(bad(Index::read(file(17, &[7, 3])).unwrap()), Some(Bad("its records are out of order")));
        assert_eq!(bad(Index::read(file(17, &[0])).unwrap()), Some(Bad("its records are out of order")));
        let mut header = good.clone();
        header[30] ^= 1;
        assert!(Index::read(header).is_err() && Index::read(good[..good.len() - 1].to_vec()).is_err());
        assert!(Index::read(file(20, &[])).is_err() && Index::read(Vec::new()).is_err());
        for at in 0..24 {
            for byte in [0, 0x7f, 0xff] {
                let mut changed = file(11, &[3]);
                changed[at] = byte;
                let _ = Index::read(changed).map(|index| index.entries().count());
            }
        }
    }
}
