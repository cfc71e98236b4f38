//! `sterna aside`: looks at, exports and deletes what was set aside on this node.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::json;
use sterna_account::aside::{Only, visit_lost};
use sterna_account::{AsideName, Container, Engine, Item, Read, StoreError};
use sterna_base::limits::BLOB_CHUNK_BYTES;
use sterna_base::{AccountId, ContainerId, Uid};
use sterna_cluster::copies::AsideNote;
use sterna_directory::Directory;
use sterna_engines::sqlite::{Inspection, SqliteEngine};

use super::{accounts_folder, check};
use crate::admin;
use crate::cli::{AsideCommand, Exit, GlobalArgs, Output};
use crate::config::Config;

/// Bytes of a folder's path in the name of a file, which may have 255 with what comes after.
const FOLDER_NAME_BYTES_MAX: usize = 180;

/// Does the command and says how it ended.
#[allow(clippy::print_stderr, clippy::print_stdout)]
pub async fn run(global: &GlobalArgs, command: AsideCommand) -> Exit {
    let folder = global.folder();
    // Nothing of it is needed, but a folder without it is not a node's.
    if let Err(error) = Config::read(&folder) {
        eprintln!("sterna aside: {error}");
        return Exit::BadConfig;
    }
    let done = async {
        let engine = SqliteEngine::new(accounts_folder(&folder));
        match command {
            AsideCommand::List => list(&engine, check::open_directory(&folder)?.as_ref(), global.format()).await,
            AsideCommand::Export { name, to } => {
                tokio::task::spawn_blocking(move || export(&engine, parse(&name)?, &to)).await?
            }
            AsideCommand::Delete { name, yes: true } => {
                let name = parse(&name)?;
                note_of(&engine, name)?;
                engine.delete_aside(name)?;
                Ok(format!("{name} is deleted\n"))
            }
            AsideCommand::Delete { name, yes: false } => {
                bail!("what {name} alone has would be gone; look at it first (sterna aside export), then say --yes")
            }
        }
    };
    match done.await {
        Ok(text) => {
            print!("{text}");
            Exit::Done
        }
        Err(error) => {
            eprintln!("sterna aside: {error:#}");
            Exit::Failed
        }
    }
}

fn parse(text: &str) -> Result<AsideName> {
    text.parse().with_context(|| format!("{text} is no name that sterna aside list shows"))
}

fn note_of(engine: &SqliteEngine, name: AsideName) -> Result<AsideNote> {
    let found = engine.asides()?.into_iter().find(|(known, _)| *known == name);
    let (_, note) = found.with_context(|| format!("there is no {name} here"))?;
    serde_json::from_slice(&note).context("its note can't be read")
}

async fn list(engine: &SqliteEngine, directory: Option<&Directory>, format: Output) -> Result<String> {
    let (mut table, mut rows) = (String::new(), Vec::new());
    for (name, note) in engine.asides()? {
        let note: AsideNote = serde_json::from_slice(&note).with_context(|| format!("the note of {name}"))?;
        let directory = directory.context("the directory's file is missing")?;
        let address = address_of(directory, name.account).await?;
        let commits = note.commits;
        let at = admin::time(name.at);
        let what = note.lost.map_or_else(
            || "not counted yet: the new copy is being made".to_owned(),
            |lost| {
                format!(
                    "{} messages ({} bytes) that are nowhere else, {} changed, {} expunged, {} folders",
                    lost.items, lost.bytes, lost.changed, lost.expunged, lost.containers
                )
            },
        );
        writeln!(table, "{name}  {address}  since {at}  {commits} commits: {what}")?;
        rows.push(json!({
            "name": name.to_string(), "account": name.account, "address": address, "at": at,
            "epoch": note.fork.epoch, "commits": commits, "lost": note.lost,
        }));
    }
    if format != Output::Table {
        return Ok(format!("{}\n", json!({ "items": rows })));
    }
    if table.is_empty() {
        table.push_str("Nothing is set aside on this server.\n");
    }
    Ok(table)
}

async fn address_of(directory: &Directory, account: AccountId) -> Result<String> {
    let found = directory.read(move |reader| admin::address_of(reader, account)).await;
    found.context("the directory")
}

/// What the account lacks, as files; says how many.
fn export(engine: &SqliteEngine, name: AsideName, to: &Path) -> Result<String> {
    let note = note_of(engine, name)?;
    let aside = engine.open_aside(name)?;
    // A node may be running. Without a copy of the account all is exported.
    let account = match engine.inspect(name.account) {
        Ok(inspection) => Some(inspection),
        Err(StoreError::NoSuchAccount(_)) => None,
        Err(error) => return Err(error).context("the account's present copy"),
    };
    fs::create_dir(to).with_context(|| format!("{} can't be made", to.display()))?;
    let containers = aside.containers()?;
    let (mut files, mut changes) = (Vec::new(), String::new());
    visit_lost(aside.as_ref(), &note.fork, account.as_ref().map(Inspection::read), |only| {
        let line = match only {
            Only::Item(item) => {
                files.push(item);
                return Ok(());
            }
            Only::Changed(item) => {
                format!("{}: UID {} has other flags, or is in another place\n", path(&containers, &item), item.uid)
            }
            Only::Expunged(expunged) => format!("folder {}: UID {} was expunged\n", expunged.container, expunged.uid),
            Only::Container(container) => format!("folder {}: was made, renamed or shared\n", container.name),
            Only::ContainerDeleted(id) => format!("folder {id}: was deleted\n"),
        };
        changes.push_str(&line);
        Ok(())
    })?;
    for item in &files {
        write(aside.as_ref(), item, &to.join(file_name(&path(&containers, item), item.container, item.uid)))?;
    }
    let mut list = private(&to.join("changes.txt"))?;
    list.write_all(changes.as_bytes())?;
    list.sync_all()?;
    let lines = changes.lines().count();
    Ok(format!("{} messages and a list of {lines} other changes are in {}\n", files.len(), to.display()))
}

/// The name of a message's file: of its folder as much as a file's name takes, and what makes it the only one.
fn file_name(folder: &str, container: ContainerId, uid: Uid) -> String {
    let mut name = folder.replace(['/', '\0'], "_");
    name.truncate(name.floor_char_boundary(FOLDER_NAME_BYTES_MAX));
    format!("{name}.folder{container}.uid{uid}.eml")
}

fn path(containers: &[Container], item: &Item) -> String {
    let mut at = Some(item.container);
    let mut names = Vec::new();
    while let Some(container) = at.and_then(|id| containers.iter().find(|container| container.id == id)) {
        names.push(container.name.as_str());
        at = container.parent.filter(|_| names.len() < sterna_base::limits::CONTAINER_DEPTH_MAX);
    }
    names.reverse();
    names.join("/")
}

fn private(path: &Path) -> Result<fs::File> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.with_context(|| format!("{} can't be written", path.display()))
}

fn write(aside: &dyn Read, item: &Item, path: &Path) -> Result<()> {
    let mut file = private(path)?;
    for start in (0..item.size).step_by(BLOB_CHUNK_BYTES) {
        file.write_all(&aside.blob(item.blob, start..item.size.min(start + BLOB_CHUNK_BYTES as u64))?)?;
    }
    Ok(file.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_a_file_of_its_own() {
        assert_eq!(file_name("Work/Plans", ContainerId(7), Uid(3)), "Work_Plans.folder7.uid3.eml");
        let long = "\u{e4}".repeat(300);
        let names = [8, 9].map(|container| file_name(&long, ContainerId(container), Uid(u32::MAX)));
        assert!(names[0] != names[1] && names.iter().all(|name| name.len() <= 255), "{names:?}");
        assert!(!file_name("../x", ContainerId(1), Uid(1)).contains('/'));
    }
}
