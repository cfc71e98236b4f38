//! The versions of the program that are installed on this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sterna_base::Version;
use tokio::process::Command;
use tokio::time::timeout;

use crate::node::facts::Facts;

/// Where packages install them.
const USUAL: &str = "/usr/lib/sterna";

/// Versions that are looked at; a machine with more has somebody who forgot to remove them.
const VERSIONS_MAX: usize = 32;

/// How long a program may take to say what it is.
const FACTS_TIMEOUT: Duration = Duration::from_secs(10);

/// The folder with a folder for each version.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
}

/// Why a version can't be started here.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It isn't there.
    #[error("version {version} is not installed on this machine; install it: apt install sterna-{version}")]
    Missing {
        /// Which.
        version: Version,
    },
    /// It is there and doesn't work.
    #[error("{program} can't be used: {cause}")]
    Unusable {
        /// Its file.
        program: String,
        /// Why.
        cause: String,
    },
}

impl Programs {
    /// Those beside this one; where this one is alone, those that packages installed.
    pub fn of_machine() -> Self {
        let own = std::env::current_exe().unwrap_or_default();
        let beside = own.parent().filter(|folder| version_of(folder).is_some()).and_then(Path::parent);
        Programs { folder: beside.unwrap_or(Path::new(USUAL)).to_owned() }
    }

    /// The program of a version.
    pub fn path(&self, version: Version) -> PathBuf {
        self.folder.join(version.to_string()).join("sterna")
    }

    /// All versions, the oldest first.
    pub fn installed(&self) -> Vec<Version> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let versions = entries.filter_map(|entry| version_of(&entry.path()));
        let mut found: Vec<Version> = versions.filter(|&version| self.path(version).is_file()).collect();
        found.sort_unstable();
        let excess = found.len().saturating_sub(VERSIONS_MAX);
        found.split_off(excess)
    }

    /// What an installed version says of itself. It is run for that: a program that doesn't even come so far can't
    /// serve.
    ///
    /// # Errors
    /// [`ProgramError`]
    pub async fn facts(&self, version: Version) -> Result<Facts, ProgramError> {
        let path = self.path(version);
        if !path.is_file() {
            return Err(ProgramError::Missing { version });
        }
        let unusable = |cause: String| ProgramError::Unusable { program: path.display().to_string(), cause };
        let asked = Command::new(&path).arg("facts").kill_on_drop(true).output();
        let output = match timeout(FACTS_TIMEOUT, asked).await {
            Ok(output) => output.map_err(|error| unusable(error.to_string()))?,
            Err(_) => return Err(unusable(format!("it said nothing for {} s", FACTS_TIMEOUT.as_secs()))),
        };
        if !output.status.success() {
            return Err(unusable(format!("it ended with {}", output.status)));
        }
        let facts: Facts = serde_json::from_slice(&output.stdout).map_err(|error| unusable(error.to_string()))?;
        match facts.version == version {
            true => Ok(facts),
            false => Err(unusable(format!("it says it is version {}; was it replaced by hand?", facts.version))),
        }
    }
}

fn version_of(folder: &Path) -> Option<Version> {
    folder.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder with these programs.
    pub(in crate::update) fn programs(texts: &[(&str, &str)]) -> (tempfile::TempDir, Programs) {
        let folder = tempfile::tempdir().unwrap();
        for (version, text) in texts {
            let place = folder.path().join(version);
            fs::create_dir(&place).unwrap();
            fs::write(place.join("sterna"), text).unwrap();
            fs::set_permissions(place.join("sterna"), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let programs = Programs { folder: folder.path().to_owned() };
        (folder, programs)
    }

    /// A program that says it is this version and knows these formats, of the directory and of accounts.
    pub(in crate::update) fn says(version: &str, format: i64) -> String {
        let release = sterna_cluster::rpc::wire::RELEASE;
        let formats = format!("\"store_format\":{format},\"directory_format\":{format}");
        format!("#!/bin/sh\necho '{{\"version\":\"{version}\",\"release\":{release},{formats}}}'\n")
    }

    #[tokio::test]
    async fn a_program_is_what_it_says_and_where_it_lies() {
        let (_folder, programs) = programs(&[
            ("0.10.0", &says("0.10.0", 4)),
            ("0.9.0", &says("0.8.0", 4)),
            ("0.9.1", "#!/bin/sh\nexit 3\n"),
            ("roles.d", ""),
        ]);
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert_eq!(programs.installed(), [version("0.9.0"), version("0.9.1"), version("0.10.0")]);
        assert_eq!(programs.facts(version("0.10.0")).await.unwrap().directory_format, 4);
        let refused = async |text: &str| programs.facts(version(text)).await.unwrap_err().to_string();
        assert!(refused("0.9.0").await.contains("it says it is version 0.8.0"));
        assert!(refused("0.9.1").await.contains("ended with"));
        assert!(refused("0.9.2").await.contains("apt install sterna-0.9.2"));
    }
}
