//! Requests of users that are not DAV: paths below `/api/`, which the node answers. They come by the same listeners,
//! with the same log-in.

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response};
use sterna_account::service::Login;

use super::body::Body;

/// What answers users.
#[async_trait]
pub trait Api: Send + Sync {
    /// Answers a request without a body.
    async fn answer(&self, login: Login, head: Parts) -> Response<Bytes>;
}

/// Whether a path belongs to it.
pub fn is_api(path: &str) -> bool {
    path.starts_with("/api/")
}

/// An answer as the listener sends it: it is about one person, and nobody in between keeps it.
pub fn private(answer: Response<Bytes>) -> Response<Body> {
    let mut answer = answer.map(Body::Full);
    answer.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    answer
}
