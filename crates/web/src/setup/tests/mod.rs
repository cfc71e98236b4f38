//! The pages over HTTP, with an installation in memory behind them.

mod entering;
mod hostile;
mod model;
mod walking;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use sterna_base::{ManualClock, Timestamp};
use tempfile::TempDir;
use tower::ServiceExt as _;

use self::model::Model;
use super::{Setup, router};
use crate::Client;

/// A node that is being set up.
struct World {
    folder: TempDir,
    model: Arc<Model>,
    clock: ManualClock,
    setup: Arc<Setup>,
}

/// A browser: it keeps cookies and remembers the last page.
struct Browser {
    router: Router,
    address: IpAddr,
    cookies: Vec<(String, String)>,
    language: &'static str,
    page: String,
}

/// An answer.
struct Answer {
    status: StatusCode,
    location: String,
    headers: http::HeaderMap,
    body: String,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Setup::begin(folder.path()).unwrap();
        let (model, clock) = (Arc::<Model>::default(), ManualClock::at(Timestamp(1_800_000_000_000)));
        let setup = Setup::open(folder.path(), model.clone(), Arc::new(clock.clone())).unwrap();
        World { folder, model, clock, setup }
    }

    /// The node ends and starts again.
    fn restart(&mut self) {
        self.setup = Setup::open(self.folder.path(), self.model.clone(), Arc::new(self.clock.clone())).unwrap();
    }

    fn browser(&self) -> Browser {
        Browser {
            router: router(self.setup.clone()),
            address: "192.0.2.7".parse().unwrap(),
            cookies: Vec::new(),
            language: "en",
            page: String::new(),
        }
    }

    async fn code(&self) -> String {
        self.setup.new_code().await.unwrap().unwrap()
    }

    /// A browser that came in by a link.
    async fn inside(&self) -> Browser {
        let (code, mut browser) = (self.code().await, self.browser());
        let answer = browser.post("/setup", &[("code", &code)]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        browser
    }
}

impl Browser {
    async fn send(&mut self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        for set in head.headers.get_all(header::SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(bytes.to_vec()).unwrap();
        let location = head.headers.get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
        let location = location.unwrap_or_default();
        Answer { status: head.status, location, headers: head.headers, body }
    }

    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "mail1.tern.test")
            .header(header::ACCEPT_LANGUAGE, self.language)
            .header(header::COOKIE, cookies.join("; "))
            .extension(Client { address: self.address })
    }

    async fn get(&mut self, path: &str) -> Answer {
        let request = self.request("GET", path).body(Body::empty()).unwrap();
        let answer = self.send(request).await;
        self.page.clone_from(&answer.body);
        answer
    }

    /// A form as it is, with nothing added.
    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let request = self.request("POST", path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(body.join("&"))).unwrap()).await
    }

    /// The form of a page, as its user sends it: with the hidden field that stands there.
    async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.get(path).await;
        let token = self.token();
        self.post(path, &[&[("token", token.as_str())], fields].concat()).await
    }

    fn token(&self) -> String {
        let mark = "name=\"token\" value=\"";
        self.page.split(mark).nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
    }
}

fn encoded(value: &str) -> String {
    value
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// What the first page wants.
const ADMINISTRATOR: [(&str, &str); 4] = [
    ("name", "Ana Example"),
    ("local_part", "ana"),
    ("password", "correct horse battery"),
    ("again", "correct horse battery"),
];

/// And the second.
const PLACE: [(&str, &str); 2] = [("url", "https://mail.tern.test"), ("domain", "tern.test")];
