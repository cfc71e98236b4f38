//! MAIL FROM (RFC 5321 section 4.1.1.2), with SIZE (RFC 1870), BODY (RFC 6152, 3030), SMTPUTF8 (RFC 6531), DSN (RFC
//! 3461).

use sterna_account::service::Refusal;
use sterna_base::BlobHash;
use sterna_formats::smtp::{MailParams, Mailbox, Reply};

use crate::smtp::Service;
use crate::smtp::content::too_big;
use crate::smtp::session::{Flow, Next, Session};
use crate::smtp::transaction::Transaction;

/// The reply that ends a connection (RFC 5321 section 3.8).
const CLOSING: u16 = 421;

impl Session {
    /// Begins a transaction.
    pub(crate) async fn mail(&mut self, reverse_path: Option<Mailbox>, params: MailParams) -> Flow {
        if let Some(reply) = self.mail_out_of_order() {
            return Ok(self.error(reply));
        }
        let limits = &self.shared.config.limits;
        if self.counters.transactions >= limits.transactions_max {
            return Ok(self.give_up("too many messages on one connection; open another"));
        }
        let extended = self.client.as_ref().is_some_and(|client| client.extended);
        if !extended && params != MailParams::default() {
            return Ok(self.error(Reply::new(555, (5, 5, 4), "Parameters need EHLO")));
        }
        if reverse_path.as_ref().is_some_and(|path| path.domain().is_none()) {
            return Ok(self.error(Reply::new(501, (5, 1, 7), "The sender needs a domain")));
        }
        if reverse_path.as_ref().is_some_and(|path| !path.is_ascii()) && !params.smtputf8 {
            return Ok(self.refuse(Reply::new(553, (5, 6, 7), "A non-ASCII address needs SMTPUTF8")));
        }
        if params.size.is_some_and(|size| size > limits.message_bytes_max) {
            return Ok(self.refuse(too_big()));
        }
        let reverse_path = reverse_path.map(|path| path.to_string()).unwrap_or_default();
        if let Err(refusal) = self.shared.reception.sender(&self.sender(), &reverse_path).await {
            return Ok(self.refusal(&refusal));
        }
        let mut transaction = Transaction::new(reverse_path, params);
        let envelope = self.envelope(&transaction, BlobHash([0; 32]));
        match self.shared.reception.begin(&envelope).await {
            Ok(following) => transaction.following = following,
            Err(refusal) => return Ok(self.refusal(&refusal)),
        }
        self.counters.transactions += 1;
        self.transaction = Some(transaction);
        Ok(self.ok(Reply::new(250, (2, 1, 0), "OK")))
    }

    fn mail_out_of_order(&self) -> Option<Reply> {
        let service = self.shared.config.service;
        if self.client.is_none() {
            let hello = if service == Service::Lmtp { "LHLO" } else { "EHLO" };
            return Some(Reply::new(503, (5, 5, 1), format!("Send {hello} first")));
        }
        if service == Service::Submission && self.login.is_none() {
            let how = if self.may_log_in() { "Log in first (AUTH)" } else { "Begin with STARTTLS, then log in" };
            return Some(Reply::new(530, (5, 7, 0), how));
        }
        self.transaction.is_some().then(|| Reply::new(503, (5, 5, 1), "There is a transaction already"))
    }

    /// Answers with the reception's words; its cause goes to the log. With 421 the session ends.
    pub(crate) fn refusal(&mut self, refusal: &Refusal) -> Next {
        let reply = refusal_reply(refusal);
        let closes = reply.code() == CLOSING;
        let next = self.refuse_because(reply, refusal.cause.as_deref());
        if closes { Next::Close } else { next }
    }
}

/// The reply that a refusal is.
pub(crate) fn refusal_reply(refusal: &Refusal) -> Reply {
    Reply::new(refusal.code, refusal.enhanced, refusal.text.clone())
}
