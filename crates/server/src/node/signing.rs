//! The secret that DKIM keys are sealed with, and the keys that this node signs with.
//!
//! The main node makes the secret. Edges ask it for it once, and keep it; data servers never have it.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sterna_base::atomic_file;
use sterna_cluster::{ControlClient, Nodes};
use sterna_directory::{DkimKey, DkimState, Reader, StorageError};
use sterna_mailflow::auth::keys::{self, KeyAlgorithm, KeyError, SEALING_SECRET_BYTES};
use sterna_mailflow::auth::{OpenKey, Signer, Signers};
use tokio::sync::watch;

use super::Parts;

/// Where the secret is, in a node's folder.
const SECRET_FILE: &str = "signing.secret";

/// How long a node without the secret waits before it asks the main node again.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The secret.
pub type SealingSecret = [u8; SEALING_SECRET_BYTES];

/// The secret in a node's folder, if it is there. Blocks.
///
/// # Errors
/// When the file can't be read, or is none.
pub fn kept(folder: &Path) -> io::Result<Option<SealingSecret>> {
    match std::fs::read(folder.join(SECRET_FILE)) {
        Ok(bytes) => bytes.try_into().map(Some).map_err(|_| io::Error::other(format!("{SECRET_FILE} is damaged"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The main node's secret, which it makes when it is first needed. Blocks.
///
/// # Errors
/// When the file can't be read or written.
pub fn made(folder: &Path) -> io::Result<SealingSecret> {
    if let Some(secret) = kept(folder)? {
        return Ok(secret);
    }
    let secret: SealingSecret = sterna_base::ids::random_bytes();
    keep(folder, &secret)?;
    Ok(secret)
}

fn keep(folder: &Path, secret: &SealingSecret) -> io::Result<()> {
    atomic_file::write(&folder.join(SECRET_FILE), secret, 0o600)
}

/// A key with the name of its domain.
type Named = (String, DkimKey);

/// Keeps the keys of the directory opened, on an edge.
pub(super) fn start(parts: &Parts) -> watch::Receiver<Signers> {
    let (signers, receiver) = watch::channel(Signers::default());
    let (directory, stop) = (parts.directory.clone(), parts.stop.clone());
    let source = Source::new(parts);
    parts.tasks.spawn(async move {
        let mut changed = directory.watch();
        let mut opened: Vec<Named> = Vec::new();
        loop {
            changed.borrow_and_update();
            let mut is_open = true;
            match directory.read(active).await {
                Ok(keys) if keys != opened => match source.open(&keys).await {
                    Ok(found) => {
                        signers.send_replace(found);
                        opened = keys;
                    }
                    Err(cause) => {
                        is_open = false;
                        tracing::warn!(cause, "DKIM keys can't be opened; mail goes unsigned or with the former keys");
                    }
                },
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "DKIM keys can't be read"),
            }
            let again = async {
                match is_open {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(ASK_AGAIN).await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                change = changed.changed() => if change.is_err() { return },
                () = again => {}
            }
        }
    });
    receiver
}

/// The keys that are signed with, by the names of domains and aliases.
fn active(reader: &Reader<'_>) -> Result<Vec<Named>, StorageError> {
    let keys = reader.all_dkim_keys()?.into_iter().map(|found| found.value);
    let mut named = Vec::new();
    for key in keys.filter(|key| key.state == DkimState::Active) {
        if let Some(domain) = reader.domain(key.domain)? {
            named.push((domain.value.name, key));
        }
    }
    Ok(named)
}

/// Where the secret comes from.
pub(super) struct Source {
    folder: std::path::PathBuf,
    nodes: Arc<super::directory_nodes::DirectoryNodes>,
    main: bool,
    control: ControlClient,
}

impl Source {
    /// Of a node with these parts.
    pub(super) fn new(parts: &Parts) -> Self {
        Source {
            folder: parts.folder.clone(),
            nodes: parts.nodes.clone(),
            main: parts.directory.is_main(),
            control: ControlClient::new(parts.peers.clone()),
        }
    }

    /// Opens keys.
    async fn open(&self, keys: &[Named]) -> Result<Signers, String> {
        if keys.is_empty() {
            return Ok(Signers::default());
        }
        self.open_with(|secret| signers(secret, keys)).await
    }

    /// Opens what is sealed; with a secret from the main node when the one that is kept is none or another.
    pub(super) async fn open_with<T>(&self, open: impl Fn(&SealingSecret) -> Result<T, KeyError>) -> Result<T, String> {
        let folder = self.folder.clone();
        let kept = tokio::task::spawn_blocking(move || kept(&folder)).await.map_err(|error| error.to_string())?;
        if let Some(secret) = kept.map_err(|error| error.to_string())? {
            match open(&secret) {
                Err(KeyError::Sealed) if !self.main => {}
                result => return result.map_err(|error| error.to_string()),
            }
        }
        let main = self.nodes.main().ok_or("the main node is not known")?;
        let secret = self.control.signing_secret(main).await.map_err(|error| error.to_string())?;
        let secret: SealingSecret = secret.try_into().map_err(|_| "the main node's secret is none")?;
        let opened = open(&secret).map_err(|error| error.to_string())?;
        let folder = self.folder.clone();
        let keeping = tokio::task::spawn_blocking(move || keep(&folder, &secret)).await;
        keeping.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        Ok(opened)
    }
}

fn signers(secret: &SealingSecret, keys: &[Named]) -> Result<Signers, KeyError> {
    let mut by_domain: HashMap<&String, Vec<OpenKey>> = HashMap::new();
    for (domain, key) in keys {
        let algorithm = KeyAlgorithm::from_name(&key.algorithm).ok_or(KeyError::Damaged)?;
        let private = keys::open(secret, &key.domain.to_string(), &key.selector, &key.sealed)?;
        let open = OpenKey { algorithm, selector: key.selector.clone(), private };
        by_domain.entry(domain).or_default().push(open);
    }
    let signer = |(domain, keys): (&String, Vec<OpenKey>)| Ok((domain.clone(), Arc::new(Signer::new(domain, &keys)?)));
    Ok(Signers::new(by_domain.into_iter().map(signer).collect::<Result<_, KeyError>>()?))
}
