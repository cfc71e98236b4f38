//! STARTTLS (RFC 3207).

use sterna_formats::smtp::Reply;

use crate::smtp::session::{Flow, Next, Session};

impl Session {
    /// Whether STARTTLS is offered.
    pub(crate) fn may_start_tls(&self) -> bool {
        self.io.connection().can_start_tls()
    }

    /// Encrypts the connection. Nothing that was said before counts afterwards (RFC 3207 section 4.2): not the
    /// client's name, not a transaction, and no command that was sent along in the clear, which somebody else may
    /// have put there.
    pub(crate) async fn starttls(&mut self) -> Flow {
        if self.tls {
            return Ok(self.error(Reply::new(503, (5, 5, 1), "The connection is encrypted already")));
        }
        if !self.may_start_tls() {
            return Ok(self.error(Reply::new(502, (5, 5, 1), "TLS is not set up here")));
        }
        self.io.reply(&Reply::new(220, (2, 0, 0), "Go ahead"));
        self.io.start_tls().await?;
        self.tls = true;
        self.client = None;
        self.transaction = None;
        self.login = None;
        Ok(Next::Command)
    }
}
