//! `cargo xtask bench migrate`: a change of the machine, by the procedure that administrators of Cyrus and PostgreSQL
//! know (rsync while it runs, stop, rsync again, dump and restore, start) and by Sterna's own, with as much of the same
//! data on the same disk.

mod ours;
mod probe;
mod procedure;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::moves::copy::MESSAGE_BYTES;
use crate::peers::Server;

/// Bytes of a calendar object: a long description, as forwarded invitations have.
const OBJECT_BYTES: u32 = 20_000;
/// Of so many messages one comes between the hot and the cold synchronisation.
const CHANGED_OF: u32 = 100;

/// What the command line asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Users.
    pub users: u32,
    /// Messages of all of them.
    pub messages: u32,
    /// Calendar data of all of them, in megabytes.
    pub groupware_megabytes: u32,
    /// Only the part of this name: `procedure`, `sterna`.
    pub only: Option<String>,
}

impl Options {
    /// Calendar objects of all.
    pub fn objects(&self) -> u32 {
        self.groupware_megabytes * 1_000_000 / OBJECT_BYTES
    }

    /// Messages that come between the hot and the cold synchronisation.
    pub fn changes(&self) -> u32 {
        (self.messages / CHANGED_OF).max(self.users)
    }
}

/// What a way of changing the machine took, in seconds.
pub struct Took {
    /// The copy while everything runs.
    pub hot: f64,
    /// For how long a user could do nothing.
    pub outage: f64,
}

/// The options when these are arguments of this benchmark:
/// `migrate [--users N] [--messages N] [--groupware-megabytes N] [--only procedure|sterna]`.
pub fn arguments(arguments: &[String]) -> Result<Option<Options>> {
    let Some(("migrate", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
        return Ok(None);
    };
    let mut options = Options { users: 400, messages: 200_000, groupware_megabytes: 1024, only: None };
    let mut rest = rest.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().with_context(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--users" => options.users = value.parse()?,
            "--messages" => options.messages = value.parse()?,
            "--groupware-megabytes" => options.groupware_megabytes = value.parse()?,
            "--only" => options.only = Some(value.clone()),
            _ => bail!("unknown argument {argument}: --users, --messages, --groupware-megabytes N, --only PART"),
        }
    }
    Ok(Some(options))
}

/// Runs the parts that the options ask for.
pub fn run(folder: &Path, options: &Options) -> Result<()> {
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| name == only);
    let (messages, objects) = (options.messages, options.objects());
    let bytes = f64::from(messages) * MESSAGE_BYTES as f64 + f64::from(objects) * f64::from(OBJECT_BYTES);
    println!("{} users, {messages} messages, {objects} calendar objects: {:.0} MB", options.users, bytes / 1e6);
    let theirs = wanted("procedure").then(|| procedure::run(&folder.join("procedure"), options)).transpose()?;
    if !wanted("sterna") {
        return Ok(());
    }
    let quarter = Options { messages: messages / 4, ..options.clone() };
    let (small, _) = ours::run(&folder.join("sterna-quarter"), &quarter, options.changes())?;
    let (large, took) = ours::run(&folder.join("sterna"), options, options.changes())?;
    println!("\nmedian window with four times the messages: {:.2} of that with a quarter (goal 1.1)", large / small);
    if let Some(theirs) = theirs {
        println!("hot sync, theirs : ours               {:>8.2} (goal 1)", theirs.hot / took.hot);
        println!("outage, theirs : ours (rolling, p99)  {:>8.0} (goal 20)", theirs.outage / took.outage);
    }
    Ok(())
}

fn addresses(server: &dyn Server, users: u32) -> Vec<String> {
    (0..users).map(|user| server.address(user)).collect()
}
