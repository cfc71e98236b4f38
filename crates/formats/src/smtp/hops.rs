//! How many servers a message has passed: what shows a loop (RFC 5321 section 6.3).

/// The field that every server puts in front.
const NAME: &[u8] = b"received";

/// Counts the Received fields in a message's header while it streams in. Of the rest of the header and of the body it
/// sees nothing: a message may quote as many as it likes, in its text and in messages attached to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct HopCounter {
    state: State,
    hops: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the start of a line, with so many bytes of [`NAME`] behind.
    Name(usize),
    /// After the whole name: blanks may come before the colon (RFC 5322 section 4.5).
    BeforeColon,
    /// After a CR at the start of a line.
    EmptyLine,
    /// Anywhere else in a line.
    Rest,
    /// The header has ended.
    Body,
}

impl Default for State {
    fn default() -> Self {
        State::Name(0)
    }
}

impl HopCounter {
    /// The next bytes of the message, in pieces of any length.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            self.state = match (self.state, byte) {
                (State::Body, _) => return,
                (State::Name(0) | State::EmptyLine, b'\n') => State::Body,
                (_, b'\n') => State::Name(0),
                (State::Name(0), b'\r') => State::EmptyLine,
                (State::Name(n), _) if NAME.get(n) == Some(&byte.to_ascii_lowercase()) => match n + 1 {
                    whole if whole == NAME.len() => State::BeforeColon,
                    part => State::Name(part),
                },
                (State::BeforeColon, b' ' | b'\t') => State::BeforeColon,
                (State::BeforeColon, b':') => {
                    self.hops = self.hops.saturating_add(1);
                    State::Rest
                }
                (State::Rest, _) => {
                    let Some(end) = memchr::memchr(b'\n', rest) else { return };
                    rest = &rest[end..];
                    State::Rest
                }
                _ => State::Rest,
            };
        }
    }

    /// Received fields so far.
    pub fn hops(self) -> u32 {
        self.hops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hops(message: &[u8], piece: usize) -> u32 {
        let mut counter = HopCounter::default();
        message.chunks(piece).for_each(|bytes| counter.feed(bytes));
        counter.hops()
    }

    #[test]
    fn fields_are_counted_however_the_message_is_cut() {
        for (message, expected) in [
            (&b"Received: a\r\n\tReceived: folded\r\nRECEIVED : b\r\nReceived:\r\n\r\nReceived: body\r\n"[..], 3),
            (b"X-Received: a\r\nReceived-SPF: pass\r\nReceive: x\r\nSubject: Received: a\r\n\r\n", 0),
            (b"\r\nReceived: body", 0),
            (b"\nReceived: body", 0),
            (b"Received: a\n\nReceived: body", 1),
            (b"\rReceived: a\r\nReceived\r\n:\r\nreceived\t:", 1),
            (b"", 0),
        ] {
            for piece in 1..=message.len().max(1) {
                assert_eq!(hops(message, piece), expected, "{} in pieces of {piece}", message.escape_ascii());
            }
        }
    }
}
