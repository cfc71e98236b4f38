//! `sterna import cyrus send`: the files of a Cyrus server that doesn't run any more, told to an edge as its own
//! `sync_client` would have told them. It works where the disk is; a node is needed only at the other end.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use sterna_base::Secret;
use sterna_migration::imap::client::Source;
use sterna_migration::run::error::SourceError;
use sterna_migration::spool::SpoolError;
use sterna_migration::spool::client::Replica;
use sterna_migration::spool::config::Config;
use sterna_migration::spool::disk::Spool;
use sterna_migration::spool::send::{SendError, Sender, Told};
use sterna_migration::spool::survey::{Depth, Survey, survey};

use super::client::CliError;
use super::exit::Exit;
use super::import_run::Encryption;
use super::output::{self, Column, Listing};
use super::prompt;
use super::resource::Session;
use crate::node::trusted_roots;

const COLUMNS: &[Column] = &[
    ("USER", "user"),
    ("MAILBOXES", "mailboxes"),
    ("MESSAGES", "messages"),
    ("SENT", "sent"),
    ("DAMAGED", "damaged_count"),
    ("STATE", "state"),
];

/// Damages of one owner that people are told; programs get all.
const DAMAGES_TOLD: usize = 20;

/// Where the files are, and where to.
#[derive(Clone, Debug, Args)]
pub struct SendArgs {
    /// The settings of the old server
    #[arg(long, value_name = "FILE", default_value = "/etc/imapd.conf")]
    conf: PathBuf,
    /// Where the disk of the old server is: all paths of its settings are taken from there
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Where its list of mailboxes is (configdirectory), if not where the settings say
    #[arg(long, value_name = "DIR")]
    config_directory: Option<PathBuf>,
    /// Where a partition is, if not where the settings say; metapartition-NAME=DIR and archivepartition-NAME=DIR, too
    #[arg(long, value_name = "NAME=DIR")]
    partition: Vec<String>,
    /// Where scripts are, if not where the settings say
    #[arg(long, value_name = "DIR")]
    sieve_directory: Option<PathBuf>,
    /// The edge that takes replication ([listen] cyrus in its sterna.toml)
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "dry_run")]
    to: Option<String>,
    /// Who logs in there: an administrator of the whole installation
    #[arg(long, value_name = "LOGIN", required_unless_present = "dry_run")]
    login: Option<String>,
    /// A file with the password; it is asked for when left out
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// How the connection is encrypted; none is taken from the same machine only
    #[arg(long, value_enum, default_value = "starttls")]
    encryption: Encryption,
    /// A PEM file with certificates to trust besides those that the system trusts
    #[arg(long, value_name = "FILE")]
    target_ca: Option<PathBuf>,
    /// Only this user or shared mailbox, as the old server calls it; can be given several times
    #[arg(long, value_name = "USER")]
    user: Vec<String>,
    /// Tell nobody: read everything, and say what would be told and what is damaged
    #[arg(long)]
    dry_run: bool,
    /// Tell the rest of users of whom something is damaged; what is left out can't come later
    #[arg(long)]
    leave_out_damaged: bool,
}

impl SendArgs {
    fn config(&self) -> Result<Config, CliError> {
        let mut config = Config::read(&self.conf).map_err(unreadable)?;
        if let Some(root) = &self.root {
            config.rebase(root);
        }
        let folders = [("configdirectory", &self.config_directory), ("sievedir", &self.sieve_directory)];
        for (name, folder) in folders {
            if let Some(folder) = folder {
                config.set(name, &folder.to_string_lossy());
            }
        }
        for partition in &self.partition {
            let usage = || CliError::Usage(format!("--partition {partition}: expected NAME=DIR"));
            let (name, folder) = partition.split_once('=').ok_or_else(usage)?;
            let prefix = if name.contains("partition-") { "" } else { "partition-" };
            config.set(&format!("{prefix}{name}"), folder);
        }
        match config.get("configdirectory") {
            Some(_) => Ok(config),
            None => Err(CliError::Usage(format!("{} names no configdirectory", self.conf.display()))),
        }
    }

    fn target(&self) -> Result<Target, CliError> {
        let to = self.to.clone().unwrap_or_default();
        let usage = || CliError::Usage(format!("--to {to}: expected HOST:PORT"));
        let (host, port) = to.rsplit_once(':').ok_or_else(usage)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = port.parse().map_err(|_| usage())?;
        let encryption = self.encryption.known();
        let tls = trusted_roots(self.target_ca.as_deref()).map_err(CliError::Usage)?;
        let password = prompt::known_password(self.password_file.as_deref())?;
        let login = self.login.clone().unwrap_or_default();
        Ok(Target { source: Source { host, port, encryption, tls }, login, password })
    }

    /// Whom to tell of.
    fn owners(&self, spool: &Spool) -> Result<Vec<String>, CliError> {
        if let Some(unknown) = self.user.iter().find(|user| !spool.owners.contains_key(*user)) {
            return Err(CliError::Usage(format!("{unknown} has no mailbox in this spool")));
        }
        let is_wanted = |owner: &&String| self.user.is_empty() || self.user.contains(owner);
        Ok(spool.owners.keys().filter(is_wanted).cloned().collect())
    }
}

struct Target {
    source: Source,
    login: String,
    password: Secret,
}

impl Target {
    async fn open(&self) -> Result<Replica, CliError> {
        let opened = Replica::open(&self.source, &self.login, &self.password).await;
        opened.map_err(|error| match error {
            SourceError::Login(text) => CliError::Usage(format!("{} may not replicate: {text}", self.login)),
            error => {
                let what = format!("{}:{} can't be told", self.source.host, self.source.port);
                CliError::Io { what: format!("{what}: {error}"), source: std::io::Error::other(error) }
            }
        })
    }
}

fn unreadable(error: SpoolError) -> CliError {
    CliError::Io { what: error.to_string(), source: std::io::Error::other(error) }
}

/// What became of an owner.
enum Outcome {
    Ready,
    Told(Told),
    Damaged,
    Failed(String),
}

pub(super) async fn run(session: &Session<'_>, args: SendArgs) -> Result<Exit, CliError> {
    let spool = Spool::open(args.config()?).map_err(unreadable)?;
    if let [first, ..] = spool.unknown_partitions().as_slice() {
        let text = format!("nobody says where the partition {first} is; give --partition {first}=DIR");
        return Err(CliError::Usage(text));
    }
    let owners = args.owners(&spool)?;
    for row in &spool.damaged {
        output::note(&format!("the list of mailboxes: {row}\n"));
    }
    let is_list_damaged = !spool.damaged.is_empty();
    if is_list_damaged && !args.leave_out_damaged && !args.dry_run {
        let text =
            "the list of mailboxes is damaged; repair it (ctl_cyrusdb, ctl_mboxlist), or give --leave-out-damaged";
        return Err(CliError::Usage(text.to_owned()));
    }
    let target = if args.dry_run { None } else { Some(args.target()?) };
    let mut sender: Option<Sender<'_>> = None;
    let mut rows = Vec::new();
    let failed_yet = is_list_damaged && !args.leave_out_damaged;
    let (mut failed, mut damaged, mut changed) = (failed_yet, is_list_damaged, false);
    for owner in owners {
        let depth = if args.dry_run { Depth::Contents } else { Depth::Lengths };
        let mut found = tokio::task::block_in_place(|| survey(&spool, &owner, depth));
        let outcome = match &target {
            None if found.damaged.is_empty() => Outcome::Ready,
            None => Outcome::Damaged,
            Some(target) => {
                let open = match sender.take() {
                    Some(open) => open,
                    None => Sender::new(&spool, target.open().await?, args.leave_out_damaged),
                };
                let (outcome, left) = tell(open, &mut found).await;
                sender = left;
                outcome
            }
        };
        say(&found, &outcome);
        damaged |= !found.damaged.is_empty();
        failed |= matches!(outcome, Outcome::Damaged | Outcome::Failed(_));
        changed |= matches!(&outcome, Outcome::Told(told) if !told.is_nothing());
        let row = row(&found, &outcome);
        session.say(&format!("{owner}: {}\n", row["state"].as_str().unwrap_or_default()));
        rows.push(row);
    }
    if let Some(sender) = sender {
        sender.replica.close().await;
    }
    let mut listing = Listing::new(session.format(), COLUMNS);
    listing.page(&rows)?;
    listing.end()?;
    output::note(end(args.dry_run, damaged, args.leave_out_damaged, failed));
    Ok(match (failed, changed || args.dry_run) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Done,
        (false, false) => Exit::NothingToDo,
    })
}

/// Tells of an owner. Contents that no length shows to be damaged are found on the way: then all of them are looked at,
/// so that each is named.
async fn tell<'a>(mut sender: Sender<'a>, found: &mut Survey) -> (Outcome, Option<Sender<'a>>) {
    loop {
        let error = match sender.owner(found).await {
            Ok(told) => return (Outcome::Told(told), Some(sender)),
            Err(error) => error,
        };
        if matches!(error, SendError::Spool(_)) && found.damaged.is_empty() {
            *found = tokio::task::block_in_place(|| survey(sender.spool, &found.owner, Depth::Contents));
            if !found.damaged.is_empty() && sender.leaves_out {
                continue;
            }
        }
        let outcome = match &error {
            SendError::Damaged(..) | SendError::Spool(_) if !found.damaged.is_empty() => Outcome::Damaged,
            error => Outcome::Failed(error.to_string()),
        };
        let is_over = error.ends_session();
        return (outcome, Some(sender).filter(|_| !is_over));
    }
}

fn say(found: &Survey, outcome: &Outcome) {
    for damage in found.damaged.iter().take(DAMAGES_TOLD) {
        let what = match damage.uid {
            Some(uid) => format!("{}, UID {uid}: ", damage.mailbox),
            None if damage.mailbox.is_empty() => String::new(),
            None => format!("{}: ", damage.mailbox),
        };
        output::note(&format!("{}: damaged: {what}{}\n", found.owner, damage.cause));
    }
    if found.damaged.len() > DAMAGES_TOLD {
        output::note(&format!("{}: and {} more (--json)\n", found.owner, found.damaged.len() - DAMAGES_TOLD));
    }
    if let Outcome::Failed(error) = outcome {
        let remedy = [
            ("IMAP_INVALID_USER", ": make an account and suspend it (sterna user create, sterna user set)"),
            ("IMAP_PERMISSION_DENIED", ": only into suspended accounts can something be brought"),
        ];
        let remedy = remedy.iter().find(|(code, _)| error.contains(code)).map_or("", |(_, text)| text);
        output::note(&format!("{}: {error}{remedy}\n", found.owner));
    }
}

fn row(found: &Survey, outcome: &Outcome) -> Value {
    let (state, told, error) = match outcome {
        Outcome::Ready => ("ready", None, None),
        Outcome::Told(told) if told.is_nothing() => ("unchanged", Some(told), None),
        Outcome::Told(told) => ("told", Some(told), None),
        Outcome::Damaged => ("damaged", None, None),
        Outcome::Failed(error) => ("failed", None, Some(error)),
    };
    json!({
        "user": found.owner,
        "mailboxes": found.mailboxes,
        "messages": found.messages,
        "bytes": found.bytes,
        "scripts": found.scripts,
        "sent": told.map(|told| told.messages),
        "sent_bytes": told.map(|told| told.bytes),
        "damaged_count": found.damaged.len(),
        "damaged": found.damaged,
        "state": state,
        "error": error,
    })
}

fn end(is_dry: bool, is_damaged: bool, leaves_out: bool, failed: bool) -> &'static str {
    match (is_dry, is_damaged, failed) {
        (_, true, _) if leaves_out && !is_dry => {
            "What is damaged was left out, and can't come later into these accounts. The rest is there; compare it with \
             sterna import cyrus status USER.\n"
        }
        (_, true, _) => {
            "Something is damaged. Bring these files back from a backup, or let Cyrus' own reconstruct repair the \
             mailboxes, and run it again; or leave it out with --leave-out-damaged: it can't come later then.\n"
        }
        (true, ..) => "Nothing was told. All of it can be read.\n",
        (_, _, true) => "Not all of it was told. See above, and run it again.\n",
        _ => "All of it is there. Compare it with sterna import cyrus status USER, then sterna import cyrus switch.\n",
    }
}
