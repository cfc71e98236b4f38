//! CAPA (RFC 2449 section 5). Nothing is announced that is not complete.
//!
//! LOGIN-DELAY is not: users may log in as often as they like. LANG (RFC 6856 section 3) is not: no client is known
//! that asks for it, and all of them show words of their own.

use crate::pop3::reply::Outcome;
use crate::pop3::session::Session;

const ALWAYS: &str = "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUTF8 USER\r\n";

pub fn run(session: &mut Session) -> Outcome {
    let mut list = format!("+OK Capability list follows\r\n{ALWAYS}");
    if session.io.can_upgrade() {
        list.push_str("STLS\r\n");
    }
    if !session.login_disabled() {
        list.push_str("USER\r\nSASL");
        for mechanism in mechanisms(session) {
            list.push(' ');
            list.push_str(mechanism);
        }
        list.push_str("\r\n");
    }
    list.push_str("IMPLEMENTATION Sterna\r\n.\r\n");
    session.io.output.extend_from_slice(list.as_bytes());
    Ok(())
}

/// How users can log in by AUTH on this connection.
pub fn mechanisms(session: &Session) -> Vec<&'static str> {
    let mut mechanisms = Vec::new();
    if session.offers.scram {
        mechanisms.push("SCRAM-SHA-256");
        if session.io.tls_exporter().is_some() {
            mechanisms.push("SCRAM-SHA-256-PLUS");
        }
    }
    if session.offers.bearer {
        mechanisms.extend(["OAUTHBEARER", "XOAUTH2"]);
    }
    if !session.io.client_addresses().is_empty() {
        mechanisms.push("EXTERNAL");
    }
    mechanisms.extend(["PLAIN", "LOGIN"]);
    mechanisms
}
