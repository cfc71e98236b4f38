//! BDAT (RFC 3030): content in chunks of known length, binary ones too.

use sterna_formats::smtp::Reply;
use tokio::time::Instant;

use crate::smtp::content::{Content, too_big};
use crate::smtp::session::{Flow, Next, Session};

impl Session {
    /// Takes a chunk in. Its bytes are read whatever the answer (RFC 3030 section 2), so that they are never taken for
    /// commands; a chunk that no limit allows ends the connection instead.
    pub(crate) async fn bdat(&mut self, chunk_bytes: u64, last: bool) -> Flow {
        let limits = &self.shared.config.limits;
        if chunk_bytes > limits.message_bytes_max.saturating_add(limits.swallow_bytes_max) {
            self.refuse(too_big());
            return Ok(Next::Close);
        }
        let (content, refused) = match self.chunk_content() {
            Ok(content) => (Some(content), None),
            Err(reply) => (None, Some(reply)),
        };
        let (content, next) = self.receive_chunk(content, chunk_bytes).await?;
        if next == Next::Close {
            self.refuse(too_big());
            return Ok(Next::Close);
        }
        let Some(content) = content else {
            return Ok(self.error(refused.unwrap_or_else(|| Reply::new(503, (5, 5, 1), "Send MAIL first"))));
        };
        if last {
            return self.finish_transaction(content).await;
        }
        let reply = content.refusal().unwrap_or_else(|| {
            Reply::new(250, (2, 0, 0), format!("{chunk_bytes} bytes taken, {} in all", content.received_bytes()))
        });
        if let Some(transaction) = &mut self.transaction {
            transaction.chunks = Some(content);
        }
        self.counters.chunks += 1;
        if self.counters.chunks > self.shared.config.limits.chunks_max {
            return Ok(self.give_up("too many chunks"));
        }
        Ok(if reply.is_positive() { self.ok(reply) } else { self.error(reply) })
    }

    /// The content that the chunk belongs to.
    fn chunk_content(&mut self) -> Result<Content, Reply> {
        let no_recipients = self.no_recipients();
        let Some(transaction) = &mut self.transaction else {
            return Err(Reply::new(503, (5, 5, 1), "Send MAIL first"));
        };
        if transaction.recipients.is_empty() {
            return Err(no_recipients);
        }
        if let Some(content) = transaction.chunks.take() {
            return Ok(content);
        }
        self.counters.chunks = 0;
        match &self.transaction {
            Some(transaction) => Ok(self.begin_content(transaction)),
            None => Err(Reply::new(503, (5, 5, 1), "Send MAIL first")),
        }
    }

    /// Reads the chunk's bytes, into the content or into nothing.
    async fn receive_chunk(
        &mut self,
        mut content: Option<Content>,
        chunk_bytes: u64,
    ) -> Result<(Option<Content>, Next), crate::smtp::io::Disconnect> {
        let limits = &self.shared.config.limits;
        let bytes_max = limits.message_bytes_max.saturating_add(limits.swallow_bytes_max);
        let (pause, whole) = (limits.content_timeout, Instant::now() + limits.content_total_timeout);
        let mut remaining = chunk_bytes;
        while remaining > 0 {
            if self.io.input().is_empty() {
                self.io.fill(whole.min(Instant::now() + pause)).await?;
            }
            let take = usize::try_from(remaining).unwrap_or(usize::MAX).min(self.io.input().len());
            if let Some(content) = &mut content {
                content.push(&self.io.input()[..take]);
                content.spill().await;
                if content.received_bytes() > bytes_max {
                    return Ok((None, Next::Close));
                }
            }
            self.io.consume(take);
            remaining -= take as u64;
        }
        Ok((content, Next::Command))
    }
}
