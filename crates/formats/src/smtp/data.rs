//! The content after DATA, and what its line endings are like.
//!
//! The end is CRLF.CRLF and nothing else. A bare LF or CR never starts a line, so neither LF.LF nor LF.CRLF nor any
//! mixture of them ends the content here, whatever it does elsewhere. Content that has one is refused when its real
//! end has come (docs/decisions/0003-smtp-line-endings.md): to pass it on would let the next server find another end.

/// Whether content had line endings other than CRLF (RFC 5321 section 2.3.8). Works on chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LineEndings {
    bare: bool,
    after_cr: bool,
}

impl LineEndings {
    /// The next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.bare || bytes.is_empty() {
            return;
        }
        let mut rest = bytes;
        if self.after_cr {
            self.after_cr = false;
            match rest.strip_prefix(b"\n") {
                Some(after) => rest = after,
                None => self.bare = true,
            }
        }
        while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
            match (rest[at], rest.get(at + 1)) {
                (b'\r', Some(b'\n')) => rest = &rest[at + 2..],
                (b'\r', None) => {
                    self.after_cr = true;
                    return;
                }
                _ => {
                    self.bare = true;
                    return;
                }
            }
        }
    }

    /// Whether a bare CR or LF was seen; a CR at the very end counts.
    pub fn has_bare(self) -> bool {
        self.bare || self.after_cr
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Right after CRLF, or at the beginning: DATA's own CRLF counts (RFC 5321 section 4.1.1.4).
    LineStart,
    /// After a dot at the start of a line; the dot is stuffing or the end.
    Dot,
    /// After a dot and CR at the start of a line.
    DotCr,
    /// Inside a line.
    Text,
    /// After a CR that is not passed on yet.
    Cr,
    /// After the end.
    Done,
}

/// How far [`DataReceiver::feed`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input that belonged to the content or its end; what follows are commands.
    pub consumed: usize,
    /// Whether the end has come.
    pub done: bool,
}

/// Takes the dot-stuffed content apart (RFC 5321 section 4.5.2), in chunks of any size, without keeping any of it.
#[derive(Clone, Copy, Debug)]
pub struct DataReceiver {
    state: State,
}

impl Default for DataReceiver {
    fn default() -> Self {
        DataReceiver { state: State::LineStart }
    }
}

impl DataReceiver {
    /// At the beginning of the content.
    pub fn new() -> Self {
        DataReceiver::default()
    }

    /// Takes the next bytes of the stream and gives the content's own bytes to `sink`, dots unstuffed, in pieces.
    /// Stops at the end of the content; after that it consumes nothing.
    pub fn feed(&mut self, input: &[u8], mut sink: impl FnMut(&[u8])) -> Progress {
        let mut emit = |bytes: &[u8]| {
            if !bytes.is_empty() {
                sink(bytes);
            }
        };
        // Content bytes input[start..at] are known and not given to the sink yet.
        let (mut start, mut at) = (0, 0);
        while at < input.len() && self.state != State::Done {
            let byte = input[at];
            match (self.state, byte) {
                (State::LineStart, b'.') => {
                    emit(&input[start..at]);
                    at += 1;
                    start = at;
                    self.state = State::Dot;
                }
                (State::Dot, b'\r') => {
                    at += 1;
                    start = at;
                    self.state = State::DotCr;
                }
                (State::DotCr, b'\n') => {
                    at += 1;
                    start = at;
                    self.state = State::Done;
                }
                // ".\r" and then no LF: the CR was content.
                (State::DotCr, _) => {
                    emit(b"\r");
                    self.state = if byte == b'\r' { State::Cr } else { State::Text };
                    at += usize::from(byte == b'\r');
                }
                (State::Cr, b'\n') => {
                    at += 1;
                    self.state = State::LineStart;
                }
                (State::Cr, b'\r') => at += 1,
                (State::Cr | State::Dot, _) => self.state = State::Text,
                (State::LineStart | State::Text, _) => match memchr::memchr(b'\r', &input[at..]) {
                    Some(text) => {
                        at += text + 1;
                        self.state = State::Cr;
                    }
                    None => {
                        at = input.len();
                        self.state = State::Text;
                    }
                },
                (State::Done, _) => {}
            }
        }
        emit(&input[start..at]);
        Progress { consumed: at, done: self.state == State::Done }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn receive(chunks: &[&[u8]]) -> (Vec<u8>, Option<usize>, bool) {
        let (mut receiver, mut body, mut consumed) = (DataReceiver::new(), Vec::new(), 0);
        let mut endings = LineEndings::default();
        for chunk in chunks {
            let progress = receiver.feed(chunk, |bytes| {
                endings.feed(bytes);
                body.extend_from_slice(bytes);
            });
            consumed += progress.consumed;
            if progress.done {
                return (body, Some(consumed), endings.has_bare());
            }
            assert_eq!(progress.consumed, chunk.len());
        }
        (body, None, endings.has_bare())
    }

    /// The definition, slow: the content ends at the first CRLF.CRLF of CRLF + input.
    fn by_definition(input: &[u8]) -> Option<(Vec<u8>, usize)> {
        let whole = [b"\r\n", input].concat();
        let end = whole.windows(5).position(|w| w == b"\r\n.\r\n")?;
        let text = &whole[..end + 2];
        let mut body = Vec::new();
        for (at, &byte) in text.iter().enumerate().skip(2) {
            if !(byte == b'.' && text[..at].ends_with(b"\r\n")) {
                body.push(byte);
            }
        }
        Some((body, end + 5 - 2))
    }

    #[test]
    fn unstuffs_and_stops_at_the_end() {
        assert_eq!(receive(&[b"a\r\n..b\r\n.c\r\n.\r\nQUIT\r\n"]), (b"a\r\n.b\r\nc\r\n".to_vec(), Some(15), false));
        assert_eq!(receive(&[b".\r\n"]), (Vec::new(), Some(3), false));
    }

    #[test]
    fn no_other_ending_ends_it() {
        for end in
            ["\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\r\n.\r\r\n", "\r\n\0.\r\n", "\r\r.\r\r"]
        {
            let input = format!("a{end}MAIL FROM:<x@y>\r\n");
            let (_, consumed, bare) = receive(&[input.as_bytes()]);
            assert_eq!(consumed, None, "{end:?}");
            assert!(bare || end.contains('\0'), "{end:?}");
        }
    }

    #[test]
    fn a_cr_before_the_end_is_bare() {
        assert_eq!(receive(&[b"a\r\r\n.\r\n"]), (b"a\r\r\n".to_vec(), Some(7), true));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_content(
            input in proptest::collection::vec(prop::sample::select(b"\r\n.ab\0".to_vec()), 0..60),
            cuts in proptest::collection::vec(0usize..61, 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &input[w[0]..w[1]]).collect();
            let whole = receive(&[&input]);
            let split = receive(&chunks);
            match by_definition(&input) {
                Some((body, len)) => {
                    let mut endings = LineEndings::default();
                    endings.feed(&body);
                    prop_assert_eq!(&whole, &(body, Some(len), endings.has_bare()));
                    prop_assert_eq!(split, whole);
                }
                None => {
                    prop_assert_eq!(whole.1, None);
                    prop_assert_eq!(split.1, None);
                }
            }
        }
    }
}
