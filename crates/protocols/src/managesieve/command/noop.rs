//! NOOP (RFC 5804 section 2.13).

use crate::managesieve::reply::Outcome;
use crate::managesieve::session::Session;

pub fn run(session: &mut Session, tag: Option<Vec<u8>>) -> Outcome {
    match tag {
        None => session.answer("OK", None, "Done"),
        Some(tag) => {
            session.io.output.extend_from_slice(b"OK (TAG ");
            session.string(&tag);
            session.io.output.extend_from_slice(b") \"Done\"\r\n");
        }
    }
    Ok(())
}
