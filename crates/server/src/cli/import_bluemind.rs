//! `sterna import bluemind`: the dumps of a BlueMind installation, in two steps between which one can look.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sterna_migration::archive::manifest::Manifest;
use sterna_migration::archive::{MANIFEST, folder};
use sterna_migration::bluemind::{self, ACCOUNTS, DECLARATION, REPORT, Report};

use super::acl;
use super::archive::{done_of, not_sent, upload};
use super::client::CliError;
use super::declared::{self, ApplyArgs};
use super::exit::Exit;
use super::output::{self, Column};
use super::resource::{Session, WriteArgs};

const COLUMNS: &[Column] = &[("KIND", "kind"), ("READ", "read"), ("WRITTEN", "written"), ("LEFT OUT", "left_out")];

const BROUGHT: &[Column] = &[
    ("ACCOUNT", "account"),
    ("NEW", "objects"),
    ("CHANGED", "changed"),
    ("REMOVED", "removed"),
    ("SCRIPTS", "scripts"),
    ("REFUSED", "refused"),
];

/// Read the dumps of BlueMind 4 into a folder, and bring what is in it
#[derive(Debug, Subcommand)]
pub enum BluemindCommand {
    /// Read dumps that `pg_dump -Fc` or `pg_dump` made into a folder: nothing is brought yet
    Read(ReadArgs),
    /// Bring what is in the folder: people, then their calendars, contacts, tasks and scripts, then who shares what
    Bring {
        /// The folder that was read into
        folder: PathBuf,
        /// For another time: what came before becomes what it is in the dumps now, and what is gone there goes
        #[arg(long)]
        follow: bool,
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
        BluemindCommand::Bring { folder, follow, write } => Bringing { session, folder, follow, write }.run().await,
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
    follow: bool,
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

    /// The folders of accounts, by address.
    fn places(&self) -> Result<Vec<PathBuf>, CliError> {
        let accounts = self.folder.join(ACCOUNTS);
        let listed = fs::read_dir(&accounts).and_then(|found| found.map(|entry| Ok(entry?.path())).collect());
        let mut places: Vec<PathBuf> = listed.map_err(cant_read(&accounts))?;
        places.retain(|place| place.is_dir());
        places.sort();
        Ok(places)
    }

    /// Brings what is inside of accounts; how much that was, and how much was refused.
    async fn accounts(&self) -> Result<(u64, u64), CliError> {
        let (mut brought, mut refused, mut told) = (0, 0, Vec::new());
        for place in self.places()? {
            let manifest: Manifest = json_of(&place.join(MANIFEST))?;
            let address = manifest.address;
            let sending = move |sink| folder::send_export(&place, sink).map_err(not_sent);
            let taken = match upload(self.session, (&address, self.follow), sending).await {
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
            (brought, refused) = (brought + done_of(&taken), refused + refusals);
            let (changed, removed) = (number(&taken["changed"]), number(&taken["removed"]));
            told.push(json!({
                "account": address, "objects": objects, "scripts": scripts, "changed": changed, "removed": removed,
                "refused": refusals,
            }));
        }
        self.session.items(&told, BROUGHT)?;
        Ok((brought, refused))
    }

    /// Gives rights, once everybody is there; how many were given, and how many could not be.
    async fn shares(&self) -> Result<(u64, u64), CliError> {
        let (mut given, mut failed, mut all) = (0, 0, 0);
        for place in self.places()? {
            let manifest: Manifest = json_of(&place.join(MANIFEST))?;
            all += manifest.shares.len() as u64;
            let (more, refused) = acl::give(self.session, &manifest.address, &manifest.shares).await?;
            (given, failed) = (given + more, failed + refused);
        }
        let there = all - given - failed;
        self.session.say(&format!("{given} rights were given, {there} were there, {failed} could not be given\n"));
        Ok((given, failed))
    }
}
