//! Archives out of folders: one that was written here, or the Maildir of another server. They are sent file by file, a
//! folder's messages in the order of their UIDs. Blocks.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::read::GzDecoder;

use super::manifest::{FORMAT, Folder, Manifest};
use super::{CALENDARS, CONTACTS, FILES, MAIL, MANIFEST, SCRIPTS, SUMMARY, maildir};

/// How deep folders may lie in folders.
const DEPTH_MAX: usize = 64;

/// Longest list of UIDs or keywords, in bytes.
const LIST_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How a file begins that a Maildir server has compressed.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Why a folder was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// A file can't be read, or nobody takes what is sent.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It has no manifest.
    #[error("{0} is no export of an account: it has no manifest.json")]
    NoManifest(PathBuf),
    /// It has no summary: the export broke off.
    #[error("{0} is not a whole export: it has no summary.json")]
    NotWhole(PathBuf),
    /// There is no folder with messages.
    #[error("{0} is no Maildir: neither it nor a folder in it has a folder “cur”")]
    NoMaildir(PathBuf),
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SendError + '_ {
    move |source| SendError::Io { path: path.to_owned(), source }
}

/// Sends an export, as [`super::write`] writes them and tar unpacks them.
///
/// # Errors
/// [`SendError`]
pub fn send_export(dir: &Path, sink: impl Write) -> Result<(), SendError> {
    let manifest = dir.join(MANIFEST);
    if !manifest.is_file() {
        return Err(SendError::NoManifest(dir.to_owned()));
    }
    if !dir.join(SUMMARY).is_file() {
        return Err(SendError::NotWhole(dir.to_owned()));
    }
    let mut tar = tar::Builder::new(sink);
    tar.append_path_with_name(&manifest, MANIFEST).map_err(at(&manifest))?;
    let mail = dir.join(MAIL);
    for folder in maildirs(&mail)? {
        let name = format!("{MAIL}/{}", folder.relative);
        for message in messages(&folder.dir, &HashMap::new())? {
            let target = format!("{}/cur/{}", name.trim_end_matches('/'), message.name);
            tar.append_path_with_name(&message.path, target).map_err(at(&message.path))?;
        }
    }
    for top in [CALENDARS, CONTACTS, FILES, SCRIPTS] {
        send_tree(&mut tar, &dir.join(top), top, 0)?;
    }
    tar.into_inner().and_then(|mut sink| sink.flush()).map_err(at(dir))
}

fn send_tree<W: Write>(tar: &mut tar::Builder<W>, dir: &Path, name: &str, depth: usize) -> Result<(), SendError> {
    if depth > DEPTH_MAX || !dir.is_dir() {
        return Ok(());
    }
    for path in sorted(dir)? {
        let inner = format!("{name}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        let kind = fs::symlink_metadata(&path).map_err(at(&path))?.file_type();
        if kind.is_dir() {
            send_tree(tar, &path, &inner, depth + 1)?;
        } else if kind.is_file() {
            tar.append_path_with_name(&path, inner).map_err(at(&path))?;
        }
    }
    Ok(())
}

fn sorted(dir: &Path) -> Result<Vec<PathBuf>, SendError> {
    let read = fs::read_dir(dir).and_then(|found| found.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>());
    let mut paths: Vec<PathBuf> = read.map_err(at(dir))?;
    paths.sort();
    Ok(paths)
}

/// Sends a Maildir with the folders in it, whether they are called `.Archive.2026` (Maildir++) or lie in each other.
/// UIDs and keywords are those of `dovecot-uidlist` and `dovecot-keywords`, where they are.
///
/// # Errors
/// [`SendError`]
pub fn send_maildir(dir: &Path, sink: impl Write) -> Result<(), SendError> {
    let found = maildirs(dir)?;
    if found.is_empty() {
        return Err(SendError::NoMaildir(dir.to_owned()));
    }
    let mut manifest = Manifest { format: FORMAT, ..Manifest::default() };
    let mut lists = Vec::with_capacity(found.len());
    for (number, folder) in found.iter().enumerate() {
        let list = UidList::read(&folder.dir.join("dovecot-uidlist"))?;
        manifest.folders.push(Folder {
            dir: if folder.path.is_empty() { MAIL.to_owned() } else { format!("{MAIL}/{number}") },
            path: if folder.path.is_empty() { vec!["INBOX".to_owned()] } else { folder.path.clone() },
            uid_validity: list.uid_validity,
            uid_next: list.uid_next,
            keywords: keywords(&folder.dir.join("dovecot-keywords"))?,
            ..Folder::default()
        });
        lists.push(list);
    }
    let mut tar = tar::Builder::new(sink);
    let text = serde_json::to_vec(&manifest).map_err(io::Error::from).map_err(at(dir))?;
    append(&mut tar, MANIFEST, &text, 0).map_err(at(dir))?;
    for ((folder, list), known) in found.iter().zip(&lists).zip(&manifest.folders) {
        for message in messages(&folder.dir, &list.uids)? {
            let name = format!("{}/cur/{}", known.dir, message.name);
            send_message(&mut tar, &message.path, &name).map_err(at(&message.path))?;
        }
    }
    tar.into_inner().and_then(|mut sink| sink.flush()).map_err(at(dir))
}

/// A short file of an archive.
pub(super) fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    name: &str,
    content: &[u8],
    changed_at: i64,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(changed_at).unwrap_or(0));
    tar.append_data(&mut header, name, content)
}

/// A message as it goes over: unpacked, and with the line ends of mail. What it will be long comes first, so it is read
/// twice.
fn send_message<W: Write>(tar: &mut tar::Builder<W>, path: &Path, name: &str) -> io::Result<()> {
    let bytes = io::copy(&mut lines_of_mail(path)?, &mut io::sink())?;
    let changed_at = fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(changed_at);
    tar.append_data(&mut header, name, lines_of_mail(path)?.take(bytes))
}

fn lines_of_mail(path: &Path) -> io::Result<Crlf<Box<dyn Read>>> {
    let mut file = File::open(path)?;
    let mut start = [0; GZIP.len()];
    let is_compressed = file.read_exact(&mut start).is_ok() && start == GZIP;
    file.rewind()?;
    Ok(Crlf::new(if is_compressed { Box::new(GzDecoder::new(file)) } else { Box::new(file) }))
}

/// Ends lines with CRLF, as mail does (RFC 5322 section 2.1) and Maildirs don't.
struct Crlf<R> {
    source: BufReader<R>,
    was_cr: bool,
    has_lf: bool,
}

impl<R: Read> Crlf<R> {
    fn new(source: R) -> Self {
        Crlf { source: BufReader::new(source), was_cr: false, has_lf: false }
    }
}

impl<R: Read> Read for Crlf<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(first) = out.first_mut() else { return Ok(0) };
        if std::mem::take(&mut self.has_lf) {
            *first = b'\n';
            return Ok(1);
        }
        let piece = self.source.fill_buf()?;
        let Some(next) = piece.first() else { return Ok(0) };
        if *next == b'\n' {
            (*first, self.has_lf) = if self.was_cr { (b'\n', false) } else { (b'\r', true) };
            self.was_cr = false;
            self.source.consume(1);
            return Ok(1);
        }
        let line = piece.iter().position(|byte| *byte == b'\n').unwrap_or(piece.len()).min(out.len());
        let part = piece.get(..line).unwrap_or_default();
        out.get_mut(..line).unwrap_or_default().copy_from_slice(part);
        self.was_cr = part.last() == Some(&b'\r');
        self.source.consume(line);
        Ok(line)
    }
}

/// A folder of messages on disk.
struct Found {
    dir: PathBuf,
    /// Where it lies below the first one.
    relative: String,
    /// Its name, part by part; empty is the INBOX.
    path: Vec<String>,
}

fn maildirs(top: &Path) -> Result<Vec<Found>, SendError> {
    let (mut found, mut left) = (Vec::new(), vec![(top.to_owned(), String::new(), Vec::new())]);
    while let Some((dir, relative, path)) = left.pop() {
        if !dir.is_dir() {
            continue;
        }
        for inner in sorted(&dir)? {
            let name = inner.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_folder = fs::symlink_metadata(&inner).map_err(at(&inner))?.is_dir();
            if !is_folder || matches!(name.as_str(), "cur" | "new" | "tmp") || path.len() >= DEPTH_MAX {
                continue;
            }
            let mut below: Vec<String> = path.clone();
            below.extend(if name.starts_with('.') { maildir::path_of(&name) } else { vec![name.clone()] });
            let inner_relative = if relative.is_empty() { name } else { format!("{relative}/{name}") };
            left.push((inner, inner_relative, below));
        }
        if dir.join("cur").is_dir() {
            found.push(Found { dir, relative, path });
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// A message on disk, and how its file is called in the archive.
struct OnDisk {
    path: PathBuf,
    uid: Option<u32>,
    name: String,
}

/// The messages of a folder by their UIDs, and those without one last.
fn messages(dir: &Path, uids: &HashMap<String, u32>) -> Result<Vec<OnDisk>, SendError> {
    let mut found = Vec::new();
    for part in ["cur", "new"].map(|part| dir.join(part)) {
        if !part.is_dir() {
            continue;
        }
        for path in sorted(&part)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') || !path.is_file() {
                continue;
            }
            let base = maildir::without_flags(&name);
            let info = name.get(base.len()..).unwrap_or_default();
            let (uid, name) = match (maildir::named(&name, &[]).uid, uids.get(base)) {
                (_, Some(uid)) => (Some(*uid), format!("m,U={uid}{info}")),
                (uid, None) => (uid, name.clone()),
            };
            found.push(OnDisk { path, uid, name });
        }
    }
    found.sort_by_key(|message| (message.uid.is_none(), message.uid));
    Ok(found)
}

/// `dovecot-uidlist`: what messages are called by IMAP.
#[derive(Default)]
struct UidList {
    uid_validity: Option<u32>,
    uid_next: Option<u32>,
    /// By the name of the file without its flags.
    uids: HashMap<String, u32>,
}

impl UidList {
    fn read(path: &Path) -> Result<Self, SendError> {
        let Some(mut lines) = lines(path)? else { return Ok(UidList::default()) };
        let head = lines.next().transpose().map_err(at(path))?.unwrap_or_default();
        let mut list = UidList::default();
        let mut fields = head.split(' ');
        // Version 1 had the two numbers alone.
        match fields.next() {
            Some("3") => {
                for field in fields {
                    match field.split_at_checked(1) {
                        Some(("V", number)) => list.uid_validity = number.parse().ok(),
                        Some(("N", number)) => list.uid_next = number.parse().ok(),
                        _ => {}
                    }
                }
            }
            Some("1") => {
                (list.uid_validity, list.uid_next) =
                    (fields.next().and_then(|n| n.parse().ok()), fields.next().and_then(|n| n.parse().ok()));
            }
            _ => return Ok(list),
        }
        for line in lines {
            let line = line.map_err(at(path))?;
            let Some((uid, rest)) = line.split_once(' ') else { continue };
            let name = rest.split_once(':').map_or(rest, |(_, name)| name);
            if let Ok(uid) = uid.parse() {
                list.uids.insert(maildir::without_flags(name).to_owned(), uid);
            }
        }
        Ok(list)
    }
}

/// `dovecot-keywords`: what letters in file names stand for.
fn keywords(path: &Path) -> Result<Vec<String>, SendError> {
    let mut found = BTreeMap::new();
    for line in lines(path)?.into_iter().flatten() {
        let line = line.map_err(at(path))?;
        if let Some((number, word)) = line.split_once(' ')
            && let Ok(number) = number.parse::<usize>()
            && number < maildir::LETTERS_MAX
        {
            found.insert(number, word.to_owned());
        }
    }
    let count = found.keys().next_back().map_or(0, |last| last + 1);
    Ok((0..count).map(|number| found.remove(&number).unwrap_or_default()).collect())
}

/// The lines of a file; `None` when there is none.
fn lines(path: &Path) -> Result<Option<io::Lines<BufReader<io::Take<File>>>>, SendError> {
    match File::open(path) {
        Ok(file) => Ok(Some(BufReader::new(file.take(LIST_BYTES_MAX)).lines())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_in_mail() {
        for (text, expected) in
            [("a\nb\n", "a\r\nb\r\n"), ("a\r\nb", "a\r\nb"), ("\n\n", "\r\n\r\n"), ("a\rb\n", "a\rb\r\n"), ("", "")]
        {
            for size in [1, 2, 64] {
                let (mut reader, mut read, mut piece) = (Crlf::new(text.as_bytes()), Vec::new(), vec![0; size]);
                loop {
                    let count = reader.read(&mut piece).unwrap();
                    if count == 0 {
                        break;
                    }
                    read.extend_from_slice(&piece[..count]);
                }
                assert_eq!(String::from_utf8(read).unwrap(), expected, "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn uids_and_keywords_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("dovecot-uidlist"), "3 V1700000000 N12 G00\n7 :1.a.host,S=3\n9 W12 S10 :2.b.host:2,S\n").unwrap();
        let list = UidList::read(&at("dovecot-uidlist")).unwrap();
        assert_eq!((list.uid_validity, list.uid_next), (Some(1_700_000_000), Some(12)));
        assert_eq!((list.uids.get("1.a.host,S=3"), list.uids.get("2.b.host")), (Some(&7), Some(&9)));
        fs::write(at("dovecot-keywords"), "0 $Forwarded\n2 work\n77 beyond\n").unwrap();
        assert_eq!(keywords(&at("dovecot-keywords")).unwrap(), ["$Forwarded", "", "work"]);
        assert_eq!(keywords(&at("missing")).unwrap(), [""; 0]);
        for (name, content) in [("cur/1.a.host,S=3:2,Sc", "a\n"), ("new/3.c.host", "c\n"), ("cur/2.b.host:2,", "b\n")] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), content).unwrap();
        }
        let names: Vec<_> = messages(dir.path(), &list.uids).unwrap().into_iter().map(|one| one.name).collect();
        assert_eq!(names, ["m,U=7:2,Sc", "m,U=9:2,", "3.c.host"]);
    }

    #[test]
    fn folders_are_found_however_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["cur", ".Archive.2026/cur", "Nested/Inner/cur", ".Sent/new", "tmp/cur"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let paths: Vec<_> = maildirs(dir.path()).unwrap().into_iter().map(|found| found.path.join("/")).collect();
        assert_eq!(paths, ["", "Archive/2026", "Nested/Inner"]);
        assert!(matches!(send_maildir(&dir.path().join(".Sent"), io::sink()), Err(SendError::NoMaildir(_))));
    }
}
