//! Fetches what a domain publishes by HTTPS, and nothing but that: no redirects, no proxies, no cache.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::remote::Resolver;
use crate::remote::dns::in_turn;
use crate::remote::failure::{FailureKind, TlsFailure};
use crate::remote::tls::{self, Trust};

/// How long one exchange may take altogether (RFC 8461 section 3.3 suggests a minute).
pub const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long one address may take to be connected to.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The port everywhere but in tests.
pub const HTTPS_PORT: u16 = 443;

/// One question to a server.
pub struct Exchange<'a> {
    /// Where it is: a name, which its certificate must have.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// What is asked for; GET when there is nothing to send.
    pub path: &'a str,
    /// What is sent, and of which media type.
    pub content: Option<(&'static str, Bytes)>,
    /// Longest answer, in bytes.
    pub answer_bytes_max: usize,
}

/// The answer to a question.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The media type without its parameters, in lower case.
    pub media_type: String,
    /// The content.
    pub body: Bytes,
}

impl Exchange<'_> {
    /// Asks.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn run(&self, resolver: &dyn Resolver, trust: &Trust) -> Result<Answer, TlsFailure> {
        let late = |_| self.failed(format!("no answer within {} s", EXCHANGE_TIMEOUT.as_secs()));
        tokio::time::timeout(EXCHANGE_TIMEOUT, self.ask(resolver, trust)).await.map_err(late)?
    }

    async fn ask(&self, resolver: &dyn Resolver, trust: &Trust) -> Result<Answer, TlsFailure> {
        let addresses = resolver.addresses(self.host).await.map_err(|error| self.failed(error))?;
        let stream = self.connect(addresses).await?;
        let verifier = trust.verifier().map_err(|error| self.failed(error))?;
        let config = tls::client_config(verifier).map_err(|error| self.failed(error))?;
        let name = ServerName::try_from(self.host.to_owned()).map_err(|error| self.failed(error))?;
        let bad = |error| TlsFailure::new(FailureKind::StsWebpkiInvalid, format!("{}: {error}", self.host));
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(bad)?;
        let unreadable = |error: hyper::Error| self.failed(error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreadable)?;
        tokio::spawn(connection);
        let response = sender.send_request(self.request()?).await.map_err(unreadable)?;
        let status = response.status();
        let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let media_type = media_type.to_ascii_lowercase();
        let body = Limited::new(response.into_body(), self.answer_bytes_max).collect().await;
        Ok(Answer { status, media_type, body: body.map_err(|error| self.failed(error))?.to_bytes() })
    }

    async fn connect(&self, addresses: Vec<IpAddr>) -> Result<TcpStream, TlsFailure> {
        let mut last = self.failed("it has no address");
        for address in in_turn(addresses) {
            let connecting = TcpStream::connect(SocketAddr::new(address, self.port));
            match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = self.failed(error),
                Err(_) => last = self.failed("the connection takes too long"),
            }
        }
        Err(last)
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, TlsFailure> {
        let host = if self.port == HTTPS_PORT { self.host.to_owned() } else { format!("{}:{}", self.host, self.port) };
        let request = match &self.content {
            Some((media_type, _)) => Request::post(self.path).header(header::CONTENT_TYPE, *media_type),
            None => Request::get(self.path),
        };
        let body = self.content.as_ref().map(|(_, body)| body.clone()).unwrap_or_default();
        let request = request.header(header::HOST, host).body(Full::new(body));
        request.map_err(|error| self.failed(error))
    }

    fn failed(&self, why: impl std::fmt::Display) -> TlsFailure {
        TlsFailure::new(FailureKind::StsPolicyFetchError, format!("{}: {why}", self.host))
    }
}
