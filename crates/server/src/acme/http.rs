//! How an authority is spoken to: HTTPS with a bounded time and size for each answer.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use sterna_mailflow::remote::{Dns, Resolver};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::node::trusted_roots;

/// How long one answer may take, with connecting.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long one address may take to be connected to.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Addresses of the authority that are tried.
const ADDRESSES_MAX: usize = 4;

/// Largest answer, in bytes. The largest are chains of certificates.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// How long the authority wants to be left alone, in milliseconds, as it said last.
pub type ToldToWait = Arc<Mutex<Option<i64>>>;

/// Speaks with one authority.
pub struct Authority {
    tls: Arc<ClientConfig>,
    dns: Arc<Dns>,
    told: ToldToWait,
}

impl Authority {
    /// Trusts whom everybody trusts, and these roots (PEM). Blocks.
    ///
    /// # Errors
    /// When the system has no trusted certificates, or those can't be read.
    pub fn new(roots: Option<&str>, dns: Arc<Dns>, told: ToldToWait) -> Result<Self, String> {
        let more = match roots {
            Some(roots) => {
                let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
                std::fs::write(file.path(), roots).map_err(|error| error.to_string())?;
                Some(file)
            }
            None => None,
        };
        let tls = trusted_roots(more.as_ref().map(|file| -> &Path { file.path() }))?;
        Ok(Authority { tls, dns, told })
    }
}

impl HttpClient for Authority {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let (tls, dns, told) = (self.tls.clone(), self.dns.clone(), self.told.clone());
        Box::pin(async move {
            let late = |_| format!("no answer within {} s", ANSWER_TIMEOUT.as_secs());
            let asked = tokio::time::timeout(ANSWER_TIMEOUT, ask(tls, dns, request)).await;
            let answer = asked.map_err(late).and_then(|answer| answer);
            let answer = answer.map_err(|text| instant_acme::Error::Other(Unreachable(text).into()))?;
            if answer.status().as_u16() == 429 || answer.status().is_server_error() {
                *told.lock() = answer.headers().get(RETRY_AFTER).and_then(wait_ms);
            }
            Ok(BytesResponse::from(answer))
        })
    }
}

/// The authority can't be spoken with at present.
#[derive(Debug, thiserror::Error)]
#[error("the certificate authority can't be reached: {0}")]
pub struct Unreachable(String);

/// RFC 9110 section 10.2.3; only seconds: an authority that says a date is waited for as if it said nothing.
fn wait_ms(value: &HeaderValue) -> Option<i64> {
    value.to_str().ok()?.trim().parse::<i64>().ok().map(|seconds| seconds.saturating_mul(1000))
}

async fn ask(
    tls: Arc<ClientConfig>,
    dns: Arc<Dns>,
    request: Request<BodyWrapper<Bytes>>,
) -> Result<Response<Full<Bytes>>, String> {
    let (mut head, body) = request.into_parts();
    let uri = std::mem::take(&mut head.uri);
    let host = uri.host().ok_or("its directory names a URL without a host")?;
    if uri.scheme_str() != Some("https") {
        return Err(format!("{uri} is no https URL"));
    }
    let plain = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let stream = connect(&dns, &plain, uri.port_u16().unwrap_or(443)).await?;
    let name = ServerName::try_from(plain.clone()).map_err(|error| error.to_string())?;
    let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(|error| format!("{plain}: {error}"))?;
    let text = |error: hyper::Error| format!("{plain}: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    tokio::spawn(connection);
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let host = HeaderValue::from_str(authority).map_err(|error| error.to_string())?;
    head.headers.insert(HOST, host);
    head.headers.insert(USER_AGENT, HeaderValue::from_static(concat!("Sterna/", env!("CARGO_PKG_VERSION"))));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = path.parse::<Uri>().map_err(|error| error.to_string())?;
    let response = sender.send_request(Request::from_parts(head, body)).await.map_err(text)?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| format!("{plain}: {error}"))?;
    Ok(Response::from_parts(head, Full::new(body.to_bytes())))
}

async fn connect(dns: &Dns, host: &str, port: u16) -> Result<TcpStream, String> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => dns.addresses(host).await.map_err(|error| error.to_string())?,
    };
    let mut why = format!("{host} has no address in DNS");
    for address in addresses.into_iter().take(ADDRESSES_MAX) {
        let connecting = TcpStream::connect(SocketAddr::new(address, port));
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => why = format!("{host} ({address}): {error}"),
            Err(_) => why = format!("{host} ({address}) doesn't answer"),
        }
    }
    Err(why)
}
