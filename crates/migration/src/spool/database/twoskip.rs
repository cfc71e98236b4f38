//! Twoskip files. A header of 64 bytes: magic of 20, version (4), generation, records, size at the last repack, size at
//! the last commit (8 each), flags (4), CRC-32 of all that (4). Then records, each at a multiple of eight:
//!
//! type (`=` the first one, `+` a pair, `-` the ghost of a deleted one, `$` a commit), level (1), key length (2), value
//! length (4), both again in 8 bytes where they are all ones, pointers (8 each, one more than the level), CRC-32 of
//! what came so far, CRC-32 of what follows, key, value, filled up with zeros.
//!
//! The lowest level has two pointers, and the higher one holds, unless it leads behind the last commit: so a
//! transaction that never ended is left out. Only this level is followed, and no further than a file can have records.

use super::Visit;
use crate::spool::Bad;
use crate::spool::fields::{Fields, crc32, rounded};

/// What they begin with.
pub const MAGIC: &[u8] = b"\xa1\x02\x8b\x0dtwoskip file\0\0\0\0";

const HEADER_BYTES: usize = 64;
const VERSION_AT: usize = 20;
const RECORDS_AT: usize = 32;
const SIZE_AT: usize = 48;
const CRC_AT: usize = 60;
const LEVELS_MAX: usize = 31;
/// The shortest record: a ghost.
const RECORD_BYTES_MIN: usize = 24;

struct Record<'a> {
    kind: u8,
    key: &'a [u8],
    value: &'a [u8],
    next: usize,
}

/// Gives all pairs, in their order.
///
/// # Errors
/// [`Bad`].
pub fn pairs(bytes: &[u8], visit: Visit<'_>) -> Result<(), Bad> {
    let fields = Fields(bytes);
    if fields.u32(CRC_AT)? != crc32(&[fields.slice(0, CRC_AT)?]) {
        return Err(Bad("its header has another sum"));
    }
    if fields.u32(VERSION_AT)? != 1 {
        return Err(Bad("it is a twoskip file of another version"));
    }
    let size = fields.long_length(SIZE_AT)?;
    let committed = Fields(bytes.get(..size).ok_or(Bad("it is shorter than its last commit"))?);
    let first = record(committed, HEADER_BYTES)?;
    if first.kind != b'=' {
        return Err(Bad("it has no first record"));
    }
    let (mut next, mut steps, mut count) = (first.next, size / RECORD_BYTES_MIN, 0_u64);
    while next != 0 {
        steps = steps.checked_sub(1).ok_or(Bad("its records go round in circles"))?;
        let found = record(committed, next)?;
        match found.kind {
            b'+' => {
                visit(found.key, found.value);
                count += 1;
            }
            b'-' => {}
            _ => return Err(Bad("a record is of no known type")),
        }
        next = found.next;
    }
    if count < fields.u64(RECORDS_AT)? { Err(Bad("it has fewer records than it says")) } else { Ok(()) }
}

fn record(fields: Fields<'_>, start: usize) -> Result<Record<'_>, Bad> {
    let head = fields.slice(start, 8)?;
    let (kind, level) = (head[0], usize::from(head[1]));
    if level > LEVELS_MAX {
        return Err(Bad("a record has too many levels"));
    }
    let mut at = start + 8;
    let mut length = |short: usize, is_long: bool| {
        if !is_long {
            return Ok(short);
        }
        at += 8;
        fields.long_length(at - 8)
    };
    let (short_key, short_value) = (fields.u16(start + 2)?, fields.u32(start + 4)?);
    let key_length = length(usize::from(short_key), short_key == u16::MAX)?;
    let value_length = length(short_value as usize, short_value == u32::MAX)?;
    let (first, end) = (fields.long_length(at)?, fields.0.len());
    // A ghost has one pointer.
    let next = if level == 0 {
        first
    } else {
        let second = fields.long_length(at + 8)?;
        [first, second].into_iter().filter(|pointer| *pointer < end).max().unwrap_or(0)
    };
    let sums = at + 8 * (level + 1);
    if fields.u32(sums)? != crc32(&[fields.slice(start, sums - start)?]) {
        return Err(Bad("a record's head has another sum"));
    }
    let both = key_length.checked_add(value_length).ok_or(Bad("a length is absurd"))?;
    let tail = fields.slice(sums + 8, rounded(both, 8)?)?;
    if fields.u32(sums + 4)? != crc32(&[tail]) {
        return Err(Bad("a record's key or value has another sum"));
    }
    Ok(Record { kind, key: &tail[..key_length], value: &tail[key_length..both], next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::database::tests::{texts, torture};

    fn made(kind: u8, key: &str, value: &str, pointers: &[u64]) -> Vec<u8> {
        let mut head = vec![kind, pointers.len() as u8 - 1];
        head.extend((key.len() as u16).to_be_bytes());
        head.extend((value.len() as u32).to_be_bytes());
        pointers.iter().for_each(|pointer| head.extend(pointer.to_be_bytes()));
        let mut tail = [key.as_bytes(), value.as_bytes()].concat();
        tail.resize(tail.len().next_multiple_of(8), 0);
        let sums = [crc32(&[&head]).to_be_bytes(), crc32(&[&tail]).to_be_bytes()].concat();
        [head, sums, tail].concat()
    }

    fn file(records: &[Vec<u8>], count: u64, uncommitted: &[u8]) -> Vec<u8> {
        let body = records.concat();
        let mut header = MAGIC.to_vec();
        header.extend(1_u32.to_be_bytes());
        for number in [1, count, 0, (HEADER_BYTES + body.len()) as u64] {
            header.extend(number.to_be_bytes());
        }
        header.extend(1_u32.to_be_bytes());
        let sum = crc32(&[&header]);
        header.extend(sum.to_be_bytes());
        [header, body, uncommitted.to_vec()].concat()
    }

    /// The first record, `a`, a ghost, `b`; and `c`, which was never committed.
    fn example(count: u64, loops: bool) -> Vec<u8> {
        let first = HEADER_BYTES as u64;
        let a = first + made(b'=', "", "", &[0; 32]).len() as u64;
        let ghost = a + made(b'+', "a", "11111111", &[0, 0]).len() as u64;
        let b = ghost + made(b'-', "", "", &[0]).len() as u64;
        let c = b + made(b'+', "b", "2", &[0, 0, 0]).len() as u64;
        let mut pointers = [0; 32];
        pointers[1] = a;
        let last = if loops { a } else { 0 };
        let records = [
            made(b'=', "", "", &pointers),
            made(b'+', "a", "11111111", &[0, ghost]),
            made(b'-', "", "", &[b]),
            made(b'+', "b", "2", &[c, last, 0]),
        ];
        file(&records, count, &made(b'+', "c", "3", &[0, 0]))
    }

    #[test]
    fn what_is_committed_is_found() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let wanted = Ok(vec![pair("a", "11111111"), pair("b", "2")]);
        assert_eq!(texts(&example(2, false)), wanted);
        torture(&example(2, false));
    }

    #[test]
    fn what_is_no_twoskip_is_refused() {
        assert_eq!(texts(&example(2, true)), Err(Bad("its records go round in circles")));
        assert_eq!(texts(&example(3, false)), Err(Bad("it has fewer records than it says")));
        let mut wrong = example(2, false);
        let at = wrong.windows(8).position(|window| window == b"11111111").unwrap();
        wrong[at] = b'2';
        assert_eq!(texts(&wrong), Err(Bad("a record's key or value has another sum")));
        assert!(texts(&example(2, false)[..200]).is_err());
    }
}
