//! Logging in at a relay host.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::carrier::Credentials;
use super::connection::{Connection, ConnectionError};

const STAGE: &str = "logging in";

/// Logs in with PLAIN (RFC 4616), or with LOGIN where a host offers nothing else, as some large ones do
/// (draft-murchison-sasl-login); never without TLS except on this machine.
///
/// # Errors
/// [`ConnectionError`].
pub async fn log_in(connection: &mut Connection, credentials: &Credentials) -> Result<(), ConnectionError> {
    let is_here = connection.peer.contains("[127.") || connection.peer.contains("[::1]");
    if !connection.tls && !is_here {
        return Err(ConnectionError::LogIn("the password for the relay host is not sent without TLS"));
    }
    let offers = |name: &str| connection.extensions.auth.iter().any(|mechanism| mechanism == name);
    let (plain, login) = (offers("PLAIN"), offers("LOGIN"));
    let (user, password) = (&credentials.user, credentials.password.expose());
    let lines = match (plain, login) {
        (true, _) => vec![format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{user}\0{password}")))],
        (false, true) => vec!["AUTH LOGIN".to_owned(), STANDARD.encode(user), STANDARD.encode(password)],
        (false, false) => {
            return Err(ConnectionError::LogIn("the relay host offers neither AUTH PLAIN nor AUTH LOGIN"));
        }
    };
    let last = lines.len() - 1;
    // Until the last one a server asks for more (RFC 4954 section 4).
    for (at, line) in lines.iter().enumerate() {
        let answer = connection.command(line, STAGE).await?;
        let is_good = if at == last { answer.is_positive() } else { answer.is_intermediate() };
        if !is_good {
            return Err(ConnectionError::Refused(answer));
        }
    }
    Ok(())
}
