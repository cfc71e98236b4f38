//! The certificates that this node's listeners show: those of the installation, which the directory has, by the names
//! that clients ask for; else the one of the files. And the answers to a certificate authority that looks whether a
//! name is ours. All of it changes while connections go on; nothing is started again.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sterna_base::{Modseq, Timestamp};
use sterna_directory::acme::{ACME, Acme, Certificate, Challenge, ChallengeKind};
use sterna_directory::{Directory, Reader, StorageError};
use sterna_mailflow::auth::keys;
use sterna_protocols::listener::ACME_TLS;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::signing::{SealingSecret, Source};
use super::{Parts, certificate};
use crate::acme::{SEALED_FOR, SEALED_KEY};
use crate::config::{Config, Tls};

/// How often the files are looked at. A certificate that was put in their place is shown after that time.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// How long a node that can't open the key of a certificate waits before it tries again.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// What is shown now.
struct Shown {
    files: Arc<CertifiedKey>,
    /// The administrator's own files; `None` shows those that the node made.
    own_files: Option<Tls>,
    issued: Option<Arc<CertifiedKey>>,
    by_name: HashMap<String, Arc<CertifiedKey>>,
    challenges: HashMap<String, Arc<CertifiedKey>>,
}

impl Shown {
    fn usual(&self) -> &Arc<CertifiedKey> {
        match &self.issued {
            Some(issued) if self.own_files.is_none() => issued,
            _ => &self.files,
        }
    }

    fn of_name(&self, name: &str) -> &Arc<CertifiedKey> {
        self.by_name.get(name).unwrap_or_else(|| self.usual())
    }
}

/// See the module.
pub struct Served {
    shown: RwLock<Arc<Shown>>,
    /// The directory's modseq up to which it is as the directory has it.
    modseq: AtomicU64,
    /// Somebody has named other files.
    again: Notify,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Served(at {})", self.modseq.load(Ordering::Relaxed))
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.read().clone();
        let name = hello.server_name().map(str::to_ascii_lowercase);
        if hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == ACME_TLS)) {
            return shown.challenges.get(name.as_deref()?).cloned();
        }
        Some(match name {
            Some(name) => shown.of_name(&name).clone(),
            None => shown.usual().clone(),
        })
    }
}

/// What of the directory it is made of.
#[derive(Clone, PartialEq, Eq, Default)]
struct Rows {
    certificate: Option<Certificate>,
    challenges: Vec<Challenge>,
}

fn rows(reader: &Reader<'_>) -> Result<(Rows, Modseq), StorageError> {
    let acme = reader.acme()?.map(|found| found.value).unwrap_or_default();
    let certificate = reader.certificate(ACME)?.map(|found| found.value);
    let Acme { mut challenges, .. } = acme;
    challenges.retain(|challenge| challenge.kind == ChallengeKind::TlsAlpn);
    Ok((Rows { certificate, challenges }, reader.head()?.modseq))
}

impl Served {
    /// With the certificate of the files, and of the directory what can be opened now. Follows both from then on.
    ///
    /// # Errors
    /// When the files can't be used, or the directory can't be read.
    pub(super) async fn start(parts: &Parts) -> anyhow::Result<Arc<Self>> {
        let (folder, config) = (parts.folder.clone(), parts.config.clone());
        let files = tokio::task::spawn_blocking(move || certificate::load(&folder, &config)).await??;
        let shown = Shown {
            own_files: parts.config.tls.clone(),
            files: files.key,
            issued: None,
            by_name: HashMap::new(),
            challenges: HashMap::new(),
        };
        let served =
            Arc::new(Served { shown: RwLock::new(Arc::new(shown)), modseq: AtomicU64::new(0), again: Notify::new() });
        let mut following = Following {
            served: served.clone(),
            source: Source::new(parts),
            directory: parts.directory.clone(),
            folder: parts.folder.clone(),
            config: parts.config.clone(),
            known: Rows::default(),
            files_at: None,
        };
        let is_current = following.look().await;
        let stop = parts.stop.clone();
        parts.tasks.spawn(following.run(stop, is_current));
        Ok(served)
    }

    /// When the certificate that clients see ends which name no host.
    pub fn not_after(&self) -> Option<Timestamp> {
        let shown = self.shown.read().clone();
        sterna_cluster::tls::not_after(shown.usual().cert.first()?)
    }

    /// The directory's modseq up to which all that the directory has is shown.
    pub fn modseq(&self) -> u64 {
        self.modseq.load(Ordering::Acquire)
    }

    /// Looks at once which files `sterna.toml` names, and at them.
    pub fn look_again(&self) {
        self.again.notify_one();
    }

    /// The files whose certificate is shown; `None` is the node's own, or one that an authority issued.
    pub fn own_files(&self) -> Option<Tls> {
        self.shown.read().own_files.clone()
    }

    fn change(&self, change: impl FnOnce(&Shown) -> Shown) {
        let mut shown = self.shown.write();
        *shown = Arc::new(change(&shown));
    }
}

/// What keeps it as directory and files have it.
struct Following {
    served: Arc<Served>,
    source: Source,
    directory: Directory,
    folder: PathBuf,
    config: Config,
    known: Rows,
    files_at: Option<[Option<SystemTime>; 2]>,
}

impl Following {
    async fn run(mut self, stop: CancellationToken, mut is_current: bool) {
        let mut changed = self.directory.watch();
        changed.mark_changed();
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let served = self.served.clone();
        loop {
            let again = async {
                match is_current {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(TRY_AGAIN).await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                change = changed.changed() => if change.is_err() { return },
                _ = ticks.tick() => self.look_at_files().await,
                () = served.again.notified() => self.look_at_files().await,
                () = again => {}
            }
            changed.borrow_and_update();
            is_current = self.look().await;
        }
    }

    /// Shows what the directory has. `false` when a key could not be opened: what was shown is shown on.
    async fn look(&mut self) -> bool {
        let (found, modseq) = match self.directory.read(rows).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "the certificates in the directory can't be read");
                return false;
            }
        };
        if found.challenges != self.known.challenges {
            let answers = answers(&found.challenges);
            self.served.change(|shown| Shown { challenges: answers, ..shown.copied() });
            self.known.challenges.clone_from(&found.challenges);
        }
        let mut is_current = true;
        if found.certificate != self.known.certificate {
            match self.opened(found.certificate.as_ref()).await {
                Ok(issued) => {
                    let names = found.certificate.as_ref().map(|one| one.names.clone()).unwrap_or_default();
                    let by_name = issued.iter().flat_map(|key| names.iter().map(|name| (name.clone(), key.clone())));
                    let by_name = by_name.collect();
                    self.served.change(|shown| Shown { issued: issued.clone(), by_name, ..shown.copied() });
                    self.known.certificate = found.certificate;
                    if issued.is_some() {
                        tracing::info!("the certificate of the installation is shown from now on");
                    }
                }
                Err(cause) => {
                    is_current = false;
                    tracing::warn!(cause, "the certificate of the installation can't be used; the former one is shown");
                }
            }
        }
        self.served.modseq.store(modseq.0, Ordering::Release);
        is_current
    }

    async fn opened(&self, certificate: Option<&Certificate>) -> Result<Option<Arc<CertifiedKey>>, String> {
        let Some(certificate) = certificate else { return Ok(None) };
        let sealed = &certificate.sealed_key;
        let open = |secret: &SealingSecret| keys::open(secret, SEALED_FOR, SEALED_KEY, sealed);
        let key = self.source.open_with(open).await?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate.chain.as_bytes()).collect();
        let chain = chain.map_err(|error| error.to_string())?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
        certificate::certified(chain, key).map(|key| Some(Arc::new(key))).map_err(|error| error.to_string())
    }

    /// Reads the files again when they were changed, or `sterna.toml` names others. Files that can't be used change
    /// nothing: they are replaced while we look.
    async fn look_at_files(&mut self) {
        let (folder, mut config, known) = (self.folder.clone(), self.config.clone(), self.files_at);
        let look = move || {
            // What can't be read is being written; what it said before still holds.
            let named = Config::read(&folder).map_or_else(|_| config.tls.clone(), |written| written.tls);
            let are_others = named != config.tls;
            config.tls = named;
            let at = |path: &PathBuf| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
            let key = config.tls.as_ref().map_or_else(|| folder.join("client-tls.key"), |tls| tls.key.clone());
            let found = [at(&certificate::certificate_file(&folder, &config)), at(&key)];
            let must_read = are_others || known.is_some_and(|known| known != found);
            let loaded = must_read.then(|| certificate::load(&folder, &config));
            (found, loaded, config.tls)
        };
        let Ok((found, loaded, tls)) = tokio::task::spawn_blocking(look).await else { return };
        match loaded {
            Some(Err(error)) => tracing::warn!(%error, "the files of the certificate have changed and are not used"),
            Some(Ok(files)) => {
                let own_files = tls.clone();
                self.served.change(|shown| Shown { files: files.key.clone(), own_files, ..shown.copied() });
                tracing::info!(file = %files.file.display(), "the certificate of the files was read again");
                self.config.tls = tls;
                self.files_at = Some(found);
            }
            None => self.files_at = Some(found),
        }
    }
}

impl Shown {
    fn copied(&self) -> Shown {
        Shown {
            files: self.files.clone(),
            own_files: self.own_files.clone(),
            issued: self.issued.clone(),
            by_name: self.by_name.clone(),
            challenges: self.challenges.clone(),
        }
    }
}

/// The certificates that answer challenges (RFC 8737 section 3), by name.
fn answers(challenges: &[Challenge]) -> HashMap<String, Arc<CertifiedKey>> {
    let mut answers = HashMap::new();
    for challenge in challenges {
        match answer(challenge) {
            Ok(key) => {
                answers.insert(challenge.name.clone(), Arc::new(key));
            }
            Err(error) => tracing::warn!(name = challenge.name, error, "a challenge can't be answered"),
        }
    }
    answers
}

fn answer(challenge: &Challenge) -> Result<CertifiedKey, String> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, challenge.key_authorization.as_bytes());
    let text = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::new(vec![challenge.name.clone()]).map_err(text)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
    let key = KeyPair::generate().map_err(text)?;
    let certificate = params.self_signed(&key).map_err(text)?;
    let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // Not compared with each other: what compares them knows nothing of this critical extension, and refuses it.
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&secret).map_err(|error| error.to_string())?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}
