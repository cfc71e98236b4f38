//! What a node knows about itself: its id, its installation, its key and certificate, and the authority it trusts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use sterna_base::{Clock, InstallationId, NodeId, Timestamp, atomic_file};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::ca::{Authority, CertificateError, common_name};
use crate::peer_name::PeerName;

/// The folder below a node's data directory where this crate keeps its files.
pub const CLUSTER_FOLDER: &str = "cluster";
const NODE_FILE: &str = "node.json";
const KEY_FILE: &str = "node.pem";
const TRUST_FILE: &str = "ca.pem";
const JOINING_FILE: &str = "joining.json";

/// A key that has no certificate yet, and the request to get one.
pub struct PendingKey {
    key: KeyPair,
    /// PKCS #10, DER.
    pub request: Vec<u8>,
}

impl PendingKey {
    /// The key of an earlier attempt to join below `data_dir`, or a fresh one that is stored for the next attempt: the
    /// main node answers a repeated request, so an interrupted `join` is simply run again. Blocking.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub fn for_joining(data_dir: &Path) -> Result<(NodeId, Self), CertificateError> {
        let path = cluster_folder(data_dir)?.join(JOINING_FILE);
        let damaged = |cause: String| CertificateError::Damaged { path: path.clone(), cause };
        if path.exists() {
            let file: JoiningFile = serde_json::from_slice(&read(&path)?).map_err(|e| damaged(e.to_string()))?;
            let key = KeyPair::from_pem(&file.key).map_err(|e| damaged(e.to_string()))?;
            return Ok((file.node, PendingKey { key, request: file.request }));
        }
        let node = NodeId::random();
        let pending = PendingKey::generate(node)?;
        let file = JoiningFile { node, key: pending.key.serialize_pem(), request: pending.request.clone() };
        let text = serde_json::to_vec(&file).map_err(|e| damaged(e.to_string()))?;
        write(&path, &text, 0o600)?;
        Ok((node, pending))
    }

    /// A fresh key and its request.
    ///
    /// # Errors
    /// When the cryptographic library refuses.
    pub fn generate(node: NodeId) -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&format!("Sterna node {node}"));
        let request = params.serialize_request(&key)?.der().to_vec();
        Ok(PendingKey { key, request })
    }
}

/// A join under way.
#[derive(Serialize, Deserialize)]
struct JoiningFile {
    node: NodeId,
    /// PEM.
    key: String,
    /// PKCS #10, DER: kept, because signing again gives other bytes.
    request: Vec<u8>,
}

/// The part of an identity that never changes, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFile {
    /// This node.
    pub node: NodeId,
    /// Its installation.
    pub installation: InstallationId,
    /// The node that owns the directory.
    pub main: NodeId,
    /// `host:port` of the main node when this one joined: where to begin while the directory copy is empty.
    pub main_address: String,
}

/// A node's identity. Shared by everything that speaks or listens; a renewal changes the certificate for all of them.
pub struct Identity {
    facts: NodeFile,
    folder: PathBuf,
    authority: CertificateDer<'static>,
    roots: Arc<RootCertStore>,
    current: ArcSwap<Current>,
}

struct Current {
    key: Arc<CertifiedKey>,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Identity {
    /// Makes the first node of an installation: itself the main one, with a certificate from its own authority.
    /// Blocking.
    ///
    /// # Errors
    /// When there is an installation here already, or the files can't be written.
    pub fn init_main(data_dir: &Path, address: &str, clock: &dyn Clock) -> Result<(Self, Authority), CertificateError> {
        let folder = cluster_folder(data_dir)?;
        let (installation, node) = (InstallationId::random(), NodeId::random());
        let authority = Authority::create(&folder, installation, clock)?;
        let facts = NodeFile { node, installation, main: node, main_address: address.to_owned() };
        let pending = PendingKey::generate(node)?;
        let certificate = authority.sign(&pending.request, node, clock)?;
        let identity = Identity::store(data_dir, facts, pending, certificate, authority.certificate().clone())?;
        Ok((identity, authority))
    }

    /// Writes down a new identity, the facts last: without them there is none. Blocking.
    ///
    /// # Errors
    /// When the files can't be written or don't fit together.
    pub fn store(
        data_dir: &Path,
        facts: NodeFile,
        pending: PendingKey,
        certificate: CertificateDer<'static>,
        authority: CertificateDer<'static>,
    ) -> Result<Self, CertificateError> {
        let folder = cluster_folder(data_dir)?;
        write(&folder.join(TRUST_FILE), pem_text("CERTIFICATE", &authority).as_bytes(), 0o644)?;
        write(&folder.join(KEY_FILE), key_text(&pending, &certificate).as_bytes(), 0o600)?;
        let text = serde_json::to_vec_pretty(&facts).map_err(|error| CertificateError::Crypto(error.to_string()))?;
        write(&folder.join(NODE_FILE), &text, 0o644)?;
        // The key is in its own file now. Left behind after a crash, this one is never looked at again.
        let _ = fs::remove_file(folder.join(JOINING_FILE));
        Identity::load(data_dir)
    }

    /// Whether this data directory has an identity: whether `init` or `join` was done.
    pub fn exists(data_dir: &Path) -> bool {
        data_dir.join(CLUSTER_FOLDER).join(NODE_FILE).exists()
    }

    /// Reads the identity. Blocking.
    ///
    /// # Errors
    /// When the files can't be read or don't fit together.
    pub fn load(data_dir: &Path) -> Result<Self, CertificateError> {
        let folder = data_dir.join(CLUSTER_FOLDER);
        let path = folder.join(NODE_FILE);
        let facts: NodeFile = serde_json::from_slice(&read(&path)?)
            .map_err(|error| CertificateError::Damaged { path, cause: error.to_string() })?;
        let trust = folder.join(TRUST_FILE);
        let authority = CertificateDer::from_pem_slice(&read(&trust)?)
            .map_err(|error| CertificateError::Damaged { path: trust.clone(), cause: error.to_string() })?;
        let mut roots = RootCertStore::empty();
        roots
            .add(authority.clone())
            .map_err(|error| CertificateError::Damaged { path: trust, cause: error.to_string() })?;
        let path = folder.join(KEY_FILE);
        let current = Current::parse(&read(&path)?, &facts, &authority)
            .map_err(|cause| CertificateError::Damaged { path, cause })?;
        Ok(Identity { facts, folder, authority, roots: Arc::new(roots), current: ArcSwap::from_pointee(current) })
    }

    /// The node's id.
    pub fn node(&self) -> NodeId {
        self.facts.node
    }

    /// The name in its certificate.
    pub fn name(&self) -> PeerName {
        PeerName { installation: self.facts.installation, node: self.facts.node }
    }

    /// What never changes.
    pub fn facts(&self) -> &NodeFile {
        &self.facts
    }

    /// The authority that it trusts, and the only one.
    pub fn roots(&self) -> Arc<RootCertStore> {
        self.roots.clone()
    }

    /// The key and the certificate at present.
    pub fn key(&self) -> Arc<CertifiedKey> {
        self.current.load().key.clone()
    }

    /// Until when the certificate holds.
    pub fn not_after(&self) -> Timestamp {
        self.current.load().not_after
    }

    /// When to renew: after half of the life time, so that a main node that is down for weeks does no harm.
    pub fn renewal_due(&self) -> Timestamp {
        let current = self.current.load();
        current.not_before.plus_ms((current.not_after.0 - current.not_before.0) / 2)
    }

    /// Takes a renewed certificate: stored first, then used for every new connection. Blocking.
    ///
    /// # Errors
    /// When it doesn't fit the key or this node, or can't be stored; the old one stays in use then.
    pub fn renew(&self, pending: PendingKey, certificate: CertificateDer<'static>) -> Result<(), CertificateError> {
        let text = key_text(&pending, &certificate);
        let current = Current::parse(text.as_bytes(), &self.facts, &self.authority)
            .map_err(|cause| CertificateError::Damaged { path: "the renewed certificate".into(), cause })?;
        write(&self.folder.join(KEY_FILE), text.as_bytes(), 0o600)?;
        self.current.store(Arc::new(current));
        Ok(())
    }
}

impl Current {
    fn parse(text: &[u8], facts: &NodeFile, authority: &CertificateDer<'static>) -> Result<Self, String> {
        let certificate = CertificateDer::from_pem_slice(text).map_err(|error| error.to_string())?;
        let key = PrivateKeyDer::from_pem_slice(text).map_err(|error| error.to_string())?;
        let expected = PeerName { installation: facts.installation, node: facts.node };
        if PeerName::of_certificate(&certificate) != Ok(expected) {
            return Err(format!("the certificate is not that of {expected}"));
        }
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|error| error.to_string())?;
        let not_before = Timestamp::from_seconds(parsed.validity().not_before.timestamp());
        let not_after = Timestamp::from_seconds(parsed.validity().not_after.timestamp());
        // The authority goes along, so that a joining node, which knows only its fingerprint, can check the chain.
        let chain = vec![certificate, authority.clone()];
        let key = CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| error.to_string())?;
        Ok(Current { key: Arc::new(key), not_before, not_after })
    }
}

fn key_text(pending: &PendingKey, certificate: &CertificateDer<'_>) -> String {
    let key = PrivatePkcs8KeyDer::from(pending.key.serialize_der());
    format!("{}{}", pem_text("PRIVATE KEY", key.secret_pkcs8_der()), pem_text("CERTIFICATE", certificate))
}

/// RFC 7468: base64 in lines of 64 characters.
fn pem_text(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

fn cluster_folder(data_dir: &Path) -> Result<PathBuf, CertificateError> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = data_dir.join(CLUSTER_FOLDER);
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder) {
        Ok(()) => Ok(folder),
        Err(cause) => Err(CertificateError::File { path: folder, cause }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|cause| CertificateError::File { path: path.to_owned(), cause })
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), CertificateError> {
    atomic_file::write(path, content, mode).map_err(|cause| CertificateError::File { path: path.to_owned(), cause })
}
