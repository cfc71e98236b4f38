//! The joining machine's side.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use sterna_base::{Clock, OperationId};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{JoinAnswer, JoinRefused, JoinRequest, JoinToken, from_base64, to_base64};
use crate::ca::{CertificateError, fingerprint};
use crate::identity::{Identity, NodeFile, PendingKey};
use crate::limits::{CALL_TIMEOUT_MS, CONNECT_TIMEOUT_MS, CONTROL_BODY_BYTES_MAX};
use crate::nodes::NodeRoles;
use crate::rpc::body::{Payload, whole};
use crate::rpc::fault::{Fault, FaultKind};
use crate::rpc::peer::with_cause;
use crate::rpc::wire::{self, RELEASE, RELEASE_HEADER};
use crate::tls;

/// How a machine wants to join.
#[derive(Clone, Debug)]
pub struct JoinOptions {
    /// `host:port` of the main node's cluster listener.
    pub main_address: String,
    /// The token.
    pub token: JoinToken,
    /// What people will call this node.
    pub name: String,
    /// What it will do.
    pub roles: NodeRoles,
    /// `host:port` at which the other nodes will reach it.
    pub address: String,
    /// Where its own cluster listener will listen, so that the main node can try the address meanwhile.
    pub listen: Option<SocketAddr>,
    /// The version of this binary.
    pub version: String,
    /// Whether it is to take another machine's place, with a token for that; the token says its roles then.
    pub migrates: bool,
}

/// A machine that is now a node.
pub struct Joined {
    /// Its identity, stored.
    pub identity: Identity,
    /// What people call it: the name of the token, if that has one.
    pub name: String,
    /// What it is to do, when the token says so.
    pub roles: Option<NodeRoles>,
    /// What the administrator should look at.
    pub warnings: Vec<String>,
}

/// Why joining failed, with what to do next.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// It has joined before.
    #[error("this machine belongs to an installation already; use an empty data directory to join another one")]
    AlreadyJoined,
    /// The main node doesn't answer.
    #[error("the main node can't be reached at {address}: {cause}; check the address and that port in the firewall")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What happened.
        cause: String,
    },
    /// Something answers, but not the main node that made the token. Nothing secret was sent.
    #[error("at {address} the server could not prove that it made the token: {cause}")]
    NotTheMain {
        /// Where.
        address: String,
        /// How that was found.
        cause: String,
    },
    /// The main node said no.
    #[error(transparent)]
    Refused(#[from] JoinRefused),
    /// The main node answered something else.
    #[error("the main node's answer could not be used: {0}")]
    Answer(String),
    /// The key or the certificate could not be made or stored.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Joins the installation and stores the new identity below `data_dir`. Interrupted anywhere, it can be called again
/// with the same token.
///
/// # Errors
/// [`JoinError`]
pub async fn join(data_dir: &Path, options: &JoinOptions, clock: Arc<dyn Clock>) -> Result<Joined, JoinError> {
    if Identity::exists(data_dir) {
        return Err(JoinError::AlreadyJoined);
    }
    let folder = data_dir.to_owned();
    let (node, pending) = tokio::task::spawn_blocking(move || PendingKey::for_joining(&folder))
        .await
        .map_err(|error| JoinError::Answer(error.to_string()))??;
    let probe = match options.listen {
        Some(listen) => ProbeAnswer::listen(listen).await,
        None => None,
    };
    let request = JoinRequest {
        secret: options.token.secret_text(),
        node,
        request: to_base64(&pending.request),
        name: options.name.clone(),
        roles: options.roles.clone(),
        address: options.address.clone(),
        probe: probe.as_ref().map(|probe| probe.word.clone()).unwrap_or_default(),
        version: options.version.clone(),
        release: RELEASE,
        now: clock.now(),
        migrates: options.migrates,
    };
    let answer = ask(options, &request, clock).await?;
    drop(probe);
    let unusable = |what: &str| JoinError::Answer(what.to_owned());
    let certificate = from_base64(&answer.certificate).ok_or_else(|| unusable("the certificate is not base64"))?;
    let authority = from_base64(&answer.authority).ok_or_else(|| unusable("the authority is not base64"))?;
    let authority = CertificateDer::from(authority);
    if fingerprint(&authority) != options.token.authority || answer.main != options.token.main {
        return Err(unusable("it names another authority than the token"));
    }
    let facts = NodeFile {
        node,
        installation: answer.installation,
        main: answer.main,
        main_address: options.main_address.clone(),
    };
    let data_dir = data_dir.to_owned();
    let stored = tokio::task::spawn_blocking(move || {
        Identity::store(&data_dir, facts, pending, CertificateDer::from(certificate), authority)
    });
    let identity = stored.await.map_err(|error| JoinError::Answer(error.to_string()))??;
    Ok(Joined { identity, name: answer.name, roles: answer.roles, warnings: answer.warnings })
}

async fn ask(options: &JoinOptions, request: &JoinRequest, clock: Arc<dyn Clock>) -> Result<JoinAnswer, JoinError> {
    let address = options.main_address.clone();
    let unreachable = |cause: String| JoinError::Unreachable { address: address.clone(), cause };
    let connecting = async {
        let tcp = TcpStream::connect(&address).await.map_err(|error| unreachable(error.to_string()))?;
        let config = tls::joining_config(options.token.authority, options.token.main, clock)
            .map_err(|error| JoinError::Answer(error.to_string()))?;
        TlsConnector::from(Arc::new(config)).connect(tls::unused_server_name(), tcp).await.map_err(|error| {
            if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
                JoinError::NotTheMain { address: address.clone(), cause: tls::explain_io(&error) }
            } else {
                unreachable(error.to_string())
            }
        })
    };
    let stream = timeout(Duration::from_millis(CONNECT_TIMEOUT_MS), connecting)
        .await
        .map_err(|_| unreachable(format!("no answer within {CONNECT_TIMEOUT_MS} ms")))??;
    let calling = call(stream, request);
    let (status, answer) = timeout(Duration::from_millis(CALL_TIMEOUT_MS), calling)
        .await
        .map_err(|_| unreachable(format!("no answer within {CALL_TIMEOUT_MS} ms")))?
        .map_err(unreachable)?;
    if status.is_success() {
        return wire::from_json(&answer).map_err(|error| JoinError::Answer(error.to_string()));
    }
    match wire::from_json::<Fault>(&answer) {
        Ok(Fault { kind: FaultKind::Join(refused), .. }) => Err(JoinError::Refused(refused)),
        Ok(fault) => Err(JoinError::Answer(fault.text)),
        Err(_) => Err(JoinError::Answer(format!("HTTP status {status}"))),
    }
}

async fn call(
    stream: tokio_rustls::client::TlsStream<TcpStream>,
    request: &JoinRequest,
) -> Result<(http::StatusCode, bytes::Bytes), String> {
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .map_err(|error| with_cause(&error))?;
    let _connection = AbortOnDrop(tokio::spawn(connection).abort_handle());
    let body = wire::to_json(request).map_err(|error| error.to_string())?;
    let request = Request::builder()
        .method(Method::POST)
        .uri("https://node/v1/join")
        .header(RELEASE_HEADER, RELEASE)
        .body(Payload::from(body))
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| with_cause(&error))?;
    let status = answer.status();
    let body = whole(answer.into_body(), CONTROL_BODY_BYTES_MAX).await.map_err(|error| error.to_string())?;
    Ok((status, body))
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// While a machine joins, its future listener's address answers with a word, so that the main node knows that the
/// address leads to this machine and not just to any.
struct ProbeAnswer {
    word: String,
    _task: AbortOnDrop,
}

impl ProbeAnswer {
    /// `None` when the address can't be listened on; the main node then only tries to connect.
    async fn listen(address: SocketAddr) -> Option<Self> {
        let listener = TcpListener::bind(address).await.ok()?;
        let word = format!("sterna-probe-{}", OperationId::random());
        let answer = word.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Some(ProbeAnswer { word, _task: AbortOnDrop(task.abort_handle()) })
    }
}
