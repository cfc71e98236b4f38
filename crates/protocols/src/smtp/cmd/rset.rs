//! RSET (RFC 5321 section 4.1.1.5).

use sterna_formats::smtp::Reply;

use crate::smtp::session::{Next, Session};

impl Session {
    /// Forgets the transaction, chunks and all.
    pub(crate) fn rset(&mut self) -> Next {
        self.transaction = None;
        self.idle(Reply::new(250, (2, 0, 0), "OK"))
    }
}
