//! Mail programs that log in with a token of the OpenID provider (RFC 7628, RFC 9068), by IMAP and by submission.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sterna_base::{Clock, SystemClock};
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::smtp::Smtp;
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const PATIENCE: Duration = Duration::from_secs(60);

/// A provider: what it says of itself, and its one key.
struct Provider {
    issuer: String,
    key: EcdsaKeyPair,
}

impl Provider {
    fn start() -> Arc<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let provider = Arc::new(Provider { issuer, key: key() });
        let shared = provider.clone();
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| shared.answer(stream)));
        provider
    }

    /// One question, one answer. Who asks and goes away is nobody's concern.
    fn answer(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let (mut asked, mut line) = (String::new(), String::new());
        let _ = reader.read_line(&mut asked);
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            line.clear();
        }
        let at = &self.issuer;
        let (status, body) = match asked.split(' ').nth(1) {
            Some("/.well-known/openid-configuration") => (
                "200 OK",
                json!({
                    "issuer": at, "jwks_uri": format!("{at}/keys"), "authorization_endpoint": format!("{at}/authorize"),
                    "token_endpoint": format!("{at}/token"),
                }),
            ),
            Some("/keys") => {
                let point = self.key.public_key().as_ref();
                let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
                ("200 OK", json!({"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "kid": "k", "x": x, "y": y}]}))
            }
            _ => ("404 Not Found", json!({})),
        };
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        let _ = reader.get_mut().write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes());
    }

    /// A token for ana that is good, with other claims than usual, signed by a key.
    fn token(&self, other: &Value, key: &EcdsaKeyPair) -> String {
        let now_s = SystemClock.now().0 / 1000;
        let mut claims = json!({
            "iss": self.issuer, "aud": "sterna", "sub": "7", "iat": now_s - 5, "exp": now_s + 300, "email": ANA,
            "email_verified": true,
        });
        claims.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "k"});
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

fn key() -> EcdsaKeyPair {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap()
}

/// What both doors say to a token: whether it opened each.
fn asked(installation: &Installation, user: &str, token: &str) -> (bool, bool) {
    let at = installation.node("main").at;
    let name = if user.is_empty() { String::new() } else { format!("a={user}") };
    let message = STANDARD.encode(format!("n,{name},\u{1}auth=Bearer {token}\u{1}\u{1}"));
    let mut imap = Imap::connect(&at.host.to_string(), at.ports.imap).unwrap();
    imap.say(&format!("x AUTHENTICATE OAUTHBEARER {message}")).unwrap();
    let imap_opened = match imap.line().unwrap() {
        line if line.starts_with("+ ") => {
            let why = STANDARD.decode(line[2..].trim()).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&why).unwrap()["status"], "invalid_token");
            imap.say("AQ==").unwrap();
            assert!(imap.line().unwrap().contains("NO [AUTHENTICATIONFAILED]"));
            false
        }
        line => {
            assert!(line.starts_with("x OK "), "{line}");
            imap.command("SELECT INBOX").unwrap().ok()
        }
    };
    let mut smtp = Smtp::connect(&at.host.to_string(), at.ports.submission, "EHLO").unwrap();
    let reply = smtp.command(&format!("AUTH OAUTHBEARER {message}")).unwrap();
    let smtp_opened = match &reply[..3] {
        "334" => {
            assert!(smtp.command("AQ==").unwrap().starts_with("535 5.7.8"));
            assert!(smtp.command(&format!("MAIL FROM:<{ANA}>")).unwrap().starts_with("530"));
            false
        }
        _ => {
            assert!(reply.starts_with("235"), "{reply}");
            true
        }
    };
    (imap_opened, smtp_opened)
}

#[test]
fn a_token_of_the_provider_opens_what_is_its_owner_s() {
    let mut installation = Installation::new();
    installation.start_main("main,edge,data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    for user in [ANA, BEN] {
        installation.create_user(user, "main");
    }
    let provider = Provider::start();
    for (name, value) in
        [("openid.issuer", &*provider.issuer), ("openid.client-id", "sterna"), ("oauth.tokens", "verify")]
    {
        installation.admin_ok("main", &["setting", "set", name, value]);
    }
    let at = installation.node("main").at;
    until("the offer", PATIENCE, || {
        let mut smtp = Smtp::connect(&at.host.to_string(), at.ports.submission, "EHLO").unwrap();
        smtp.command("EHLO again").unwrap().contains("AUTH PLAIN LOGIN OAUTHBEARER XOAUTH2").then_some(())
    });
    let good = provider.token(&json!({}), &provider.key);
    assert_eq!(asked(&installation, "", &good), (true, true));
    assert_eq!(asked(&installation, ANA, &good), (true, true));

    // What it sends is hers, and arrives.
    let message = STANDARD.encode(format!("n,a={ANA},\u{1}auth=Bearer {good}\u{1}\u{1}"));
    let mut smtp = Smtp::connect(&at.host.to_string(), at.ports.submission, "EHLO").unwrap();
    assert!(smtp.command(&format!("AUTH OAUTHBEARER {message}")).unwrap().starts_with("235"));
    let mail = format!("From: {ANA}\r\nTo: {BEN}\r\nSubject: by token\r\n\r\nTerns.\r\n");
    assert!(smtp.deliver(BEN, &[BEN], mail.as_bytes()).unwrap().starts_with("55"), "only as herself");
    assert!(smtp.deliver(ANA, &[BEN], mail.as_bytes()).unwrap().starts_with("250"));
    until("the message", PATIENCE, || {
        let mut imap = at.login(BEN).unwrap();
        let found = imap.command("STATUS INBOX (MESSAGES)").unwrap();
        found.lines.iter().any(|line| line.contains("MESSAGES 1")).then_some(())
    });

    let refused = (false, false);
    for bad in [
        json!({"exp": 1_000_000_000}),
        json!({"aud": "another-application"}),
        json!({"iss": "https://id.evil.test"}),
        json!({"email_verified": false}),
        json!({"email": "nobody@tern.test"}),
    ] {
        assert_eq!(asked(&installation, "", &provider.token(&bad, &provider.key)), refused, "{bad}");
        // Others' mistakes don't shut her out.
        assert_eq!(asked(&installation, "", &good), (true, true));
    }
    assert_eq!(asked(&installation, "", &provider.token(&json!({}), &key())), refused, "somebody else's key");
    assert_eq!(asked(&installation, BEN, &good), refused, "ben is somebody else");
    installation.admin_ok("main", &["user", "set", ANA, "--suspended", "yes"]);
    until("the suspension", PATIENCE, || (asked(&installation, "", &good) == refused).then_some(()));
}
