//! What a provider says of itself, its keys, and the exchange of a code for tokens: over HTTPS, or HTTP for one on this
//! machine.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use serde_json::Value;
use sterna_base::Secret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::token::{Key, Keys};
use crate::node::trusted_roots;

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// How long what a provider says of itself is kept.
const KEPT: Duration = Duration::from_secs(3600);
/// How often its keys are asked for because a token has an unknown one.
const KEYS_AGAIN: Duration = Duration::from_secs(10);

/// What a provider says of itself (OpenID Connect Discovery 1.0 section 3).
#[derive(Clone, Debug, Deserialize)]
pub struct Metadata {
    /// Its name: what was asked for, letter by letter.
    pub issuer: String,
    /// Where people are sent.
    pub authorization_endpoint: String,
    /// Where a code is exchanged.
    pub token_endpoint: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where people sign out.
    #[serde(default)]
    pub end_session_endpoint: Option<String>,
    /// Whether its answers say from whom they are (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
    /// How clients prove who they are.
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Vec<String>,
}

/// A provider, and what is known of it.
#[derive(Default)]
pub struct Provider {
    known: Mutex<Option<(Instant, Metadata)>>,
    keys: Mutex<Option<(Instant, String, Keys)>>,
    /// When keys were last asked for anew.
    forced: Mutex<Option<Instant>>,
}

/// Who we are there.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name.
    pub issuer: String,
    /// Our name there.
    pub id: String,
    /// Our secret there; `None` when only PKCE proves it.
    pub secret: Option<Secret>,
}

impl Provider {
    /// What it says of itself.
    ///
    /// # Errors
    /// The cause, for the operator.
    pub async fn metadata(&self, issuer: &str) -> Result<Metadata, String> {
        let kept = self.known.lock().clone();
        if let Some((since, known)) = kept
            && since.elapsed() < KEPT
            && known.issuer == issuer
        {
            return Ok(known);
        }
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let found: Metadata = serde_json::from_value(get(&url).await?).map_err(|error| format!("{url}: {error}"))?;
        if found.issuer != issuer {
            return Err(format!("{url} is of the issuer “{}”, not of “{issuer}”", found.issuer));
        }
        *self.known.lock() = Some((Instant::now(), found.clone()));
        Ok(found)
    }

    /// Its keys; `again` asks for them anew, because it may have changed them.
    ///
    /// # Errors
    /// The cause, for the operator.
    pub async fn keys(&self, url: &str, again: bool) -> Result<Keys, String> {
        let kept = self.keys.lock().clone();
        let is_soon = self.forced.lock().is_some_and(|at| at.elapsed() < KEYS_AGAIN);
        if let Some((since, of, keys)) = kept
            && of == url
            && since.elapsed() < KEPT
            && (!again || is_soon)
        {
            return Ok(keys);
        }
        if again {
            *self.forced.lock() = Some(Instant::now());
        }
        let value = get(url).await?;
        // A key of a later kind must not hide the others.
        let keys = value["keys"].as_array().into_iter().flatten();
        let keys = Keys { keys: keys.filter_map(|key| serde_json::from_value::<Key>(key.clone()).ok()).collect() };
        *self.keys.lock() = Some((Instant::now(), url.to_owned(), keys.clone()));
        Ok(keys)
    }

    /// Exchanges a code for an ID token (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
    ///
    /// # Errors
    /// The cause, for the operator.
    pub async fn exchange(
        &self,
        metadata: &Metadata,
        client: &Client,
        (code, verifier, redirect_uri): (&str, &str, &str),
    ) -> Result<String, String> {
        let mut body = format!(
            "grant_type=authorization_code&code={}&redirect_uri={}&code_verifier={}&client_id={}",
            form(code),
            form(redirect_uri),
            form(verifier),
            form(&client.id)
        );
        let methods = &metadata.token_endpoint_auth_methods_supported;
        let by_post = methods.iter().any(|method| method == "client_secret_post")
            && !methods.iter().any(|method| method == "client_secret_basic");
        let mut authorization = None;
        match &client.secret {
            Some(secret) if by_post => body.push_str(&format!("&client_secret={}", form(secret.expose()))),
            Some(secret) => {
                let pair = format!("{}:{}", form(&client.id), form(secret.expose()));
                authorization = Some(format!("Basic {}", STANDARD.encode(pair)));
            }
            None => {}
        }
        let (status, answer) = post(&metadata.token_endpoint, body, authorization).await?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        match answer["id_token"].as_str() {
            Some(token) if status == StatusCode::OK => Ok(token.to_owned()),
            _ => {
                let error = answer["error"].as_str().unwrap_or("no id_token");
                Err(format!("{} answers {status}: {error}", metadata.token_endpoint))
            }
        }
    }
}

/// Percent-encoded for forms and queries.
pub fn form(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

async fn get(url: &str) -> Result<Value, String> {
    let request = |builder: http::request::Builder| builder.method("GET").body(Full::new(Bytes::new()));
    let (status, body) = ask(url, request).await?;
    if status != StatusCode::OK {
        return Err(format!("{url} answers {status}"));
    }
    serde_json::from_slice(&body).map_err(|error| format!("{url}: {error}"))
}

async fn post(url: &str, body: String, authorization: Option<String>) -> Result<(StatusCode, Bytes), String> {
    let request = |mut builder: http::request::Builder| {
        builder = builder.method("POST").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            builder = builder.header(header::AUTHORIZATION, authorization);
        }
        builder.body(Full::new(Bytes::from(body)))
    };
    ask(url, request).await
}

/// One question on a connection of its own; redirects are not followed.
async fn ask(
    url: &str,
    request: impl FnOnce(http::request::Builder) -> http::Result<Request<Full<Bytes>>>,
) -> Result<(StatusCode, Bytes), String> {
    let uri: Uri = url.parse().map_err(|_| format!("{url} is not a URL"))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let builder =
        Request::builder().uri(path).header(header::HOST, authority).header(header::ACCEPT, "application/json");
    let request = request(builder).map_err(|error| error.to_string())?;
    let asked = async {
        let host = uri.host().ok_or_else(|| format!("{url} has no host"))?;
        let is_https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, port)).await.map_err(|error| format!("{host}: {error}"))?;
        let is_here = stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback());
        if !is_https && !is_here {
            return Err(format!("secrets are not sent in the clear: {url} must begin with https://"));
        }
        if is_https {
            let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
            let tls = TlsConnector::from(trusted_roots(None)?);
            exchange_on(tls.connect(name, stream).await.map_err(|error| format!("{host}: {error}"))?, request).await
        } else {
            exchange_on(stream, request).await
        }
    };
    let late = |_| format!("{url} took too long");
    tokio::time::timeout(ANSWER_TIMEOUT, asked).await.map_err(late)?
}

async fn exchange_on<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), String> {
    let unreadable = |error: hyper::Error| format!("the provider can't be understood: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreadable)?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(unreadable)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    Ok((status, body.map_err(|error| format!("the provider can't be understood: {error}"))?.to_bytes()))
}
