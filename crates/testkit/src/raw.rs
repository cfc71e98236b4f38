//! A client without manners: any bytes, at any speed, and no promise to read.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take before the test fails.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a write must make no progress until the server counts as not reading any more.
const BLOCKED_AFTER: Duration = Duration::from_secs(2);

/// One connection.
pub struct Raw {
    stream: BufReader<TcpStream>,
}

/// How a flood ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Flood {
    /// Everything was taken.
    Taken,
    /// The server stopped reading.
    Blocked,
    /// The server hung up.
    Closed,
}

impl Raw {
    /// Connects; the greeting is not read.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub fn connect(host: IpAddr, port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((host, port))?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(BLOCKED_AFTER))?;
        Ok(Raw { stream: BufReader::new(stream) })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the server doesn't take them.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends a piece again and again, until so many bytes were sent or the server takes no more.
    pub fn flood(&mut self, piece: &[u8], bytes_max: usize) -> Flood {
        for _ in 0..bytes_max.div_ceil(piece.len()) {
            match self.send(piece) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Flood::Blocked;
                }
                Err(_) => return Flood::Closed,
            }
        }
        Flood::Taken
    }

    /// The next line without its end; `None` when the server hung up.
    ///
    /// # Errors
    /// When nothing comes in time.
    pub fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line) {
            Ok(0) => Ok(None),
            // Who hangs up on unread bytes sends a reset instead of an end.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error),
            Ok(_) => Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned())),
        }
    }

    /// Reads so many bytes.
    ///
    /// # Errors
    /// When the server hangs up before, or nothing comes in time.
    pub fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(bytes)
    }

    /// Reads up to a line that contains this.
    ///
    /// # Errors
    /// When the server hangs up before, or nothing comes in time.
    pub fn expect(&mut self, text: &str) -> io::Result<String> {
        let mut seen = Vec::new();
        while let Some(line) = self.line()? {
            if line.contains(text) {
                return Ok(line);
            }
            seen.push(line);
        }
        Err(io::Error::other(format!("the connection ended without {text:?}: {seen:?}")))
    }

    /// Whether the server hung up, after lines that are not of interest.
    ///
    /// # Errors
    /// When it neither says anything nor hangs up in time.
    pub fn is_closed(&mut self) -> io::Result<bool> {
        while self.line()?.is_some() {}
        Ok(true)
    }
}
