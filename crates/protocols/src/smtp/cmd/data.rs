//! DATA (RFC 5321 section 4.1.1.4), and what happens when a content is complete.

use sterna_account::service::{Envelope, Message, Refusal};
use sterna_base::BlobHash;
use sterna_formats::smtp::trace::{self, Received, With};
use sterna_formats::smtp::{Body, DataReceiver, Reply, Ret};
use tokio::time::Instant;

use crate::smtp::Service;
use crate::smtp::cmd::mail::refusal_reply;
use crate::smtp::content::{Content, ContentStart, too_big};
use crate::smtp::session::{Flow, Next, Session};
use crate::smtp::transaction::Transaction;

impl Session {
    /// Takes the content in and hands the message over.
    pub(crate) async fn data(&mut self) -> Flow {
        let Some(transaction) = &self.transaction else {
            return Ok(self.error(Reply::new(503, (5, 5, 1), "Send MAIL first")));
        };
        if transaction.chunks.is_some() {
            return Ok(self.error(Reply::new(503, (5, 5, 1), "The content comes in chunks; go on with BDAT")));
        }
        if transaction.params.body == Body::BinaryMime {
            return Ok(self.error(Reply::new(503, (5, 5, 1), "BINARYMIME needs BDAT")));
        }
        if transaction.recipients.is_empty() {
            return Ok(self.refuse(self.no_recipients()));
        }
        let mut content = self.begin_content(transaction);
        self.io.reply(&Reply::plain(354, "Go on; end with a dot on a line of its own"));
        if self.receive_data(&mut content).await? == Next::Close {
            let reply = too_big();
            self.log_refusal(&reply, Some("the client went on far over the limit"));
            self.io.reply(&reply);
            return Ok(Next::Close);
        }
        self.finish_transaction(content).await
    }

    /// For content without anybody to go to: SMTP may say 554 (RFC 5321 section 3.3), LMTP must say 503 (RFC 2033
    /// section 4.2).
    pub(crate) fn no_recipients(&self) -> Reply {
        let code = if self.shared.config.service == Service::Lmtp { 503 } else { 554 };
        Reply::new(code, (5, 5, 1), "No valid recipients")
    }

    /// Reads up to CRLF.CRLF; `Close` when the client goes on for too long over the limit.
    async fn receive_data(&mut self, content: &mut Content) -> Flow {
        let limits = &self.shared.config.limits;
        let bytes_max = limits.message_bytes_max.saturating_add(limits.swallow_bytes_max);
        let (pause, whole) = (limits.content_timeout, Instant::now() + limits.content_total_timeout);
        let mut receiver = DataReceiver::new();
        loop {
            let progress = receiver.feed(self.io.input(), |bytes| content.push(bytes));
            self.io.consume(progress.consumed);
            if progress.done {
                return Ok(Next::Command);
            }
            if content.received_bytes() > bytes_max {
                return Ok(Next::Close);
            }
            content.spill().await;
            self.io.fill(whole.min(Instant::now() + pause)).await?;
        }
    }

    /// A content with the trace fields of this transaction in front.
    pub(crate) fn begin_content(&self, transaction: &Transaction) -> Content {
        let config = &self.shared.config;
        let now = self.shared.clock.now();
        let with = With {
            lmtp: config.service == Service::Lmtp,
            extended: self.client.as_ref().is_some_and(|client| client.extended),
            tls: self.tls,
            authenticated: self.login.is_some(),
            utf8: transaction.params.smtputf8,
        };
        let recipient = match &transaction.recipients[..] {
            [only] => Some(&*only.address),
            _ => None,
        };
        let id = transaction.id.to_string();
        let (helo, by) = (self.client.as_ref().map_or("", |client| &client.helo), &*config.hostname);
        let received = Received { helo, peer: self.peer, by, with, id: &id, recipient, now };
        // Every delivery here is the final one (RFC 5321 section 4.4): the envelope ends, so its reverse-path is kept
        // in the message. It is the same for all recipients, unlike Delivered-To, which would give each of them a
        // body of its own.
        let trace = trace::return_path(&transaction.reverse_path) + &received.field();
        Content::new(ContentStart {
            id: transaction.id,
            trace,
            bytes_max: config.limits.message_bytes_max,
            hops_max: config.limits.hops_max,
            spool_folder: config.spool_folder.clone(),
            fixups: config.service == Service::Submission,
            binary: transaction.params.body == Body::BinaryMime,
            host: config.hostname.clone(),
            now,
        })
    }

    /// Hands the complete message over and answers; the transaction is over whatever the answer.
    pub(crate) async fn finish_transaction(&mut self, content: Content) -> Flow {
        self.io.flush().await?;
        let received_bytes = content.received_bytes();
        let finished = content.finish().await;
        let Some(transaction) = self.transaction.take() else {
            return Ok(self.error(Reply::new(503, (5, 5, 1), "There is no transaction")));
        };
        (self.counters.idle_commands, self.counters.refusals) = (0, 0);
        let answers = match finished {
            Ok((message, received_hash)) => self.deliver(&transaction, message, received_hash).await,
            Err(reply) => {
                self.log_content_refusal(&transaction, &reply, received_bytes);
                vec![Err(reply); transaction.recipients.len()]
            }
        };
        let id = transaction.id;
        let accepted = || Reply::new(250, (2, 0, 0), format!("OK {id}"));
        if self.shared.config.service == Service::Lmtp {
            self.reply_per_recipient(&transaction, &answers, accepted);
        } else {
            self.io.reply(&one_reply(&transaction, answers).unwrap_or_else(accepted));
        }
        Ok(Next::Command)
    }

    async fn deliver(
        &mut self,
        transaction: &Transaction,
        message: Message,
        received_hash: BlobHash,
    ) -> Vec<Result<(), Reply>> {
        let envelope = self.envelope(transaction, received_hash);
        let size_bytes = message.size;
        let answers = self.shared.reception.deliver(envelope, message).await;
        let failed: Vec<String> = transaction
            .recipients
            .iter()
            .zip(&answers)
            .filter_map(|(rcpt, answer)| answer.as_ref().err().map(|refusal| failure(&rcpt.address, refusal)))
            .take(FAILURES_LOGGED_MAX)
            .collect();
        tracing::info!(
            service = self.shared.config.service.name(),
            peer = %self.peer,
            transaction = %transaction.id,
            from = transaction.reverse_path,
            recipients = transaction.recipients.len(),
            accepted = answers.iter().filter(|answer| answer.is_ok()).count(),
            size_bytes,
            failed = failed.join("; "),
            "message"
        );
        let mut answers: Vec<_> = answers.into_iter().map(|a| a.map_err(|refusal| refusal_reply(&refusal))).collect();
        // A reception that answers for too few has not answered for them.
        answers.resize_with(transaction.recipients.len(), || Err(Reply::new(451, (4, 3, 0), "Try again later")));
        answers
    }

    /// The envelope as it is by now.
    pub(crate) fn envelope(&self, transaction: &Transaction, received_hash: BlobHash) -> Envelope {
        Envelope {
            sender: self.sender(),
            mail_from: transaction.reverse_path.clone(),
            recipients: transaction.recipients.clone(),
            envelope_id: transaction.params.envid.clone(),
            return_headers_only: transaction.params.ret == Some(Ret::Headers),
            eight_bit: transaction.params.body != Body::SevenBit,
            utf8: transaction.params.smtputf8,
            transaction: transaction.id,
            received_hash,
        }
    }

    fn log_content_refusal(&self, transaction: &Transaction, reply: &Reply, received_bytes: u64) {
        tracing::info!(
            service = self.shared.config.service.name(),
            peer = %self.peer,
            transaction = %transaction.id,
            from = transaction.reverse_path,
            received_bytes,
            code = reply.code(),
            text = reply.text(),
            "content refused"
        );
    }
}

/// Recipients whose failure is told in the log line of a message.
const FAILURES_LOGGED_MAX: usize = 8;

fn failure(address: &str, refusal: &Refusal) -> String {
    match &refusal.cause {
        Some(cause) => format!("{address}: {refusal} ({cause})"),
        None => format!("{address}: {refusal}"),
    }
}

/// The one reply of SMTP for all recipients; `None` when all have the message. A temporary failure of one is the
/// reply for all: the client comes again, and the mail flow sees to it that nobody gets the message twice
/// (docs/decisions/0004-smtp-partial-delivery.md).
fn one_reply(transaction: &Transaction, answers: Vec<Result<(), Reply>>) -> Option<Reply> {
    let mut failures: Vec<(&str, Reply)> = transaction
        .recipients
        .iter()
        .zip(answers)
        .filter_map(|(rcpt, answer)| answer.err().map(|reply| (&*rcpt.address, reply)))
        .collect();
    // Stable: the first of the temporary ones, else the first.
    failures.sort_by_key(|(_, reply)| reply.code() >= 500);
    let all = failures.len() == transaction.recipients.len();
    let (address, reply) = failures.into_iter().next()?;
    Some(if all { reply } else { reply.line(format!("That is for <{address}>")) })
}
