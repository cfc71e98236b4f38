//! QUIT (RFC 5321 section 4.1.1.10).

use sterna_formats::smtp::Reply;

use crate::smtp::session::{Next, Session};

impl Session {
    /// Says good-bye. An unfinished transaction is forgotten.
    pub(crate) fn quit(&mut self) -> Next {
        self.transaction = None;
        self.io.reply(&Reply::new(221, (2, 0, 0), format!("{} closing", self.shared.config.hostname)));
        Next::Close
    }
}
