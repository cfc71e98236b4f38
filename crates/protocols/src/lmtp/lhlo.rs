//! LHLO (RFC 2033 section 4.1).

use sterna_formats::smtp::Reply;

use crate::smtp::session::{Client, Next, Session};

impl Session {
    /// EHLO under another name, so that no SMTP client comes here by mistake.
    pub(crate) fn lhlo(&mut self, name: &str) -> Next {
        if !name.is_ascii() {
            return self.error(Reply::new(501, (5, 5, 4), "Give the name in ASCII (xn-- for international labels)"));
        }
        self.client = Some(Client { helo: name.to_owned(), extended: true });
        self.transaction = None;
        let reply = self.extensions();
        self.idle(reply)
    }
}
