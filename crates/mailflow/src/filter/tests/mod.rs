//! Filters that do as they are told, and daemons that don't.

mod chain;
mod clamd;
mod flow;
mod milter;
pub(crate) mod peer;
mod rspamd;
mod rspamd_tls;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use sterna_account::service::{Envelope, InboundProtocol, Message, MessageBody};
use sterna_base::{BlobHash, ManualClock, Timestamp};

use super::{
    Applies, Common, ContentFilter, Direction, Draft, Endpoint, Facts, FilterError, Filters, Verdict, WhenDown,
};

/// Far more than any of these tests takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn message(content: &str) -> Message {
    let body = MessageBody::Inline(Bytes::copy_from_slice(content.as_bytes()));
    Message { body, size: content.len() as u64, hash: BlobHash::of(content.as_bytes()), summary: Bytes::new() }
}

pub fn text(message: &Message) -> String {
    let bytes = match &message.body {
        MessageBody::Inline(bytes) => bytes.to_vec(),
        MessageBody::Spooled(spooled) => std::fs::read(&spooled.path).unwrap(),
    };
    assert_eq!((message.size, message.hash), (bytes.len() as u64, BlobHash::of(&bytes)));
    String::from_utf8(bytes).unwrap()
}

pub fn envelope(direction: Direction) -> Envelope {
    let protocol = if direction == Direction::Incoming { InboundProtocol::Smtp } else { InboundProtocol::Submission };
    crate::tests::envelope(protocol, &["ana@demo.test", "ben@demo.test"], "x")
}

pub fn common(when_down: WhenDown) -> Common {
    Common {
        endpoint: Endpoint::Tcp("127.0.0.1".into(), 1),
        applies: Applies::All,
        when_down,
        timeout: PATIENCE,
        at_once: 2,
    }
}

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_seconds(1_000_000_000)))
}

/// What a fake does with the message that it is shown.
type Look = Box<dyn Fn(&Facts<'_>, String) -> Result<Verdict, FilterError> + Send + Sync>;

/// A filter that does as it is told, and remembers what it saw.
pub struct Fake {
    name: &'static str,
    look: Look,
    pub seen: Mutex<Vec<String>>,
}

impl Fake {
    pub fn new(
        name: &'static str,
        look: impl Fn(&Facts<'_>, String) -> Result<Verdict, FilterError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Fake { name, look: Box::new(look), seen: Mutex::default() })
    }
}

pub async fn whole(draft: &Draft) -> String {
    let (mut reader, mut all) = (draft.read(), Vec::new());
    while let Some(piece) = reader.next().await.unwrap() {
        all.extend_from_slice(&piece);
    }
    String::from_utf8(all).unwrap()
}

#[async_trait]
impl ContentFilter for Fake {
    fn name(&self) -> &str {
        self.name
    }

    fn own_fields(&self) -> &'static [&'static str] {
        &["X-Fake"]
    }

    async fn look(&self, facts: &Facts<'_>, draft: &Draft) -> Result<Verdict, FilterError> {
        let whole = whole(draft).await;
        self.seen.lock().push(whole.clone());
        (self.look)(facts, whole)
    }

    async fn health(&self) -> Result<String, FilterError> {
        Ok("a fake".to_owned())
    }
}

/// A filter that never answers.
pub struct Hanging;

#[async_trait]
impl ContentFilter for Hanging {
    fn name(&self) -> &str {
        "hanging"
    }

    async fn look(&self, _: &Facts<'_>, _: &Draft) -> Result<Verdict, FilterError> {
        std::future::pending().await
    }

    async fn health(&self) -> Result<String, FilterError> {
        std::future::pending().await
    }
}

/// Filters with a folder that lives as long as they do.
pub struct Stage {
    pub filters: Filters,
    _folder: tempfile::TempDir,
}

pub fn stage(filters: Vec<(Arc<dyn ContentFilter>, Common)>) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    Stage { filters: Filters::of(filters, clock(), folder.path().to_owned()), _folder: folder }
}
