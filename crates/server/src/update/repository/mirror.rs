//! Files of a repository: over HTTP, with a bounded size and time, or from a folder of the machine.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::RepositoryError;
use crate::node::trusted_roots;

/// How long one address may take to be connected to.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a server may send nothing.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How long a small file may take, however little comes at once.
const SMALL_FILE_MAX: Duration = Duration::from_secs(300);

/// How long a large file may take beside a second for each of these bytes.
const LARGE_FILE_SPARE: Duration = Duration::from_secs(600);
const BYTES_PER_SECOND_MIN: u64 = 16 * 1024;

/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 4;

/// Bytes that are read from a file at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Where a repository is.
pub(super) struct Mirror {
    base: String,
    place: Place,
}

enum Place {
    Folder(PathBuf),
    Web { is_https: bool, host: String, port: u16, authority: String, path: String },
}

/// A file on its way.
enum Source {
    File(File),
    Web(Incoming),
}

impl Mirror {
    /// From its address.
    pub fn of(url: &str) -> Result<Self, RepositoryError> {
        let base = url.trim().trim_end_matches('/').to_owned();
        let bad = |cause: &str| RepositoryError::Unreachable { url: base.clone(), cause: cause.to_owned() };
        if let Some(path) = base.strip_prefix("file://") {
            let folder = PathBuf::from(path);
            return match folder.is_absolute() {
                true => Ok(Mirror { place: Place::Folder(folder), base }),
                false => Err(bad("after file:// comes the whole path of a folder")),
            };
        }
        let uri: Uri = base.parse().map_err(|_| bad("it is no address"))?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad("it must begin with https://, http:// or file://")),
        };
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        if authority.contains('@') {
            let cause =
                "it has a name or a password in it, which everybody could read who may look at updates".to_owned();
            return Err(RepositoryError::Unreachable { url: "the repository's address".to_owned(), cause });
        }
        let host = uri.host().ok_or_else(|| bad("it names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Mirror { place: Place::Web { is_https, host, port, authority, path }, base })
    }

    /// Where a file is, for people.
    pub fn url(&self, file: &str) -> String {
        format!("{}/{file}", self.base)
    }

    /// A small file.
    pub async fn bytes(&self, file: &str, bytes_max: u64) -> Result<Vec<u8>, RepositoryError> {
        let read = timeout(SMALL_FILE_MAX, self.small(file, bytes_max)).await;
        read.unwrap_or_else(|_| Err(self.too_slow(file, SMALL_FILE_MAX)))
    }

    async fn small(&self, file: &str, bytes_max: u64) -> Result<Vec<u8>, RepositoryError> {
        let mut source = self.open(file).await?;
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece(&mut source, file).await? {
            if (bytes.len() + piece.len()) as u64 > bytes_max {
                return Err(self.unreachable(file, format!("it is longer than {bytes_max} bytes")));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// A large file of a known size, onto the disk; its hash.
    pub async fn save(
        &self,
        file: &str,
        bytes: u64,
        into: &Path,
        told: impl Fn(u64) + Send,
    ) -> Result<String, RepositoryError> {
        let within = LARGE_FILE_SPARE + Duration::from_secs(bytes / BYTES_PER_SECOND_MIN);
        let saved = timeout(within, self.large(file, bytes, into, told)).await;
        saved.unwrap_or_else(|_| Err(self.too_slow(file, within)))
    }

    async fn large(
        &self,
        file: &str,
        bytes: u64,
        into: &Path,
        told: impl Fn(u64) + Send,
    ) -> Result<String, RepositoryError> {
        let mut source = self.open(file).await?;
        let on_disk = |error: std::io::Error| self.unreachable(file, format!("{}: {error}", into.display()));
        let mut target = File::create(into).await.map_err(on_disk)?;
        let (mut hash, mut done) = (Context::new(&SHA256), 0u64);
        while let Some(piece) = self.piece(&mut source, file).await? {
            done += piece.len() as u64;
            if done > bytes {
                break;
            }
            hash.update(&piece);
            target.write_all(&piece).await.map_err(on_disk)?;
            told(done);
        }
        if done != bytes {
            let more = if done > bytes { "more" } else { "less" };
            let cause = format!("it has {more} than {bytes} bytes");
            return Err(RepositoryError::Tampered { url: self.url(file), cause });
        }
        target.flush().await.map_err(on_disk)?;
        target.sync_all().await.map_err(on_disk)?;
        Ok(hex(hash.finish().as_ref()))
    }

    fn too_slow(&self, file: &str, within: Duration) -> RepositoryError {
        self.unreachable(file, format!("it is not here after {} s: the server is too slow", within.as_secs()))
    }

    fn unreachable(&self, file: &str, cause: String) -> RepositoryError {
        RepositoryError::Unreachable { url: self.url(file), cause }
    }

    async fn open(&self, file: &str) -> Result<Source, RepositoryError> {
        match &self.place {
            Place::Folder(folder) => {
                let opened = File::open(folder.join(file)).await;
                opened.map(Source::File).map_err(|error| self.unreachable(file, error.to_string()))
            }
            Place::Web { is_https, host, port, authority, path } => {
                let asked = async {
                    let stream = connect(host, *port).await?;
                    let target = format!("{path}/{file}");
                    if !is_https {
                        return ask(stream, authority, &target).await;
                    }
                    let tls = trusted_roots(None)?;
                    let name = ServerName::try_from(host.clone()).map_err(|error| error.to_string())?;
                    let stream =
                        TlsConnector::from(tls).connect(name, stream).await.map_err(|error| error.to_string())?;
                    ask(stream, authority, &target).await
                };
                let late = |_| format!("no answer within {} s", SILENCE_MAX.as_secs());
                let answer = timeout(SILENCE_MAX, asked).await.map_err(late).and_then(|answer| answer);
                answer.map(Source::Web).map_err(|cause| self.unreachable(file, cause))
            }
        }
    }

    async fn piece(&self, source: &mut Source, file: &str) -> Result<Option<Bytes>, RepositoryError> {
        let read = async {
            match source {
                Source::File(opened) => {
                    let mut piece = vec![0; PIECE_BYTES];
                    let read = opened.read(&mut piece).await.map_err(|error| error.to_string())?;
                    piece.truncate(read);
                    Ok((read > 0).then(|| piece.into()))
                }
                Source::Web(body) => loop {
                    let Some(frame) = body.frame().await else { return Ok(None) };
                    // Trailers are nobody's business.
                    if let Ok(data) = frame.map_err(|error| error.to_string())?.into_data() {
                        return Ok(Some(data));
                    }
                },
            }
        };
        let late = |_| format!("nothing more came for {} s", SILENCE_MAX.as_secs());
        let piece = timeout(SILENCE_MAX, read).await.map_err(late).and_then(|piece| piece);
        piece.map_err(|cause| self.unreachable(file, cause))
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|error| error.to_string())?;
    let addresses: Vec<SocketAddr> = addresses.take(ADDRESSES_MAX).collect();
    let mut why = "it has no address in DNS".to_owned();
    for address in addresses {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => why = format!("{address}: {error}"),
            Err(_) => why = format!("{address} doesn't answer"),
        }
    }
    Err(why)
}

async fn ask<S>(stream: S, authority: &str, path: &str) -> Result<Incoming, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    tokio::spawn(connection);
    let host = HeaderValue::from_str(authority).map_err(|error| error.to_string())?;
    let request = Request::get(path).header(HOST, host);
    let request = request.header(USER_AGENT, concat!("Sterna/", env!("CARGO_PKG_VERSION")));
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(text)?;
    match response.status() {
        StatusCode::OK => Ok(response.into_body()),
        StatusCode::NOT_FOUND => Err("it is not there".to_owned()),
        other => Err(format!("the server says {other}")),
    }
}

/// The hash of bytes (SHA-256, hexadecimal).
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref())
}

/// The hash of a file (SHA-256, hexadecimal). Blocks.
///
/// # Errors
/// When it can't be read.
pub fn sha256_of_file(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut file = std::fs::File::open(path)?;
    let (mut hash, mut piece) = (Context::new(&SHA256), vec![0; PIECE_BYTES]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(hash.finish().as_ref())),
            read => hash.update(&piece[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
