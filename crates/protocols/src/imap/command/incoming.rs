//! Messages on their way into a mailbox: what APPEND and REPLACE collect before they commit it whole.
//!
//! Small messages are held in memory, until they are too many; large ones stream into the account.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sterna_account::account::BlobUpload;
use sterna_account::commit::MUTATIONS_MAX;
use sterna_account::{Account, Content, Mutation, NewItem};
use sterna_base::limits::{INLINE_BLOB_BYTES_MAX, MESSAGE_BYTES_MAX};
use sterna_formats::imap::append::AppendOptions;
use sterna_formats::mail::Scanner;

use super::copy::Target;
use super::store::flag_set;
use crate::imap::limits::CARRIED_BYTES_MAX;
use crate::imap::reply::{Fail, Reply};
use crate::imap::rights;

/// Messages for one mailbox.
pub struct Incoming {
    target: Target,
    /// How many bytes the account takes, if it has a limit.
    room_bytes: Option<u64>,
    /// How many are held in memory, with the summaries.
    held_bytes: u64,
    open: Option<Open>,
    complete: Vec<NewItem>,
}

/// The message that is coming in.
struct Open {
    item: NewItem,
    scanner: Scanner,
    size: u64,
    catenate: bool,
    sink: Sink,
}

enum Sink {
    Memory(BytesMut),
    Account(Box<dyn BlobUpload>),
}

impl Incoming {
    /// None yet; `spare_bytes` are given back in the same commit.
    ///
    /// # Errors
    /// When the account can't be asked.
    pub async fn new(target: Target, spare_bytes: u64) -> Result<Self, Fail> {
        let quota = target.account.head().await?.quota;
        let room_bytes = quota.bytes_max.map(|max| (max + spare_bytes).saturating_sub(quota.bytes_used));
        Ok(Incoming { target, room_bytes, held_bytes: 0, open: None, complete: Vec::new() })
    }

    /// Begins a message; the one before is complete.
    ///
    /// # Errors
    /// What there is to say against one of both.
    pub async fn begin(&mut self, options: &AppendOptions) -> Result<(), Fail> {
        self.close().await?;
        // One place is for the message that is replaced.
        if self.complete.len() + 1 >= MUTATIONS_MAX || self.held_bytes > 2 * CARRIED_BYTES_MAX {
            return Err(Reply::no("Too many messages at once").code("LIMIT").into());
        }
        let flags = options.flags.iter().filter(|flag| !flag.eq_ignore_ascii_case("\\Recent"));
        let flags: Vec<String> = flags.cloned().collect();
        // Flags that the user may not set are left out; the message is taken (RFC 4314 section 4).
        let flags = rights::allowed(&flag_set(&flags)?, self.target.rights);
        let content = Content::Inline(Bytes::new());
        let item = NewItem { content, summary: None, internal_date: options.date, flags, name: None, object_uid: None };
        let (scanner, sink) = (Scanner::new(), Sink::Memory(BytesMut::new()));
        self.open = Some(Open { item, scanner, size: 0, catenate: options.catenate, sink });
        Ok(())
    }

    /// Makes ready for so many more bytes of the message, before they are sent for.
    ///
    /// # Errors
    /// When they are too many, or there is no room for them.
    pub async fn expect(&mut self, bytes: u64) -> Result<(), Fail> {
        let complete: u64 = self.complete.len() as u64;
        let open = self.open.as_mut().ok_or_else(|| Reply::bad("Expected a message"))?;
        // RFC 3502 section 6.3.11: with an empty message the client takes all of them back.
        if bytes == 0 && !open.catenate {
            return Err(Reply::no("There is no message").into());
        }
        let size = open.size.saturating_add(bytes);
        if size > MESSAGE_BYTES_MAX {
            return Err(Reply::no("The message is too large").code("TOOBIG").into());
        }
        if self.room_bytes.is_some_and(|room| size > room) {
            return Err(Reply::no("The account is over its quota").code("OVERQUOTA").into());
        }
        let Sink::Memory(held) = &mut open.sink else { return Ok(()) };
        // Of many messages the first ones are held; a single one always is.
        let is_too_much = complete > 0 && self.held_bytes + size > CARRIED_BYTES_MAX;
        if size > INLINE_BLOB_BYTES_MAX as u64 || is_too_much {
            let mut upload = self.target.account.stage_blob().await?;
            if !held.is_empty() {
                upload.write(held.split().freeze()).await?;
            }
            open.sink = Sink::Account(upload);
        } else {
            held.reserve(bytes as usize);
        }
        Ok(())
    }

    /// Some of the bytes that were expected.
    ///
    /// # Errors
    /// When the account can't take them.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), Fail> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.scanner.push(&piece);
        open.size += piece.len() as u64;
        match &mut open.sink {
            Sink::Memory(held) => held.extend_from_slice(&piece),
            Sink::Account(upload) => upload.write(piece).await?,
        }
        Ok(())
    }

    /// The message is complete.
    async fn close(&mut self) -> Result<(), Fail> {
        let Some(Open { mut item, scanner, size, sink, .. }) = self.open.take() else { return Ok(()) };
        if size == 0 {
            return Err(Reply::no("There is no message").into());
        }
        let summary = Bytes::from(scanner.finish().encode());
        self.held_bytes += summary.len() as u64;
        self.room_bytes = self.room_bytes.map(|room| room.saturating_sub(size));
        item.summary = Some(summary);
        item.content = match sink {
            Sink::Memory(held) => {
                self.held_bytes += size;
                Content::Inline(held.freeze())
            }
            Sink::Account(upload) => Content::Stored(upload.finish().await?.0),
        };
        self.complete.push(item);
        Ok(())
    }

    /// All of them are complete: the account they go to, and what puts them there.
    ///
    /// # Errors
    /// What there is to say against the last one.
    pub async fn finish(mut self) -> Result<(Arc<dyn Account>, Vec<Mutation>), Fail> {
        self.close().await?;
        let container = self.target.container;
        let steps = self.complete.into_iter().map(|item| Mutation::Append { container, item });
        Ok((self.target.account, steps.collect()))
    }
}
