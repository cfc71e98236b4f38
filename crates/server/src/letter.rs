//! Messages that the server writes itself, handed in as if a user had written them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use mail_builder::MessageBuilder;
use mail_builder::headers::raw::Raw;
use sterna_account::service::{Envelope, InboundProtocol, Login, Message, MessageBody, Rcpt, Reception, Sender};
use sterna_base::{AccountId, BlobHash, OperationId, Timestamp};
use sterna_formats::mail::Scanner;

/// One message.
pub struct Letter<'a> {
    /// The account of who sends it.
    pub account: AccountId,
    /// Their address.
    pub from: &'a str,
    /// To whom.
    pub to: &'a [String],
    /// The name of this host.
    pub host: &'a str,
    /// What it is about.
    pub subject: &'a str,
    /// What it says; lines end with CRLF.
    pub text: &'a str,
    /// Whether nobody asked for it: then no automatic answers come (RFC 3834).
    pub is_automatic: bool,
    /// When.
    pub now: Timestamp,
}

/// Hands it in; its Message-ID.
///
/// # Errors
/// What the mail flow says of the first recipient that it doesn't take.
pub async fn send(reception: &Arc<dyn Reception>, letter: &Letter<'_>) -> Result<String, String> {
    let transaction = OperationId::random();
    let id = format!("{transaction}@{}", letter.host);
    let content = Bytes::from(compose(letter, &id)?);
    let sender = Sender {
        protocol: InboundProtocol::Submission,
        login: Some(Login {
            account: letter.account,
            address: letter.from.to_owned(),
            is_sudo: false,
            app_password: None,
        }),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        helo: letter.host.to_owned(),
        tls: true,
    };
    reception.sender(&sender, letter.from).await.map_err(|refusal| refusal.to_string())?;
    for address in letter.to {
        let taken = reception.recipient(&sender, letter.from, address).await;
        taken.map_err(|refusal| format!("{address}: {refusal}"))?;
    }
    let mut scanner = Scanner::new();
    scanner.push(&content);
    let hash = BlobHash::of(&content);
    let envelope = Envelope {
        sender,
        mail_from: letter.from.to_owned(),
        recipients: letter.to.iter().map(|to| Rcpt { address: to.clone(), ..Rcpt::default() }).collect(),
        envelope_id: None,
        return_headers_only: true,
        eight_bit: true,
        utf8: letter.to.iter().any(|to| !to.is_ascii()),
        transaction,
        received_hash: hash,
    };
    let (size, summary) = (content.len() as u64, scanner.finish().encode().into());
    let message = Message { body: MessageBody::Inline(content), size, hash, summary };
    let answers = reception.deliver(envelope, message).await;
    match letter.to.iter().zip(answers).find_map(|(to, answer)| Some((to, answer.err()?))) {
        Some((to, refusal)) => Err(format!("{to}: {refusal}")),
        None => Ok(format!("<{id}>")),
    }
}

fn compose(letter: &Letter<'_>, id: &str) -> Result<Vec<u8>, String> {
    let to: Vec<&str> = letter.to.iter().map(String::as_str).collect();
    let message = MessageBuilder::new()
        .from(letter.from)
        .to(to)
        .subject(letter.subject)
        .message_id(id)
        .date(letter.now.seconds())
        .text_body(letter.text);
    let message = match letter.is_automatic {
        true => message.header("Auto-Submitted", Raw::new("auto-generated")),
        false => message,
    };
    message.write_to_vec().map_err(|error| error.to_string())
}
