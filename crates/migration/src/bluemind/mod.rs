//! What BlueMind 4 keeps in its databases, out of their dumps: `bj` with the directory, and one `bj-data` for each data
//! server with what people own.
//!
//! Nothing is brought here. Reading makes a folder that can be looked at and changed:
//!
//! ```text
//! declaration.toml        domains and people, for `sterna apply`
//! accounts/ADDRESS/...    calendars, tasks, address books, scripts and rights, for `sterna import account`
//! report.json             what was read, what was written, and what could not be, and why
//! ```
//!
//! The schema is that of the published source. Columns are looked up by their names, so that a version that has others
//! is read as far as it goes. Mail is not in the databases: it comes by IMAP or from Cyrus.

mod accounts;
mod calendars;
mod cards;
mod declaration;
mod domains;
pub mod dump;
mod element;
mod passwords;
mod people;
mod report;
mod rules;
mod shares;
mod tables;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sterna_base::atomic_file;

pub use declaration::Declaration;
pub use report::{Kind, Report, Tally};
pub use tables::TablesError;

use people::People;
use tables::Tables;

/// The file with domains and people.
pub const DECLARATION: &str = "declaration.toml";

/// The folder with the accounts.
pub const ACCOUNTS: &str = "accounts";

/// The file that says what became of everything: the last one, without which the folder is not whole.
pub const REPORT: &str = "report.json";

/// Files are for the administrator only: there are hashes of passwords among them.
const MODE: u32 = 0o600;

/// Why dumps were not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// One of them.
    #[error("{path}: {source}")]
    Dump {
        /// Which.
        path: PathBuf,
        /// Why.
        source: TablesError,
    },
    /// The tables, once they are read.
    #[error(transparent)]
    Tables(#[from] TablesError),
    /// The folder.
    #[error("{path} can't be written: {source}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What is in it, would be mixed with what is written.
    #[error("{0} is not empty; name a folder that is not there yet")]
    NotEmpty(PathBuf),
}

/// Reads the dump of `bj` and those of `bj-data`, and writes the folder.
///
/// # Errors
/// [`ReadError`]
pub fn read(directory: &Path, data: &[PathBuf], folder: &Path, mut say: impl FnMut(&str)) -> Result<Report, ReadError> {
    if fs::read_dir(folder).is_ok_and(|mut found| found.next().is_some()) {
        return Err(ReadError::NotEmpty(folder.to_owned()));
    }
    let mut load = |path: &Path, table, database| {
        say(&format!("reading {}\n", path.display()));
        let tables = Tables::read(path).and_then(|tables| tables.require(table, database).map(|()| tables));
        tables.map_err(|source| ReadError::Dump { path: path.to_owned(), source })
    };
    let directory = load(directory, "t_directory_entry", "bj")?;
    let data: Vec<Tables> = data.iter().map(|path| load(path, "t_container", "bj-data")).collect::<Result<_, _>>()?;
    let mut report = Report::default();
    let (people, declaration) = People::read(&directory, &data, &mut report)?;
    fs::create_dir_all(folder).map_err(cant_write(folder))?;
    let text = toml::to_string_pretty(&declaration).map_err(io::Error::other);
    put(&folder.join(DECLARATION), text.map_err(cant_write(folder))?.as_bytes())?;
    say("writing the accounts\n");
    accounts::write(&directory, &data, &people, &folder.join(ACCOUNTS), &mut report)?;
    settings(&directory, &mut report)?;
    put_json(&folder.join(REPORT), &report)?;
    Ok(report)
}

/// What has no place here is named, so that nobody misses it later.
fn settings(directory: &Tables, report: &mut Report) -> Result<(), TablesError> {
    let identities = directory.count("t_mailbox_identity")? + directory.count("t_user_mailidentity")?;
    report.none_of(Kind::Identities, identities, "signatures and names of senders are kept by mail programs");
    let users = directory.count("t_settings_user")?;
    report.none_of(Kind::UserSettings, users, "language, time zone and views are chosen in programs and in browsers");
    for row in directory.rows("t_systemconf", "SELECT * FROM t_systemconf", &[])? {
        for (name, value) in row.get("configuration").map(dump::value::hstore).unwrap_or_default() {
            let is_secret = ["password", "secret", "key"].iter().any(|word| name.contains(word));
            let value = if is_secret { "(not shown)" } else { value.as_str() };
            report.left_out(Kind::SystemSettings, format!("{name} = {value}; see “sterna config list”"));
        }
    }
    Ok(())
}

fn cant_write(path: &Path) -> impl FnOnce(io::Error) -> ReadError + '_ {
    move |source| ReadError::Write { path: path.to_owned(), source }
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), ReadError> {
    atomic_file::write(path, bytes, MODE).map_err(cant_write(path))
}

fn put_json(path: &Path, value: &impl serde::Serialize) -> Result<(), ReadError> {
    let text = serde_json::to_vec_pretty(value).map_err(io::Error::from).map_err(cant_write(path))?;
    put(path, &text)
}
