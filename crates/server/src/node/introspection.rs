//! Asks the issuer of bearer tokens whose a token is (RFC 7662), over HTTPS, or HTTP for one on the same machine; or
//! verifies a token that the OpenID provider signed (RFC 9068), by its keys, which are kept.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use sterna_base::{Clock, Secret};
use sterna_directory::auth::bearer::{Bearer, Introspection, OauthSettings, SignedTokens};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use crate::openid::provider::Provider;
use crate::openid::token::{ExpectedAccess, Keys, TokenError, verify_access};

/// How long an answer may take altogether.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Questions at the same time; further ones wait for their turn.
const QUESTIONS_MAX: usize = 64;

/// Where systems keep the certificates of those whom everybody trusts.
const ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Asks, each question on a connection of its own.
pub struct IntrospectionClient {
    turns: Semaphore,
    provider: Provider,
    clock: Arc<dyn Clock>,
    /// Read when it is needed first.
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl IntrospectionClient {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let (turns, provider) = (Semaphore::new(QUESTIONS_MAX), Provider::default());
        IntrospectionClient { turns, provider, clock, tls: OnceLock::new() }
    }

    /// Whose a token is that is believed by its signature; `None` of one that isn't.
    async fn verify(
        &self,
        SignedTokens { issuer, audience }: &SignedTokens,
        claim: &str,
        token: &Secret,
    ) -> Result<Option<Bearer>, String> {
        let metadata = self.provider.metadata(issuer).await?;
        let expected = ExpectedAccess { issuer, audience, now_s: self.clock.now().0 / 1000 };
        let verified = |keys: &Keys| verify_access(token.expose(), keys, &expected);
        let claims = match verified(&self.provider.keys(&metadata.jwks_uri, false).await?) {
            // It may have new keys.
            Err(TokenError::UnknownKey) => verified(&self.provider.keys(&metadata.jwks_uri, true).await?),
            verified => verified,
        };
        let claims = match claims {
            Ok(claims) => claims,
            Err(error) => {
                tracing::info!(%error, issuer, "a bearer token is not believed");
                return Ok(None);
            }
        };
        let is_verified = claims["email_verified"] == true
            || claims["email_verified"].as_str().is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let user = claims[claim].as_str().filter(|user| !user.is_empty() && (claim != "email" || is_verified));
        if user.is_none() {
            let found = claims.get(claim).is_some();
            tracing::info!(claim, found, "a bearer token has no such claim, or an address that was not verified");
        }
        Ok(Some(Bearer { user: user.map(str::to_owned), subject: claims["sub"].as_str().map(str::to_owned) }))
    }

    async fn ask(&self, settings: &OauthSettings, token: &Secret) -> Result<Option<String>, String> {
        let uri: Uri = settings.url.parse().map_err(|_| "oauth.introspection-url is not a URL".to_owned())?;
        let host = uri.host().ok_or("oauth.introspection-url has no host")?;
        let is_https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let bare_host = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((bare_host, port)).await.map_err(|error| format!("{host}: {error}"))?;
        let is_here = stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback());
        if !is_https && !is_here {
            return Err("tokens are not sent in the clear: oauth.introspection-url must begin with https://".to_owned());
        }
        let request = request(&uri, settings, token)?;
        let (status, body) = if is_https {
            let name = ServerName::try_from(bare_host.to_owned()).map_err(|error| error.to_string())?;
            let tls = TlsConnector::from(self.tls()?);
            let stream = tls.connect(name, stream).await.map_err(|error| format!("{host}: {error}"))?;
            exchange(stream, request).await?
        } else {
            exchange(stream, request).await?
        };
        if status != StatusCode::OK {
            return Err(format!("the issuer of tokens at {host} answers {status}; look at oauth.client-id"));
        }
        answer(&body, &settings.user_field)
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        self.tls.get_or_init(|| client_config(None)).clone()
    }
}

#[async_trait]
impl Introspection for IntrospectionClient {
    async fn introspect(&self, settings: &OauthSettings, token: &Secret) -> Result<Option<Bearer>, String> {
        let asked = async {
            let _turn = self.turns.acquire().await.map_err(|error| error.to_string())?;
            match &settings.signed {
                Some(signed) => self.verify(signed, &settings.user_field, token).await,
                None => Ok(self.ask(settings, token).await?.map(|user| Bearer { user: Some(user), subject: None })),
            }
        };
        let late = |_| "the issuer of tokens took too long".to_owned();
        tokio::time::timeout(ANSWER_TIMEOUT, asked).await.map_err(late)?
    }
}

/// What connections over TLS to servers of the world are made with: trust in those whom everybody trusts, and in those
/// of one more file.
pub fn client_config(more: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let file = ROOTS.iter().find(|file| fs::exists(file).unwrap_or(false));
    let file = file.ok_or("this system has no file of trusted certificates (ca-certificates)")?;
    let found = CertificateDer::pem_file_iter(file).map_err(|error| format!("{file}: {error}"))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.filter_map(Result::ok));
    if let Some(more) = more {
        let unreadable = |error| format!("{}: {error}", more.display());
        let found = CertificateDer::pem_file_iter(more).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        roots.add_parsable_certificates(found.map_err(unreadable)?);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}

/// RFC 7662 section 2.1.
fn request(uri: &Uri, settings: &OauthSettings, token: &Secret) -> Result<Request<Full<Bytes>>, String> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let mut request = Request::post(path)
        .header(header::HOST, authority)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json");
    if let Some((id, secret)) = &settings.client {
        // RFC 6749 section 2.3.1: each in its form encoding.
        let pair = format!("{}:{}", form(id), form(secret.expose()));
        request = request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
    }
    let body = format!("token={}&token_type_hint=access_token", form(token.expose()));
    request.body(Full::new(Bytes::from(body))).map_err(|error| error.to_string())
}

fn form(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => encoded.push(byte.into()),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), String> {
    let unreadable = |error: hyper::Error| format!("the issuer of tokens can't be understood: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreadable)?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(unreadable)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    Ok((status, body.map_err(|error| format!("the issuer of tokens can't be understood: {error}"))?.to_bytes()))
}

/// RFC 7662 section 2.2.
fn answer(body: &[u8], user_field: &str) -> Result<Option<String>, String> {
    let answer: Value =
        serde_json::from_slice(body).map_err(|error| format!("the issuer of tokens answers no JSON: {error}"))?;
    if answer["active"] != Value::Bool(true) {
        return Ok(None);
    }
    match answer[user_field].as_str() {
        Some(user) if !user.is_empty() => Ok(Some(user.to_owned())),
        _ => Err(format!("the issuer of tokens says no {user_field:?} of a token; look at oauth.user-field")),
    }
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use axum::http::HeaderMap;
    use axum::routing::post;
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;
    use crate::openid::token::tests::{NOW_S, Signer};

    #[tokio::test]
    async fn signed_tokens_are_believed_by_the_provider_s_keys() {
        let signer = Arc::new(parking_lot::Mutex::new(Signer::new("one")));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let metadata = json!({
            "issuer": issuer, "jwks_uri": format!("{issuer}/keys"), "authorization_endpoint": "x", "token_endpoint": "x",
        });
        let (shown, asked) = (signer.clone(), Arc::new(std::sync::atomic::AtomicU32::new(0)));
        let counted = asked.clone();
        let keys = move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let jwk = shown.lock().jwk();
            async move { Json(json!({ "keys": [jwk] })) }
        };
        let app = axum::Router::new()
            .route("/.well-known/openid-configuration", axum::routing::get(async move || Json(metadata)))
            .route("/keys", axum::routing::get(keys));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let signed = Some(SignedTokens { issuer: issuer.clone(), audience: "mail".to_owned() });
        let user_field = "email".to_owned();
        let settings = OauthSettings { url: String::new(), signed, client: None, user_field };
        let clock = sterna_base::ManualClock::at(sterna_base::Timestamp(NOW_S * 1000));
        let client = IntrospectionClient::new(Arc::new(clock.clone()));
        let token = |more: Value| {
            let mut claims = json!({
                "iss": issuer, "aud": "mail", "sub": "7", "exp": NOW_S + 300, "email": "ana@demo.test",
                "email_verified": true,
            });
            claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Secret::new(signer.lock().signed(&claims))
        };
        let bearer = |user: Option<&str>, subject: Option<&str>| {
            Ok(Some(Bearer { user: user.map(str::to_owned), subject: subject.map(str::to_owned) }))
        };
        let ana = bearer(Some("ana@demo.test"), Some("7"));
        assert_eq!(client.introspect(&settings, &token(json!({}))).await, ana);
        let unverified = client.introspect(&settings, &token(json!({"email_verified": false}))).await;
        assert_eq!(unverified, bearer(None, Some("7")), "a name that was bound needs no address");
        for bad in [json!({"aud": "other"}), json!({"exp": 1}), json!({"iss": "x"}), json!({"sub": ""})] {
            assert_eq!(client.introspect(&settings, &token(bad.clone())).await, Ok(None), "{bad}");
        }
        for bad in ["", "opaque", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
            assert_eq!(client.introspect(&settings, &Secret::new(bad)).await, Ok(None), "{bad}");
        }
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1, "keys are kept");
        // The provider has a new key: it is asked for once more.
        *signer.lock() = Signer::new("two");
        assert_eq!(client.introspect(&settings, &token(json!({}))).await, ana);
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
        clock.advance_ms(400_000);
        assert_eq!(client.introspect(&settings, &token(json!({}))).await, Ok(None), "expired");
    }

    #[test]
    fn answers_are_read() {
        assert_eq!(answer(br#"{"active":true,"username":"ana"}"#, "username"), Ok(Some("ana".to_owned())));
        assert_eq!(answer(br#"{"active":true,"email":"ana@x"}"#, "email"), Ok(Some("ana@x".to_owned())));
        assert_eq!(answer(br#"{"active":false,"username":"ana"}"#, "username"), Ok(None));
        assert_eq!(answer(br#"{"active":"true","username":"ana"}"#, "username"), Ok(None));
        assert_eq!(answer(b"{}", "username"), Ok(None));
        for bad in [&br#"{"active":true}"#[..], br#"{"active":true,"username":""}"#, b"<html>"] {
            assert!(answer(bad, "username").is_err());
        }
    }

    #[tokio::test]
    async fn the_issuer_is_asked_as_the_rfc_says() {
        let introspect = async |headers: HeaderMap, body: String| {
            let is_known = headers.get("authorization").is_some_and(|value| value == "Basic bWU6cCUyNnc=");
            let active = is_known && body == "token=good%2F%2B&token_type_hint=access_token";
            Json(json!({ "active": active, "username": "ana" }))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::new().route("/introspect", post(introspect));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut settings = OauthSettings {
            url: format!("http://{address}/introspect"),
            signed: None,
            client: Some(("me".to_owned(), Secret::new("p&w"))),
            user_field: "username".to_owned(),
        };
        let client = IntrospectionClient::new(Arc::new(sterna_base::SystemClock));
        let ana = Bearer { user: Some("ana".to_owned()), subject: None };
        assert_eq!(client.introspect(&settings, &Secret::new("good/+")).await, Ok(Some(ana)));
        assert_eq!(client.introspect(&settings, &Secret::new("bad")).await, Ok(None));
        settings.url = format!("http://{address}/elsewhere");
        assert!(client.introspect(&settings, &Secret::new("good/+")).await.unwrap_err().contains("404"));
        settings.url = format!("https://{address}/introspect");
        assert!(client.introspect(&settings, &Secret::new("good/+")).await.is_err(), "no TLS there");
    }
}
