//! A small IMAP client that hides nothing: it returns the lines and literals as they came.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take before the test fails.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// One connection.
pub struct Imap {
    stream: BufReader<TcpStream>,
    tag: u32,
}

/// What came back for one command.
#[derive(Debug, Default)]
pub struct Answer {
    /// The untagged lines; a literal stands as `{n}` at the end of its line, the line goes on in the next entry.
    pub lines: Vec<String>,
    /// The literals, in order.
    pub literals: Vec<Vec<u8>>,
    /// The tagged line without its tag: "OK [..] ..".
    pub status: String,
}

impl Answer {
    /// Whether the command succeeded.
    pub fn ok(&self) -> bool {
        self.status.starts_with("OK")
    }
}

impl Imap {
    /// Connects and reads the greeting.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub fn connect(host: &str, port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((host, port))?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut imap = Imap { stream: BufReader::new(stream), tag: 0 };
        imap.line()?;
        Ok(imap)
    }

    /// Connects and logs in.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub fn login(host: &str, port: u16, user: &str, password: &str) -> io::Result<Self> {
        let mut imap = Imap::connect(host, port)?;
        let answer = imap.command(&format!("LOGIN \"{user}\" \"{password}\""))?;
        if answer.ok() { Ok(imap) } else { Err(io::Error::other(answer.status)) }
    }

    /// Sends one command and reads up to its tagged answer.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn command(&mut self, text: &str) -> io::Result<Answer> {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        self.stream.get_mut().write_all(format!("{tag} {text}\r\n").as_bytes())?;
        self.answer(&tag)
    }

    /// Sends a line as it is, in the middle of an exchange.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes())
    }

    /// APPEND with a non-synchronising literal.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn append(&mut self, mailbox: &str, message: &[u8]) -> io::Result<Answer> {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        let stream = self.stream.get_mut();
        stream.write_all(format!("{tag} APPEND {mailbox} {{{}+}}\r\n", message.len()).as_bytes())?;
        stream.write_all(message)?;
        stream.write_all(b"\r\n")?;
        self.answer(&tag)
    }

    fn answer(&mut self, tag: &str) -> io::Result<Answer> {
        let mut answer = Answer::default();
        loop {
            let line = self.line()?;
            if let Some(status) = line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                answer.status = status.to_owned();
                return Ok(answer);
            }
            if let Some(length) = literal_length(&line) {
                let mut literal = vec![0; length];
                self.stream.read_exact(&mut literal)?;
                answer.literals.push(literal);
            }
            answer.lines.push(line);
        }
    }

    /// The next line as it came, without its end.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn literal_length(line: &str) -> Option<usize> {
    line.strip_suffix('}')?.rsplit_once('{')?.1.parse().ok()
}
