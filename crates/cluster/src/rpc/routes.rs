//! All routes of the cluster listener on one page, grouped by who may call them.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use sterna_account::open_sessions::SessionsQuestion;
use sterna_account::trace::TraceQuery;
use sterna_base::{AccountId, NodeId};
use tokio_util::sync::CancellationToken;

use super::body::{Payload, whole};
use super::calls::path;
use super::control::{
    CreateAccount, NodeAddress, NodeControl, NotedShare, RunVersion, ShareNoted, ShareRefused, SigningSecret,
    StageRefused,
};
use super::fault::{Fault, FaultKind};
use super::listener::Services;
use super::wire::{self, RELEASE, RELEASE_HEADER};
use super::{accounts::AccountsService, watches};
use crate::copies::StageReport;
use crate::copies::calls::path as copy;
use crate::follow::LogQuery;
use crate::identity::Identity;
use crate::limits::{CALL_BODY_BYTES_MAX, CONTROL_BODY_BYTES_MAX};
use crate::migration::calls::FetchCall;
use crate::peer_name::PeerName;
use crate::update::NodeTask;

/// One connection's view: the services, and who is calling.
pub(crate) struct Caller {
    pub services: Arc<Services>,
    pub identity: Arc<Identity>,
    pub name: Option<PeerName>,
    /// Whether its certificate had expired when it connected.
    pub expired: bool,
    pub address: std::net::SocketAddr,
    /// Ends what would last for ever when the listener closes.
    pub stop: CancellationToken,
}

/// What a route answers.
enum Answer {
    Json(Bytes),
    Packed(Bytes),
    Bytes(Bytes),
    Stream(Payload),
}

impl Caller {
    /// Answers a request; errors become faults, each with one log line.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<Payload> {
        let (method, uri) = (request.method().clone(), request.uri().path().to_owned());
        let (status, content_type, body) = match self.route(request).await {
            Ok(Answer::Json(bytes)) => (StatusCode::OK, wire::JSON, bytes.into()),
            Ok(Answer::Packed(bytes)) => (StatusCode::OK, wire::MESSAGE_PACK, bytes.into()),
            Ok(Answer::Bytes(bytes)) => (StatusCode::OK, wire::BYTES, bytes.into()),
            Ok(Answer::Stream(payload)) => (StatusCode::OK, wire::MESSAGE_PACK, payload),
            Err(kind) => {
                self.log(&method, &uri, &kind);
                let (status, fault) = (kind.status(), Fault::from(kind));
                (status, wire::JSON, wire::to_json(&fault).unwrap_or_default().into())
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
        response.headers_mut().insert(RELEASE_HEADER, HeaderValue::from(RELEASE));
        response
    }

    fn log(&self, method: &Method, path: &str, kind: &FaultKind) {
        let peer = self.name.map_or_else(|| self.address.to_string(), |name| name.node.to_string());
        match kind {
            // What users and moves do every day.
            FaultKind::Commit(_) | FaultKind::NoSuchAccount(_) | FaultKind::Copy(_) | FaultKind::NoCopyThere(_) => {
                tracing::debug!(peer, %method, path, error = %kind, "refused");
            }
            _ => tracing::warn!(peer, %method, path, error = %kind, "refused"),
        }
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Answer, FaultKind> {
        let uri = request.uri().clone();
        let parts: Vec<&str> = uri.path().strip_prefix("/v1/").unwrap_or_default().split('/').collect();
        let method = request.method().clone();

        // A machine that joins: no certificate yet.
        if (&method, parts.as_slice()) == (&Method::POST, &["join"]) {
            return self.join(request.into_body()).await;
        }

        // Every node of the installation.
        let caller = self.member()?;
        if self.expired && parts.as_slice() != ["renew"] {
            return Err(FaultKind::Expired);
        }
        let theirs = wire::release_of(request.headers());
        if !wire::releases_fit(theirs, RELEASE) {
            return Err(FaultKind::Release { theirs, ours: RELEASE });
        }
        match (&method, parts.as_slice()) {
            (&Method::GET, ["ping"]) => return Ok(Answer::Json(Bytes::from_static(b"{}"))),
            (&Method::GET, ["status"]) => return Ok(Answer::Json(json(&self.control()?.status().await)?)),
            (&Method::PUT, ["address"]) => {
                let body: NodeAddress = self.control_body(request.into_body()).await?;
                self.control()?.moved(caller, body.address).await.map_err(FaultKind::Other)?;
                return Ok(Answer::Json(Bytes::from_static(b"{}")));
            }
            (&Method::GET, ["signing-secret"]) => {
                let secret = self.control()?.signing_secret(caller).await.map_err(FaultKind::Other)?;
                return Ok(Answer::Json(json(&SigningSecret { secret })?));
            }
            (&Method::GET, ["migration", "offer"]) => {
                let offer = self.control()?.offer(caller).await.map_err(FaultKind::Other)?;
                return Ok(Answer::Json(json(&offer)?));
            }
            (&Method::PUT, ["migration", "part"]) => {
                let part = self.control_body(request.into_body()).await?;
                let bytes = self.control()?.offered(caller, part).await.map_err(FaultKind::Other)?;
                return Ok(Answer::Bytes(bytes.into()));
            }
            (&Method::PUT, ["share"]) => {
                let share: NotedShare = self.control_body(request.into_body()).await?;
                let modseq = self.control()?.set_share(share).await.map_err(|refused| match refused {
                    ShareRefused::Unavailable(cause) => FaultKind::Unavailable(cause),
                    ShareRefused::Invalid(cause) => FaultKind::Malformed(cause),
                })?;
                return Ok(Answer::Json(json(&ShareNoted { modseq })?));
            }
            (&Method::PUT, ["copies", account, "stage"]) => {
                let report: StageReport = self.control_body(request.into_body()).await?;
                if report.account != account_id(account)? {
                    return Err(FaultKind::Malformed("the report is of another account".to_owned()));
                }
                self.control()?.note_stage(caller, report).await.map_err(|refused| match refused {
                    StageRefused::Unavailable(cause) => FaultKind::Unavailable(cause),
                    StageRefused::OutOfDate(cause) => FaultKind::Copy(cause),
                })?;
                return Ok(Answer::Json(Bytes::from_static(b"{}")));
            }
            (&Method::POST, ["copies", account, copy::NEWS]) => {
                self.services.copies.as_ref().ok_or(FaultKind::NoRoute)?.news(account_id(account)?);
                return Ok(Answer::Json(Bytes::from_static(b"{}")));
            }
            (&Method::POST, ["accounts", account, call]) => return self.account(account, call, request).await,
            (&Method::POST, ["copies", account, call]) if copy::OF_FOLLOWERS.contains(call) => {
                let source = self.services.source.as_ref().ok_or(FaultKind::NoRoute)?;
                let is_urgent = wire::is_urgent(request.headers());
                let body = whole(request.into_body(), CALL_BODY_BYTES_MAX).await?;
                let bytes = source.call(caller, account_id(account)?, call, is_urgent, &body).await?;
                return Ok(if *call == copy::BLOB { Answer::Bytes(bytes) } else { Answer::Packed(bytes) });
            }
            (&Method::POST, ["watch"]) => {
                return Ok(Answer::Stream(watches::serve(
                    self.accounts()?.clone(),
                    request.into_body(),
                    self.stop.clone(),
                )));
            }
            (&Method::POST, ["lease"]) => {
                let desk = self.services.leases.as_ref().ok_or(FaultKind::NoRoute)?;
                let call = self.control_body(request.into_body()).await?;
                return Ok(Answer::Json(json(&desk.ask(caller, call).await?)?));
            }
            (&Method::POST, ["directory", "changes"]) => return self.changes(request.into_body()).await,
            (&Method::POST, ["renew"]) => return self.renew(caller, request.into_body()).await,
            _ => {}
        }

        // Edges tell each other of those who bring mail.
        if let (&Method::PUT, ["guard-changes"]) = (&method, parts.as_slice()) {
            if !self.services.nodes.node(caller).is_some_and(|node| node.is_edge) {
                return Err(FaultKind::NoRoute);
            }
            let since = self.control_body(request.into_body()).await?;
            return Ok(Answer::Json(json(&self.control()?.guard_changes(since).await.map_err(FaultKind::Other)?)?));
        }

        if let (&Method::PUT, ["report"]) = (&method, parts.as_slice()) {
            if !self.services.nodes.node(caller).is_some_and(|node| node.is_edge) {
                return Err(FaultKind::NoRoute);
            }
            let report = self.control_body(request.into_body()).await?;
            self.control()?.take_report(caller, report).await.map_err(FaultKind::Other)?;
            return Ok(Answer::Json(Bytes::from_static(b"{}")));
        }

        // One edge makes the reports of all.
        if let (&Method::PUT, ["seen"]) = (&method, parts.as_slice()) {
            if !self.services.nodes.node(caller).is_some_and(|node| node.is_edge) {
                return Err(FaultKind::NoRoute);
            }
            let question = self.control_body(request.into_body()).await?;
            return Ok(Answer::Json(json(&self.control()?.seen(question).await.map_err(FaultKind::Other)?)?));
        }

        // Edges ask each other for their users, whose log-ins they check themselves; a data server has no business with
        // the mail of accounts that it doesn't hold.
        if let (&Method::PUT, ["trace"]) = (&method, parts.as_slice())
            && self.services.nodes.node(caller).is_some_and(|node| node.is_edge)
        {
            return self.trace(request).await;
        }

        // The main node only.
        if caller != self.main() {
            let is_mains =
                ["stores", "copies", "trace", "edge-report", "version", "update-task", "migration", "question"]
                    .contains(&parts[0]);
            return Err(if is_mains { FaultKind::NotMain } else { FaultKind::NoRoute });
        }
        if let (&Method::POST, ["copies", account, call]) = (&method, parts.as_slice()) {
            return self.copy(account_id(account)?, call, request.into_body()).await;
        }
        let control = self.control()?;
        match (&method, parts.as_slice()) {
            (&Method::PUT, ["stores", account]) => {
                let body: CreateAccount = self.control_body(request.into_body()).await?;
                control.create_account(account_id(account)?, body.epoch).await.map_err(FaultKind::Store)?;
                Ok(Answer::Json(Bytes::from_static(b"{}")))
            }
            (&Method::DELETE, ["stores", account]) => {
                let epoch = wire::epoch_of(request.headers());
                control.delete_account(account_id(account)?, epoch).await?;
                Ok(Answer::Json(Bytes::from_static(b"{}")))
            }
            (&Method::PUT, ["version"]) => {
                let wish: RunVersion = self.control_body(request.into_body()).await?;
                control.run_version(wish).await.map_err(FaultKind::Other)?;
                Ok(Answer::Json(Bytes::from_static(b"{}")))
            }
            (&Method::PUT, ["update-task"]) => {
                let task: NodeTask = self.control_body(request.into_body()).await?;
                Ok(Answer::Json(json(&control.update_task(task).await.map_err(FaultKind::Other)?)?))
            }
            (&Method::PUT, ["migration", "fetch"]) => {
                let call: FetchCall = self.control_body(request.into_body()).await?;
                Ok(Answer::Json(json(&control.fetch(call.from).await.map_err(FaultKind::Other)?)?))
            }
            (&Method::PUT, ["trace"]) => self.trace(request).await,
            (&Method::PUT, ["sessions"]) => {
                let question: SessionsQuestion = self.control_body(request.into_body()).await?;
                Ok(Answer::Json(json(&self.control()?.sessions(question).await)?))
            }
            (&Method::PUT, ["question"]) => {
                let question = self.control_body(request.into_body()).await?;
                Ok(Answer::Json(json(&control.answer(question).await.map_err(FaultKind::Other)?)?))
            }
            (&Method::GET, ["edge-report"]) => {
                Ok(Answer::Json(json(&control.edge_report().await.map_err(FaultKind::Other)?)?))
            }
            _ => Err(FaultKind::NoRoute),
        }
    }

    async fn trace(&self, request: Request<Incoming>) -> Result<Answer, FaultKind> {
        let query: TraceQuery = self.control_body(request.into_body()).await?;
        Ok(Answer::Json(json(&self.control()?.trace(query).await.map_err(FaultKind::Other)?)?))
    }

    fn main(&self) -> NodeId {
        self.services.nodes.main().unwrap_or(self.identity.facts().main)
    }

    /// Whether the caller belongs to the installation at present. A node's directory copy may still be empty; the main
    /// node is known from the joining.
    fn member(&self) -> Result<NodeId, FaultKind> {
        let node = self.name.ok_or(FaultKind::NoCertificate)?.node;
        let facts = self.identity.facts();
        let known = node == facts.node || node == self.main() || self.services.nodes.node(node).is_some();
        if known { Ok(node) } else { Err(FaultKind::UnknownNode(node)) }
    }

    fn control(&self) -> Result<&Arc<dyn NodeControl>, FaultKind> {
        self.services.control.as_ref().ok_or(FaultKind::NoRoute)
    }

    fn accounts(&self) -> Result<&Arc<AccountsService>, FaultKind> {
        self.services.accounts.as_ref().ok_or(FaultKind::NoRoute)
    }

    async fn account(&self, account: &str, call: &str, request: Request<Incoming>) -> Result<Answer, FaultKind> {
        let account = account_id(account)?;
        let epoch =
            wire::epoch_of(request.headers()).ok_or_else(|| FaultKind::Malformed("the epoch is missing".to_owned()))?;
        let bytes = self.accounts()?.call(account, epoch, call, request.into_body()).await?;
        Ok(if matches!(call, path::BLOB | path::STAGED_BLOB) { Answer::Bytes(bytes) } else { Answer::Packed(bytes) })
    }

    /// What the main node asks of this node's stores and copies.
    async fn copy(&self, account: AccountId, call: &str, body: Incoming) -> Result<Answer, FaultKind> {
        let keeper = self.services.copies.as_ref().ok_or(FaultKind::NoRoute)?;
        let state = match call {
            copy::STATE => keeper.state(account).await?,
            copy::SEAL => keeper.seal(account, &self.control_body(body).await?).await?,
            copy::READY => {
                let call = self.control_body(body).await?;
                keeper.make_ready(account, call).await.map_err(|error| FaultKind::Copy(error.to_string()))?
            }
            _ => return Err(FaultKind::NoRoute),
        };
        Ok(Answer::Json(json(&state)?))
    }

    async fn changes(&self, body: Incoming) -> Result<Answer, FaultKind> {
        let log = self.services.directory.as_ref().ok_or(FaultKind::NoRoute)?;
        let query: LogQuery = self.control_body(body).await?;
        tokio::select! {
            page = crate::follow::answer(&**log, &query) => Ok(Answer::Json(json(&page?)?)),
            () = self.stop.cancelled() => Err(FaultKind::Unavailable("the node is stopping".to_owned())),
        }
    }

    async fn join(&self, body: Incoming) -> Result<Answer, FaultKind> {
        let desk = self.services.joining.as_ref().ok_or(FaultKind::NoRoute)?;
        let request = self.control_body(body).await?;
        Ok(Answer::Json(json(&desk.join(request).await.map_err(FaultKind::Join)?)?))
    }

    async fn renew(&self, caller: NodeId, body: Incoming) -> Result<Answer, FaultKind> {
        let desk = self.services.joining.as_ref().ok_or(FaultKind::NoRoute)?;
        let request = self.control_body(body).await?;
        Ok(Answer::Json(json(&desk.renew(caller, &request).map_err(|e| FaultKind::Malformed(e.to_string()))?)?))
    }

    async fn control_body<T: DeserializeOwned>(&self, body: Incoming) -> Result<T, FaultKind> {
        let bytes = whole(body, CONTROL_BODY_BYTES_MAX).await?;
        wire::from_json(&bytes).map_err(|error| FaultKind::Malformed(error.to_string()))
    }
}

fn account_id(text: &str) -> Result<AccountId, FaultKind> {
    text.parse().map_err(|_| FaultKind::Malformed(format!("{text:?} is not an account number")))
}

fn json<T: serde::Serialize>(value: &T) -> Result<Bytes, FaultKind> {
    wire::to_json(value).map_err(|error| FaultKind::Other(error.to_string()))
}
