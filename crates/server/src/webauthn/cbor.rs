//! As much of CBOR (RFC 8949) as authenticators send: definite lengths only (CTAP2's canonical form).

/// How deep values lie in each other; CTAP2 allows four.
const DEPTH_MAX: usize = 4;

/// Entries of one list or map.
const ENTRIES_MAX: u64 = 64;

/// A value. What nobody asks for is read over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Major types 0 and 1.
    Number(i64),
    /// Major type 2.
    Bytes(&'a [u8]),
    /// Major type 3.
    Text(&'a str),
    /// Major type 5.
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// Lists and simple values.
    Other,
}

impl<'a> Value<'a> {
    /// What a map has under a key.
    pub fn get(&self, key: &Value<'_>) -> Option<&Value<'a>> {
        let Value::Map(entries) = self else { return None };
        entries.iter().find(|(found, _)| found == key).map(|(_, value)| value)
    }

    /// The bytes.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The number.
    pub fn number(&self) -> Option<i64> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// Reads one value; gives what follows it, too. `None` is what can't be read.
pub fn read(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    value(bytes, DEPTH_MAX)
}

fn value(bytes: &[u8], depth: usize) -> Option<(Value<'_>, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (argument, rest) = argument(first & 0x1f, rest)?;
    match first >> 5 {
        0 => Some((Value::Number(i64::try_from(argument).ok()?), rest)),
        1 => Some((Value::Number(-1 - i64::try_from(argument).ok()?), rest)),
        2 => {
            let (bytes, rest) = rest.split_at_checked(usize::try_from(argument).ok()?)?;
            Some((Value::Bytes(bytes), rest))
        }
        3 => {
            let (text, rest) = rest.split_at_checked(usize::try_from(argument).ok()?)?;
            Some((Value::Text(std::str::from_utf8(text).ok()?), rest))
        }
        4 if argument <= ENTRIES_MAX => {
            let mut rest = rest;
            for _ in 0..argument {
                rest = value(rest, depth.checked_sub(1)?)?.1;
            }
            Some((Value::Other, rest))
        }
        5 if argument <= ENTRIES_MAX => {
            let (mut entries, mut rest) = (Vec::new(), rest);
            for _ in 0..argument {
                let (key, after) = value(rest, depth.checked_sub(1)?)?;
                let (found, after) = value(after, depth.checked_sub(1)?)?;
                // A key that comes twice could be read as either.
                if entries.iter().any(|(known, _)| *known == key) {
                    return None;
                }
                entries.push((key, found));
                rest = after;
            }
            Some((Value::Map(entries), rest))
        }
        7 => Some((Value::Other, rest)),
        _ => None,
    }
}

/// The number in the head of a value.
fn argument(short: u8, rest: &[u8]) -> Option<(u64, &[u8])> {
    let length = match short {
        0..=23 => return Some((u64::from(short), rest)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let (bytes, rest) = rest.split_at_checked(length)?;
    Some((bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        let bytes = [0xa2, 0x01, 0x26, 0x63, b'f', b'm', b't', 0x42, 1, 2, 0xff];
        let (map, rest) = read(&bytes).unwrap();
        assert_eq!(map.get(&Value::Number(1)), Some(&Value::Number(-7)));
        assert_eq!(map.get(&Value::Text("fmt")).and_then(Value::bytes), Some(&[1, 2][..]));
        assert_eq!(rest, [0xff]);
        assert_eq!(read(&[0x19, 0x01, 0x00]), Some((Value::Number(256), &[][..])));
        assert_eq!(read(&[0x82, 0x01, 0xf5, 0x07]), Some((Value::Other, &[0x07][..])));
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in [
            &[][..],
            &[0x42, 1],
            &[0x19, 1],
            &[0x5f, 0x41, 1, 0xff],
            &[0xbf, 0xff],
            &[0x61, 0xff],
            &[0xa2, 1, 1, 1, 1],
            &[0x81, 0x81, 0x81, 0x81, 0x81, 0],
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(read(bad), None, "{bad:x?}");
        }
    }
}
