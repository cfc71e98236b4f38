//! CAPABILITY (RFC 9051 section 6.1.1). Nothing is announced that is not complete.

use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

const ALWAYS: &str = "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID";

const LOGGED_IN: &str = "IDLE NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED \
     LIST-STATUS ESEARCH SEARCHRES STATUS=SIZE CONDSTORE BINARY UTF8=ACCEPT APPENDLIMIT=67108864 ACL RIGHTS=texk \
     LIST-MYRIGHTS WITHIN SORT SORT=DISPLAY THREAD=ORDEREDSUBJECT THREAD=REFERENCES \
     ESORT PARTIAL QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE OBJECTID SAVEDATE PREVIEW QRESYNC UIDONLY UNAUTHENTICATE \
     COMPRESS=DEFLATE MULTIAPPEND CATENATE REPLACE METADATA LIST-METADATA INPROGRESS MULTISEARCH CONTEXT=SEARCH CONTEXT=SORT \
     SEARCH=FUZZY NOTIFY";

/// What can be done now.
pub fn list(session: &Session) -> String {
    let mut list = ALWAYS.to_owned();
    if session.user.is_some() {
        return format!("{list} {LOGGED_IN}");
    }
    if session.io.can_upgrade() {
        list.push_str(" STARTTLS");
    }
    if session.login_disabled() {
        list.push_str(" LOGINDISABLED");
        return list;
    }
    if session.offers.scram {
        list.push_str(" AUTH=SCRAM-SHA-256");
        if session.io.tls_exporter().is_some() {
            list.push_str(" AUTH=SCRAM-SHA-256-PLUS");
        }
    }
    if session.offers.bearer {
        list.push_str(" AUTH=OAUTHBEARER AUTH=XOAUTH2");
    }
    if !session.io.client_addresses().is_empty() {
        list.push_str(" AUTH=EXTERNAL");
    }
    list.push_str(" AUTH=PLAIN AUTH=LOGIN");
    list
}

pub fn run(session: &mut Session) -> Outcome {
    let line = format!("* CAPABILITY {}\r\n", list(session));
    session.io.output.extend_from_slice(line.as_bytes());
    Ok(Reply::ok("Done"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_limit_that_is_announced_is_the_limit() {
        let announced = format!("APPENDLIMIT={}", sterna_base::limits::MESSAGE_BYTES_MAX);
        assert!(super::LOGGED_IN.contains(&announced));
    }
}
