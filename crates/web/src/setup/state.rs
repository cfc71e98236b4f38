//! `setup.toml` in the node's folder: how far the setup is. Only hashes of secrets are in it, and nobody else reads it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use sterna_base::{Timestamp, atomic_file};
use tokio::sync::Mutex;

use super::answers::Answers;

/// Its name.
pub const FILE_NAME: &str = "setup.toml";

/// Largest file that is read, in bytes.
const BYTES_MAX: u64 = 256 * 1024;

/// What is written in front.
const HEADER: &str = "# The setup of this installation, and what was answered. There is no password in it.\n\n";

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// When it was over; it never begins again then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// The link that was given out last, until it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Secured>,
    /// The browser that goes through the pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Secured>,
    /// What answers have made.
    pub made: Made,
    /// The answers.
    pub answers: Answers,
}

/// A secret that is known by its hash, and is good for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secured {
    /// BLAKE3, in hexadecimal digits.
    pub hash: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What answers have made, so that other answers change it instead of making more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Made {
    /// The name of the first domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The address of the administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub administrator: Option<String>,
    /// The message that proves that mail flows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// The address elsewhere that it went to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof_to: Option<String>,
}

/// The file, and what is in it.
pub struct StateFile {
    path: PathBuf,
    is_there: AtomicBool,
    /// Held while the file is written: changes come one after the other.
    writing: Mutex<()>,
    state: parking_lot::Mutex<Arc<State>>,
}

impl StateFile {
    /// Reads it; there may be none. Blocking.
    ///
    /// # Errors
    /// When it can't be read, or isn't what we write.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE_NAME);
        let found = std::fs::metadata(&path);
        let is_there = AtomicBool::new(found.is_ok());
        let state = match found {
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::default(),
            Err(error) => return Err(error),
            Ok(found) if found.len() > BYTES_MAX => return Err(io::Error::other("it is too large")),
            Ok(_) => toml::from_str(&std::fs::read_to_string(&path)?).map_err(io::Error::other)?,
        };
        Ok(StateFile { path, is_there, writing: Mutex::default(), state: parking_lot::Mutex::new(Arc::new(state)) })
    }

    /// Whether there is one: whether the node is set up by answers.
    pub fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Acquire)
    }

    /// What is in it.
    pub fn get(&self) -> Arc<State> {
        self.state.lock().clone()
    }

    /// Changes it. What is returned was written before; what failed to be written doesn't hold.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> io::Result<T> {
        let _writing = self.writing.lock().await;
        let mut state = (*self.get()).clone();
        let result = change(&mut state);
        let text = format!("{HEADER}{}", toml::to_string(&state).map_err(io::Error::other)?);
        let path = self.path.clone();
        let write = move || atomic_file::write(&path, text.as_bytes(), 0o600);
        tokio::task::spawn_blocking(write).await.map_err(io::Error::other)??;
        *self.state.lock() = Arc::new(state);
        self.is_there.store(true, Ordering::Release);
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::answers::{Administrator, Certificate, Place};
    use super::*;

    #[tokio::test]
    async fn what_was_answered_is_there_after_a_restart_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::open(folder.path()).unwrap();
        assert_eq!(*file.get(), State::default());
        file.change(|state| {
            let local_part = "ana".to_owned();
            state.answers.administrator =
                Some(Administrator { name: "A \"na\"\n[x]".into(), local_part, password_hash: "$argon2id$".into() });
            state.answers.place = Some(Place { url: "https://a.test".into(), domain: "a.test".into() });
            state.answers.certificate = Some(Certificate::Files { certificate: "/c".into(), key: "/k".into() });
            state.session = Some(Secured { hash: "00".into(), expires_at: Timestamp(7) });
        })
        .await
        .unwrap();
        assert_eq!(*StateFile::open(folder.path()).unwrap().get(), *file.get());
        let mode = std::fs::metadata(folder.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn what_could_not_be_written_does_not_hold() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::open(folder.path()).unwrap();
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
        assert!(file.change(|state| state.finished_at = Some(Timestamp(1))).await.is_err());
        assert_eq!(file.get().finished_at, None);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_a_new_beginning() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), "finished_at = \"yes\"").unwrap();
        assert!(StateFile::open(folder.path()).is_err());
    }
}
