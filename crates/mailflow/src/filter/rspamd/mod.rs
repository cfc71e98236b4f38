//! rspamd: the message is sent to it by HTTP (`POST /checkv2`), and its action is done.

mod answer;
mod door;
mod http;
mod learn;

use async_trait::async_trait;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use sterna_account::service::Refusal;
use sterna_base::Secret;

use super::field::words;
use super::{Action, Change, Common, ContentFilter, Direction, Draft, Facts, FilterError, Verdict};
use answer::{Answer, Subject};
use door::Door;
use http::Body;
pub use learn::{LearnError, LearnSettings, Lesson, Teacher};

/// Longest text of rspamd's that senders are told, in bytes.
const TEXT_BYTES_MAX: usize = 200;

/// What administrators set about rspamd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RspamdSettings {
    /// What all filters have.
    pub common: Common,
    /// What it wants to hear from those who ask it.
    pub password: Option<Secret>,
    /// Who vouches for its certificate, in PEM; the system's authorities when not set.
    pub authorities: Option<String>,
    /// Whether spam that it doesn't want refused goes into Junk, and is not only marked.
    pub quarantines: bool,
}

/// See the module.
pub struct Rspamd {
    settings: RspamdSettings,
    door: Door,
}

impl Rspamd {
    /// With these settings; it is connected to for each message.
    pub fn new(settings: RspamdSettings) -> Self {
        let door = Door::new(settings.common.endpoint.clone(), settings.authorities.as_deref());
        Rspamd { settings, door }
    }

    fn request(&self, facts: &Facts<'_>, body: Body) -> Result<Request<Body>, FilterError> {
        let (envelope, sender) = (facts.envelope, &facts.envelope.sender);
        let mut request = Request::builder().method(Method::POST).uri("/checkv2");
        if let Some(headers) = request.headers_mut() {
            let mut put = |name: &'static str, value: &str| {
                // Only bytes that a header can't have make this fail; addresses have none of them.
                if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                    headers.append(HeaderName::from_static(name), value);
                }
            };
            put("host", facts.own_name);
            put("queue-id", &envelope.transaction.to_string());
            put("ip", &sender.peer.to_canonical().to_string());
            put("helo", &sender.helo);
            put("from", &envelope.mail_from);
            put("mta-name", facts.own_name);
            envelope.recipients.iter().for_each(|rcpt| put("rcpt", &rcpt.address));
            if let Some(login) = &sender.login {
                put("user", &login.address);
            }
            if let Some(password) = &self.settings.password {
                put("password", password.expose());
            }
        }
        request.body(body).map_err(|error| FilterError::Protocol(error.to_string()))
    }

    async fn ask(&self, facts: &Facts<'_>, draft: &Draft) -> Result<Answer, FilterError> {
        let wire = self.door.connect().await?;
        let (body, sending) = http::stream(draft);
        let request = self.request(facts, body)?;
        let (status, said) = http::exchange(wire, request, sending).await?;
        match status {
            StatusCode::OK => Answer::read(&said).map_err(FilterError::Protocol),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(FilterError::Unable(format!("rspamd answers {status}; look at rspamd.password")))
            }
            _ => {
                Err(FilterError::Unable(format!("{status} {}", words(&String::from_utf8_lossy(&said), TEXT_BYTES_MAX))))
            }
        }
    }

    fn verdict(&self, answer: &Answer, direction: Direction) -> Verdict {
        let action = match answer.action.as_str() {
            "reject" => match answer.instead.as_deref() {
                Some("discard") => Action::Discard,
                Some("quarantine") => Action::Quarantine,
                _ => refuse(answer, 554, "The message looks like spam"),
            },
            "soft reject" => refuse(answer, 451, "Try again later"),
            "discard" => Action::Discard,
            "quarantine" => Action::Quarantine,
            // What users send is marked at most: a guess is not enough to keep it back.
            "add header" | "rewrite subject" if self.settings.quarantines && direction == Direction::Incoming => {
                Action::Quarantine
            }
            _ => Action::Accept,
        };
        Verdict { changes: changes(answer, direction), ..Verdict::new(action, answer.in_short()) }
    }
}

fn refuse(answer: &Answer, code: u16, otherwise: &str) -> Action {
    let text = answer.text.as_deref().map(|text| words(text, TEXT_BYTES_MAX)).filter(|text| !text.is_empty());
    let class = if code < 500 { 4 } else { 5 };
    Action::Refuse(Refusal::new(code, (class, 7, 1), text.unwrap_or_else(|| otherwise.to_owned())))
}

fn changes(answer: &Answer, direction: Direction) -> Vec<Change> {
    let mut changes: Vec<Change> = answer.removed.clone();
    changes.extend(answer.added.iter().cloned());
    let subject = match &answer.subject {
        Subject::Kept => None,
        Subject::New(subject) => Some(format!(" {subject}")),
    };
    changes.extend(subject.map(|value| Change::Replace { name: "Subject".to_owned(), number: 1, value }));
    // How likely it is that a user's own mail is spam is nobody's business where it goes.
    if direction == Direction::Incoming && !answer.is_skipped {
        changes.push(Change::top("X-Spam-Status", answer.status()));
        if answer.is_spam() {
            changes.push(Change::top("X-Spam-Flag", "YES"));
        }
    }
    changes
}

#[async_trait]
impl ContentFilter for Rspamd {
    fn name(&self) -> &str {
        "rspamd"
    }

    fn own_fields(&self) -> &'static [&'static str] {
        &["X-Spam-Flag", "X-Spam-Status", "X-Spam", "X-Spam-Level", "X-Spam-Score", "X-Spam-Bar", "X-Spamd-Result"]
    }

    async fn look(&self, facts: &Facts<'_>, draft: &Draft) -> Result<Verdict, FilterError> {
        Ok(self.verdict(&self.ask(facts, draft).await?, facts.direction))
    }

    async fn health(&self) -> Result<String, FilterError> {
        let wire = self.door.connect().await?;
        let request = Request::get("/ping").header("host", "localhost").body(Body::empty());
        let request = request.map_err(|error| FilterError::Protocol(error.to_string()))?;
        match http::exchange(wire, request, async { Ok(()) }).await? {
            (StatusCode::OK, said) if said.trim_ascii() == b"pong" => Ok("rspamd".to_owned()),
            (status, _) => Err(FilterError::Protocol(format!("{status} to a ping"))),
        }
    }
}
