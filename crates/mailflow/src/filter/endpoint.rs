//! Where a filter listens.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::CONNECT_TIMEOUT;

/// An address of a filter: `unix:/run/clamav/clamd.ctl`, `127.0.0.1:11333`, `[::1]:8891`; of one that speaks HTTP also
/// `https://filter.example:11334`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A host and its port.
    Tcp(String, u16),
    /// The same with TLS, which whoever connects must begin.
    Tls(String, u16),
}

/// It is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be unix:/PATH or HOST:PORT")]
pub struct InvalidEndpoint;

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;
    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        if let Some(path) = text.strip_prefix("unix:") {
            return path.starts_with('/').then(|| Endpoint::Unix(path.into())).ok_or(InvalidEndpoint);
        }
        let (host, port) = text.rsplit_once(':').ok_or(InvalidEndpoint)?;
        let port = port.parse().map_err(|_| InvalidEndpoint)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        (!host.is_empty() && !host.contains('/') && port > 0)
            .then(|| Endpoint::Tcp(host.to_owned(), port))
            .ok_or(InvalidEndpoint)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
            Endpoint::Tls(host, port) => write!(f, "https://{}", Endpoint::Tcp(host.clone(), *port)),
            Endpoint::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Endpoint::Tcp(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// Bytes both ways.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Endpoint {
    /// Of a filter that speaks HTTP: with `https://` in front it is spoken to with TLS.
    ///
    /// # Errors
    /// [`InvalidEndpoint`].
    pub fn of_http(text: &str) -> Result<Self, InvalidEndpoint> {
        match text.strip_prefix("https://") {
            None => text.parse(),
            Some(rest) => match rest.trim_end_matches('/').parse()? {
                Endpoint::Tcp(host, port) => Ok(Endpoint::Tls(host, port)),
                _ => Err(InvalidEndpoint),
            },
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// Those of the network, with the address in them; `TimedOut` after [`CONNECT_TIMEOUT`].
    pub async fn connect(&self) -> io::Result<Box<dyn Wire>> {
        let connecting = async {
            Ok::<Box<dyn Wire>, io::Error>(match self {
                Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await?),
                Endpoint::Tcp(host, port) | Endpoint::Tls(host, port) => {
                    let stream = TcpStream::connect((&**host, *port)).await?;
                    stream.set_nodelay(true)?;
                    Box::new(stream)
                }
            })
        };
        let connected = timeout(CONNECT_TIMEOUT, connecting).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        connected.map_err(|error| io::Error::new(error.kind(), format!("{self}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for text in ["unix:/run/clamav/clamd.ctl", "127.0.0.1:3310", "[::1]:3310", "filter.example:11333"] {
            assert_eq!(text.parse::<Endpoint>().map(|endpoint| endpoint.to_string()).as_deref(), Ok(text));
        }
        let web = |text| Endpoint::of_http(text).map(|endpoint| endpoint.to_string());
        for text in ["https://filter.example:11334", "https://[::1]:1", "unix:/run/rspamd", "127.0.0.1:1"] {
            assert_eq!(web(text).as_deref(), Ok(text));
        }
        for text in ["https://", "https://filter", "https://unix:/run/x", "http://filter:1"] {
            assert_eq!(web(text), Err(InvalidEndpoint), "{text}");
        }
        for text in [
            "https://filter.example:1",
            "",
            "unix:",
            "unix:run",
            "/run/x",
            "host",
            "host:",
            ":1",
            "host:0",
            "host:99999",
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(InvalidEndpoint), "{text}");
        }
    }

    #[tokio::test]
    async fn who_is_not_there_is_named() {
        let error = Endpoint::Unix("/nowhere/clamd.ctl".into()).connect().await.err().unwrap();
        assert!(error.to_string().starts_with("unix:/nowhere/clamd.ctl: "), "{error}");
    }
}
