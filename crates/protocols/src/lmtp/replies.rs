//! The replies after the content (RFC 2033 section 4.2).

use sterna_formats::smtp::Reply;

use crate::smtp::session::Session;
use crate::smtp::transaction::Transaction;

impl Session {
    /// One reply for each RCPT that was taken, in their order. Each is final for its recipient: the client tries
    /// again only where it was told to, so that a data server that is down costs its own users a delay and nobody else.
    pub(crate) fn reply_per_recipient(
        &mut self,
        transaction: &Transaction,
        answers: &[Result<(), Reply>],
        accepted: impl Fn() -> Reply,
    ) {
        debug_assert_eq!(transaction.recipients.len(), answers.len());
        for answer in answers {
            match answer {
                Ok(()) => self.io.reply(&accepted()),
                Err(reply) => self.io.reply(reply),
            }
        }
    }
}
