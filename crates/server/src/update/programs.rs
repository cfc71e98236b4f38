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

/// The folder of a node with the versions that it fetched itself.
const FETCHED: &str = "versions";

/// How long a program may take to say what it is.
const FACTS_TIMEOUT: Duration = Duration::from_secs(10);

/// The folders with a folder for each version.
#[derive(Clone, Debug)]
pub struct Programs {
    /// What packages installed: only root writes there.
    system: PathBuf,
    /// What this node fetched itself.
    own: PathBuf,
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
    /// Of the node in this folder: those that it fetched, and those that packages installed, or that lie beside this
    /// one.
    pub fn of(folder: &Path) -> Self {
        let own = folder.join(FETCHED);
        let named = std::env::var_os("STERNA_PROGRAMS").filter(|named| !named.is_empty()).map(PathBuf::from);
        let running = std::env::current_exe().unwrap_or_default();
        let beside = running.parent().filter(|folder| version_of(folder).is_some()).and_then(Path::parent);
        let beside = beside.filter(|beside| std::fs::canonicalize(&own).map_or(true, |own| own != **beside));
        let system = named.or_else(|| beside.map(Path::to_owned)).unwrap_or_else(|| USUAL.into());
        Programs { system, own }
    }

    /// The program of a version. What packages installed comes first, as for `packaging/launcher.sh`.
    pub fn path(&self, version: Version) -> PathBuf {
        let in_folder = |folder: &Path| folder.join(version.to_string()).join("sterna");
        let fetched = in_folder(&self.own);
        let installed = in_folder(&self.system);
        if !installed.is_file() && fetched.is_file() { fetched } else { installed }
    }

    /// Where versions are put that this node fetches.
    pub fn own_folder(&self) -> &Path {
        &self.own
    }

    /// All versions, the oldest first.
    pub fn installed(&self) -> Vec<Version> {
        let entries = [&self.system, &self.own].into_iter().filter_map(|folder| std::fs::read_dir(folder).ok());
        let versions = entries.flatten().flatten().filter_map(|entry| version_of(&entry.path()));
        let mut found: Vec<Version> = versions.filter(|&version| self.path(version).is_file()).collect();
        found.sort_unstable();
        found.dedup();
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
        let programs = Programs { system: folder.path().to_owned(), own: folder.path().join(FETCHED) };
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

    #[test]
    fn root_runs_what_packages_installed_alone() {
        let (folder, _) = programs(&[("0.1.0", "#!/bin/sh\necho installed\n")]);
        let fetched = folder.path().join("node").join(FETCHED).join("0.2.0");
        fs::create_dir_all(&fetched).unwrap();
        // A link to something of root's: whoever looks at the owner of what it names believes it.
        std::os::unix::fs::symlink("/bin/echo", fetched.join("sterna")).unwrap();
        fs::write(folder.path().join("node/version"), "0.2.0\n").unwrap();
        let launcher = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/launcher.sh");
        let mut run = std::process::Command::new("sh");
        run.arg(launcher).arg("fetched").env("STERNA_PROGRAMS", folder.path());
        let said = run.env("STERNA_DIR", folder.path().join("node")).output().unwrap();
        let found = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        // Nobody but root owns what the link names, so that others don't follow it either.
        assert_eq!(found, "installed", "{}", String::from_utf8_lossy(&said.stderr));
    }
}
