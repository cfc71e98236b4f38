//! NOOP (RFC 5321 section 4.1.1.9).

use sterna_formats::smtp::Reply;

use crate::smtp::session::{Next, Session};

impl Session {
    /// Answers, within the limit of idle commands.
    pub(crate) fn noop(&mut self) -> Next {
        self.idle(Reply::new(250, (2, 0, 0), "OK"))
    }
}
