//! `sterna export account`, and `sterna import account|maildir|mbox`: whole accounts and mailboxes as files.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use futures_util::TryStreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use sterna_migration::archive::folder::{self, SendError};
use sterna_migration::archive::manifest::{MANIFEST_BYTES_MAX, Manifest, Share};
use sterna_migration::archive::{MANIFEST, SUMMARY, mbox};
use tokio_util::io::{ReaderStream, StreamReader, SyncIoBridge};

use super::acl;
use super::client::{CliError, path};
use super::exit::Exit;
use super::output;
use super::resource::Session;

/// Bytes on their way between a file and the node.
const PIPE_BYTES: usize = 256 * 1024;

/// What the stream is.
const TAR: &str = "application/x-tar";

/// What an account is written to.
#[derive(Clone, Debug, Args)]
pub struct ExportAccountArgs {
    /// Whose: an address
    account: String,
    /// A folder that is empty or not there yet, a file called *.tar, or - for a tar stream on standard output
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
}

/// From where an account comes back.
#[derive(Clone, Debug, Args)]
pub struct ImportAccountArgs {
    /// The folder or the .tar file that `sterna export account` wrote; - is standard input
    from: PathBuf,
    /// Whose: an address
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// Give others the rights again that they had, by their addresses: only where those are the same people
    #[arg(long)]
    rights: bool,
    /// Make events, tasks, cards and scripts those of the archive, whatever they are here, and delete from its
    /// calendars and address books what it doesn't have
    #[arg(long)]
    follow: bool,
}

/// A Maildir.
#[derive(Clone, Debug, Args)]
pub struct MaildirArgs {
    /// The folder with cur, new and tmp; the folders in it come along
    folder: PathBuf,
    /// Whose: an address
    #[arg(long, value_name = "ADDRESS")]
    to: String,
}

/// A mailbox in one file.
#[derive(Clone, Debug, Args)]
pub struct MboxArgs {
    /// The file; - is standard input
    file: PathBuf,
    /// Whose: an address
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// The folder that the messages come into, with / between its parts
    #[arg(long, value_name = "NAME", default_value = "INBOX")]
    folder: String,
}

fn cant(what: &str, path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let what = format!("{} can't be {what}", path.display());
    move |source| CliError::Io { what, source }
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Whether a path is that of a tar file, which may not be there yet.
fn is_tar(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "tar") && !path.is_dir()
}

pub(super) async fn export(session: &Session<'_>, args: ExportAccountArgs) -> Result<Exit, CliError> {
    let ExportAccountArgs { account, to } = args;
    let has_something = || fs::read_dir(&to).is_ok_and(|mut found| found.next().is_some());
    if to.exists() && (!to.is_dir() || has_something()) {
        let text = format!("{} is there already; name an empty folder, or one that is not there yet", to.display());
        return Err(CliError::Usage(text));
    }
    let body = session.client.download(&path(&["accounts", &account, "archive"], &[])).await?;
    let mut reader = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    if is_standard(&to) {
        let copied = tokio::io::copy(&mut reader, &mut tokio::io::stdout()).await;
        return copied.map(|_| Exit::Done).map_err(cant("written", Path::new("the output")));
    }
    if is_tar(&to) {
        let mut file = tokio::fs::File::create(&to).await.map_err(cant("written", &to))?;
        tokio::io::copy(&mut reader, &mut file).await.map_err(cant("written", &to))?;
        file.sync_all().await.map_err(cant("written", &to))?;
        session.say(&format!("{} is in {}\n", account, to.display()));
        return Ok(Exit::Done);
    }
    let (source, folder) = (SyncIoBridge::new(reader), to.clone());
    let unpacking = tokio::task::spawn_blocking(move || {
        fs::create_dir_all(&folder)?;
        let mut archive = tar::Archive::new(source);
        archive.set_preserve_permissions(false);
        archive.unpack(&folder)?;
        fs::read(folder.join(SUMMARY))
    });
    let summary = unpacking.await.map_err(io::Error::other).and_then(|done| done).map_err(cant("written", &to))?;
    let summary: Value = serde_json::from_slice(&summary).unwrap_or_default();
    session.show(&summary)?;
    Ok(Exit::Done)
}

pub(super) async fn import(session: &Session<'_>, args: ImportAccountArgs) -> Result<Exit, CliError> {
    let ImportAccountArgs { from, to, rights, follow } = args;
    let shares = if rights { shares_of(&from)? } else { Vec::new() };
    let done = send(session, (&to, follow), move |mut sink| {
        if is_standard(&from) {
            return io::copy(&mut io::stdin().lock(), &mut sink).map(drop).map_err(cant("read", &from));
        }
        if !from.is_dir() {
            let mut file = File::open(&from).map_err(cant("read", &from))?;
            return io::copy(&mut file, &mut sink).map(drop).map_err(cant("read", &from));
        }
        folder::send_export(&from, sink).map_err(not_sent)
    })
    .await?;
    let (given, failed) = acl::give(session, &to, &shares).await?;
    Ok(match (failed, given) {
        (1.., _) => Exit::Failed,
        (0, 1..) if done == Exit::NothingToDo => Exit::Done,
        _ => done,
    })
}

/// The rights that an archive tells of.
fn shares_of(from: &Path) -> Result<Vec<Share>, CliError> {
    let unreadable = |error: String| CliError::Usage(format!("{}: {error}", from.display()));
    if is_standard(from) {
        return Err(CliError::Usage("--rights needs the archive as a folder or as a file".to_owned()));
    }
    let manifest: Manifest = if from.is_dir() {
        let text = fs::read(from.join(MANIFEST)).map_err(cant("read", from))?;
        serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?
    } else {
        let mut archive = tar::Archive::new(File::open(from).map_err(cant("read", from))?);
        let mut entries = archive.entries().map_err(cant("read", from))?;
        let first = entries.next().ok_or_else(|| unreadable("it is empty".to_owned()))?.map_err(cant("read", from))?;
        serde_json::from_reader(first.take(MANIFEST_BYTES_MAX)).map_err(|error| unreadable(error.to_string()))?
    };
    Ok(manifest.shares)
}

pub(super) async fn maildir(session: &Session<'_>, args: MaildirArgs) -> Result<Exit, CliError> {
    let MaildirArgs { folder, to } = args;
    let sending = move |sink| folder::send_maildir(&folder, sink).map_err(not_sent);
    send(session, (&to, false), sending).await
}

pub(super) async fn mbox(session: &Session<'_>, args: MboxArgs) -> Result<Exit, CliError> {
    let MboxArgs { file, to, folder } = args;
    let path: Vec<String> = folder.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    send(session, (&to, false), move |sink| {
        let sent = match is_standard(&file) {
            true => mbox::send_mbox(io::stdin().lock(), path, sink),
            false => File::open(&file).and_then(|open| mbox::send_mbox(BufReader::new(open), path, sink)),
        };
        sent.map(drop).map_err(cant("read", &file))
    })
    .await
}

/// What became of an archive, on one level.
fn told(taken: &Value) -> Value {
    let mut told = taken["added"].clone();
    for name in ["changed", "removed", "unchanged", "refused_count", "renumbered"] {
        told[name] = taken[name].clone();
    }
    told
}

pub(super) fn not_sent(error: SendError) -> CliError {
    match error {
        SendError::Io { path, source } => cant("sent", &path)(source),
        error => CliError::Usage(error.to_string()),
    }
}

/// Sends what `fill` writes, and gives what became of it.
pub(super) async fn upload(
    session: &Session<'_>,
    (to, follow): (&str, bool),
    fill: impl FnOnce(Box<dyn Write + Send>) -> Result<(), CliError> + Send + 'static,
) -> Result<Value, CliError> {
    let path = path(&["accounts", to, "archive"], &[("follow", follow.then_some("true"))]);
    let (reader, writer) = tokio::io::duplex(PIPE_BYTES);
    let sink = SyncIoBridge::new(writer);
    let filling = tokio::task::spawn_blocking(move || fill(Box::new(sink)));
    let body = StreamBody::new(ReaderStream::with_capacity(reader, PIPE_BYTES).map_ok(Frame::data)).boxed();
    let answer = session.client.upload(&path, TAR, body).await;
    let filled = filling.await.unwrap_or_else(|error| Err(CliError::Usage(error.to_string())));
    let taken = match filled {
        // A node that refuses stops reading: why it does says more than that nobody read on.
        Ok(()) => answer?.body,
        Err(CliError::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => answer?.body,
        Err(error) => return Err(error),
    };
    for line in taken["refused"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        output::note(&format!("{line}\n"));
    }
    Ok(taken)
}

/// How much an archive changed.
pub(super) fn done_of(taken: &Value) -> u64 {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let added = ["messages", "objects", "files", "scripts"].map(|what| number(&taken["added"][what]));
    added.into_iter().sum::<u64>() + number(&taken["changed"]) + number(&taken["removed"])
}

/// Sends what `fill` writes, and shows what became of it.
async fn send(
    session: &Session<'_>,
    (to, follow): (&str, bool),
    fill: impl FnOnce(Box<dyn Write + Send>) -> Result<(), CliError> + Send + 'static,
) -> Result<Exit, CliError> {
    let taken = upload(session, (to, follow), fill).await?;
    session.show(&told(&taken))?;
    Ok(match (taken["refused_count"].as_u64().unwrap_or(0), done_of(&taken)) {
        (1.., _) => Exit::Failed,
        (0, 0) => Exit::NothingToDo,
        _ => Exit::Done,
    })
}
