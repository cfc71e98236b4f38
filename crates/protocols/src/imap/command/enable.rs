//! ENABLE (RFC 5161).

use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

pub fn run(session: &mut Session, names: &[String]) -> Outcome {
    let mut done = String::new();
    for name in names {
        let enabled = &mut session.enabled;
        match name.as_str() {
            "CONDSTORE" => enabled.condstore = true,
            // RFC 7162 section 3.2.3: with it goes CONDSTORE.
            "QRESYNC" => {
                enabled.qresync = true;
                enabled.condstore = true;
            }
            "METADATA" => enabled.metadata = true,
            "UIDONLY" => enabled.uid_only = true,
            "UTF8=ACCEPT" => {
                enabled.utf8 = true;
                enabled.utf8_accept = true;
            }
            "IMAP4REV2" => {
                enabled.rev2 = true;
                enabled.utf8 = true;
            }
            _ => continue,
        }
        let name = if name == "IMAP4REV2" { "IMAP4rev2" } else { name };
        if !done.split(' ').any(|known| known == name) {
            done.push(' ');
            done.push_str(name);
        }
    }
    session.io.output.extend_from_slice(format!("* ENABLED{done}\r\n").as_bytes());
    Ok(Reply::ok("Done"))
}
