//! The smallest HTTP client that can measure: one connection, requests one after the other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// What is read at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// Longest line of an answer's head.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// A client with its connection, which it makes again when the server closes it after an answer.
pub struct Client {
    address: SocketAddr,
    authorization: String,
    stream: Option<BufReader<TcpStream>>,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Client {
    /// Of a user.
    pub fn new(address: SocketAddr, (login, password): (String, String)) -> Self {
        let authorization = format!("Basic {}", base64(format!("{login}:{password}").as_bytes()));
        Client { address, authorization, stream: None }
    }

    /// A request that must succeed; the answer's body.
    pub fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Vec<u8>> {
        let answer = self.ask(method, path, headers, body)?;
        ensure!(
            (200..300).contains(&answer.status),
            "{method} {path}: {} {}",
            answer.status,
            String::from_utf8_lossy(&answer.body[..answer.body.len().min(600)])
        );
        Ok(answer.body)
    }

    /// A request.
    pub fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        let (host, authorization) = (self.address, &self.authorization);
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n");
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        stream.get_mut().write_all(&request)?;
        let (answer, stays) = read_answer(&mut stream).with_context(|| format!("{method} {path}"))?;
        self.stream = stays.then_some(stream);
        Ok(answer)
    }

    fn connect(&self) -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(BufReader::with_capacity(BUFFER_BYTES, stream))
    }
}

/// An answer, and whether the connection stays.
fn read_answer(stream: &mut BufReader<TcpStream>) -> Result<(Answer, bool)> {
    let status_line = line(stream)?;
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("no status line: {status_line}"))?;
    let (mut stays, mut length, mut is_chunked) = (status_line.starts_with("HTTP/1.1"), None, false);
    loop {
        let header = line(stream)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').context("a header")?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.parse::<usize>()?),
            "transfer-encoding" => is_chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => stays = value.eq_ignore_ascii_case("keep-alive") || stays && value != "close",
            _ => {}
        }
    }
    let mut body = Vec::new();
    if is_chunked {
        loop {
            let size = line(stream)?;
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
            take(stream, size, &mut body)?;
            // After the last chunk there are no trailers here.
            line(stream)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = length {
        take(stream, length, &mut body)?;
    } else if status != 204 && status != 304 {
        stays = false;
        stream.read_to_end(&mut body)?;
    }
    Ok((Answer { status, body }, stays))
}

fn take(stream: &mut BufReader<TcpStream>, length: usize, body: &mut Vec<u8>) -> Result<()> {
    let start = body.len();
    body.resize(start + length, 0);
    Ok(stream.read_exact(&mut body[start..])?)
}

fn line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    if stream.take(LINE_BYTES_MAX).read_line(&mut line)? == 0 {
        bail!("the connection was closed");
    }
    Ok(line.trim_end().to_owned())
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let digit = |at: usize| char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]);
        (0..4).map(|at| if at <= chunk.len() { digit(at) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(digits).collect()
}
