//! Routing tables as files that Postfix reads (postmap(1)), beside those of administrators.
//!
//! All files are made in a folder of their own beside the final ones and then renamed, so that Postfix reads either the
//! old table or the new one. A file that is not ours is never overwritten: then nothing is written at all.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use sterna_base::atomic_file;

use super::client::CliError;

/// The tables that a node has, by the names of `sterna_protocols::postfix::MailTable`.
pub const TABLES: [&str; 6] =
    ["virtual-domains", "virtual-mailboxes", "virtual-aliases", "transport", "sender-logins", "closed-groups"];

/// The table of a relay in front, which has the same rows as that of mailboxes.
const RELAY_RECIPIENTS: &str = "relay-recipients";

/// Addresses that stand for senders elsewhere (SRS): they are in no list.
const REVERSE_PATHS: &str = "reverse-paths.regexp";

/// The first line of every file of ours.
const MARK: &str = "# Made by sterna mail maintenance run. What is changed here is lost at the next run.";

/// The second: where one's own rows go.
const ADVICE: &str = "# Rows of your own belong into another file, which main.cf names before this one.";

/// The begin of the name of the folder where files are made.
const MAKING: &str = ".sterna-";

/// The permissions of files and folders: Postfix reads them as its own user.
const FILE_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;

/// One table.
pub struct Table {
    /// Its name, which the file has too.
    pub name: &'static str,
    /// Keys and values.
    pub rows: Vec<(String, String)>,
}

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    /// The files.
    pub files: Vec<String>,
    /// Keys that a file can't have.
    pub left_out: BTreeSet<String>,
}

/// Writes all tables into the folder, which is made if need be.
///
/// # Errors
/// When a file there is not ours, postmap fails, or the file system does; what was there before is there still.
pub fn write(folder: &Path, tables: &[Table], postmap: bool) -> Result<Written, CliError> {
    let failed = |what: &str, path: &Path| {
        let what = format!("{what} {}", path.display());
        move |source| CliError::Io { what, source }
    };
    fs::create_dir_all(folder).map_err(failed("this folder can't be made:", folder))?;
    let mut written = Written::default();
    let mut texts: Vec<(&str, String)> =
        tables.iter().map(|table| (table.name, text(&table.rows, &mut written.left_out))).collect();
    let rows = |name: &str| tables.iter().find(|table| table.name == name).map_or(&[][..], |table| &table.rows[..]);
    texts.push((RELAY_RECIPIENTS, text(rows("virtual-mailboxes"), &mut written.left_out)));
    let domains: Vec<&str> = rows("virtual-domains").iter().map(|(name, _)| &**name).collect();
    let making = Making::in_folder(folder).map_err(failed("no files can be made in", folder))?;
    for (name, text) in &texts {
        making.put(name, text).map_err(failed("this can't be written:", &making.0.join(name)))?;
        if postmap {
            making.postmap(name)?;
        }
    }
    making.put(REVERSE_PATHS, &reverse_paths(&domains)).map_err(failed("no files can be made in", folder))?;
    let made = making.files().map_err(failed("this can't be read:", &making.0))?;
    for name in &made {
        is_ours(folder, name)?;
    }
    for name in made {
        let path = folder.join(&name);
        fs::rename(making.0.join(&name), &path).map_err(failed("this can't be written:", &path))?;
        written.files.push(path.display().to_string());
    }
    atomic_file::sync_folder(folder).map_err(failed("this folder can't be written:", folder))?;
    Ok(written)
}

/// Refuses to replace what somebody else made: a table without our first line, or a database without a table of ours.
fn is_ours(folder: &Path, name: &str) -> Result<(), CliError> {
    let path = folder.join(name);
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(CliError::Io { what: format!("{} can't be looked at", path.display()), source }),
        Ok(metadata) if metadata.is_file() && has_mark(&source_of(folder, name)) => return Ok(()),
        Ok(_) => {}
    }
    let path = path.display();
    Err(CliError::Usage(format!(
        "{path} was not made by this command, and nothing was written: move it away, or name another folder"
    )))
}

/// The table that a database was made of; a table is its own.
fn source_of(folder: &Path, name: &str) -> PathBuf {
    let all = TABLES.into_iter().chain([RELAY_RECIPIENTS]);
    let of = all.into_iter().find(|table| name.strip_prefix(table).is_some_and(|rest| rest.starts_with('.')));
    folder.join(of.unwrap_or(name))
}

fn has_mark(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut line = String::new();
    BufReader::new(file).read_line(&mut line).is_ok() && line.trim_end() == MARK
}

/// Rows as postmap(1) reads them.
fn text(rows: &[(String, String)], left_out: &mut BTreeSet<String>) -> String {
    let mut text = format!("{MARK}\n{ADVICE}\n");
    for (key, value) in rows {
        // A line that begins so is a comment; blanks would end the key.
        if key.starts_with('#') || key.contains(char::is_whitespace) {
            left_out.insert(key.clone());
            continue;
        }
        text.push_str(&format!("{key}\t{value}\n"));
    }
    text
}

/// A pattern for rewritten reverse-paths under our domains (regexp_table(5)).
fn reverse_paths(domains: &[&str]) -> String {
    let mut text = format!("{MARK}\n{ADVICE}\n");
    for domain in domains {
        text.push_str(&format!("/^srs0[-+=].+@{}$/\tOK\n", domain.replace('.', "\\.")));
    }
    text
}

/// The folder where files are made; gone when it is dropped.
struct Making(PathBuf);

impl Making {
    fn in_folder(folder: &Path) -> io::Result<Self> {
        let number = u64::from_le_bytes(sterna_base::ids::random_bytes());
        let path = folder.join(format!("{MAKING}{number:016x}"));
        fs::create_dir(&path)?;
        let making = Making(path);
        fs::set_permissions(&making.0, fs::Permissions::from_mode(FOLDER_MODE))?;
        Ok(making)
    }

    fn put(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.0.join(name);
        let mut file = File::options().write(true).create_new(true).mode(FILE_MODE).open(path)?;
        file.set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// Makes the database that Postfix's `default_database_type` says.
    fn postmap(&self, name: &str) -> Result<(), CliError> {
        let path = self.0.join(name);
        let output = match Command::new("postmap").arg(&path).output() {
            Ok(output) => output,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(CliError::Usage(
                    "postmap is not here: install Postfix, or use the files as texthash tables (--no-postmap)"
                        .to_owned(),
                ));
            }
            Err(source) => return Err(CliError::Io { what: "postmap can't be run".to_owned(), source }),
        };
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(CliError::Io { what: format!("postmap {}", path.display()), source: io::Error::other(said) })
    }

    /// What is there: databases first, so that no table is newer than its own.
    fn files(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_by_key(|name| (!name.contains('.'), name.clone()));
        Ok(names)
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            super::output::note(&format!("{} could not be removed: {error}\n", self.0.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Vec<Table> {
        let rows =
            |rows: &[(&str, &str)]| rows.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        vec![
            Table { name: "virtual-domains", rows: rows(&[("tern.test", "OK")]) },
            Table { name: "virtual-mailboxes", rows: rows(&[("#odd@tern.test", "OK"), ("ana@tern.test", "OK")]) },
        ]
    }

    #[test]
    fn files_of_ours_are_replaced_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let written = write(folder.path(), &tables(), false).unwrap();
        assert_eq!(written.files.len(), 4);
        assert!(written.left_out.contains("#odd@tern.test"));
        assert!(fs::read_to_string(at("relay-recipients")).unwrap().ends_with("\nana@tern.test\tOK\n"));
        assert!(fs::read_to_string(at(REVERSE_PATHS)).unwrap().contains("/^srs0[-+=].+@tern\\.test$/\tOK\n"));
        write(folder.path(), &tables(), false).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "nothing is left behind");

        fs::write(at("virtual-mailboxes"), "eve@tern.test OK\n").unwrap();
        fs::remove_file(at("virtual-domains")).unwrap();
        let refused = write(folder.path(), &tables(), false).unwrap_err().to_string();
        assert!(refused.contains("virtual-mailboxes was not made by this command"), "{refused}");
        assert!(!at("virtual-domains").exists(), "nothing is written then");
        assert_eq!(fs::read_to_string(at("virtual-mailboxes")).unwrap(), "eve@tern.test OK\n");
        fs::remove_file(at("virtual-mailboxes")).unwrap();
        std::os::unix::fs::symlink("/dev/null", at("virtual-mailboxes")).unwrap();
        assert!(write(folder.path(), &tables(), false).is_err(), "nor through a link");
    }

    #[test]
    fn a_database_belongs_to_its_table() {
        let folder = Path::new("/x");
        assert_eq!(source_of(folder, "transport.db"), folder.join("transport"));
        assert_eq!(source_of(folder, "virtual-mailboxes.lmdb"), folder.join("virtual-mailboxes"));
        assert_eq!(source_of(folder, REVERSE_PATHS), folder.join(REVERSE_PATHS));
    }
}
