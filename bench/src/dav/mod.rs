//! `cargo xtask bench dav`: calendars and address books, against Debian's Radicale and Cyrus.

mod busy;
pub mod client;
mod objects;
mod radicale;
mod work;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::peers::cyrus::Cyrus;
use crate::peers::sterna::{Layout, Sterna};
use crate::report::Report;
use radicale::Radicale;

/// What the command line asked for.
pub struct Options {
    /// How often each measurement is repeated; the median counts.
    pub rounds: usize,
    /// Events of the large calendar.
    pub events: u32,
    /// Cards of the large address book.
    pub cards: u32,
    /// Only the works whose name contains this.
    pub only: Option<String>,
    /// Only the servers of these names.
    pub servers: Vec<String>,
}

/// A server of calendars and address books.
pub trait DavServer {
    /// Where it speaks HTTP.
    fn http(&self) -> SocketAddr;
    /// Login and password of a user.
    fn login(&self, user: u32) -> (String, String);
    /// The path of a user's calendar, with a slash at its end.
    fn calendar(&self, user: u32) -> String;
    /// The path of a user's address book, with a slash at its end.
    fn book(&self, user: u32) -> String;
    /// The path of a user's scheduling outbox; `None` where nobody can ask who is busy.
    fn outbox(&self, user: u32) -> Option<String>;
    /// A user's address.
    fn address(&self, user: u32) -> String;
    /// Makes both, where they are not there by themselves.
    fn prepare(&self, _user: u32) -> Result<()> {
        Ok(())
    }
    /// Whether a collection can be written whole, with one PUT. Radicale takes minutes for thousands of single ones.
    fn takes_whole_collections(&self) -> bool {
        false
    }
    /// Stops and starts it; with `lazy_writes` it runs with flushes switched off, which only filling may use.
    fn restart(&mut self, lazy_writes: bool) -> Result<()>;
    /// Stops it.
    fn stop(&mut self) -> Result<()>;
}

/// The options when these are arguments of this benchmark:
/// `dav [--rounds N] [--events N] [--cards N] [--only WORK] [--servers a,b]`.
pub fn arguments(arguments: &[String]) -> Result<Option<Options>> {
    let Some(("dav", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
        return Ok(None);
    };
    let servers = ["radicale", "cyrus", "sterna", "sterna-two", "sterna-three"].map(String::from).to_vec();
    let mut options = Options { rounds: 5, events: 10_000, cards: 50_000, only: None, servers };
    let mut rest = rest.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().with_context(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--rounds" => options.rounds = value.parse()?,
            "--events" => options.events = value.parse()?,
            "--cards" => options.cards = value.parse()?,
            "--only" => options.only = Some(value.clone()),
            "--servers" => options.servers = value.split(',').map(String::from).collect(),
            _ => bail!(
                "unknown argument {argument}: dav [--rounds N] [--events N] [--cards N] [--only WORK] [--servers a,b]"
            ),
        }
    }
    Ok(Some(options))
}

/// Runs the works that the options ask for.
pub fn run(folder: &Path, options: &Options) -> Result<()> {
    let mut report = Report::of(&[
        ("sterna", "sterna"),
        ("sterna-two", "sterna, two nodes"),
        ("sterna-three", "sterna, two data servers"),
        ("radicale", "radicale"),
        ("cyrus", "cyrus"),
    ]);
    for name in &options.servers {
        crate::eprint_progress(&format!("{name}: starting"));
        crate::peers::set_apart(folder)?;
        let mut server = start(name, &folder.join(name)).with_context(|| format!("starting {name}"))?;
        work::run(name, server.as_mut(), options, &mut report).with_context(|| format!("measuring {name}"))?;
        server.stop()?;
    }
    report.print();
    Ok(())
}

fn start(name: &str, folder: &Path) -> Result<Box<dyn DavServer>> {
    Ok(match name {
        "radicale" => Box::new(Radicale::start(folder)?),
        "cyrus" => Box::new(Cyrus::start_with_dav(folder)?),
        "sterna" => Box::new(Sterna::start(folder, Layout::OneNode)?),
        "sterna-two" => Box::new(Sterna::start(folder, Layout::TwoNodes)?),
        "sterna-three" => Box::new(Sterna::start(folder, Layout::Spread)?),
        _ => bail!("no server is called {name}: sterna, sterna-two, sterna-three, radicale, cyrus"),
    })
}
