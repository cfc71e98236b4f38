//! VRFY and EXPN (RFC 5321 sections 3.5, 4.1.1.6, 4.1.1.7).

use sterna_formats::smtp::Reply;

use crate::smtp::session::{Next, Session};

impl Session {
    /// Never tells: RFC 5321 section 7.3 allows it, and addresses are worth something to those who ask. RCPT answers.
    pub(crate) fn vrfy(&mut self) -> Next {
        self.idle(Reply::new(252, (2, 1, 5), "Not told here; send a message and see"))
    }

    /// Groups are nobody's business.
    pub(crate) fn expn(&mut self) -> Next {
        self.idle(Reply::new(502, (5, 5, 1), "EXPN is not offered"))
    }
}
