//! Replies as a client reads them (RFC 5321 section 4.2), with enhanced status codes (RFC 2034, RFC 3463).

/// Longest line of a reply that is read, in bytes with its CRLF. RFC 5321 section 4.5.3.1.5 allows 512; some servers
/// write more.
pub const ANSWER_LINE_BYTES_MAX: usize = 4096;

/// Most lines of one reply.
pub const ANSWER_LINES_MAX: usize = 256;

/// A complete reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The reply code, 200 to 599.
    pub code: u16,
    /// The enhanced status code, if the server gave one.
    pub enhanced: Option<(u8, u16, u16)>,
    /// The text of each line, without codes. Bytes that are not UTF-8 are replaced, control characters are spaces.
    pub lines: Vec<String>,
}

/// It is not a reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// A line doesn't begin with a code, or codes of one reply differ.
    #[error("not an SMTP reply: {0:?}")]
    Malformed(String),
    /// A line or the reply is too long.
    #[error("the reply is too long")]
    TooLong,
}

impl Answer {
    /// 2xx.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3xx.
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4xx.
    pub fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    /// The server's own words in one line.
    pub fn text(&self) -> String {
        let enhanced = self.enhanced.map(|(class, subject, detail)| format!(" {class}.{subject}.{detail}"));
        let mut text = format!("{}{}", self.code, enhanced.unwrap_or_default());
        for line in self.lines.iter().filter(|line| !line.is_empty()) {
            text.push(' ');
            text.push_str(line);
        }
        text
    }

    /// The status code, or the one that the reply code stands for.
    pub fn status(&self) -> (u8, u16, u16) {
        let class = u8::try_from(self.code / 100).unwrap_or(5);
        self.enhanced.filter(|(given, ..)| *given == class).unwrap_or((class, 0, 0))
    }
}

/// Puts replies together from what arrives.
#[derive(Debug, Default)]
pub struct AnswerReader {
    partial: Answer,
}

impl AnswerReader {
    /// Looks at the bytes that wait: how many were used, and the reply when it is complete.
    ///
    /// # Errors
    /// [`AnswerError`]: the connection is of no more use.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, Option<Answer>), AnswerError> {
        let mut used = 0;
        while let Some(length) = memchr::memchr(b'\n', &input[used..]) {
            if length >= ANSWER_LINE_BYTES_MAX || self.partial.lines.len() >= ANSWER_LINES_MAX {
                return Err(AnswerError::TooLong);
            }
            let line = &input[used..used + length];
            used += length + 1;
            if self.line(line.strip_suffix(b"\r").unwrap_or(line))? {
                return Ok((used, Some(std::mem::take(&mut self.partial))));
            }
        }
        if input.len() - used >= ANSWER_LINE_BYTES_MAX {
            return Err(AnswerError::TooLong);
        }
        Ok((used, None))
    }

    /// Takes one line; whether it was the last one.
    fn line(&mut self, line: &[u8]) -> Result<bool, AnswerError> {
        let malformed = || AnswerError::Malformed(String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned());
        let (code, rest) = line.split_at_checked(3).ok_or_else(malformed)?;
        let code = std::str::from_utf8(code).ok().and_then(|code| code.parse::<u16>().ok());
        let code = code.filter(|code| (200..600).contains(code)).ok_or_else(malformed)?;
        if !self.partial.lines.is_empty() && self.partial.code != code {
            return Err(malformed());
        }
        let (is_last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(malformed()),
        };
        let text = String::from_utf8_lossy(text);
        let (enhanced, text) = enhanced(&text, code);
        self.partial.code = code;
        self.partial.enhanced = self.partial.enhanced.or(enhanced);
        self.partial.lines.push(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect());
        Ok(is_last)
    }
}

/// A status code at the beginning of a text, if its class is that of the reply, and the rest.
fn enhanced(text: &str, code: u16) -> (Option<(u8, u16, u16)>, &str) {
    let word = text.split(' ').next().unwrap_or_default();
    let mut parts = word.splitn(3, '.').map(|part| {
        let good = !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
        good.then(|| part.parse::<u16>().ok()).flatten()
    });
    let (Some(Some(class)), Some(Some(subject)), Some(Some(detail))) = (parts.next(), parts.next(), parts.next())
    else {
        return (None, text);
    };
    match u8::try_from(class) {
        Ok(small) if class == code / 100 => (Some((small, subject, detail)), text[word.len()..].trim_start()),
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Result<(usize, Option<Answer>), AnswerError> {
        AnswerReader::default().feed(input)
    }

    #[test]
    fn one_line_and_several() {
        let (used, answer) = read(b"250 2.1.5 OK\r\n354 go\r\n").unwrap();
        let answer = answer.unwrap();
        assert_eq!((used, answer.code, answer.enhanced), (14, 250, Some((2, 1, 5))));
        assert_eq!(answer.text(), "250 2.1.5 OK");
        let (_, answer) = read(b"550-5.7.1 not\r\n550-5.7.1 for\r\n550 5.7.1 you\r\n").unwrap();
        assert_eq!(answer.unwrap().text(), "550 5.7.1 not for you");
        assert_eq!(read(b"250\r\n").unwrap().1.unwrap().code, 250);
    }

    #[test]
    fn a_reply_in_pieces() {
        let mut reader = AnswerReader::default();
        assert_eq!(reader.feed(b"250-a\r\n250 ").unwrap(), (7, None));
        assert_eq!(reader.feed(b"250 b\r\n").unwrap().1.unwrap().lines, ["a", "b"]);
    }

    #[test]
    fn a_status_of_another_class_is_text() {
        let answer = read(b"450 5.1.1 strange\r\n").unwrap().1.unwrap();
        assert_eq!((answer.enhanced, answer.status()), (None, (4, 0, 0)));
        assert_eq!(answer.text(), "450 5.1.1 strange");
    }

    #[test]
    fn no_replies() {
        for wrong in [&b"hello\r\n"[..], b"25\r\n", b"99 x\r\n", b"600 x\r\n", b"250+x\r\n", b"250-a\r\n550 b\r\n"] {
            assert!(matches!(read(wrong), Err(AnswerError::Malformed(_))), "{wrong:?}");
        }
        assert_eq!(read(&[b'2'; ANSWER_LINE_BYTES_MAX]), Err(AnswerError::TooLong));
        let endless = b"250-x\r\n".repeat(ANSWER_LINES_MAX + 1);
        assert_eq!(read(&endless), Err(AnswerError::TooLong));
    }
}
