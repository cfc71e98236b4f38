//! What a milter answers.

use bytes::Bytes;

use super::packet::Packet;

/// Longest reply of its own that a milter may want to be given, in bytes.
const REPLY_BYTES_MAX: usize = 4096;

/// What a milter says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Continue,
    /// Take the message (or, before there is one, all of this client) and ask no more.
    Accept,
    /// Refuse for good: this recipient, else the message, else the client.
    Reject,
    /// The same for now.
    TempFail,
    /// Acknowledge the message and throw it away.
    Discard,
    /// Refuse with these words.
    ReplyCode {
        /// The reply code, 400 to 599.
        code: u16,
        /// The enhanced status code, if there is one.
        enhanced: Option<(u8, u16, u16)>,
        /// The text; of several lines they are joined.
        text: String,
    },
    /// No more of the body is needed.
    Skip,
    /// It is still at it.
    Progress,
    /// End the connection with 421.
    Shutdown,
    /// It can't be asked any more.
    ConnectionFailure,
    /// What it agrees on.
    Options(Bytes),
    /// A change, at the end of the message.
    Modification(Modification),
}

/// A change that a milter wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Modification {
    /// A field behind all others.
    AddHeader {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// A field at a place.
    InsertHeader {
        /// How many are before it.
        index: u32,
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// Another value for a field; an empty one deletes it.
    ChangeHeader {
        /// Which of this name, from one on.
        index: u32,
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// The next piece of another body.
    ReplaceBody(Bytes),
    /// One more recipient, without its brackets.
    AddRcpt(String),
    /// One recipient less, without its brackets.
    DeleteRcpt(String),
    /// Another reverse-path, without its brackets.
    ChangeFrom(String),
    /// It is to be put aside, for this reason.
    Quarantine(String),
}

/// It is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Of a kind that the protocol doesn't have.
    #[error("an answer of the kind {:?}", char::from(*.0))]
    Unknown(u8),
    /// Something is missing in it.
    #[error("an answer of the kind {:?} that is cut or malformed", char::from(*.0))]
    Malformed(u8),
}

impl Answer {
    /// From a packet.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn read(packet: &Packet) -> Result<Self, AnswerError> {
        let (letter, data) = (packet.letter, &packet.data);
        let malformed = AnswerError::Malformed(letter);
        let simple = match letter {
            b'c' => Answer::Continue,
            b'a' => Answer::Accept,
            b'r' => Answer::Reject,
            b't' => Answer::TempFail,
            b'd' => Answer::Discard,
            b's' => Answer::Skip,
            b'p' => Answer::Progress,
            b'4' => Answer::Shutdown,
            b'f' => Answer::ConnectionFailure,
            b'O' => Answer::Options(data.clone()),
            b'y' => reply_code(data).ok_or(malformed)?,
            _ => return modification(letter, data).map(Answer::Modification),
        };
        Ok(simple)
    }
}

fn modification(letter: u8, data: &Bytes) -> Result<Modification, AnswerError> {
    let malformed = AnswerError::Malformed(letter);
    let index = || data.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)).ok_or(malformed);
    let indexed = || {
        let [name, value] = texts(data.get(4..)?)?;
        Some((name, value))
    };
    let first = || -> Option<String> { texts::<1>(data).map(|[text]| text) };
    Ok(match letter {
        b'h' => {
            let [name, value] = texts(data).ok_or(malformed)?;
            Modification::AddHeader { name, value }
        }
        b'i' => {
            let (name, value) = indexed().ok_or(malformed)?;
            Modification::InsertHeader { index: index()?, name, value }
        }
        b'm' => {
            let (name, value) = indexed().ok_or(malformed)?;
            Modification::ChangeHeader { index: index()?, name, value }
        }
        b'b' => Modification::ReplaceBody(data.clone()),
        // What follows the address are parameters, which nobody here uses.
        b'+' | b'2' => Modification::AddRcpt(bare(first().ok_or(malformed)?)),
        b'-' => Modification::DeleteRcpt(bare(first().ok_or(malformed)?)),
        b'e' => Modification::ChangeFrom(bare(first().ok_or(malformed)?)),
        b'q' => Modification::Quarantine(first().ok_or(malformed)?),
        _ => return Err(AnswerError::Unknown(letter)),
    })
}

/// The first texts, each with its NUL.
fn texts<const COUNT: usize>(data: &[u8]) -> Option<[String; COUNT]> {
    let mut rest = data;
    let mut found: [String; COUNT] = std::array::from_fn(|_| String::new());
    for place in &mut found {
        let end = memchr::memchr(0, rest)?;
        *place = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 1..];
    }
    Some(found)
}

fn bare(path: String) -> String {
    match path.strip_prefix('<').and_then(|path| path.strip_suffix('>')) {
        Some(bare) => bare.to_owned(),
        None => path,
    }
}

/// `550 5.7.1 No`, or several such lines with `-` behind the codes of all but the last.
fn reply_code(data: &[u8]) -> Option<Answer> {
    let [reply] = texts(&data[..data.len().min(REPLY_BYTES_MAX + 1)])?;
    let mut lines = reply.split(['\r', '\n']).filter(|line| !line.is_empty());
    let first = lines.next()?;
    let code = first.get(..3)?.parse::<u16>().ok().filter(|code| (400..600).contains(code))?;
    let after_code = |line: &str| line.get(4..).unwrap_or_default().trim().to_owned();
    let (mut enhanced, mut text) = (None, after_code(first));
    let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
    if let Some(status) = status(word).filter(|status| u16::from(status.0) == code / 100) {
        (enhanced, text) = (Some(status), rest.trim().to_owned());
    }
    for line in lines {
        let line = after_code(line);
        let line = line.split_once(' ').filter(|(word, _)| status(word).is_some()).map_or(&*line, |(_, rest)| rest);
        text.push(' ');
        text.push_str(line.trim());
    }
    Some(Answer::ReplyCode { code, enhanced, text: text.trim().to_owned() })
}

fn status(word: &str) -> Option<(u8, u16, u16)> {
    let mut numbers = word.split('.');
    let (class, subject, detail) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let good = |number: &str| (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    if numbers.next().is_some() || !(good(class) && good(subject) && good(detail)) {
        return None;
    }
    Some((class.parse().ok()?, subject.parse().ok()?, detail.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(letter: u8, data: &[u8]) -> Result<Answer, AnswerError> {
        Answer::read(&Packet { letter, data: Bytes::copy_from_slice(data) })
    }

    fn reply(code: u16, enhanced: Option<(u8, u16, u16)>, text: &str) -> Answer {
        Answer::ReplyCode { code, enhanced, text: text.to_owned() }
    }

    #[test]
    fn replies_are_read() {
        assert_eq!(read(b'y', b"550 5.7.1 Go away\0"), Ok(reply(550, Some((5, 7, 1)), "Go away")));
        assert_eq!(read(b'y', b"451 Later\0"), Ok(reply(451, None, "Later")));
        assert_eq!(read(b'y', b"550 4.7.1 x\0"), Ok(reply(550, None, "4.7.1 x")));
        assert_eq!(read(b'y', b"421-4.3.2 a\r\n421 4.3.2 b\0"), Ok(reply(421, Some((4, 3, 2)), "a b")));
        assert_eq!(read(b'y', b"554\0"), Ok(reply(554, None, "")));
        for bad in [&b"250 OK\0"[..], b"\0", b"550 x", b"5\0", b"x50 x\0", "5\u{e9}0 x\0".as_bytes()] {
            assert_eq!(read(b'y', bad), Err(AnswerError::Malformed(b'y')), "{bad:?}");
        }
    }

    #[test]
    fn changes_are_read() {
        use Modification::{AddHeader, AddRcpt, ChangeFrom, ChangeHeader, DeleteRcpt, InsertHeader, Quarantine};
        let (name, value) = ("A".to_owned(), " b".to_owned());
        for (letter, data, expected) in [
            (b'h', &b"A\0 b\0"[..], AddHeader { name: name.clone(), value: value.clone() }),
            (b'i', b"\0\0\0\x01A\0 b\0", InsertHeader { index: 1, name: name.clone(), value }),
            (b'm', b"\0\0\0\x02A\0\0", ChangeHeader { index: 2, name, value: String::new() }),
            (b'+', b"<a@b>\0", AddRcpt("a@b".to_owned())),
            (b'2', b"<a@b>\0NOTIFY=NEVER\0", AddRcpt("a@b".to_owned())),
            (b'-', b"a@b\0", DeleteRcpt("a@b".to_owned())),
            (b'e', b"<>\0", ChangeFrom(String::new())),
            (b'q', b"odd\0", Quarantine("odd".to_owned())),
        ] {
            assert_eq!(read(letter, data), Ok(Answer::Modification(expected)));
        }
        for (letter, data) in [(b'h', &b"A\0 b"[..]), (b'i', b"\0\0"), (b'm', b"\0\0\0\x01A\0"), (b'+', b"")] {
            assert_eq!(read(letter, data), Err(AnswerError::Malformed(letter)));
        }
        assert_eq!(read(b'?', b""), Err(AnswerError::Unknown(b'?')));
    }

    proptest! {
        #[test]
        fn any_packet_is_an_answer_or_an_error(letter in any::<u8>(), data in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(letter, &data);
        }

        #[test]
        fn any_reply_is_one_or_none(text in "[0-9]{0,4}[-. a-z0-9\r\n\u{e9}]{0,40}\0?") {
            if let Ok(Answer::ReplyCode { code, text, .. }) = read(b'y', text.as_bytes()) {
                prop_assert!((400..600).contains(&code));
                prop_assert!(!text.contains(['\r', '\n', '\0']));
            }
        }
    }
}
