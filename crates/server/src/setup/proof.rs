//! The message that proves that mail flows: handed in as if the administrator had written it, and found in the trace.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use mail_builder::MessageBuilder;
use serde_json::Value;
use sterna_account::service::{Envelope, InboundProtocol, Login, Message, MessageBody, Rcpt, Reception, Sender};
use sterna_base::{AccountId, BlobHash, OperationId, Timestamp};
use sterna_formats::mail::Scanner;
use sterna_web::setup::door::{Proof, ProofEvent, Refusal};

use super::api::{Api, ApiError};

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
    let transaction = OperationId::random();
    let id = format!("{transaction}@{}", draft.host);
    let content = Bytes::from(compose(draft, &id)?);
    let sender = Sender {
        protocol: InboundProtocol::Submission,
        login: Some(Login { account: draft.account, address: draft.address.to_owned() }),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        helo: draft.host.to_owned(),
        tls: true,
    };
    let refused = |said: String| Refusal::new("proof", said, "See the checks and sterna status, and send it again.");
    reception.sender(&sender, draft.address).await.map_err(|refusal| refused(refusal.to_string()))?;
    let to: Vec<String> = std::iter::once(draft.address).chain(draft.elsewhere).map(str::to_owned).collect();
    for address in &to {
        let taken = reception.recipient(&sender, draft.address, address).await;
        taken.map_err(|refusal| refused(format!("{address}: {refusal}")))?;
    }
    let mut scanner = Scanner::new();
    scanner.push(&content);
    let hash = BlobHash::of(&content);
    let envelope = Envelope {
        sender,
        mail_from: draft.address.to_owned(),
        recipients: to.iter().map(|to| Rcpt { address: to.clone(), ..Rcpt::default() }).collect(),
        envelope_id: None,
        return_headers_only: true,
        eight_bit: true,
        utf8: to.iter().any(|to| !to.is_ascii()),
        transaction,
        received_hash: hash,
    };
    let (size, summary) = (content.len() as u64, scanner.finish().encode().into());
    let message = Message { body: MessageBody::Inline(content), size, hash, summary };
    let answers = reception.deliver(envelope, message).await;
    match to.iter().zip(answers).find_map(|(to, answer)| Some((to, answer.err()?))) {
        Some((to, refusal)) => Err(refused(format!("{to}: {refusal}"))),
        None => Ok(format!("<{id}>")),
    }
}

fn compose(draft: &Draft<'_>, id: &str) -> Result<Vec<u8>, Refusal> {
    let text = "This message shows that mail flows through your new installation.\r\n\r\n\
        If you read it at an address elsewhere, answer it: the last page of the setup shows how your answer comes back, \
        and what was found out about it (SPF, DKIM, DMARC, TLS).\r\n";
    let to: Vec<&str> = std::iter::once(draft.address).chain(draft.elsewhere).collect();
    let message = MessageBuilder::new()
        .from(draft.address)
        .to(to)
        .subject("Sterna is set up")
        .message_id(id)
        .date(draft.now.seconds())
        .text_body(text);
    let unmade = |error: std::io::Error| Refusal::new("proof", error.to_string(), "Look at the node's log.");
    message.write_to_vec().map_err(unmade)
}

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
