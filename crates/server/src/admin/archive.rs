//! `/api/v1/accounts/{account}/archive`: a whole account as a tar stream, and such a stream into an account.

use std::convert::Infallible;
use std::io;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use schemars::JsonSchema;
use serde::Deserialize;
use sterna_account::{Account, AccountError, CommitError};
use sterna_directory::Reader;
use sterna_migration::archive::{self, Existing, TakeError, Taken};
use sterna_migration::limits::SILENCE_MAX;
use tokio_util::io::{ReaderStream, StreamReader, SyncIoBridge};

use super::dav_objects::DavObjects;
use super::doors::AdminState;
use super::input::Asked;
use super::problem::Problem;
use super::{acl, address_of, files, resolve};

/// What the path of an archive ends with: whoever asks for one is recorded, and no body is read for the record.
pub(super) const PATH_END: &str = "/archive";

/// Bytes that are on their way between an account and whoever reads its archive.
const PIPE_BYTES: usize = 256 * 1024;

/// What the stream is.
const TAR: &str = "application/x-tar";

/// The answer with an archive.
pub(super) struct TarStream {
    file: String,
    body: Body,
}

impl IntoResponse for TarStream {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, TAR.to_owned()), (CONTENT_DISPOSITION, self.file)], self.body).into_response()
    }
}

/// The body of a request that brings an archive.
pub(super) struct TarBody(Body);

impl<S: Send + Sync> FromRequest<S> for TarBody {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(TarBody(request.into_body()))
    }
}

/// What is said of an archive that comes.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ArchiveWanted")]
pub(super) struct Wanted {
    /// Events, tasks, cards and scripts become those of the archive; what its collections don't have there goes.
    follow: bool,
}

type Opened = (std::sync::Arc<dyn Account>, String);

async fn open(state: &AdminState, name: String) -> Result<Opened, Problem> {
    let read = move |reader: &Reader<'_>| {
        let entry = resolve::entry(reader, &name, "account")?.value;
        Ok::<_, Problem>((entry.entry().id, address_of(reader, entry.entry().id)?))
    };
    let (id, address) = state.directory.read(read).await?;
    let account = state.provision.open(id).await.map_err(files::unavailable)?;
    Ok((account, address))
}

/// All of an account. When it can't be read to its end the stream breaks off.
pub(super) async fn get(State(state): State<AdminState>, Path(name): Path<String>) -> Result<TarStream, Problem> {
    let (account, address) = open(&state, name).await?;
    let containers = account.containers().await.map_err(files::unavailable)?;
    let shares = acl::shares(&state, &containers).await?;
    let (reader, writer) = tokio::io::duplex(PIPE_BYTES);
    let (now, file) = (state.directory.now(), format!("attachment; filename=\"{}.tar\"", address.replace('"', "_")));
    let writing = tokio::spawn(async move {
        let done = archive::write(account.as_ref(), (&address, shares), now, writer).await;
        done.map(drop).map_err(|error| {
            tracing::warn!(%error, address, "the archive of an account broke off");
            io::Error::other(error.to_string())
        })
    });
    let end = stream::once(writing).filter_map(|done| async move {
        match done {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Err(error)),
            Err(error) => Some(Err(io::Error::other(error))),
        }
    });
    let body = Body::from_stream(ReaderStream::with_capacity(reader, PIPE_BYTES).chain(end));
    Ok(TarStream { file, body })
}

/// An archive into an account.
pub(super) async fn put(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    Asked(wanted): Asked<Wanted>,
    TarBody(body): TarBody,
) -> Result<Json<Taken>, Problem> {
    let (account, _) = open(&state, name).await?;
    let source = SyncIoBridge::new(StreamReader::new(Box::pin(in_time(body.into_data_stream()))));
    let handle = tokio::runtime::Handle::current();
    let existing = if wanted.follow { Existing::Follow } else { Existing::Stay };
    // Reading a tar stream blocks.
    let taking = tokio::task::spawn_blocking(move || archive::take(&handle, &account, &DavObjects, existing, source));
    match taking.await {
        Ok(Ok(taken)) => Ok(Json(taken)),
        Ok(Err(TakeError::Account(AccountError::Refused(CommitError::OverQuota)))) => Err(full()),
        Ok(Err(TakeError::Account(AccountError::Refused(error)))) => Err(Problem::malformed(error.to_string())),
        Ok(Err(TakeError::Account(error))) => Err(files::unavailable(error)),
        Ok(Err(error)) => Err(Problem::malformed(error.to_string())),
        Err(error) => Err(Problem::malformed(format!("the archive could not be taken in: {error}"))),
    }
}

/// A body as it comes; who says nothing for long has gone, and a thread waits for it. Over https no body may pause for
/// as long; at the socket only this one is watched.
fn in_time(body: BodyDataStream) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(body, |mut body| async move {
        let silent = || io::Error::new(io::ErrorKind::TimedOut, "nothing came for too long");
        let piece = match tokio::time::timeout(SILENCE_MAX, body.next()).await {
            Ok(piece) => piece?.map_err(io::Error::other),
            Err(_) => Err(silent()),
        };
        Some((piece, body))
    })
}

fn full() -> Problem {
    let detail = "the quota of the account is used up; what came in before stays";
    let remedy = "Give it more (sterna user set ADDRESS --quota SIZE), and do it again: it goes on where it was.";
    Problem::new(StatusCode::CONFLICT, "over-quota", "The account is full", detail, remedy)
}
