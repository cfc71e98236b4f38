//! COMPRESS (RFC 4978).

use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

/// What follows the answer is compressed.
pub fn run(session: &mut Session, algorithm: &str) -> Outcome {
    if algorithm != "DEFLATE" {
        return Ok(Reply::bad("There is DEFLATE"));
    }
    if session.io.is_compressed() {
        return Ok(Reply::no("It is compressed already").code("COMPRESSIONACTIVE"));
    }
    session.compressing = true;
    Ok(Reply::ok("From here on"))
}
