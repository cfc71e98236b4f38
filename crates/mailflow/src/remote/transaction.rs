//! One message over one connection (RFC 5321 section 3.3, RFC 2920).

use std::path::Path;

use sterna_account::service::Rcpt;
use sterna_formats::smtp::{Answer, DotStuffer, to_xtext};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::connection::{
    COMMAND_TIMEOUT, CONTENT_TIMEOUT, Connection, ConnectionError, DATA_TIMEOUT, DONE_TIMEOUT, ENVELOPE_TIMEOUT,
};
use crate::queue::{Content, Delivered, QueuedEnvelope, Said};

/// What is read of a file and sent at once.
const BLOCK_BYTES: usize = 64 * 1024;

/// What is to be sent.
pub struct Mail<'a> {
    /// What was said about it.
    pub envelope: &'a QueuedEnvelope,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Who gets it.
    pub recipients: Vec<&'a Rcpt>,
    /// The content.
    pub content: &'a Content,
}

impl Connection {
    /// Sends a message: one result for each recipient, in their order. Refusals stand also when the connection breaks
    /// afterwards.
    ///
    /// # Errors
    /// [`ConnectionError`] when the connection broke before the server refused anybody; none has the message for
    /// certain then.
    pub async fn transact(&mut self, mail: &Mail<'_>) -> Result<Vec<Delivered>, ConnectionError> {
        if let Some(said) = self.can_not_take(mail) {
            return Ok(vec![Delivered::Failed(said); mail.recipients.len()]);
        }
        self.content_sent = false;
        self.begin_anew().await?;
        self.messages += 1;
        let commands = self.commands(mail);
        let mut answers = Vec::with_capacity(commands.len());
        let asking = async {
            if self.extensions.pipelining {
                self.pipelined(&commands, &mut answers).await
            } else {
                self.one_by_one(&commands, &mut answers).await
            }
        };
        let late = ConnectionError::TimedOut { stage: "sending the envelope", limit: ENVELOPE_TIMEOUT };
        let asked = timeout(ENVELOPE_TIMEOUT, asking).await;
        if let Err(error) = asked.unwrap_or(Err(late)) {
            return self.broke_off(&answers, mail.recipients.len(), error);
        }
        let (Some(sender), Some(data)) = (answers.first(), answers.last()) else { return Ok(Vec::new()) };
        let rcpts = &answers[1..answers.len() - 1];
        if data.is_intermediate() {
            let any = sender.is_positive() && rcpts.iter().any(Answer::is_positive);
            // A server that says 354 without recipients gets an empty content, and no message (RFC 2920 section 3.1).
            let last = if any { self.content_in_time(mail).await } else { self.no_content().await };
            return match last {
                Ok(last) => Ok(self.results(sender, rcpts, any.then_some(&last))),
                Err(error) => self.broke_off(&answers[..answers.len() - 1], rcpts.len(), error),
            };
        }
        if !data.is_positive() && rcpts.iter().any(Answer::is_positive) && sender.is_positive() {
            return Ok(self.results(sender, rcpts, Some(data)));
        }
        // Everybody has an answer: a failure says only that the connection is of no more use.
        self.broken = self.reset().await.is_err();
        Ok(self.results(sender, rcpts, None))
    }

    /// What is known when the connection breaks: who was refused stays refused, and the others wait. On a connection
    /// that had waited only a permanent refusal counts, since others may just say that it waited for too long.
    fn broke_off(
        &mut self,
        answers: &[Answer],
        count: usize,
        error: ConnectionError,
    ) -> Result<Vec<Delivered>, ConnectionError> {
        self.broken = true;
        let is_first = self.messages == 1;
        let is_refusal = |answer: &Answer| !answer.is_positive() && (is_first || answer.code / 100 == 5);
        let rcpts = answers.get(1..).unwrap_or_default();
        let rcpts = &rcpts[..rcpts.len().min(count)];
        let Some(sender) = answers.first() else { return Err(error) };
        if !is_refusal(sender) && !rcpts.iter().any(is_refusal) {
            return Err(error);
        }
        let unknown = Delivered::Deferred(error.said(&self.peer));
        let result = |number: usize| match rcpts.get(number) {
            _ if !sender.is_positive() => self.negative(sender),
            Some(rcpt) if !rcpt.is_positive() => self.negative(rcpt),
            _ => unknown.clone(),
        };
        Ok((0..count).map(result).collect())
    }

    /// What the server has said it can't do (RFC 1870 section 6.1, RFC 6531 section 3.2).
    fn can_not_take(&self, mail: &Mail<'_>) -> Option<Said> {
        let said = |status, text: String| Some(Said { host: self.peer.clone(), text, status, is_reply: false });
        if let Some(most) = self.extensions.size_bytes_max.filter(|most| mail.size_bytes > *most) {
            let text = format!("the message has {} bytes, and the server takes {most}", mail.size_bytes);
            return said((5, 3, 4), text);
        }
        let is_international =
            !mail.envelope.mail_from.is_ascii() || mail.recipients.iter().any(|rcpt| !rcpt.address.is_ascii());
        if is_international && !self.extensions.smtputf8 {
            return said((5, 6, 7), "the server does not take addresses with letters outside ASCII".to_owned());
        }
        None
    }

    /// MAIL, each RCPT, and DATA.
    fn commands(&self, mail: &Mail<'_>) -> Vec<String> {
        let (can, envelope) = (&self.extensions, mail.envelope);
        let mut from = format!("MAIL FROM:<{}>", envelope.mail_from);
        if can.size {
            from.push_str(&format!(" SIZE={}", mail.size_bytes));
        }
        if can.eight_bit && envelope.eight_bit {
            from.push_str(" BODY=8BITMIME");
        }
        if can.smtputf8 && envelope.utf8 {
            from.push_str(" SMTPUTF8");
        }
        if can.dsn {
            if envelope.return_headers_only {
                from.push_str(" RET=HDRS");
            }
            if let Some(id) = &envelope.envelope_id {
                from.push_str(&format!(" ENVID={}", to_xtext(id)));
            }
        }
        let rcpt = |rcpt: &&Rcpt| {
            let mut line = format!("RCPT TO:<{}>", rcpt.address);
            if can.dsn {
                if let Some(notify) = &rcpt.notify {
                    line.push_str(&format!(" NOTIFY={notify}"));
                }
                if let Some(original) = &rcpt.original {
                    line.push_str(&format!(" ORCPT={original}"));
                }
            }
            line
        };
        let rcpts = mail.recipients.iter().map(rcpt);
        std::iter::once(from).chain(rcpts).chain(std::iter::once("DATA".to_owned())).collect()
    }

    /// All commands at once: one round trip.
    async fn pipelined(&mut self, commands: &[String], answers: &mut Vec<Answer>) -> Result<(), ConnectionError> {
        let all: String = commands.iter().flat_map(|line| [line, "\r\n"]).collect();
        self.send(all.as_bytes(), "sending the envelope").await?;
        for number in 1..=commands.len() {
            let limit = if number == commands.len() { DATA_TIMEOUT } else { COMMAND_TIMEOUT };
            answers.push(self.answer("sending the envelope", limit).await?);
        }
        Ok(())
    }

    /// A command after the other; DATA only when somebody is to get it. What was not asked has the answer of MAIL.
    async fn one_by_one(&mut self, commands: &[String], answers: &mut Vec<Answer>) -> Result<(), ConnectionError> {
        for (number, line) in commands.iter().enumerate() {
            let refused = answers.first().filter(|sender| !sender.is_positive()).cloned();
            let is_data = number + 1 == commands.len();
            let nobody = is_data && !answers.iter().skip(1).any(Answer::is_positive);
            let answer = match (refused, nobody) {
                (Some(refused), _) => refused,
                (None, true) => answers.last().cloned().unwrap_or_default(),
                (None, false) => self.command(line, "sending the envelope").await?,
            };
            answers.push(answer);
        }
        Ok(())
    }

    async fn content_in_time(&mut self, mail: &Mail<'_>) -> Result<Answer, ConnectionError> {
        let late = ConnectionError::TimedOut { stage: "sending the content", limit: CONTENT_TIMEOUT };
        timeout(CONTENT_TIMEOUT, self.content(mail)).await.unwrap_or(Err(late))
    }

    async fn content(&mut self, mail: &Mail<'_>) -> Result<Answer, ConnectionError> {
        let mut stuffer = DotStuffer::default();
        let mut out = Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 8);
        match mail.content {
            Content::Inline(bytes) => {
                stuffer.push(without_return_path(bytes), &mut out);
            }
            Content::File(path) => self.file(path, &mut stuffer, &mut out).await?,
        }
        stuffer.finish(&mut out);
        self.content_sent = true;
        self.send(&out, "sending the content").await?;
        self.answer("waiting for the answer to the content", DONE_TIMEOUT).await
    }

    async fn file(&mut self, path: &Path, stuffer: &mut DotStuffer, out: &mut Vec<u8>) -> Result<(), ConnectionError> {
        let mut file = tokio::fs::File::open(path).await?;
        let mut block = vec![0; BLOCK_BYTES];
        let mut is_first = true;
        loop {
            let count = file.read(&mut block).await?;
            if count == 0 {
                return Ok(());
            }
            let bytes = if is_first { without_return_path(&block[..count]) } else { &block[..count] };
            is_first = false;
            stuffer.push(bytes, out);
            self.send(out, "sending the content").await?;
            out.clear();
        }
    }

    async fn no_content(&mut self) -> Result<Answer, ConnectionError> {
        self.send(b".\r\n", "sending no content").await?;
        self.answer("waiting for the answer to no content", DONE_TIMEOUT).await
    }

    async fn reset(&mut self) -> Result<(), ConnectionError> {
        self.command("RSET", "saying RSET").await.map(drop)
    }

    fn results(&self, sender: &Answer, rcpts: &[Answer], last: Option<&Answer>) -> Vec<Delivered> {
        let result = |rcpt: &Answer| match (sender.is_positive(), rcpt.is_positive(), last) {
            (false, ..) => self.negative(sender),
            (true, false, _) => self.negative(rcpt),
            (true, true, Some(last)) if last.is_positive() => {
                Delivered::Relayed { said: self.said(last), tells_sender: self.extensions.dsn }
            }
            (true, true, Some(last)) => self.negative(last),
            (true, true, None) => Delivered::Deferred(self.said(rcpt)),
        };
        rcpts.iter().map(result).collect()
    }

    fn negative(&self, answer: &Answer) -> Delivered {
        let said = self.said(answer);
        if answer.code / 100 == 5 { Delivered::Failed(said) } else { Delivered::Deferred(said) }
    }
}

/// Return-Path is for the final delivery alone (RFC 5321 section 4.4), and it is the first field where it is.
fn without_return_path(content: &[u8]) -> &[u8] {
    const NAME: &[u8] = b"Return-Path:";
    if !content.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
        return content;
    }
    memchr::memchr(b'\n', content).map_or(content, |end| &content[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_return_path_stays_here() {
        assert_eq!(without_return_path(b"Return-Path: <a@b>\r\nReceived: x\r\n"), b"Received: x\r\n");
        assert_eq!(without_return_path(b"Received: x\r\n"), b"Received: x\r\n");
        assert_eq!(without_return_path(b"Ret"), b"Ret");
    }
}
