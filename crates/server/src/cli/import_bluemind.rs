//! `sterna import bluemind`: the dumps of a BlueMind installation, in two steps between which one can look.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};
use sterna_migration::archive::manifest::Manifest;
use sterna_migration::archive::{MANIFEST, folder};
use sterna_migration::bluemind::{self, ACCOUNTS, DECLARATION, Of, REPORT, Report, SHARES, Share};

use super::archive::{not_sent, upload};
use super::client::{CliError, path};
use super::declared::{self, ApplyArgs};
use super::exit::Exit;
use super::output::{self, Column};
use super::resource::{Session, WriteArgs};

const COLUMNS: &[Column] = &[("KIND", "kind"), ("READ", "read"), ("WRITTEN", "written"), ("LEFT OUT", "left_out")];

const BROUGHT: &[Column] =
    &[("ACCOUNT", "account"), ("EVENTS, CARDS, TASKS", "objects"), ("SCRIPTS", "scripts"), ("REFUSED", "refused")];

/// Read the dumps of BlueMind 4 into a folder, and bring what is in it
#[derive(Debug, Subcommand)]
pub enum BluemindCommand {
    /// Read dumps that `pg_dump -Fc` or `pg_dump` made into a folder: nothing is brought yet
    Read(ReadArgs),
    /// Bring what is in the folder: people, then their calendars, contacts, tasks and scripts, then who shares what
    Bring {
        /// The folder that was read into
        folder: PathBuf,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
}

/// What is read.
#[derive(Clone, Debug, Args)]
pub struct ReadArgs {
    /// The dump of the database of the directory (bj)
    #[arg(long, value_name = "FILE")]
    directory: PathBuf,
    /// A dump of the database of a data server (bj-data); once for each of them
    #[arg(long, value_name = "FILE", required = true)]
    data: Vec<PathBuf>,
    /// A folder that is empty or not there yet
    folder: PathBuf,
}

pub(super) async fn run(session: &Session<'_>, command: BluemindCommand) -> Result<Exit, CliError> {
    match command {
        BluemindCommand::Read(args) => read(session, args).await,
        BluemindCommand::Bring { folder, write } => Bringing { session, folder, write }.run().await,
    }
}

async fn read(session: &Session<'_>, args: ReadArgs) -> Result<Exit, CliError> {
    let ReadArgs { directory, data, folder } = args;
    let into = folder.clone();
    let reading = tokio::task::spawn_blocking(move || bluemind::read(&directory, &data, &into, output::note));
    let report = match reading.await.map_err(|error| CliError::Usage(error.to_string()))? {
        Ok(report) => report,
        Err(error) => return Err(CliError::Usage(error.to_string())),
    };
    for reason in report.kinds.iter().flat_map(|(kind, tally)| tally.reasons.iter().map(move |why| (kind, why))) {
        output::note(&format!("{}: {}\n", reason.0.words(), reason.1));
    }
    session.items(&rows(&report), COLUMNS)?;
    let (folder, declared) = (folder.display(), folder.join(DECLARATION).display().to_string());
    session.say(&format!(
        "Look at {declared}, then: sterna import bluemind bring {folder}\nWhat was left out, and why, is in {folder}/{REPORT}.\n"
    ));
    Ok(Exit::Done)
}

fn rows(report: &Report) -> Vec<Value> {
    let row = |(kind, tally): (&bluemind::Kind, &bluemind::Tally)| json!({"kind": kind.words(), "read": tally.read, "written": tally.written, "left_out": tally.left_out});
    report.kinds.iter().map(row).collect()
}

/// The bringing of a folder.
struct Bringing<'s, 'g> {
    session: &'s Session<'g>,
    folder: PathBuf,
    write: WriteArgs,
}

fn cant_read(path: &Path) -> impl FnOnce(io::Error) -> CliError + '_ {
    move |source| CliError::Io { what: format!("{} can't be read", path.display()), source }
}

fn json_of<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, CliError> {
    let text = fs::read(path).map_err(cant_read(path))?;
    serde_json::from_slice(&text).map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))
}

impl Bringing<'_, '_> {
    async fn run(self) -> Result<Exit, CliError> {
        if !self.folder.join(REPORT).is_file() {
            let text = format!("{} has no {REPORT}: read the dumps into it anew, to the end", self.folder.display());
            return Err(CliError::Usage(text));
        }
        let people = declared::apply(self.session, ApplyArgs::of(self.folder.join(DECLARATION), self.write)).await?;
        if self.write.dry_run {
            return Ok(people);
        }
        let (objects, failed) = self.accounts().await?;
        let (shares, shares_failed) = self.shares().await?;
        let is_nothing = people == Exit::NothingToDo && objects == 0 && shares == 0;
        Ok(match (failed + shares_failed, is_nothing) {
            (1.., _) => Exit::Failed,
            (0, true) => Exit::NothingToDo,
            (0, false) => Exit::Done,
        })
    }

    /// Brings what is inside of accounts; how much that was, and how much was refused.
    async fn accounts(&self) -> Result<(u64, u64), CliError> {
        let accounts = self.folder.join(ACCOUNTS);
        let listed = fs::read_dir(&accounts).map_err(cant_read(&accounts))?;
        let mut folders: Vec<PathBuf> = listed
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(cant_read(&accounts))?;
        folders.sort();
        let (mut brought, mut refused, mut told) = (0, 0, Vec::new());
        for place in folders.into_iter().filter(|place| place.is_dir()) {
            let manifest: Manifest = json_of(&place.join(MANIFEST))?;
            let address = manifest.address;
            let sending = move |sink| folder::send_export(&place, sink).map_err(not_sent);
            let taken = match upload(self.session, &address, sending).await {
                Ok(taken) => taken,
                // Somebody who was taken out of the declaration.
                Err(CliError::Refused(problem)) if problem.code == "no-such" => {
                    output::note(&format!("{address}: {}\n", problem.detail));
                    refused += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let number = |value: &Value| value.as_u64().unwrap_or_default();
            let (objects, scripts) = (number(&taken["added"]["objects"]), number(&taken["added"]["scripts"]));
            let refusals = number(&taken["refused_count"]);
            (brought, refused) = (brought + objects + scripts, refused + refusals);
            told.push(json!({"account": address, "objects": objects, "scripts": scripts, "refused": refusals}));
        }
        self.session.items(&told, BROUGHT)?;
        Ok((brought, refused))
    }

    /// Gives rights; how many were given, and how many could not be.
    async fn shares(&self) -> Result<(u64, u64), CliError> {
        let shares: Vec<Share> = json_of(&self.folder.join(SHARES))?;
        let (mut given, mut failed) = (0, 0);
        for share in &shares {
            match self.share(share).await {
                Ok(true) => given += 1,
                Ok(false) => {}
                Err(CliError::Refused(problem)) => {
                    failed += 1;
                    let what = share.name.as_deref().unwrap_or("mail");
                    let to = &share.identifier;
                    output::note(&format!("{}, {what}, for {to}: {}\n", share.account, problem.detail));
                }
                Err(error) => return Err(error),
            }
        }
        self.session.say(&format!("{given} rights were given, {} were there, {failed} could not be\n", {
            shares.len() as u64 - given - failed
        }));
        Ok((given, failed))
    }

    /// Gives a right; whether it was not there.
    async fn share(&self, share: &Share) -> Result<bool, CliError> {
        let segments = ["accounts", &*share.account, "acl"];
        let before = self.session.client.get(&path(&segments, &[])).await?;
        let mut body = json!({"identifier": share.identifier, "rights": share.rights});
        if let Some(name) = &share.name {
            body[match share.of {
                Of::Calendar => "calendar",
                Of::AddressBook => "address_book",
                Of::Mail => "mailbox",
            }] = json!(name);
        }
        let after = self.session.client.send(Method::PATCH, &path(&segments, &[]), Some(&body)).await?;
        Ok(before["items"] != after.body["items"])
    }
}
