//! `imapd.conf`: where Cyrus keeps what. Lines of `name: value`; names in any case; `@include: FILE`; a backslash at
//! the end of a line goes on with the next one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{SpoolError, read_file};
use crate::limits::{INCLUDES_MAX, SMALL_FILE_BYTES_MAX};

/// Settings, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    values: HashMap<String, String>,
}

impl Config {
    /// Reads a file and what it includes.
    ///
    /// # Errors
    /// [`SpoolError`]; there must be a file.
    pub fn read(path: &Path) -> Result<Self, SpoolError> {
        let mut config = Config::default();
        config.include(path, INCLUDES_MAX)?;
        Ok(config)
    }

    fn include(&mut self, path: &Path, depth: usize) -> Result<(), SpoolError> {
        let Some(left) = depth.checked_sub(1) else {
            return Err(SpoolError::damaged(path, "files include each other"));
        };
        let Some(bytes) = read_file(path, SMALL_FILE_BYTES_MAX)? else {
            return Err(SpoolError::damaged(path, "there is no such file"));
        };
        for (name, value) in lines(&String::from_utf8_lossy(&bytes)) {
            match name.as_str() {
                "@include" => self.include(Path::new(&value), left)?,
                _ => self.set(&name, &value),
            }
        }
        Ok(())
    }

    /// Sets a value, as a line would.
    pub fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_ascii_lowercase(), value.to_owned());
    }

    /// Takes all paths for paths below this folder: where the disk of the old server is.
    pub fn rebase(&mut self, root: &Path) {
        let is_path = |name: &str| {
            name.contains("partition-") || name.ends_with("_db_path") || ["configdirectory", "sievedir"].contains(&name)
        };
        for (_, value) in self.values.iter_mut().filter(|(name, _)| is_path(name)) {
            *value = root.join(value.trim_start_matches('/')).to_string_lossy().into_owned();
        }
    }

    /// A value, if there is one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A folder or a file, if it is set.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    /// Whether a switch is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "yes" | "on" | "t" | "true"))
    }

    /// Whether names of mailboxes may begin with a domain.
    pub fn has_domains(&self) -> bool {
        self.get("virtdomains").is_some_and(|value| value.eq_ignore_ascii_case("userid") || self.is_on("virtdomains"))
    }

    /// Where messages of a partition are.
    pub fn partition(&self, name: &str) -> Option<PathBuf> {
        self.path(&format!("partition-{}", name.to_ascii_lowercase()))
    }

    /// Where its indexes may be, besides there.
    pub fn meta_partition(&self, name: &str) -> Option<PathBuf> {
        self.path(&format!("metapartition-{}", name.to_ascii_lowercase()))
    }

    /// Where its older messages may be, besides there.
    pub fn archive_partition(&self, name: &str) -> Option<PathBuf> {
        self.path(&format!("archivepartition-{}", name.to_ascii_lowercase()))
    }
}

fn lines(text: &str) -> Vec<(String, String)> {
    let (mut found, mut whole) = (Vec::new(), String::new());
    for line in text.lines() {
        match line.strip_suffix('\\') {
            Some(start) => whole.push_str(start),
            None => {
                whole.push_str(line);
                let line = std::mem::take(&mut whole);
                let line = line.trim();
                if let (false, Some((name, value))) = (line.starts_with('#'), line.split_once(':')) {
                    found.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_with_what_they_include() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("imapd.conf"), folder.path().join("more"));
        let text = "# a\nConfigDirectory: /var/lib/cyrus\npartition-default:/spool\nsievedir: /a\\\n/b\nnothing\n";
        std::fs::write(&first, format!("{text}@include: {}\n", second.display())).unwrap();
        std::fs::write(&second, "hashimapspool: YES\nvirtdomains: userid\nfulldirhash: no\n").unwrap();
        let config = Config::read(&first).unwrap();
        assert_eq!(config.get("configdirectory"), Some("/var/lib/cyrus"));
        assert_eq!(config.partition("Default"), Some("/spool".into()));
        assert_eq!((config.path("sievedir"), config.meta_partition("default")), (Some("/a/b".into()), None));
        assert!(config.is_on("hashimapspool") && !config.is_on("fulldirhash") && config.has_domains());
        let mut elsewhere = config.clone();
        elsewhere.rebase(Path::new("/mnt/old"));
        assert_eq!(elsewhere.partition("default"), Some("/mnt/old/spool".into()));
        assert_eq!(elsewhere.path("virtdomains"), config.path("virtdomains"));
        std::fs::write(&second, format!("@include: {}\n", first.display())).unwrap();
        assert!(Config::read(&first).is_err() && Config::read(&folder.path().join("none")).is_err());
    }
}
