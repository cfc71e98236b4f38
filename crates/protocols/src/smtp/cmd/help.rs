//! HELP (RFC 5321 section 4.1.1.8).

use sterna_formats::smtp::Reply;

use crate::smtp::Service;
use crate::smtp::session::{Next, Session};

impl Session {
    /// Lists the commands.
    pub(crate) fn help(&mut self) -> Next {
        let hello = match self.shared.config.service {
            Service::Lmtp => "LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT STARTTLS",
            Service::Mx => "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT STARTTLS",
            Service::Submission => "EHLO HELO AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT STARTTLS",
        };
        self.idle(Reply::new(214, (2, 0, 0), "Commands:").line(hello))
    }
}
