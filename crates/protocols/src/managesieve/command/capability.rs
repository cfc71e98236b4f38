//! CAPABILITY (RFC 5804 sections 1.7 and 2.4). Nothing is announced that is not complete.

use crate::managesieve::reply::Outcome;
use crate::managesieve::session::Session;
use crate::sasl;

pub fn run(session: &mut Session) -> Outcome {
    list(session);
    session.ok();
    Ok(())
}

/// The capabilities, one on each line.
pub fn list(session: &mut Session) {
    let checker = session.shared.checker.clone();
    let mechanisms =
        if session.login_disabled() { String::new() } else { sasl::mechanisms(session.offers, &session.io).join(" ") };
    line(session, "IMPLEMENTATION", Some("Sterna"));
    line(session, "VERSION", Some("1.0"));
    line(session, "SASL", Some(&mechanisms));
    line(session, "SIEVE", Some(&checker.extensions()));
    line(session, "NOTIFY", Some("mailto"));
    line(session, "MAXREDIRECTS", Some(&checker.redirects_max().to_string()));
    if session.io.can_upgrade() && session.user.is_none() {
        line(session, "STARTTLS", None);
    }
    line(session, "UNAUTHENTICATE", None);
    if let Some(owner) = session.user.as_ref().map(|user| user.address.clone()) {
        line(session, "OWNER", Some(&owner));
    }
}

fn line(session: &mut Session, name: &str, value: Option<&str>) {
    session.string(name.as_bytes());
    if let Some(value) = value {
        session.io.output.extend_from_slice(b" ");
        session.string(value.as_bytes());
    }
    session.io.output.extend_from_slice(b"\r\n");
}
