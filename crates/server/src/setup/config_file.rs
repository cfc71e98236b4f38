//! Changes of `sterna.toml` that leave everything else in it as it is, comments too: it is the administrator's file.

use std::fs;
use std::io;
use std::path::Path;

use sterna_base::atomic_file;

use crate::config::{Config, FILE_NAME};

/// Sets the name in greetings.
///
/// # Errors
/// When the file can't be read or written; blocking.
pub fn set_hostname(folder: &Path, hostname: &str) -> io::Result<()> {
    change(folder, |text| with_hostname(text, hostname))
}

/// Sets the files of the certificate for clients, or goes back to the one that the node makes.
///
/// # Errors
/// When the file can't be read or written; blocking.
pub fn set_tls(folder: &Path, files: Option<(&str, &str)>) -> io::Result<()> {
    change(folder, |text| with_tls(text, files))
}

fn change(folder: &Path, change: impl FnOnce(&str) -> String) -> io::Result<()> {
    let path = folder.join(FILE_NAME);
    let before = fs::read_to_string(&path)?;
    let after = change(&before);
    if after == before {
        return Ok(());
    }
    // What can't be read afterwards would keep the node from starting.
    toml::from_str::<Config>(&after).map_err(io::Error::other)?;
    atomic_file::write(&path, after.as_bytes(), 0o640)
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The key of a line of the form `key = value`.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    Some(key.trim()).filter(|key| !key.starts_with('#'))
}

fn with_hostname(text: &str, hostname: &str) -> String {
    let line = format!("hostname = {}", quoted(hostname));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let tables = lines.iter().position(|line| line.trim_start().starts_with('[')).unwrap_or(lines.len());
    match lines[..tables].iter().position(|line| key(line) == Some("hostname")) {
        Some(at) => lines[at] = line,
        None => {
            let after = lines[..tables].iter().position(|line| key(line) == Some("name"));
            lines.insert(after.map_or(tables, |at| at + 1), line);
        }
    }
    lines.join("\n") + "\n"
}

fn with_tls(text: &str, files: Option<(&str, &str)>) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut is_tls = false;
    for line in text.lines() {
        if line.trim_start().starts_with('[') {
            is_tls = line.trim() == "[tls]";
        }
        if !is_tls {
            lines.push(line.to_owned());
        }
    }
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    if let Some((certificate, key)) = files {
        lines.extend([String::new(), "[tls]".to_owned()]);
        lines.push(format!("certificate = {}", quoted(certificate)));
        lines.push(format!("key = {}", quoted(key)));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine\nname = \"mail1\"\nroles = [\"main\"]\n\n[cluster] # others\nlisten = \"0.0.0.0:7700\"\n\
        address = \"mail1:7700\"\n\n[listen]\nimap = \"0.0.0.0:143\"\n";

    #[test]
    fn a_name_is_set_where_it_belongs_and_comments_stay() {
        let once = with_hostname(FILE, "mail.tern.test");
        assert!(once.starts_with("# mine\nname = \"mail1\"\nhostname = \"mail.tern.test\"\nroles"), "{once}");
        let twice = with_hostname(&once, "a\"b");
        assert_eq!(toml::from_str::<Config>(&twice).unwrap().hostname.as_deref(), Some("a\"b"));
        assert_eq!(twice.lines().count(), once.lines().count());
    }

    #[test]
    fn certificates_come_and_go() {
        let with = with_tls(FILE, Some(("/a.pem", "/a.key")));
        let config = toml::from_str::<Config>(&with).unwrap();
        assert_eq!(config.tls.map(|tls| tls.key), Some("/a.key".into()));
        let other = with_tls(&with, Some(("/b.pem", "/b.key")));
        assert_eq!(other.matches("[tls]").count(), 1);
        assert_eq!(with_tls(&other, None), FILE);
    }

    #[test]
    fn a_file_that_could_not_be_read_afterwards_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE_NAME), "name = \"x\"\n").unwrap();
        assert!(set_hostname(folder.path(), "mail.tern.test").is_err());
        assert_eq!(fs::read_to_string(folder.path().join(FILE_NAME)).unwrap(), "name = \"x\"\n");
    }
}
