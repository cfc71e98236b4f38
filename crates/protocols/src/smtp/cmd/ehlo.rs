//! EHLO and HELO (RFC 5321 section 4.1.1.1). LHLO is in [`crate::lmtp`].

use sterna_formats::smtp::Reply;

use crate::smtp::Service;
use crate::smtp::session::{Client, Next, Session};

impl Session {
    /// Answers with the extensions. A second EHLO resets the transaction (RFC 5321 section 4.1.4), not the log-in.
    pub(crate) async fn ehlo(&mut self, name: &str) -> Next {
        if !name.is_ascii() {
            // Extensions can be used only after EHLO, so SMTPUTF8 doesn't hold for its own argument (RFC 6531 section
            // 3.7.1).
            return self.error(Reply::new(501, (5, 5, 4), "Give the name in ASCII (xn-- for international labels)"));
        }
        self.client = Some(Client { helo: name.to_owned(), extended: true });
        self.transaction = None;
        let mut reply = self.extensions();
        if self.shared.config.service == Service::Submission && self.login.is_none() && self.may_log_in() {
            reply = reply.line(format!("AUTH {}", self.mechanisms().await.join(" ")));
        }
        self.idle(reply)
    }

    /// Answers without extensions.
    pub(crate) fn helo(&mut self, name: &str) -> Next {
        if !name.is_ascii() {
            return self.error(Reply::new(501, (5, 5, 4), "Give the name in ASCII"));
        }
        self.client = Some(Client { helo: name.to_owned(), extended: false });
        self.transaction = None;
        let reply = Reply::plain(250, self.shared.config.hostname.clone());
        self.idle(reply)
    }

    /// The reply of EHLO and LHLO, but for AUTH.
    pub(crate) fn extensions(&self) -> Reply {
        let (config, limits) = (&self.shared.config, &self.shared.config.limits);
        let mut reply = Reply::plain(250, config.hostname.clone())
            .line("PIPELINING")
            .line(format!("SIZE {}", limits.message_bytes_max))
            .line("8BITMIME")
            .line("BINARYMIME")
            .line("CHUNKING")
            .line("SMTPUTF8")
            .line("DSN")
            .line("ENHANCEDSTATUSCODES")
            .line(format!("LIMITS RCPTMAX={} MAILMAX={}", limits.recipients_max, limits.transactions_max));
        if self.may_start_tls() {
            reply = reply.line("STARTTLS");
        }
        reply
    }
}
