//! A small SMTP and LMTP client that sends exactly the bytes it is given.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::net::{AddressFamily, SocketType};

/// How long an answer may take before the test fails.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// One connection.
pub struct Smtp {
    stream: BufReader<TcpStream>,
}

impl Smtp {
    /// Connects, reads the greeting, and says LHLO or EHLO.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub fn connect(host: &str, port: u16, hello: &str) -> io::Result<Self> {
        Self::over(TcpStream::connect((host, port))?, hello)
    }

    /// The same from this address, which must be one of this machine.
    ///
    /// # Errors
    /// When the server can't be reached, or the address is not here.
    pub fn connect_from(from: IpAddr, to: SocketAddr, hello: &str) -> io::Result<Self> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
        rustix::net::bind(&socket, &SocketAddr::new(from, 0))?;
        rustix::net::connect(&socket, &to)?;
        Self::over(TcpStream::from(socket), hello)
    }

    fn over(stream: TcpStream, hello: &str) -> io::Result<Self> {
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut smtp = Smtp { stream: BufReader::new(stream) };
        smtp.reply()?;
        smtp.command(&format!("{hello} client.test"))?;
        Ok(smtp)
    }

    /// Sends one line and reads its reply, with all its lines.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn command(&mut self, line: &str) -> io::Result<String> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// Sends a message by BDAT, so that not one byte of it is changed on the way, and returns one reply for each of
    /// `replies`: LMTP gives one for each recipient, SMTP one.
    ///
    /// # Errors
    /// When the connection ends or the envelope is refused.
    pub fn send(&mut self, recipients: &[&str], message: &[u8], replies: usize) -> io::Result<Vec<String>> {
        self.expect("MAIL FROM:<sender@client.test>")?;
        for recipient in recipients {
            self.expect(&format!("RCPT TO:<{recipient}>"))?;
        }
        let stream = self.stream.get_mut();
        stream.write_all(format!("BDAT {} LAST\r\n", message.len()).as_bytes())?;
        stream.write_all(message)?;
        (0..replies).map(|_| self.reply()).collect()
    }

    /// Logs in with PLAIN.
    ///
    /// # Errors
    /// When it is refused.
    pub fn log_in(&mut self, user: &str, password: &str) -> io::Result<()> {
        let plain = STANDARD.encode(format!("\0{user}\0{password}"));
        self.expect(&format!("AUTH PLAIN {plain}"))
    }

    /// Sends a message by DATA and returns the reply to its end, or the first refusal before.
    ///
    /// # Errors
    /// When the connection ends.
    pub fn deliver(&mut self, from: &str, recipients: &[&str], message: &[u8]) -> io::Result<String> {
        let mut lines = vec![format!("MAIL FROM:<{from}>")];
        lines.extend(recipients.iter().map(|recipient| format!("RCPT TO:<{recipient}>")));
        lines.push("DATA".to_owned());
        for line in lines {
            let reply = self.command(&line)?;
            if !reply.starts_with(['2', '3']) {
                self.command("RSET")?;
                return Ok(reply);
            }
        }
        let mut content = Vec::new();
        for line in message.split_inclusive(|&byte| byte == b'\n') {
            if line.starts_with(b".") {
                content.push(b'.');
            }
            content.extend_from_slice(line);
        }
        content.extend_from_slice(if content.ends_with(b"\r\n") { b".\r\n" } else { b"\r\n.\r\n" });
        self.stream.get_mut().write_all(&content)?;
        self.reply()
    }

    fn expect(&mut self, line: &str) -> io::Result<()> {
        let reply = self.command(line)?;
        if reply.starts_with('2') { Ok(()) } else { Err(io::Error::other(format!("{line}: {reply}"))) }
    }

    fn reply(&mut self) -> io::Result<String> {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            if self.stream.read_line(&mut reply)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if reply.as_bytes().get(start + 3) != Some(&b'-') {
                return Ok(reply);
            }
        }
    }
}
