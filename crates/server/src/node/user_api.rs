//! What users may ask for themselves: `/api/v1/own/...`, by the listeners of DAV and with the same log-in.
//!
//! - `GET /api/v1/own/trace?text=&since_seconds=&limit=`: where the user's mail is.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Json;
use axum::extract::Query;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts as Head;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use sterna_account::service::Login;
use sterna_account::trace::{TRACED_MAX, TraceQuery, TracedMessage};
use sterna_base::{Clock, NodeId};
use sterna_cluster::ControlClient;
use sterna_directory::{Directory, Reader, StorageError};
use sterna_mailflow::trace::TraceStore;
use sterna_protocols::dav::api::Api;

use super::Parts;
use crate::admin::problem::{self, Problem};
use crate::admin::trace::{MESSAGES_DEFAULT, SINCE_SECONDS_DEFAULT, TraceView, ask_edges, views};

/// Answers users.
pub struct UserApi {
    directory: Directory,
    node: NodeId,
    own: Option<TraceStore>,
    others: ControlClient,
    clock: Arc<dyn Clock>,
}

/// What is asked of the trace.
#[derive(Deserialize)]
struct TraceParams {
    /// An address, a Message-ID, or the id of a message; all of the user's mail without it.
    text: Option<String>,
    /// How many seconds back.
    since_seconds: Option<u64>,
    /// Most messages.
    limit: Option<usize>,
}

impl UserApi {
    /// Of a node.
    pub(super) fn new(parts: &Parts) -> Self {
        UserApi {
            directory: parts.directory.clone(),
            node: parts.identity.node(),
            own: parts.trace.as_ref().map(|(store, _)| store.clone()),
            others: ControlClient::new(parts.peers.clone()),
            clock: parts.clock.clone(),
        }
    }

    async fn route(&self, login: &Login, head: &Head) -> Result<Response, Problem> {
        match (&head.method, head.uri.path()) {
            (&Method::GET, "/api/v1/own/trace") => {
                let params = Query::<TraceParams>::try_from_uri(&head.uri);
                let Query(params) = params.map_err(|error| Problem::malformed(error.body_text()))?;
                Ok(Json(self.trace(login, params).await?).into_response())
            }
            (_, "/api/v1/own/trace") => {
                Ok(problem::method_not_allowed(head.method.clone(), head.uri.clone()).await.into_response())
            }
            _ => Ok(problem::not_found(head.uri.clone()).await.into_response()),
        }
    }

    async fn trace(&self, login: &Login, params: TraceParams) -> Result<TraceView, Problem> {
        let account = login.account;
        let (own, edges) = self
            .directory
            .read(move |reader| {
                let entry = reader.entry(account)?;
                let texts = entry.iter().flat_map(|entry| entry.value.entry().addresses());
                let texts = texts.map(|address| reader.address_text(address)).filter_map(Result::transpose);
                let own = texts.map(|text| text.map(|text| text.to_ascii_lowercase()));
                let own = own.collect::<Result<HashSet<String>, StorageError>>()?;
                let servers = reader.servers()?.into_iter().map(|found| found.value);
                Ok::<_, Problem>((own, servers.filter(|server| server.roles.edge).collect::<Vec<_>>()))
            })
            .await?;
        let since_ms = params.since_seconds.unwrap_or(SINCE_SECONDS_DEFAULT).saturating_mul(1000);
        let query = TraceQuery {
            text: params.text.unwrap_or_else(|| login.address.clone()),
            since: self.clock.now().plus_ms(-i64::try_from(since_ms).unwrap_or(i64::MAX)),
            limit: params.limit.unwrap_or(MESSAGES_DEFAULT).clamp(1, TRACED_MAX),
            involving: own.iter().cloned().collect(),
        };
        let (node, store, others) = (self.node, self.own.clone(), self.others.clone());
        let ask = move |edge: NodeId, query: TraceQuery| {
            let (store, others) = (store.clone(), others.clone());
            async move {
                match store {
                    Some(store) if edge == node => store.ask(query).await.map_err(|error| error.to_string()),
                    _ => others.trace(edge, &query).await.map_err(|error| error.to_string()),
                }
            }
        };
        let (found, mut not_asked) = ask_edges(edges, &query, ask).await;
        not_asked.sort_unstable();
        let found = found.into_iter().filter_map(|(edge, message)| Some((edge, own_part(message, &own)?))).collect();
        let messages =
            self.directory.read::<_, StorageError, _>(move |reader: &Reader<'_>| views(reader, found)).await?;
        Ok(TraceView { messages, not_asked })
    }
}

/// What somebody with these addresses may know of a message: all of it who handed it in after a log-in, else what
/// happened to it for them. Others who got it, among them those whom the sender hid, are nobody's business; and the
/// address of the sender proves nothing.
fn own_part(mut message: TracedMessage, own: &HashSet<String>) -> Option<TracedMessage> {
    let handed_in = message
        .origin
        .split_once(" from ")
        .is_some_and(|(login, peer)| own.contains(&login.to_ascii_lowercase()) && peer.parse::<IpAddr>().is_ok());
    if !handed_in {
        let is_own = |recipient: &str| own.contains(&recipient.to_ascii_lowercase());
        if !message.events.iter().any(|event| is_own(&event.recipient)) {
            return None;
        }
        message.events.retain(|event| event.recipient.is_empty() || is_own(&event.recipient));
    }
    Some(message)
}

#[async_trait]
impl Api for UserApi {
    async fn answer(&self, login: Login, head: Head) -> http::Response<Bytes> {
        let answer = self.route(&login, &head).await.unwrap_or_else(IntoResponse::into_response);
        let (head, body) = answer.into_parts();
        // Made in memory: there is nothing that could fail.
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        http::Response::from_parts(head, body)
    }
}

#[cfg(test)]
mod tests {
    use sterna_account::trace::{TraceEvent, Traced};
    use sterna_base::Timestamp;

    use super::*;

    fn message(origin: &str, recipients: &[&str]) -> TracedMessage {
        let event = |recipient: &&str| TraceEvent {
            at: Timestamp(1),
            recipient: (*recipient).to_owned(),
            what: Traced::Delivered,
            destination: String::new(),
            host: String::new(),
            detail: String::new(),
            next: None,
        };
        TracedMessage {
            id: None,
            at: Timestamp(1),
            message_id: None,
            sender: "ana@tern.test".to_owned(),
            origin: origin.to_owned(),
            size_bytes: 1,
            events: recipients.iter().map(event).collect(),
        }
    }

    #[test]
    fn only_who_handed_it_in_sees_the_other_recipients() {
        let own: HashSet<String> = ["ana@tern.test".to_owned()].into();
        let seen = |origin: &str, recipients: &[&str]| {
            let part = own_part(message(origin, recipients), &own)?;
            Some(part.events.into_iter().map(|event| event.recipient).collect::<Vec<_>>())
        };
        let both = &["ben@tern.test", "zoe@far.test"];
        assert_eq!(seen("ana@tern.test from 127.0.0.1", both), Some(both.map(str::to_owned).to_vec()));
        assert_eq!(seen("ben@tern.test from 127.0.0.1", both), None);
        // Names that a stranger gave itself.
        for forged in
            ["ana@tern.test from 127.0.0.1 [192.0.2.7]", "ana@tern.test from home [192.0.2.7]", "ana@tern.test"]
        {
            assert_eq!(seen(forged, both), None, "{forged}");
        }
        let mine = seen("mx.far.test [192.0.2.7]", &["", "Ana@tern.test", "ben@tern.test"]);
        assert_eq!(mine, Some(vec![String::new(), "Ana@tern.test".to_owned()]));
    }
}
