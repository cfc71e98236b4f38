//! What a server says, as values: words, texts and lists, whatever the protocol allows to stand for each.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take before the test fails.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// One value of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Nil,
    /// An atom, a number, a flag, or the name of a FETCH item with its section.
    Word(String),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    List(Vec<Value>),
}

impl Value {
    /// The same for every way in which it can be written.
    pub fn canonical(&self) -> String {
        match self {
            Value::Nil => "NIL".to_owned(),
            Value::Word(word) => word.clone(),
            Value::Text(text) => format!("\"{}\"", text.escape_ascii()),
            Value::List(list) => format!("({})", list.iter().map(Value::canonical).collect::<Vec<_>>().join(" ")),
        }
    }

    /// A word or a text; numbers and names of mailboxes may be either.
    pub fn string(&self) -> Option<String> {
        match self {
            Value::Word(word) => Some(word.clone()),
            Value::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            Value::Nil | Value::List(_) => None,
        }
    }

    pub fn number(&self) -> Option<u64> {
        self.string()?.parse().ok()
    }

    pub fn list(&self) -> &[Value] {
        if let Value::List(list) = self { list } else { &[] }
    }
}

/// An untagged or tagged response: its words, or of a status its code. What a status says to people is dropped.
#[derive(Clone, Debug)]
pub struct Response {
    pub values: Vec<Value>,
    /// `OK`, `NO`, `BAD`, `BYE` or `PREAUTH`, if it is a status.
    pub status: Option<String>,
}

/// Everything that came for one command.
#[derive(Clone, Debug)]
pub struct Answer {
    pub untagged: Vec<Response>,
    pub tagged: Response,
    /// As it came, for people.
    pub raw: String,
}

/// One connection.
pub struct Connection {
    stream: BufReader<TcpStream>,
    tag: u32,
}

impl Connection {
    pub fn login(host: &str, port: u16, user: &str, password: &str) -> io::Result<Self> {
        let stream = TcpStream::connect((host, port))?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_nodelay(true)?;
        let mut connection = Connection { stream: BufReader::new(stream), tag: 0 };
        connection.line()?;
        let answer = connection.command(format!("LOGIN \"{user}\" \"{password}\"").as_bytes())?;
        if answer.tagged.status.as_deref() == Some("OK") { Ok(connection) } else { Err(io::Error::other(answer.raw)) }
    }

    /// Sends a command whose literals are non-synchronising, and reads up to its tagged answer.
    pub fn command(&mut self, text: &[u8]) -> io::Result<Answer> {
        self.start(text)?;
        self.finish()
    }

    /// Sends IDLE and waits until the server idles; what it said before is part of the answer to DONE.
    pub fn idle(&mut self) -> io::Result<Vec<Response>> {
        self.start(b"IDLE")?;
        let mut before = Vec::new();
        loop {
            let line = self.line()?;
            match line.strip_prefix(b"* ") {
                Some(rest) => before.push(Response::parse(rest)),
                None if line.starts_with(b"+") => return Ok(before),
                None => return Err(io::Error::other(String::from_utf8_lossy(&line).into_owned())),
            }
        }
    }

    /// Ends an IDLE.
    pub fn done(&mut self) -> io::Result<Answer> {
        self.stream.get_mut().write_all(b"DONE\r\n")?;
        self.finish()
    }

    fn start(&mut self, text: &[u8]) -> io::Result<()> {
        self.tag += 1;
        let line = [format!("a{} ", self.tag).as_bytes(), text, b"\r\n"].concat();
        self.stream.get_mut().write_all(&line)
    }

    fn finish(&mut self) -> io::Result<Answer> {
        let tag = format!("a{} ", self.tag);
        let (mut untagged, mut raw) = (Vec::new(), String::new());
        loop {
            let line = self.line()?;
            raw.push_str(&String::from_utf8_lossy(&line));
            if let Some(rest) = line.strip_prefix(tag.as_bytes()) {
                return Ok(Answer { untagged, tagged: Response::parse(rest), raw });
            }
            match line.strip_prefix(b"* ") {
                Some(rest) => untagged.push(Response::parse(rest)),
                None => return Err(io::Error::other(raw)),
            }
        }
    }

    /// A line with its literals.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let start = line.len();
            if self.stream.read_until(b'\n', &mut line)? == 0 {
                return Err(io::Error::other(format!("the server hung up: {}", line.escape_ascii())));
            }
            let Some(length) = literal_length(&line[start..]) else { return Ok(line) };
            let literal = line.len();
            line.resize(literal + length, 0);
            self.stream.read_exact(&mut line[literal..])?;
        }
    }
}

fn literal_length(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}\r\n")?;
    let open = inner.iter().rposition(|byte| *byte == b'{')?;
    std::str::from_utf8(&inner[open + 1..]).ok()?.parse().ok()
}

impl Response {
    pub fn parse(line: &[u8]) -> Self {
        let first = line.split(|byte| *byte == b' ' || *byte == b'\r').next().unwrap_or_default();
        let first = String::from_utf8_lossy(first).to_uppercase();
        if !["OK", "NO", "BAD", "BYE", "PREAUTH"].contains(&first.as_str()) {
            return Response { values: Parser { line, at: 0 }.values(), status: None };
        }
        let rest = &line[first.len()..];
        let code =
            rest.strip_prefix(b" [").and_then(|rest| rest.iter().position(|b| *b == b']').map(|end| &rest[..end]));
        let values = code.map(|line| Parser { line, at: 0 }.values()).unwrap_or_default();
        Response { values, status: Some(first) }
    }
}

struct Parser<'a> {
    line: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    /// All values up to the end of the line or of the list.
    fn values(&mut self) -> Vec<Value> {
        let mut values = Vec::new();
        while let Some(&byte) = self.line.get(self.at) {
            match byte {
                b' ' | b'\r' | b'\n' => self.at += 1,
                b')' => break,
                b'(' => {
                    self.at += 1;
                    values.push(Value::List(self.values()));
                    self.at += 1;
                }
                b'"' => values.push(self.quoted()),
                b'{' => values.push(self.literal()),
                b'~' if self.line.get(self.at + 1) == Some(&b'{') => {
                    self.at += 1;
                    values.push(self.literal());
                }
                _ => values.push(self.word()),
            }
        }
        values
    }

    fn quoted(&mut self) -> Value {
        let mut text = Vec::new();
        self.at += 1;
        while let Some(&byte) = self.line.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    text.extend(self.line.get(self.at));
                    self.at += 1;
                }
                byte => text.push(byte),
            }
        }
        Value::Text(text)
    }

    fn literal(&mut self) -> Value {
        let rest = &self.line[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        let length = literal_length(&rest[..end]).unwrap_or(0);
        self.at += end + length;
        Value::Text(rest[end..].get(..length).unwrap_or_default().to_vec())
    }

    /// Up to a blank or a bracket of a list; what stands in square brackets belongs to it.
    fn word(&mut self) -> Value {
        let start = self.at;
        let mut inside = false;
        while let Some(&byte) = self.line.get(self.at) {
            match byte {
                b'[' => inside = true,
                b']' => inside = false,
                b' ' | b'(' | b')' if !inside => break,
                b'\r' | b'\n' => break,
                _ => {}
            }
            self.at += 1;
        }
        let word = String::from_utf8_lossy(&self.line[start..self.at]).into_owned();
        if word.eq_ignore_ascii_case("NIL") { Value::Nil } else { Value::Word(word) }
    }
}
