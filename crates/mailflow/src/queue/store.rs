//! The durable queue of a node.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use sterna_account::service::MessageBody;
use sterna_base::Timestamp;

use super::error::QueueError;
use super::files::Files;
use super::message::{Again, Delivered, Delivery, DeliveryId, Destination, NewMessage, Outcome, QueueId, Said};
use super::news::{New, News};
use super::tries::Tries;
use super::writer::Writer;
use super::{rows, schema};

/// Connections that read at the same time and are kept.
const READERS_MAX: usize = 4;

/// Messages that the queue takes, when nobody says otherwise.
pub const MESSAGES_MAX: u64 = 1_000_000;

/// The messages of a node that still have to go somewhere. What it has taken survives a power cut.
pub struct Queue {
    path: PathBuf,
    files: Files,
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
    messages: AtomicU64,
    pub(super) news: News,
    pub(super) tries: Tries,
}

/// Deliveries that one transaction postpones: a relay host that is down may have a million, and mail comes in all the
/// while.
const POSTPONED_AT_ONCE: usize = 500;

/// Where a message's content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// In memory.
    Inline(Bytes),
    /// In this file, which stays as long as the message.
    File(PathBuf),
}

impl Queue {
    /// Opens the queue in a folder, or makes it. Blocks.
    ///
    /// # Errors
    /// [`QueueError`].
    pub fn open(folder: &Path) -> Result<Arc<Self>, QueueError> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("queue.sqlite");
        let mut connection = Connection::open(&path)?;
        schema::prepare(&connection)?;
        schema::create(&mut connection)?;
        let files = Files::open(&folder.join("contents"))?;
        let is_known = |name: &str| {
            let id = name.parse().map(QueueId).ok();
            id.is_some_and(|id| rows::has_message(&connection, id).unwrap_or(true))
        };
        files.sweep(is_known)?;
        let messages = AtomicU64::new(rows::count(&connection)?);
        let writer = Writer::start(connection)?;
        let (readers, news, tries) = (Mutex::default(), News::default(), Tries::default());
        Ok(Arc::new(Queue { path, files, writer, readers, messages, news, tries }))
    }

    /// How many messages wait.
    pub fn len(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Whether it takes and gives nothing more until the node is started again: a failure left unknown what the disk
    /// has.
    pub fn is_stopped(&self) -> bool {
        self.writer.is_stopped()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a message in; durable when this returns.
    ///
    /// # Errors
    /// [`QueueError`]; [`QueueError::Full`] when there are too many.
    pub async fn add(&self, message: NewMessage) -> Result<(), QueueError> {
        if self.len() >= MESSAGES_MAX {
            return Err(QueueError::Full);
        }
        let message = self.place_content(message).await?;
        let new = self.writer.write(move |connection| add(connection, &message)).await?;
        self.added(new);
        Ok(())
    }

    /// Puts a message in unless one of this id was put in before, whatever became of it: for what a delivery sends that
    /// may be tried again. It is remembered until then.
    ///
    /// # Errors
    /// [`QueueError`]; [`QueueError::Full`] when there are too many.
    pub async fn add_once(&self, message: NewMessage, now: Timestamp, until: Timestamp) -> Result<(), QueueError> {
        if self.len() >= MESSAGES_MAX {
            return Err(QueueError::Full);
        }
        let message = self.place_content(message).await?;
        let id = message.id;
        let add = move |connection: &Connection| {
            if rows::is_new(connection, id, now, until)? { add(connection, &message) } else { Ok(Vec::new()) }
        };
        let new = self.writer.write(add).await?;
        if new.is_empty() {
            let known = self.read_known(id).await?;
            if !known {
                let files = self.files.clone();
                blocking(move || {
                    files.remove(id);
                    Ok(())
                })
                .await?;
            }
        }
        self.added(new);
        Ok(())
    }

    /// Whether the message waits here.
    async fn read_known(&self, id: QueueId) -> Result<bool, QueueError> {
        self.writer.write(move |connection| rows::has_message(connection, id)).await
    }

    /// Large contents are in their files before anything names them.
    async fn place_content(&self, message: NewMessage) -> Result<NewMessage, QueueError> {
        if let MessageBody::Spooled(spooled) = &message.body {
            let (files, id, spooled) = (self.files.clone(), message.id, spooled.clone());
            blocking(move || Ok(files.add(id, &spooled.path)?)).await?;
        }
        Ok(message)
    }

    fn added(&self, new: Vec<New>) {
        if !new.is_empty() {
            self.messages.fetch_add(1, Ordering::Relaxed);
            self.news.tell(new);
        }
    }

    /// Writes down what became of a try, puts in the notification that belongs to it, and takes out what is done; all
    /// of it or nothing.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn settle(
        &self,
        delivery: DeliveryId,
        now: Timestamp,
        outcomes: Vec<Outcome>,
        again: Option<Again>,
        notification: Option<NewMessage>,
    ) -> Result<(), QueueError> {
        let notification = match notification {
            Some(message) => Some(self.place_content(message).await?),
            None => None,
        };
        let (gone, new) = self
            .writer
            .write(move |connection| {
                let new = notification.map_or(Ok(Vec::new()), |message| add(connection, &message))?;
                for outcome in &outcomes {
                    if !matches!(outcome.result, Delivered::Deferred(_)) {
                        rows::remove_recipient(connection, outcome.recipient)?;
                    }
                }
                if let Some(again) = &again {
                    rows::postpone(connection, delivery, now, again)?;
                }
                Ok((rows::tidy(connection, delivery)?, new))
            })
            .await?;
        self.added(new);
        if let Some(id) = gone {
            self.messages.fetch_sub(1, Ordering::Relaxed);
            let files = self.files.clone();
            blocking(move || {
                files.remove(id);
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Everything due for a destination that can't be reached waits until then, without what has a deadline before: its
    /// senders must be told. Others write in between.
    ///
    /// # Errors
    /// [`QueueError`]; what was postponed before stays so.
    pub async fn postpone(
        self: &Arc<Self>,
        destination: Destination,
        now: Timestamp,
        next: Timestamp,
        said: Said,
    ) -> Result<(), QueueError> {
        let mut after = (Timestamp(i64::MIN), DeliveryId(i64::MIN));
        loop {
            let to = destination.clone();
            let found =
                self.read(move |connection| rows::postponable(connection, &to, now, after, POSTPONED_AT_ONCE)).await?;
            let (count, last) = (found.len(), found.last().copied());
            if let Some(last) = last {
                after = last;
                let (to, said) = (destination.clone(), said.clone());
                let postpone = move |connection: &Connection| {
                    found.iter().try_for_each(|row| rows::postpone_untried(connection, *row, &to, now, next, &said))
                };
                self.writer.write(postpone).await?;
            }
            if count < POSTPONED_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// The destinations that something waits for, after this one, each with the time of its first delivery.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn destinations(
        self: &Arc<Self>,
        after: Option<Destination>,
        limit: usize,
    ) -> Result<Vec<(Destination, Timestamp)>, QueueError> {
        let after = after.map(|destination| destination.to_string()).unwrap_or_default();
        self.read(move |connection| rows::destinations(connection, &after, limit)).await
    }

    /// The deliveries for a destination whose time has come, oldest first, without those that are known; and when the
    /// next one becomes due.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn due(
        self: &Arc<Self>,
        destination: Destination,
        now: Timestamp,
        known: Vec<DeliveryId>,
        limit: usize,
    ) -> Result<(Vec<DeliveryId>, Option<Timestamp>), QueueError> {
        self.read(move |connection| {
            let known: std::collections::HashSet<DeliveryId> = known.into_iter().collect();
            let found = rows::due(connection, &destination, now, &|id| known.contains(&id), limit)?;
            Ok((found, rows::next_due(connection, &destination, now)?))
        })
        .await
    }

    /// One delivery; `None` when it is gone or held.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn delivery(self: &Arc<Self>, id: DeliveryId) -> Result<Option<Delivery>, QueueError> {
        self.read(move |connection| rows::delivery(connection, id)).await
    }

    /// The content of a message; `None` when the message is gone.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn content(self: &Arc<Self>, id: QueueId) -> Result<Option<Content>, QueueError> {
        let found = self.read(move |connection| rows::content(connection, id)).await?;
        Ok(found.map(|content| match content {
            Some(bytes) => Content::Inline(bytes.into()),
            None => Content::File(self.files.path(id)),
        }))
    }

    /// Runs something that reads, on a connection of its own.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let queue = self.clone();
        blocking(move || {
            let kept = queue.readers.lock().pop();
            let connection = kept.map_or_else(|| queue.reader(), Ok)?;
            let result = work(&connection);
            let mut readers = queue.readers.lock();
            if readers.len() < READERS_MAX {
                readers.push(connection);
            }
            result
        })
        .await
    }

    /// Runs something that writes; durable when it returns.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        self.writer.write(work).await
    }

    /// Messages were taken out: their files go, too.
    pub(super) async fn removed(&self, gone: Vec<QueueId>) -> Result<(), QueueError> {
        self.messages.fetch_sub(gone.len() as u64, Ordering::Relaxed);
        let files = self.files.clone();
        blocking(move || {
            gone.into_iter().for_each(|id| files.remove(id));
            Ok(())
        })
        .await
    }

    fn reader(&self) -> Result<Connection, QueueError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        schema::prepare(&connection)?;
        Ok(connection)
    }
}

fn add(connection: &Connection, message: &NewMessage) -> Result<Vec<New>, QueueError> {
    let content = match &message.body {
        MessageBody::Inline(bytes) => Some(&bytes[..]),
        MessageBody::Spooled(_) => None,
    };
    let ids = rows::insert(connection, message, content)?;
    let new = |(id, delivery): (DeliveryId, &super::message::NewDelivery)| New {
        id,
        destination: delivery.destination.clone(),
        due: delivery.next,
    };
    Ok(ids.into_iter().zip(&message.deliveries).map(new).collect())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, QueueError> + Send + 'static,
) -> Result<T, QueueError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let panicked = || QueueError::Damaged("a statement of the queue panicked".to_owned());
        Err(if error.is_panic() { panicked() } else { QueueError::Stopping })
    })
}
