//! The message that proves that mail flows: handed in as if the administrator had written it, and found in the trace.

use std::sync::Arc;

use serde_json::Value;
use sterna_account::service::Reception;
use sterna_base::{AccountId, Timestamp};
use sterna_web::setup::door::{Proof, ProofEvent, Refusal};

use super::api::{Api, ApiError};
use crate::letter::{self, Letter};

/// How far back is looked, in seconds.
const SINCE_SECONDS: &str = "86400";

/// What it is handed in with.
pub struct Draft<'a> {
    /// Whose account.
    pub account: AccountId,
    /// From and to whom.
    pub address: &'a str,
    /// To whom besides.
    pub elsewhere: Option<&'a str>,
    /// The name of this host.
    pub host: &'a str,
    /// When.
    pub now: Timestamp,
}

/// Hands it in; its Message-ID.
///
/// # Errors
/// What the mail flow says of the first recipient that it doesn't take.
pub async fn send(reception: &Arc<dyn Reception>, draft: &Draft<'_>) -> Result<String, Refusal> {
    let to: Vec<String> = std::iter::once(draft.address).chain(draft.elsewhere).map(str::to_owned).collect();
    let letter = Letter {
        account: draft.account,
        from: draft.address,
        to: &to,
        host: draft.host,
        subject: "Sterna is set up",
        text: TEXT,
        is_automatic: false,
        now: draft.now,
    };
    let refused = |said: String| Refusal::new("proof", said, "See the checks and sterna status, and send it again.");
    letter::send(reception, &letter).await.map_err(refused)
}

/// What it says.
const TEXT: &str = "This message shows that mail flows through your new installation.\r\n\r\n\
    If you read it at an address elsewhere, answer it: the last page of the setup shows how your answer comes back, \
    and what was found out about it (SPF, DKIM, DMARC, TLS).\r\n";

/// What the trace says of it, and of what came from elsewhere since.
///
/// # Errors
/// When it can't be asked.
pub async fn found(api: &Api, message_id: &str, elsewhere: Option<&str>) -> Result<Proof, ApiError> {
    let traced = trace(api, message_id).await?;
    let sent = traced.first().cloned().unwrap_or_default();
    let to = sent["sender"].as_str().unwrap_or_default().to_owned();
    let mut answers = Vec::new();
    if let Some(elsewhere) = elsewhere {
        let is_from =
            |message: &&Value| message["sender"].as_str().is_some_and(|from| from.eq_ignore_ascii_case(elsewhere));
        answers = trace(api, elsewhere).await?.iter().filter(is_from).flat_map(events).collect();
    }
    Ok(Proof { to, message_id: message_id.to_owned(), events: events(&sent), answers })
}

async fn trace(api: &Api, text: &str) -> Result<Vec<Value>, ApiError> {
    let found = api.get(&["trace"], &[("text", Some(text)), ("since_seconds", Some(SINCE_SECONDS))]).await?;
    Ok(found["messages"].as_array().cloned().unwrap_or_default())
}

fn events(message: &Value) -> Vec<ProofEvent> {
    let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let event = |event: &Value| ProofEvent {
        at: text(event, "at"),
        what: text(event, "what"),
        recipient: text(event, "recipient"),
        detail: text(event, "detail"),
        host: text(event, "host"),
    };
    message["events"].as_array().into_iter().flatten().map(event).collect()
}
