//! The smallest clients that can measure: blocking sockets, no parsing beyond the end of an answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::tls;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// What is read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// What a connection runs over: TCP, or TLS on it.
trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One IMAP connection.
pub struct Imap {
    stream: BufReader<Box<dyn Stream>>,
    line: Vec<u8>,
    tag: u32,
}

impl Imap {
    /// Connects and logs in.
    pub fn login(address: SocketAddr, user: &str, password: &str) -> Result<Self> {
        Imap::greeted(Box::new(connect(address)?), user, password)
    }

    /// The same with TLS from the first byte.
    pub fn login_tls(address: SocketAddr, user: &str, password: &str) -> Result<Self> {
        Imap::greeted(Box::new(tls::client(connect(address)?)?), user, password)
    }

    fn greeted(stream: Box<dyn Stream>, user: &str, password: &str) -> Result<Self> {
        let stream = BufReader::with_capacity(BUFFER_BYTES, stream);
        let mut imap = Imap { stream, line: Vec::new(), tag: 0 };
        imap.read_line()?;
        imap.command(&format!("LOGIN \"{user}\" \"{password}\""))?;
        Ok(imap)
    }

    /// Sends a command, reads until its tagged OK, and returns how many bytes came back.
    pub fn command(&mut self, text: &str) -> Result<usize> {
        let tag = self.send(text)?;
        self.finish(&tag, text)
    }

    /// How many messages a mailbox has.
    pub fn messages(&mut self, mailbox: &str) -> Result<u64> {
        let tag = self.send(&format!("STATUS {mailbox} (MESSAGES)"))?;
        self.read_line()?;
        let text = self.text();
        let count = text.split("(MESSAGES ").nth(1).and_then(|rest| rest.split(')').next()?.parse().ok());
        self.finish(&tag, "STATUS")?;
        count.with_context(|| format!("no number of messages: {text}"))
    }

    /// APPEND with a non-synchronising literal where the server has it would differ between servers: all get the
    /// synchronising one.
    pub fn append(&mut self, mailbox: &str, message: &[u8]) -> Result<()> {
        let tag = self.send(&format!("APPEND {mailbox} {{{}}}", message.len()))?;
        self.read_line()?;
        ensure!(self.line.starts_with(b"+"), "no continuation: {}", self.text());
        let stream = self.stream.get_mut();
        stream.write_all(message)?;
        stream.write_all(b"\r\n")?;
        self.finish(&tag, "APPEND").map(drop)
    }

    /// Starts IDLE and waits for the continuation.
    pub fn idle(&mut self) -> Result<()> {
        self.send("IDLE")?;
        loop {
            self.read_line()?;
            if self.line.starts_with(b"+") {
                return Ok(());
            }
        }
    }

    /// Reads what an idling session is told, until it knows of so many messages.
    pub fn wait_for_exists(&mut self, count: u64) -> Result<()> {
        loop {
            self.read_line()?;
            let mut words = self.line.split(|&byte| byte == b' ');
            let number = words.nth(1).and_then(|word| std::str::from_utf8(word).ok()?.parse::<u64>().ok());
            if words.next() == Some(b"EXISTS\r\n") && number.is_some_and(|number| number >= count) {
                return Ok(());
            }
        }
    }

    fn send(&mut self, text: &str) -> Result<String> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.stream.get_mut().write_all(format!("{tag} {text}\r\n").as_bytes())?;
        Ok(tag)
    }

    fn finish(&mut self, tag: &str, text: &str) -> Result<usize> {
        let mut bytes = 0;
        loop {
            self.read_line()?;
            bytes += self.line.len();
            if let Some(length) = literal_length(&self.line) {
                bytes += length as usize;
                std::io::copy(&mut (&mut self.stream).take(length), &mut std::io::sink())?;
            } else if self.line.starts_with(tag.as_bytes()) && self.line.get(tag.len()) == Some(&b' ') {
                ensure!(self.line[tag.len() + 1..].starts_with(b"OK"), "{text}: {}", self.text());
                return Ok(bytes);
            }
        }
    }

    fn read_line(&mut self) -> Result<()> {
        self.line.clear();
        let count = self.stream.read_until(b'\n', &mut self.line)?;
        ensure!(count > 0, "the server closed the connection");
        Ok(())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.line).into_owned()
    }
}

fn literal_length(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"}\r\n")?;
    let open = line.iter().rposition(|&byte| byte == b'{')?;
    std::str::from_utf8(&line[open + 1..]).ok()?.parse().ok()
}

/// One LMTP connection.
pub struct Lmtp {
    stream: BufReader<TcpStream>,
}

impl Lmtp {
    /// Connects and says LHLO.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let mut lmtp = Lmtp { stream: BufReader::with_capacity(BUFFER_BYTES, connect(address)?) };
        lmtp.answer("greeting")?;
        lmtp.say("LHLO bench.test")?;
        Ok(lmtp)
    }

    /// Delivers one message to one recipient; returns when it is acknowledged. No line of the message starts with a
    /// dot.
    pub fn deliver(&mut self, recipient: &str, message: &[u8]) -> Result<()> {
        self.say("MAIL FROM:<sender@bench.test>")?;
        self.say(&format!("RCPT TO:<{recipient}>"))?;
        self.say("DATA")?;
        let stream = self.stream.get_mut();
        stream.write_all(message)?;
        stream.write_all(b".\r\n")?;
        self.answer("message")
    }

    fn say(&mut self, line: &str) -> Result<()> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.answer(line)
    }

    fn answer(&mut self, to: &str) -> Result<()> {
        let mut line = String::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            ensure!(line.starts_with('2') || line.starts_with('3'), "{to}: {line}");
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(stream)
}
