//! The administration socket: who may connect.
//!
//! There is no password on the machine itself: the kernel says which user is at the other end, and root and the node's
//! own user may do everything, anybody else nothing.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use tokio::net::{UnixListener, UnixStream};

use super::principal::Principal;
use super::problem::Problem;

/// Only the node's own user can even connect (and root, whom no mode keeps out).
const MODE: u32 = 0o600;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The user id; `None` when the kernel didn't say.
    uid: Option<u32>,
}

impl Peer {
    /// For people: “root”, or the number of the user.
    pub(super) fn name(self) -> String {
        match self.uid {
            Some(0) => "root".to_owned(),
            Some(uid) => format!("user {uid}"),
            None => String::new(),
        }
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Peer { uid: stream.io().peer_cred().ok().map(|credentials| credentials.uid()) }
    }
}

/// Makes the socket. A file left by a node that was killed is replaced; one that a running node listens on is not.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] when another node listens there or something else has that name; or what the file
/// system says.
pub async fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() || UnixStream::connect(path).await.is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{} is in use", path.display())));
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    Ok(listener)
}

/// Serves the API until `stop` is done; requests under way are finished.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    listener: UnixListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let guarded = router.layer(middleware::from_fn(guard));
    axum::serve(listener, guarded.into_make_service_with_connect_info::<Peer>()).with_graceful_shutdown(stop).await
}

async fn guard(ConnectInfo(peer): ConnectInfo<Peer>, mut request: Request, next: Next) -> Response {
    let own = rustix::process::geteuid().as_raw();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if !peer.uid.is_some_and(|uid| uid == 0 || uid == own) {
        tracing::warn!(uid = peer.uid, %method, path, "refused at the administration socket");
        let detail = "only root and the node's own user administer it".to_owned();
        let remedy = "Run the command as root or as the node's user (sudo sterna ...).";
        return Problem::new(StatusCode::FORBIDDEN, "not-allowed", "Not allowed", detail, remedy).into_response();
    }
    request.extensions_mut().insert(Principal::at_socket(peer.name()));
    let response = next.run(request).await;
    if !method.is_safe() {
        let status = response.status().as_u16();
        tracing::info!(target: "audit", uid = peer.uid, %method, path, status, "administration");
    }
    response
}
