//! RCPT TO (RFC 5321 section 4.1.1.3), with DSN parameters (RFC 3461).

use sterna_account::service::Rcpt;
use sterna_formats::smtp::{Mailbox, RcptParams, Reply};

use crate::smtp::Service;
use crate::smtp::session::{Flow, Next, Session};

impl Session {
    /// Adds a recipient, if the reception takes mail for it.
    pub(crate) async fn rcpt(&mut self, forward_path: Mailbox, params: RcptParams) -> Flow {
        let limits = &self.shared.config.limits;
        let (recipients_max, refused_max) = (limits.recipients_max, limits.refused_recipients_max);
        let extended = self.client.as_ref().is_some_and(|client| client.extended);
        let Some(transaction) = &self.transaction else {
            return Ok(self.error(Reply::new(503, (5, 5, 1), "Send MAIL first")));
        };
        if transaction.chunks.is_some() {
            return Ok(self.error(Reply::new(503, (5, 5, 1), "The content has begun")));
        }
        if !extended && params != RcptParams::default() {
            return Ok(self.error(Reply::new(555, (5, 5, 4), "Parameters need EHLO")));
        }
        if !forward_path.is_ascii() && !transaction.params.smtputf8 {
            return Ok(self.refuse(Reply::new(553, (5, 6, 7), "A non-ASCII address needs SMTPUTF8 with MAIL")));
        }
        if transaction.recipients.len() >= recipients_max {
            return Ok(self.refuse(Reply::new(
                452,
                (4, 5, 3),
                "Too many recipients; send the message again to the rest",
            )));
        }
        let address = forward_path.to_string();
        let mail_from = transaction.reverse_path.clone();
        let taken = self.shared.reception.recipient(&self.sender(), &mail_from, &address).await;
        if let Err(refusal) = taken {
            let next = self.refusal(&refusal);
            self.counters.refused_recipients += u32::from(!refusal.is_temporary());
            let guessing = self.shared.config.service == Service::Mx && self.counters.refused_recipients > refused_max;
            return Ok(if guessing && next == Next::Command {
                self.give_up("too many unknown recipients")
            } else {
                next
            });
        }
        let rcpt = Rcpt { address, original: params.orcpt, notify: params.notify };
        if let Some(transaction) = &mut self.transaction {
            if let Some(following) = &mut transaction.following
                && let Err(refusal) = following.recipient(&rcpt).await
            {
                return Ok(self.refusal(&refusal));
            }
            transaction.recipients.push(rcpt);
        }
        Ok(self.ok(Reply::new(250, (2, 1, 5), "OK")))
    }
}
