//! Flat files: a pair on each line, a tab between key and value. A byte of 255 announces one that could not stand
//! there: itself, or a tab, an end of line or a zero with the highest bit set.

use super::Visit;
use crate::spool::Bad;

/// What announces another byte.
const ESCAPE: u8 = 0xff;
/// What such a byte has in addition.
const ESCAPED: u8 = 0x80;

/// Gives all pairs. A last line without its end was never complete.
///
/// # Errors
/// [`Bad`] when it has bytes that no flat file has.
pub fn pairs(bytes: &[u8], visit: Visit<'_>) -> Result<(), Bad> {
    let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
        return if bytes.is_empty() { Ok(()) } else { Err(Bad("it is no database, or a torn one")) };
    };
    for line in bytes[..end].split(|byte| *byte == b'\n') {
        if line.contains(&0) {
            return Err(Bad("it is no database that is known"));
        }
        let tab = line.iter().position(|byte| *byte == b'\t').unwrap_or(line.len());
        visit(&decoded(&line[..tab]), &decoded(line.get(tab + 1..).unwrap_or_default()));
    }
    Ok(())
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let (mut found, mut rest) = (Vec::with_capacity(bytes.len()), bytes.iter());
    while let Some(byte) = rest.next() {
        match (*byte, rest.as_slice().first()) {
            (ESCAPE, Some(next)) => {
                found.push(if *next == ESCAPE { ESCAPE } else { next & !ESCAPED });
                rest.next();
            }
            (byte, _) => found.push(byte),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::spool::database::tests::{texts, torture};

    #[test]
    fn lines_are_pairs() {
        let file = b"user.ana\t0 default ana\tlrs\t\nuser.ana.x\xff\x89y\tv\xff\x8aw\nalone\nuser.b\tcut";
        let found = texts(file).unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let wanted = [pair("user.ana", "0 default ana\tlrs\t"), pair("user.ana.x\ty", "v\nw"), pair("alone", "")];
        assert_eq!(found, wanted);
        assert!(texts(b"no end").is_err() && texts(b"a\0b\tc\n").is_err());
        torture(file);
    }
}
