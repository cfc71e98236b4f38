//! Asks a DAV server, over one connection that is made again when it breaks.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use sterna_base::Secret;
use sterna_formats::dav::href;
use sterna_formats::dav::multistatus::ANSWER_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::limits::{CONNECT_MAX, REDIRECTIONS_MAX, RETRY_WAIT, SILENCE_MAX, THINKING_MAX, TRIES_MAX};
use crate::run::error::SourceError;

/// Bytes of an answer that nobody understands, for people.
const SHOWN_MAX: usize = 100;

/// What stands in a URL for the login of each account.
const LOGIN: &str = "{login}";

/// A server that calendars and address books come from.
#[derive(Clone)]
pub struct DavSource {
    /// As it was given.
    text: String,
    /// Where it begins: a server, a user's home, or one collection.
    pub url: Uri,
    /// Whom to trust.
    pub tls: Arc<ClientConfig>,
}

impl DavSource {
    /// From a URL, in which `{login}` stands for the login of each account.
    ///
    /// # Errors
    /// Why it is none that can be asked, for people.
    pub fn parse(text: &str, tls: Arc<ClientConfig>) -> Result<Self, String> {
        DavSource::with(text, "login", tls)
    }

    /// The same for one login.
    ///
    /// # Errors
    /// Why there is no such URL, for people.
    pub fn of(&self, login: &str) -> Result<Self, SourceError> {
        DavSource::with(&self.text, login, self.tls.clone()).map_err(SourceError::Protocol)
    }

    fn with(text: &str, login: &str, tls: Arc<ClientConfig>) -> Result<Self, String> {
        let mut encoded = String::new();
        href::encode(login, &mut encoded);
        let url = text.replace(LOGIN, &encoded).parse::<Uri>();
        let (text, url) = (text.to_owned(), url.map_err(|error| format!("the URL can't be read: {error}"))?);
        match (url.scheme_str(), url.authority()) {
            (Some("https" | "http"), Some(authority)) if !authority.as_str().contains('@') => {
                Ok(DavSource { text, url, tls })
            }
            (Some("https" | "http"), Some(_)) => Err("the URL has a login in it; give it beside the URL".to_owned()),
            _ => Err("the URL begins with https:// or http://".to_owned()),
        }
    }

    /// The name of the server.
    pub fn host(&self) -> &str {
        self.url.host().unwrap_or_default()
    }

    fn is_https(&self) -> bool {
        self.url.scheme_str() == Some("https")
    }

    fn port(&self) -> u16 {
        self.url.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// What a place leads to that the server names: a path of the same server, else `None`. A password isn't told to
    /// another one, and never without TLS to one that was asked with it.
    fn path_within(&self, place: &str) -> Option<String> {
        // A network-path reference (RFC 3986 section 4.2) names another server.
        let place: Uri = Some(place.trim()).filter(|place| !place.starts_with("//"))?.parse().ok()?;
        let is_same = match (place.host(), place.scheme_str()) {
            (None, _) => true,
            (Some(host), Some(scheme)) => {
                let port = place.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
                let is_same_port = port == self.port() && self.url.scheme_str() == Some(scheme);
                host.eq_ignore_ascii_case(self.host()) && is_same_port
            }
            _ => false,
        };
        is_same.then(|| place.path_and_query().map_or("/", |path| path.as_str()).to_owned())
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// What it says.
    pub body: Bytes,
    /// The path that was asked in the end.
    pub path: String,
    /// Its entity tag.
    pub etag: Option<String>,
}

impl Answer {
    /// The same, if it is well.
    ///
    /// # Errors
    /// [`SourceError::Refused`], and [`SourceError::Login`] where a password is missing or wrong.
    pub fn well(self, asked: &str) -> Result<Self, SourceError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let text = String::from_utf8_lossy(&self.body).split_whitespace().collect::<Vec<_>>().join(" ");
        let text = format!("{} {}", self.status, text.chars().take(SHOWN_MAX).collect::<String>()).trim().to_owned();
        match self.status {
            StatusCode::UNAUTHORIZED => Err(SourceError::Login(text)),
            _ => Err(SourceError::Refused { command: format!("{asked} {}", self.path), text }),
        }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The method: `PROPFIND`.
    pub method: &'a str,
    /// Where, as it is written in a request.
    pub path: &'a str,
    /// `Depth` (RFC 4918 section 10.2).
    pub depth: Option<&'a str>,
    /// XML, if anything.
    pub body: String,
}

/// See the module.
pub struct Client {
    source: DavSource,
    authorization: Secret,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// For this user.
    pub fn new(source: DavSource, login: &str, password: &Secret) -> Self {
        let basic = BASE64.encode(format!("{login}:{}", password.expose()));
        Client { source, authorization: Secret::new(format!("Basic {basic}")), connection: None }
    }

    /// Asks until there is an answer, whatever it says; what is asked changes nothing at the source.
    ///
    /// # Errors
    /// [`SourceError`]
    pub async fn ask(&mut self, question: &Question<'_>) -> Result<Answer, SourceError> {
        let mut path = question.path.to_owned();
        for _ in 0..=REDIRECTIONS_MAX {
            let (answer, location) = self.patiently(question, &path).await?;
            match location.filter(|_| answer.status.is_redirection()) {
                None => return Ok(answer),
                Some(location) => {
                    let text = format!("{path} is at {location} now, which is another server; begin with that URL");
                    path = self.source.path_within(&location).ok_or(SourceError::Protocol(text))?;
                }
            }
        }
        Err(SourceError::Protocol(format!("{} is sent on more than {REDIRECTIONS_MAX} times", question.path)))
    }

    async fn patiently(
        &mut self,
        question: &Question<'_>,
        path: &str,
    ) -> Result<(Answer, Option<String>), SourceError> {
        let (mut tries, mut wait) = (0, RETRY_WAIT);
        loop {
            tries += 1;
            match self.once(question, path).await {
                Err(error) if error.is_temporary() && tries < TRIES_MAX => {
                    tracing::info!(path, %error, "an import goes on");
                    tokio::time::sleep(wait).await;
                }
                Ok((answer, _)) if is_busy(answer.status) && tries < TRIES_MAX => tokio::time::sleep(wait).await,
                done => return done,
            }
            wait *= 2;
        }
    }

    async fn once(&mut self, question: &Question<'_>, path: &str) -> Result<(Answer, Option<String>), SourceError> {
        let request = self.request(question, path)?;
        let mut connection = match ready(self.connection.take()).await {
            Some(open) => open,
            None => connect(&self.source).await?,
        };
        let lost = |error: &dyn std::fmt::Display| SourceError::Lost(error.to_string());
        // Some make a list of all objects before they say a word.
        let answered = timeout(THINKING_MAX, connection.send_request(request)).await;
        let (head, body) = answered.map_err(|_| SourceError::Silent)?.map_err(|error| lost(&error))?.into_parts();
        let body = whole(body).await?;
        self.connection = Some(connection);
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let answer = Answer { status: head.status, body, path: path.to_owned(), etag: text(http::header::ETAG) };
        Ok((answer, text(LOCATION)))
    }

    fn request(&self, question: &Question<'_>, path: &str) -> Result<Request<Full<Bytes>>, SourceError> {
        let odd = |error: &dyn std::fmt::Display| SourceError::Protocol(format!("{path}: {error}"));
        let method = Method::from_bytes(question.method.as_bytes()).map_err(|error| odd(&error))?;
        let host = self.source.url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host)
            .header(AUTHORIZATION, self.authorization.expose())
            .header(ACCEPT_ENCODING, "identity")
            .header(USER_AGENT, concat!("Sterna/", env!("CARGO_PKG_VERSION")));
        if let Some(depth) = question.depth {
            request = request.header("Depth", depth);
        }
        if !question.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/xml; charset=utf-8");
        }
        request.body(Full::new(Bytes::from(question.body.clone()))).map_err(|error| odd(&error))
    }
}

/// A server that will answer soon (RFC 9110 section 15.6.4, RFC 6585 section 4).
fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_GATEWAY)
}

/// All of an answer, as long as something comes.
async fn whole(mut body: Incoming) -> Result<Bytes, SourceError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = timeout(SILENCE_MAX, body.frame()).await.map_err(|_| SourceError::Silent)? {
        let frame = frame.map_err(|error| SourceError::Lost(error.to_string()))?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > ANSWER_BYTES_MAX {
            return Err(SourceError::Protocol(format!("an answer has more than {ANSWER_BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes.freeze())
}

/// A connection that is still open: servers end them after an answer, or when nothing was asked for a while.
async fn ready(connection: Option<SendRequest<Full<Bytes>>>) -> Option<SendRequest<Full<Bytes>>> {
    let mut open = connection?;
    let is_ready = timeout(SILENCE_MAX, open.ready()).await.is_ok_and(|ready| ready.is_ok());
    is_ready.then_some(open)
}

async fn connect(source: &DavSource) -> Result<SendRequest<Full<Bytes>>, SourceError> {
    let (host, port) = (source.host().trim_matches(['[', ']']).to_owned(), source.port());
    let unreachable = |cause: String| SourceError::Unreachable { address: format!("{host}:{port}"), cause };
    let connecting = timeout(CONNECT_MAX, TcpStream::connect((host.as_str(), port))).await;
    let stream = connecting.map_err(|_| unreachable("it takes too long".to_owned()))?;
    let stream = stream.map_err(|error| unreachable(error.to_string()))?;
    if !source.is_https() {
        return shake_hands(stream).await;
    }
    let name = ServerName::try_from(host.clone()).map_err(|error| SourceError::Tls(error.to_string()))?;
    let shaking = timeout(CONNECT_MAX, TlsConnector::from(source.tls.clone()).connect(name, stream)).await;
    let stream = shaking.map_err(|_| SourceError::Silent)?.map_err(|error| SourceError::Tls(error.to_string()))?;
    shake_hands(stream).await
}

async fn shake_hands<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, SourceError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let made = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = made.map_err(|error| SourceError::Lost(error.to_string()))?;
    // It ends with the sender.
    tokio::spawn(connection);
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(url: &str) -> Result<DavSource, String> {
        let roots = rustls::RootCertStore::empty();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        DavSource::parse(url, Arc::new(tls.with_root_certificates(roots).with_no_client_auth()))
    }

    #[test]
    fn a_password_goes_to_the_server_that_it_was_given_for() {
        let one = source("https://dav.old.test/user/").unwrap();
        assert_eq!((one.host(), one.port()), ("dav.old.test", 443));
        let each = source("https://dav.old.test/dav/{login}/").unwrap();
        assert_eq!(each.of("ana@old.test").unwrap().url.path(), "/dav/ana@old.test/");
        assert_eq!(each.of("a b/c").unwrap().url.path(), "/dav/a%20b%2Fc/");
        for (place, path) in [
            ("/principals/ana/", Some("/principals/ana/")),
            ("https://DAV.old.test/x%20y?z", Some("/x%20y?z")),
            ("https://dav.old.test:443/x", Some("/x")),
            ("http://dav.old.test/x", None),
            ("https://dav.old.test:8443/x", None),
            ("https://elsewhere.test/x", None),
            ("//elsewhere.test/x", None),
        ] {
            assert_eq!(one.path_within(place).as_deref(), path, "{place}");
        }
        for bad in ["dav.old.test", "ftp://dav.old.test/", "https://ana:secret@dav.old.test/", "https://"] {
            assert!(source(bad).is_err(), "{bad}");
        }
    }
}
