//! Skiplist files. A header of 48 bytes: magic of 20, version, minor version, highest level, current level, records,
//! where the log begins, last recovery (4 bytes each). Then records; keys and values are filled up to multiples of
//! four:
//!
//! - `INORDER` (1), `ADD` (2), `DUMMY` (257): type, key length, key, value length, value, pointers, and -1;
//! - `DELETE` (4): type, and where the record is that is deleted;
//! - `COMMIT` (255): what came since the last one holds.
//!
//! Up to the beginning of the log is what the last checkpoint wrote; the rest is done again here, and what no `COMMIT`
//! follows is left out, as recovery does it. Pointers are never followed: so they can neither lead astray nor in
//! circles.

use std::collections::BTreeMap;

use super::Visit;
use crate::spool::Bad;
use crate::spool::fields::{Fields, rounded};

/// What they begin with.
pub const MAGIC: &[u8] = b"\xa1\x02\x8b\x0dskiplist file\0\0\0";

const HEADER_BYTES: usize = 48;
const VERSION_AT: usize = 20;
const LOG_AT: usize = 40;
/// Levels that a record can have.
const LEVELS_MAX: usize = 20;

const INORDER: u32 = 1;
const ADD: u32 = 2;
const DELETE: u32 = 4;
const COMMIT: u32 = 255;
const DUMMY: u32 = 257;

/// A record: where it ends, and what it does.
enum Step<'a> {
    Put(&'a [u8], &'a [u8]),
    Delete(usize),
    Commit,
    Nothing,
}

/// Gives all pairs.
///
/// # Errors
/// [`Bad`].
pub fn pairs(bytes: &[u8], visit: Visit<'_>) -> Result<(), Bad> {
    let fields = Fields(bytes);
    if fields.u32(VERSION_AT)? != 1 {
        return Err(Bad("it is a skiplist file of another version"));
    }
    let log = fields.length(LOG_AT)?;
    if log < HEADER_BYTES || log > bytes.len() {
        return Err(Bad("its log begins nowhere"));
    }
    let (mut found, mut waiting, mut at) = (BTreeMap::new(), Vec::new(), HEADER_BYTES);
    while at < bytes.len() {
        let is_log = at >= log;
        let (step, next) = match step(fields, at) {
            Ok(done) => done,
            // A torn tail was never committed.
            Err(_) if is_log => break,
            Err(error) => return Err(error),
        };
        match step {
            Step::Commit => apply(&mut found, fields, &mut waiting)?,
            Step::Nothing => {}
            step => waiting.push(step),
        }
        if !is_log && next >= log {
            apply(&mut found, fields, &mut waiting)?;
        }
        at = next;
    }
    for (key, value) in found {
        visit(key, value);
    }
    Ok(())
}

fn apply<'a>(
    found: &mut BTreeMap<&'a [u8], &'a [u8]>,
    fields: Fields<'a>,
    steps: &mut Vec<Step<'a>>,
) -> Result<(), Bad> {
    for step in steps.drain(..) {
        match step {
            Step::Put(key, value) => {
                found.insert(key, value);
            }
            Step::Delete(place) => match self::step(fields, place)?.0 {
                Step::Put(key, _) => {
                    found.remove(key);
                }
                _ => return Err(Bad("it deletes what is no record")),
            },
            Step::Commit | Step::Nothing => {}
        }
    }
    Ok(())
}

fn step(fields: Fields<'_>, at: usize) -> Result<(Step<'_>, usize), Bad> {
    match fields.u32(at)? {
        COMMIT => Ok((Step::Commit, at + 4)),
        DELETE => Ok((Step::Delete(fields.length(at + 4)?), at + 8)),
        kind @ (INORDER | ADD | DUMMY) => {
            let key_length = fields.length(at + 4)?;
            let key = fields.slice(at + 8, key_length)?;
            let value_at = at + 8 + rounded(key_length, 4)?;
            let value_length = fields.length(value_at)?;
            let value = fields.slice(value_at + 4, value_length)?;
            let pointers = value_at + 4 + rounded(value_length, 4)?;
            for level in 0..=LEVELS_MAX {
                if fields.u32(pointers + 4 * level)? == u32::MAX {
                    let step = if kind == DUMMY { Step::Nothing } else { Step::Put(key, value) };
                    return Ok((step, pointers + 4 * (level + 1)));
                }
            }
            Err(Bad("a record has no end"))
        }
        _ => Err(Bad("a record is of no known type")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::database::tests::{texts, torture};

    fn padded(bytes: &[u8]) -> Vec<u8> {
        let mut out = (bytes.len() as u32).to_be_bytes().to_vec();
        out.extend_from_slice(bytes);
        out.resize(4 + bytes.len().next_multiple_of(4), 0);
        out
    }

    fn record(kind: u32, key: &str, value: &str, levels: u32) -> Vec<u8> {
        let mut out = kind.to_be_bytes().to_vec();
        out.extend(padded(key.as_bytes()));
        out.extend(padded(value.as_bytes()));
        (0..levels).for_each(|level| out.extend(level.to_be_bytes()));
        out.extend(u32::MAX.to_be_bytes());
        out
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn file(checkpoint: &[Vec<u8>], log: &[Vec<u8>]) -> Vec<u8> {
        let start = HEADER_BYTES + checkpoint.iter().map(Vec::len).sum::<usize>();
        let header = words(&[1, 2, 20, 3, 2, start as u32, 0]);
        [MAGIC.to_vec(), header, checkpoint.concat(), log.concat()].concat()
    }

    #[test]
    fn what_is_committed_is_found() {
        let checkpoint = [record(DUMMY, "", "", 20), record(INORDER, "a", "1", 2), record(INORDER, "b", "22222", 1)];
        let b = (HEADER_BYTES + checkpoint[0].len() + checkpoint[1].len()) as u32;
        let log = [
            record(ADD, "c", "3", 1),
            words(&[COMMIT]),
            words(&[DELETE, b]),
            record(ADD, "b", "4", 1),
            words(&[COMMIT]),
            words(&[DELETE, HEADER_BYTES as u32 + checkpoint[0].len() as u32]),
            record(ADD, "d", "never", 1),
        ];
        let file = file(&checkpoint, &log);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let wanted = vec![pair("a", "1"), pair("b", "4"), pair("c", "3")];
        assert_eq!(texts(&file), Ok(wanted.clone()));
        // The tail of a crash.
        assert_eq!(texts(&file[..file.len() - 5]), Ok(wanted));
        torture(&file);
    }

    #[test]
    fn what_is_no_skiplist_is_refused() {
        let dummy = record(DUMMY, "", "", 20);
        let absurd = [words(&[INORDER, u32::MAX - 2]), vec![0; 64]].concat();
        for bad in [
            file(&[dummy.clone(), absurd], &[]),
            file(&[dummy.clone(), words(&[77])], &[]),
            file(std::slice::from_ref(&dummy), &[words(&[DELETE, 4, COMMIT])]),
            file(&[dummy.clone(), record(INORDER, "a", "1", 30)], &[]),
            MAGIC.to_vec(),
        ] {
            assert!(texts(&bad).is_err());
        }
        let mut beyond = file(&[dummy], &[]);
        beyond[LOG_AT..LOG_AT + 4].copy_from_slice(&[0x7f, 0, 0, 0]);
        assert!(texts(&beyond).is_err());
    }
}
