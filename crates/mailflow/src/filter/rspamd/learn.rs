//! Teaching rspamd (`POST /learnspam`, `/learnham`), which its controller takes.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use sterna_base::Secret;
use tokio::time::timeout;

use super::TEXT_BYTES_MAX;
use super::door::Door;
use super::http::{self, Body};
use crate::filter::field::words;
use crate::filter::{Endpoint, FilterError};

/// How long one lesson may take.
const LESSON_TIMEOUT: Duration = Duration::from_secs(60);

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// Spam.
    Spam,
    /// Not spam.
    Ham,
}

impl Lesson {
    /// Its name in rspamd.
    pub fn name(self) -> &'static str {
        match self {
            Lesson::Spam => "spam",
            Lesson::Ham => "ham",
        }
    }
}

/// Where rspamd learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnSettings {
    /// Its controller.
    pub endpoint: Endpoint,
    /// What it wants to hear.
    pub password: Option<Secret>,
    /// Who vouches for its certificate, in PEM; the system's authorities when not set.
    pub authorities: Option<String>,
}

/// Why nothing was learned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// Whatever the message.
    #[error("{0}")]
    Down(String),
    /// From this message, now.
    #[error("{0}")]
    Refused(String),
}

/// See the module.
pub struct Teacher {
    door: Door,
    settings: LearnSettings,
}

impl Teacher {
    /// With these settings; it is connected to for each lesson.
    pub fn new(settings: LearnSettings) -> Self {
        let door = Door::new(settings.endpoint.clone(), settings.authorities.as_deref());
        Teacher { door, settings }
    }

    /// Teaches what a message is. What it knew already, or doesn't want to learn, is no failure.
    ///
    /// # Errors
    /// [`LearnError`].
    pub async fn teach(&self, lesson: Lesson, message: Bytes) -> Result<(), LearnError> {
        let asked = timeout(LESSON_TIMEOUT, self.ask(lesson, message)).await;
        let late = |_| Err(FilterError::Unable(format!("no answer within {} s", LESSON_TIMEOUT.as_secs())));
        let (status, said) = asked.unwrap_or_else(late).map_err(|error| LearnError::Down(error.to_string()))?;
        let said = format!("{status} {}", words(&String::from_utf8_lossy(&said), TEXT_BYTES_MAX));
        match status {
            // 208 is “learned already”, 204 “too short”, or “the conditions say no”.
            status if status.is_success() => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Err(LearnError::Down(said)),
            _ => Err(LearnError::Refused(said)),
        }
    }

    async fn ask(&self, lesson: Lesson, message: Bytes) -> Result<(StatusCode, Bytes), FilterError> {
        let wire = self.door.connect().await?;
        let mut request = Request::builder().method(Method::POST).uri(format!("/learn{}", lesson.name()));
        request = request.header("host", "localhost");
        if let (Some(headers), Some(password)) = (request.headers_mut(), &self.settings.password)
            && let Ok(password) = HeaderValue::from_bytes(password.expose().as_bytes())
        {
            headers.append(HeaderName::from_static("password"), password);
        }
        let request = request.body(Body::whole(message)).map_err(|error| FilterError::Protocol(error.to_string()))?;
        http::exchange(wire, request, async { Ok(()) }).await
    }
}
