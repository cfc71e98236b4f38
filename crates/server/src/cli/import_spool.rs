//! `sterna import cyrus send`: the files of a Cyrus server that doesn't run any more, told to an installation as its
//! own replication would have told them. It needs no node on this machine. Files are read where they are needed: there
//! is nobody else whom that keeps waiting.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use sterna_base::Secret;
use sterna_migration::imap::client::Source;
use sterna_migration::spool::client::Replica;
use sterna_migration::spool::config::Config;
use sterna_migration::spool::disk::Spool;
use sterna_migration::spool::send::{SendError, Sender, Told};
use sterna_migration::spool::survey::{Depth, Survey, survey};

use super::client::CliError;
use super::exit::Exit;
use super::import_run::Encryption;
use super::output::{self, Column};
use super::prompt;
use super::resource::Session;
use crate::node::trusted_roots;

/// Where replicas listen, unless the address says so.
const PORT: u16 = 2005;

const FOUND: &[Column] = &[
    ("USER", "owner"),
    ("MAILBOXES", "mailboxes"),
    ("MESSAGES", "messages"),
    ("BYTES", "bytes"),
    ("SCRIPTS", "scripts"),
    ("DAMAGED", "damaged"),
];

const SENT: &[Column] = &[
    ("USER", "owner"),
    ("MAILBOXES", "mailboxes"),
    ("MESSAGES", "messages"),
    ("BYTES", "bytes"),
    ("OTHERS", "others"),
    ("ERROR", "error"),
];

/// Which files, and to whom.
#[derive(Clone, Debug, Args)]
pub struct SendArgs {
    /// The imapd.conf of the old server
    #[arg(long, value_name = "FILE", default_value = "/etc/imapd.conf")]
    conf: PathBuf,
    /// Where its configuration directory is now, if not where imapd.conf says
    #[arg(long, value_name = "DIR")]
    config_directory: Option<PathBuf>,
    /// Where a partition is now: NAME=DIR (repeatable)
    #[arg(long, value_name = "NAME=DIR")]
    partition: Vec<String>,
    /// The installation: HOST or HOST:PORT of an edge that listens for a Cyrus server; port 2005 when left out
    #[arg(long, value_name = "HOST[:PORT]", required_unless_present = "dry_run")]
    to: Option<String>,
    /// An administrator of the installation
    #[arg(long, value_name = "LOGIN", required_unless_present = "dry_run")]
    login: Option<String>,
    /// A file with the password; - is standard input; it is asked for when left out
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// How the connection is encrypted
    #[arg(long, value_enum, default_value = "starttls")]
    encryption: Encryption,
    /// Only these users, as the old server calls them (repeatable); all when left out
    #[arg(long, value_name = "USER")]
    user: Vec<String>,
    /// Send what is well of a user, and leave out what is damaged
    #[arg(long)]
    leave_out_damaged: bool,
    /// Read everything, and send nothing
    #[arg(long)]
    dry_run: bool,
}

fn unusable(error: impl std::fmt::Display) -> CliError {
    CliError::Usage(error.to_string())
}

pub(super) async fn send(session: &Session<'_>, args: SendArgs) -> Result<Exit, CliError> {
    let opening = args.clone();
    let opened = Arc::new(tokio::task::spawn_blocking(move || open(&opening)).await.map_err(unusable)??);
    for damaged in &opened.damaged {
        output::note(&format!("{damaged}\n"));
    }
    let owners = owners(&opened, &args.user)?;
    if args.dry_run {
        return try_all(session, &opened, owners).await;
    }
    let to = source(&args).await?;
    let password = prompt::known_password(args.password_file.as_deref())?;
    Sending { session, spool: &opened, args: &args, to, password }.all(owners).await
}

fn open(args: &SendArgs) -> Result<Spool, CliError> {
    let mut config = Config::read(&args.conf).map_err(unusable)?;
    if let Some(dir) = &args.config_directory {
        config.set("configdirectory", &text(dir));
    }
    for given in &args.partition {
        let (name, dir) = given.split_once('=').ok_or_else(|| unusable(format!("--partition {given}: NAME=DIR")))?;
        config.set(&format!("partition-{name}"), dir);
    }
    let spool = Spool::open(config).map_err(unusable)?;
    match spool.unknown_partitions().as_slice() {
        [] => Ok(spool),
        unknown => Err(unusable(format!(
            "nobody says where these partitions are: {}; name them with --partition NAME=DIR",
            unknown.join(", ")
        ))),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Whose mailboxes are sent.
fn owners(spool: &Spool, wanted: &[String]) -> Result<Vec<String>, CliError> {
    if let Some(unknown) = wanted.iter().find(|name| !spool.owners.contains_key(*name)) {
        return Err(unusable(format!("the old server has no user {unknown}")));
    }
    let is_wanted = |name: &&String| wanted.is_empty() || wanted.contains(name);
    Ok(spool.owners.keys().filter(is_wanted).cloned().collect())
}

async fn source(args: &SendArgs) -> Result<Source, CliError> {
    let to = args.to.as_deref().unwrap_or_default();
    let (host, port) = match to.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host.trim_matches(['[', ']']), port.parse().map_err(|_| unusable(format!("{to}: the port is no number")))?)
        }
        _ => (to, PORT),
    };
    let ca = std::env::var_os("STERNA_CA").map(PathBuf::from);
    let tls = tokio::task::spawn_blocking(move || trusted_roots(ca.as_deref())).await.map_err(unusable)?;
    let tls = tls.map_err(|error| unusable(format!("the certificates to trust can't be read: {error}")))?;
    Ok(Source { host: host.to_owned(), port, encryption: args.encryption.known(), tls })
}

/// Looks at a user's files, and tells what is damaged.
async fn look(spool: &Arc<Spool>, owner: &str, depth: Depth) -> Result<Survey, CliError> {
    let (spool, whose) = (spool.clone(), owner.to_owned());
    let found = tokio::task::spawn_blocking(move || survey(&spool, &whose, depth)).await.map_err(unusable)?;
    for damage in &found.damaged {
        let place = if damage.mailbox.is_empty() { owner } else { &damage.mailbox };
        let which = damage.uid.map(|uid| format!(";UID={uid}")).unwrap_or_default();
        output::note(&format!("{place}{which}: {}\n", damage.cause));
    }
    Ok(found)
}

async fn try_all(session: &Session<'_>, spool: &Arc<Spool>, owners: Vec<String>) -> Result<Exit, CliError> {
    let (mut told, mut is_damaged) = (Vec::new(), !spool.damaged.is_empty());
    for owner in owners {
        let found = look(spool, &owner, Depth::Contents).await?;
        is_damaged |= !found.damaged.is_empty();
        told.push(json!({
            "owner": owner, "mailboxes": found.mailboxes, "messages": found.messages, "bytes": found.bytes,
            "scripts": found.scripts, "damaged": found.damaged.len(),
        }));
    }
    session.items(&told, FOUND)?;
    Ok(if is_damaged { Exit::Failed } else { Exit::Done })
}

/// The sending of all users over one session, which is made again when it broke.
struct Sending<'s, 'g> {
    session: &'s Session<'g>,
    spool: &'s Arc<Spool>,
    args: &'s SendArgs,
    to: Source,
    password: Secret,
}

impl Sending<'_, '_> {
    async fn all(self, owners: Vec<String>) -> Result<Exit, CliError> {
        let (mut rows, mut failed, mut is_nothing) = (Vec::new(), !self.spool.damaged.is_empty(), true);
        let mut sender = Some(self.sender().await?);
        for owner in owners {
            let found = look(self.spool, &owner, Depth::Lengths).await?;
            let mut at = match sender.take() {
                Some(sender) => sender,
                None => self.sender().await?,
            };
            let done = at.owner(&found).await;
            if !done.as_ref().is_err_and(SendError::ends_session) {
                sender = Some(at);
            }
            failed |= done.is_err() || !found.damaged.is_empty();
            is_nothing &= done.as_ref().is_ok_and(Told::is_nothing);
            rows.push(row(&owner, done));
        }
        if let Some(sender) = sender {
            sender.replica.close().await;
        }
        self.session.items(&rows, SENT)?;
        if failed && !self.args.leave_out_damaged {
            let remedy = "mend it there, or send what is well with --leave-out-damaged; then run it again";
            self.session.say(&format!("Not everything was sent: {remedy}.\n"));
        }
        Ok(match (failed, is_nothing) {
            (true, _) => Exit::Failed,
            (false, true) => Exit::NothingToDo,
            (false, false) => Exit::Done,
        })
    }

    async fn sender(&self) -> Result<Sender<'_>, CliError> {
        let login = self.args.login.as_deref().unwrap_or_default();
        let replica = Replica::open(&self.to, login, &self.password).await;
        let replica = replica.map_err(|error| unusable(format!("{}: {error}", self.to.host)))?;
        Ok(Sender::new(self.spool, replica, self.args.leave_out_damaged))
    }
}

fn row(owner: &str, done: Result<Told, SendError>) -> Value {
    let (told, error) = match done {
        Ok(told) => (told, None),
        Err(error) => (Told::default(), Some(error.to_string())),
    };
    json!({
        "owner": owner, "mailboxes": told.mailboxes, "messages": told.messages, "bytes": told.bytes,
        "others": told.others, "error": error,
    })
}
