//! AUTH (RFC 5034).

use sterna_base::Secret;

use super::{capa, pass};
use crate::pop3::reply::{Fail, Outcome, Refusal};
use crate::pop3::session::Session;
use crate::sasl::{self, Attempt, SaslError};

pub async fn run(session: &mut Session, mechanism: Option<String>, initial: Option<Secret>) -> Outcome {
    if session.login_disabled() {
        return Err(Refusal::new("Begin with STLS; passwords need encryption").into());
    }
    let Some(mechanism) = mechanism else {
        // From before CAPA; some clients still ask like this.
        let lines: String = capa::mechanisms(session).iter().map(|name| format!("{name}\r\n")).collect();
        session.io.output.extend_from_slice(format!("+OK The mechanisms are\r\n{lines}.\r\n").as_bytes());
        return Ok(());
    };
    let initial = initial.map(|initial| initial.expose().as_bytes().to_vec());
    match sasl::run(session.exchange(), &mechanism, initial).await {
        Ok(Attempt { login, answer }) => pass::accept(session, &login, answer).await,
        Err(SaslError::NoMechanism) => Err(Refusal::new("There is no such mechanism").into()),
        Err(SaslError::Malformed(why)) => Err(Fail::Bad(why.into())),
        Err(SaslError::Disconnect(disconnect)) => Err(disconnect.into()),
    }
}
