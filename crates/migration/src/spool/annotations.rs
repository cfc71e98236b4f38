//! Annotations. Keys are what they are about, the entry and the user, each with a zero behind it: `annotations.db` has
//! the ids of mailboxes (before 3.4 their names), `cyrus.annotations` in the folder of a mailbox has UIDs.
//!
//! A value is the length (32 bits), filled up to the length of a `long` of the machine (4 or 8 bytes), the text and a
//! zero, its type and a zero, a time as long as a `long`, and from 2.5 on a modseq (64 bits) and flags (8 bits, 1 of a
//! deleted one).

use std::collections::HashMap;
use std::path::Path;

use super::fields::Fields;
use super::{Bad, SpoolError, database};
use crate::cyrus::mailbox::Annotation;

/// Who stands for the owner of a mailbox.
const OWNER: &str = "[.OwNeR.]";
const DELETED: u8 = 1;

/// Annotations by what they are about.
pub type Annotations = HashMap<String, Vec<Annotation>>;

/// Reads a database; an empty one when there is none.
///
/// # Errors
/// [`SpoolError`].
pub fn read(path: &Path) -> Result<Annotations, SpoolError> {
    let (mut found, mut wrong) = (Annotations::new(), None);
    let mut take = |key: &[u8], value: &[u8]| match pair(key, value) {
        Ok(Some((about, annotation))) => found.entry(about).or_default().push(annotation),
        Ok(None) => {}
        Err(cause) => wrong = Some(cause),
    };
    database::read(path, &mut take)?;
    match wrong {
        Some(cause) => Err(SpoolError::damaged(path, cause)),
        None => Ok(found),
    }
}

/// The annotations of something whose owner is this one.
pub fn of(all: &Annotations, about: &str, owner: &str) -> Vec<Annotation> {
    let mut found = all.get(about).cloned().unwrap_or_default();
    found
        .iter_mut()
        .filter(|annotation| annotation.user == OWNER)
        .for_each(|annotation| owner.clone_into(&mut annotation.user));
    found
}

fn pair(key: &[u8], value: &[u8]) -> Result<Option<(String, Annotation)>, Bad> {
    let mut parts = key.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned());
    let (Some(about), Some(entry), Some(user)) = (parts.next(), parts.next(), parts.next()) else {
        return Ok(None);
    };
    let Some((value, modseq)) = text(value)? else { return Ok(None) };
    Ok(Some((about, Annotation { entry, user, modseq, value })))
}

fn text(bytes: &[u8]) -> Result<Option<(Vec<u8>, u64)>, Bad> {
    let fields = Fields(bytes);
    let length = fields.length(0)?;
    let is_there = |long: usize| fields.slice(long, length).is_ok() && bytes.get(long + length) == Some(&0);
    let is_long = fields.u32(4) == Ok(0) && is_there(8);
    let long = if is_long { 8 } else { 4 };
    if !is_there(long) {
        return Err(Bad("an annotation can't be read"));
    }
    let value = fields.slice(long, length)?.to_vec();
    let rest = &bytes[long + length + 1..];
    let kind = rest.iter().position(|byte| *byte == 0).ok_or(Bad("an annotation has no type"))?;
    let rest = Fields(&rest[kind + 1..]);
    if rest.0.get(long + 8).is_some_and(|flags| flags & DELETED != 0) {
        return Ok(None);
    }
    Ok(Some((value, rest.u64(long).unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(long: usize, text: &str, flags: Option<u8>) -> Vec<u8> {
        let mut out = (text.len() as u32).to_be_bytes().to_vec();
        out.resize(long, 0);
        out.extend(text.as_bytes());
        out.extend(b"\0text/plain\0");
        out.resize(out.len() + long, 0);
        if let Some(flags) = flags {
            out.extend(9_u64.to_be_bytes());
            out.push(flags);
        }
        out
    }

    #[test]
    fn values_of_all_machines_are_read() {
        let key = b"fq4c\0/comment\0[.OwNeR.]\0";
        for (long, flags, modseq) in [(8, Some(0), 9), (4, Some(0), 9), (8, None, 0), (4, None, 0)] {
            let (about, annotation) = pair(key, &made(long, "mine", flags)).unwrap().unwrap();
            assert_eq!((about.as_str(), annotation.entry.as_str()), ("fq4c", "/comment"));
            assert_eq!((annotation.value.as_slice(), annotation.modseq), (&b"mine"[..], modseq), "{long} {flags:?}");
            let all = Annotations::from([(about, vec![annotation])]);
            assert_eq!((of(&all, "fq4c", "ana")[0].user.as_str(), of(&all, "x", "ana").len()), ("ana", 0));
        }
        assert_eq!(pair(key, &made(8, "gone", Some(1))), Ok(None));
        let good = made(8, "mine", Some(0));
        for at in 0..20 {
            assert!(pair(key, &good[..at]).is_err());
        }
        let absurd = [&u32::MAX.to_be_bytes()[..], &[0; 20]].concat();
        assert!(pair(key, &absurd).is_err());
    }
}
