//! The files of a node's folder, each accounted for; and those that the successor of a main node fetches.
//!
//! What is in the directory or in an account goes over with them. The rest is what only the main node has (its
//! authority, tokens, who is signed in, what administrators did) and what an edge is known by (its certificate, what it
//! remembers of mail and of those who bring it). The offer is a snapshot: SQLite writes it whole and consistent while
//! the node works.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sterna_base::{BlobHash, NodeId, atomic_file, failpoint};
use sterna_cluster::ControlClient;
use sterna_cluster::migration::calls::{FILE_BYTES_MAX, FILES_MAX, Fetched, Offer, OfferedFile, PART_BYTES, PartQuery};
use sterna_directory::LEFT_BEHIND_MAX;

use crate::config::{ClientCertificates, Config, PlaintextLogin, Tls};

/// Where a migration keeps its files, in a node's folder.
const FOLDER: &str = "migration";
/// Below it: what was fetched, and what it is for.
const INCOMING: &str = "migration/incoming";
/// Below it: what is offered.
const OUTGOING: &str = "migration/outgoing";
/// Says what was fetched; it is written when all of it is there.
const OFFER_FILE: &str = "offer.json";
/// Where certificates and keys come that lie outside of the old node's folder.
const BROUGHT: &str = "brought";
/// There: what the former main node's configuration said.
const CONFIG_FILE: &str = "config.toml";

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its content goes over as rows of the directory or as copies of accounts.
    Follows,
    /// It is fetched by the next main node.
    Travels,
    /// It is worked off where it is: the old machine is let go only when nothing waits in it any more.
    WorkedOff,
    /// It says who this machine is, or what it does just now, or is made again by itself.
    Own,
}

/// Whole files, and those that SQLite keeps with their logs.
const FATES: [(&str, Fate); 38] = [
    ("accounts", Fate::Follows),
    ("directory.sqlite", Fate::Follows),
    ("cluster/authority.pem", Fate::Travels),
    ("cluster/tokens.json", Fate::Travels),
    ("administration.sqlite", Fate::Travels),
    ("signing.secret", Fate::Travels),
    ("client-tls.crt", Fate::Travels),
    ("client-tls.key", Fate::Travels),
    ("setup.toml", Fate::Travels),
    ("mail-routing", Fate::Travels),
    ("health-report", Fate::Travels),
    ("greylist.sqlite", Fate::Travels),
    ("sources.sqlite", Fate::Travels),
    ("cyrus.sqlite", Fate::Travels),
    ("trace/trace.sqlite", Fate::Travels),
    ("brought", Fate::Travels),
    ("queue", Fate::WorkedOff),
    ("repeats", Fate::WorkedOff),
    ("learning.sqlite", Fate::WorkedOff),
    ("reports.sqlite", Fate::WorkedOff),
    ("cluster/node.json", Fate::Own),
    ("cluster/node.pem", Fate::Own),
    ("cluster/ca.pem", Fate::Own),
    ("cluster/announced", Fate::Own),
    ("cluster/joining.json", Fate::Own),
    ("sterna.toml", Fate::Own),
    ("mta-sts", Fate::Own),
    ("spool", Fate::Own),
    ("graphs.json", Fate::Own),
    ("distribution", Fate::Own),
    ("update-trial", Fate::Own),
    ("migration", Fate::Own),
    ("rehearsal", Fate::Own),
    ("version", Fate::Own),
    ("version.trial", Fate::Own),
    ("version.tried", Fate::Own),
    ("version.failed", Fate::Own),
    ("version.plan", Fate::Own),
];

/// What becomes of this file; `None` when nobody knows it: it is the administrator's, or was forgotten here.
pub fn fate(name: &str) -> Option<Fate> {
    let base = name.strip_suffix("-wal").or_else(|| name.strip_suffix("-shm")).unwrap_or(name);
    let found = FATES
        .iter()
        .find(|(known, _)| base == *known || base.strip_prefix(known).is_some_and(|rest| rest.starts_with('/')));
    found.map(|(_, fate)| *fate)
}

/// Files in a node's folder that nobody knows, by their path there; hidden ones and sockets don't count. Blocking.
///
/// # Errors
/// When the folder can't be read.
pub fn unknown(folder: &Path) -> io::Result<Vec<String>> {
    let (mut found, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(&at)? {
            let entry = entry?;
            let path = entry.path();
            let Ok(inside) = path.strip_prefix(folder) else { continue };
            let name = inside.to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            match fate(&name) {
                Some(_) => {}
                None if name.starts_with('.') || name == "lost+found" => {}
                None if kind.is_dir() => left.push(path),
                None if kind.is_file() => found.push(name),
                None => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What the successor's configuration has to say as this one does: what clients and other servers see.
#[derive(Debug, Serialize, Deserialize)]
struct Inherited {
    hostname: String,
    plaintext_login: PlaintextLogin,
    #[serde(default)]
    has_tls: bool,
    #[serde(default)]
    has_client_ca: bool,
    #[serde(default)]
    has_client_crl: bool,
}

/// Makes a snapshot of what is offered. Blocking.
///
/// # Errors
/// When something can't be read, or the snapshot can't be written.
pub fn offer(folder: &Path, config: &Config) -> Result<Offer> {
    let outgoing = folder.join(OUTGOING);
    if outgoing.exists() {
        fs::remove_dir_all(&outgoing).with_context(|| outgoing.display().to_string())?;
    }
    make_folder(&outgoing)?;
    let mut files = Vec::new();
    for (name, _) in FATES.iter().filter(|(_, fate)| *fate == Fate::Travels) {
        let path = folder.join(name);
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => {
                for entry in fs::read_dir(&path).with_context(|| path.display().to_string())? {
                    let inner = format!("{name}/{}", entry?.file_name().to_string_lossy());
                    if inner == format!("{BROUGHT}/{CONFIG_FILE}") {
                        continue;
                    }
                    files.push(snapshot(&folder.join(&inner), &outgoing, &inner)?);
                }
            }
            Ok(_) => files.push(snapshot(&path, &outgoing, name)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
    let mut bring = |path: Option<&PathBuf>, name: &str| -> Result<bool> {
        let Some(path) = path else { return Ok(false) };
        let name = format!("{BROUGHT}/{name}");
        files.retain(|file: &OfferedFile| file.name != name);
        files.push(snapshot(path, &outgoing, &name)?);
        Ok(true)
    };
    let (tls, clients) = (config.tls.as_ref(), config.client_certificates.as_ref());
    let has_tls = bring(tls.map(|tls| &tls.certificate), "tls.crt")? && bring(tls.map(|tls| &tls.key), "tls.key")?;
    let has_client_ca = bring(clients.map(|clients| &clients.ca), "client-ca.pem")?;
    let has_client_crl = bring(clients.and_then(|clients| clients.crl.as_ref()), "client-crl.pem")?;
    let (hostname, plaintext_login) = (config.hostname().to_owned(), config.plaintext_login);
    let inherited = Inherited { hostname, plaintext_login, has_tls, has_client_ca, has_client_crl };
    let mut left_behind = unknown(folder).with_context(|| folder.display().to_string())?;
    left_behind.truncate(LEFT_BEHIND_MAX);
    Ok(Offer { files, config: toml::to_string(&inherited)?, left_behind })
}

/// A copy of a file as it is now, below `outgoing`.
fn snapshot(path: &Path, outgoing: &Path, name: &str) -> Result<OfferedFile> {
    let target = outgoing.join(name);
    if let Some(parent) = target.parent() {
        make_folder(parent)?;
    }
    let at = || path.display().to_string();
    if path.extension().is_some_and(|extension| extension == "sqlite") {
        let conn = rusqlite::Connection::open(path).with_context(at)?;
        conn.busy_timeout(std::time::Duration::from_secs(5)).with_context(at)?;
        conn.execute("VACUUM INTO ?1", [target.to_string_lossy()]).with_context(at)?;
    } else {
        fs::copy(path, &target).with_context(at)?;
    }
    let mode = fs::metadata(path).with_context(at)?.permissions().mode() & 0o777;
    // What is offered has keys in it, whatever the original allows.
    fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).with_context(at)?;
    let (bytes, hash) = measure(&target)?;
    Ok(OfferedFile { name: name.to_owned(), bytes, hash, mode })
}

fn measure(path: &Path) -> Result<(u64, BlobHash)> {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let bytes = io::copy(&mut file, &mut hasher).with_context(|| path.display().to_string())?;
    Ok((bytes, BlobHash(*hasher.finalize().as_bytes())))
}

/// A part of a file that was offered last. Blocking.
///
/// # Errors
/// When there is no such file.
pub fn part(folder: &Path, query: &PartQuery) -> Result<Vec<u8>> {
    let path = folder.join(OUTGOING).join(inside(&query.name)?);
    let mut file = File::open(&path).with_context(|| path.display().to_string())?;
    file.seek(SeekFrom::Start(query.offset))?;
    let mut bytes = Vec::new();
    file.take(PART_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The name as a path that leads nowhere else.
fn inside(name: &str) -> Result<&Path> {
    let path = Path::new(name);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    ensure!(is_plain && !name.is_empty() && fate(name) == Some(Fate::Travels), "{name:?} is not offered");
    Ok(path)
}

/// Fetches what another machine offers, and is ready to use it when this is the main node. What is there already,
/// whole, is not fetched again.
///
/// # Errors
/// When the other one can't be asked, or what came is not what it offered.
pub async fn fetch(folder: &Path, from: NodeId, control: &ControlClient) -> Result<Fetched> {
    let offer = control.offer(from).await.context("what only the other machine has could not be asked for")?;
    ensure!(offer.files.len() <= FILES_MAX, "the other machine offers more than {FILES_MAX} files");
    let incoming = folder.join(INCOMING);
    make_folder(&incoming)?;
    // Until all of it is there, none of it is used.
    let told = incoming.join(OFFER_FILE);
    remove(&told)?;
    let mut bytes = 0;
    for file in &offer.files {
        ensure!(file.bytes <= FILE_BYTES_MAX, "{} is too long to be fetched", file.name);
        let path = incoming.join(inside(&file.name)?);
        bytes += file.bytes;
        let known = path.clone();
        let is_there = tokio::task::spawn_blocking(move || known.exists().then(|| measure(&known))).await?;
        if is_there.is_some_and(|found| found.is_ok_and(|found| found == (file.bytes, file.hash))) {
            continue;
        }
        fetch_one(&path, file, from, control).await?;
        failpoint::reached("migration-fetched-one");
    }
    atomic_file::write(&told, &serde_json::to_vec(&offer)?, 0o600).context(OFFER_FILE)?;
    Ok(Fetched { files: offer.files.len() as u64, bytes, left_behind: offer.left_behind })
}

async fn fetch_one(path: &Path, file: &OfferedFile, from: NodeId, control: &ControlClient) -> Result<()> {
    if let Some(parent) = path.parent() {
        make_folder(parent)?;
    }
    let half = path.with_extension("half");
    let mut options = fs::OpenOptions::new();
    let mut written =
        options.write(true).create(true).truncate(true).mode(0o600).open(&half).context("what is fetched")?;
    let mut offset = 0;
    while offset < file.bytes {
        let part = control.offered(from, &PartQuery { name: file.name.clone(), offset }).await?;
        ensure!(!part.is_empty() && part.len() as u64 <= PART_BYTES, "{} came in pieces of no use", file.name);
        written.write_all(&part)?;
        offset += part.len() as u64;
    }
    let (path, half, expected) = (path.to_owned(), half, (file.bytes, file.hash));
    let kept = tokio::task::spawn_blocking(move || {
        written.sync_all()?;
        drop(written);
        if measure(&half)? != expected {
            bail!("{} changed while it was fetched", path.display());
        }
        fs::rename(&half, &path)?;
        Ok(())
    });
    kept.await?
}

/// Puts what was fetched in its place, now that this node is the main one. Done again after a crash, it does the rest.
/// Says whether there was anything. Blocking.
///
/// # Errors
/// When something can't be written.
pub fn install(folder: &Path) -> Result<bool> {
    let incoming = folder.join(INCOMING);
    let told = incoming.join(OFFER_FILE);
    let text = match fs::read(&told) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(|| told.display().to_string()),
    };
    let offer: Offer = serde_json::from_slice(&text).with_context(|| told.display().to_string())?;
    for file in &offer.files {
        put(&incoming.join(inside(&file.name)?), &folder.join(&file.name), file)?;
        failpoint::reached("migration-installed-one");
    }
    make_folder(&folder.join(BROUGHT))?;
    let config = folder.join(BROUGHT).join(CONFIG_FILE);
    atomic_file::write(&config, offer.config.as_bytes(), 0o600).with_context(|| config.display().to_string())?;
    remove(&told)?;
    fs::remove_dir_all(folder.join(FOLDER)).context("what was fetched")?;
    Ok(true)
}

/// Lets the configuration say what the former main node's said, where `sterna.toml` is silent: that file is the
/// administrator's, and wins. Blocking.
///
/// # Errors
/// When what was brought can't be read.
pub fn inherit(folder: &Path, config: &mut Config) -> Result<()> {
    let brought = |name: &str| folder.join(BROUGHT).join(name);
    let text = match fs::read_to_string(brought(CONFIG_FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| brought(CONFIG_FILE).display().to_string()),
    };
    let inherited: Inherited = toml::from_str(&text).with_context(|| brought(CONFIG_FILE).display().to_string())?;
    config.hostname.get_or_insert(inherited.hostname);
    if config.plaintext_login == PlaintextLogin::Never {
        config.plaintext_login = inherited.plaintext_login;
    }
    if inherited.has_tls {
        let files = || Tls { certificate: brought("tls.crt"), key: brought("tls.key") };
        config.tls.get_or_insert_with(files);
    }
    if inherited.has_client_ca {
        let crl = inherited.has_client_crl.then(|| brought("client-crl.pem"));
        config.client_certificates.get_or_insert_with(|| ClientCertificates { ca: brought("client-ca.pem"), crl });
    }
    Ok(())
}

/// One file in its place, whole or not at all. The logs of a database that was there are not those of the new one.
fn put(from: &Path, to: &Path, file: &OfferedFile) -> Result<()> {
    let at = || to.display().to_string();
    if let Some(parent) = to.parent() {
        make_folder(parent)?;
    }
    let half = to.with_extension("half");
    fs::copy(from, &half).with_context(at)?;
    fs::set_permissions(&half, fs::Permissions::from_mode(file.mode)).with_context(at)?;
    File::open(&half).and_then(|half| half.sync_all()).with_context(at)?;
    for end in ["-wal", "-shm"] {
        let mut log = to.as_os_str().to_owned();
        log.push(end);
        remove(Path::new(&log))?;
    }
    fs::rename(&half, to).with_context(at)?;
    if let Some(parent) = to.parent() {
        File::open(parent).and_then(|parent| parent.sync_all()).with_context(at)?;
    }
    Ok(())
}

fn make_folder(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| folder.display().to_string())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_with_their_logs_and_what_is_below_them() {
        assert_eq!(fate("administration.sqlite-wal"), Some(Fate::Travels));
        assert_eq!((fate("health-report"), fate("version.plan")), (Some(Fate::Travels), Some(Fate::Own)));
        assert_eq!(fate("queue/contents/1/2"), Some(Fate::WorkedOff));
        assert_eq!(fate("accounts/0000/x.sqlite-shm"), Some(Fate::Follows));
        assert_eq!((fate("queues"), fate("cluster/strange"), fate("notes.txt")), (None, None, None));
    }

    #[test]
    fn only_what_is_offered_can_be_asked_for() {
        for name in ["../etc/passwd", "/etc/passwd", "cluster/node.pem", "brought/../../x", "", "accounts/1"] {
            assert!(inside(name).is_err(), "{name}");
        }
        assert!(inside("cluster/authority.pem").is_ok() && inside("brought/tls.key").is_ok());
    }

    #[test]
    fn what_was_offered_is_what_is_installed() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(old.path().join("cluster")).unwrap();
        fs::write(old.path().join("cluster/authority.pem"), "the key").unwrap();
        let records = rusqlite::Connection::open(old.path().join("administration.sqlite")).unwrap();
        records.pragma_update(None, "journal_mode", "WAL").unwrap();
        records.execute_batch("CREATE TABLE audit (line TEXT); INSERT INTO audit VALUES ('done')").unwrap();
        let mut config: Config = toml::from_str(
            "name = \"old\"\nroles = [\"main\"]\n[cluster]\nlisten = \"127.0.0.1:1\"\naddress = \"old:1\"\n",
        )
        .unwrap();
        config.hostname = Some("mail.example.org".to_owned());
        let offer = offer(old.path(), &config).unwrap();
        let names: Vec<_> = offer.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["cluster/authority.pem", "administration.sqlite"]);
        let incoming = new.path().join(INCOMING);
        for file in &offer.files {
            make_folder(incoming.join(&file.name).parent().unwrap()).unwrap();
            let query = PartQuery { name: file.name.clone(), offset: 0 };
            fs::write(incoming.join(&file.name), part(old.path(), &query).unwrap()).unwrap();
        }
        let mut other = Config { name: "new".into(), hostname: None, ..config };
        assert!(!install(new.path()).unwrap(), "nothing is used before all is there");
        fs::write(incoming.join(OFFER_FILE), serde_json::to_vec(&offer).unwrap()).unwrap();
        assert!(install(new.path()).unwrap());
        inherit(new.path(), &mut other).unwrap();
        assert_eq!(other.hostname(), "mail.example.org");
        assert_eq!(fs::read_to_string(new.path().join("cluster/authority.pem")).unwrap(), "the key");
        let records = rusqlite::Connection::open(new.path().join("administration.sqlite")).unwrap();
        let line: String = records.query_row("SELECT line FROM audit", [], |row| row.get(0)).unwrap();
        assert_eq!(line, "done");
        assert!(!new.path().join(FOLDER).exists() && !install(new.path()).unwrap());
    }
}
