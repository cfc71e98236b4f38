//! The installation's own certificate authority: made once on the main node, it signs the certificates by which nodes
//! know each other. Its key leaves the main node only for the one that takes its place ([`crate::migration`]); a node's
//! key never leaves the node.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sterna_base::{BlobHash, Clock, InstallationId, NodeId, Timestamp, atomic_file};
use x509_parser::time::ASN1Time;

use crate::identity::CLUSTER_FOLDER;
use crate::limits::{AUTHORITY_LIFETIME_MS, CERTIFICATE_BACKDATE_MS, CERTIFICATE_LIFETIME_MS};
use crate::peer_name::PeerName;

/// The file with the authority's key and certificate, in the cluster folder of the main node.
pub const AUTHORITY_FILE: &str = "authority.pem";

/// Why certificates could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file could not be read or written.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A file is there but holds no usable key or certificate. Restore it from a backup.
    #[error("{} holds no usable key and certificate: {cause}; restore it from a backup", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// There is an authority here already; a second one would cut off every node.
    #[error("{} exists: this installation has a certificate authority already", .0.display())]
    Exists(PathBuf),
    /// The signing request is broken or not signed by its own key.
    #[error("the certificate signing request is not valid: {0}")]
    Request(String),
    /// The cryptographic library refused.
    #[error("a certificate could not be made: {0}")]
    Crypto(String),
}

impl From<rcgen::Error> for CertificateError {
    fn from(error: rcgen::Error) -> Self {
        CertificateError::Crypto(error.to_string())
    }
}

/// The authority, with its key in memory.
pub struct Authority {
    installation: InstallationId,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// Makes the authority of a new installation and stores it in `folder`, durably, readable by its owner only.
    /// Blocking.
    ///
    /// # Errors
    /// [`CertificateError::Exists`] when there is one.
    pub fn create(folder: &Path, installation: InstallationId, clock: &dyn Clock) -> Result<Self, CertificateError> {
        let path = folder.join(AUTHORITY_FILE);
        if path.exists() {
            return Err(CertificateError::Exists(path));
        }
        let key = KeyPair::generate()?;
        let params = authority_params(installation, clock.now())?;
        let certificate = params.self_signed(&key)?;
        let text = format!("{}{}", key.serialize_pem(), certificate.pem());
        atomic_file::write(&path, text.as_bytes(), 0o600).map_err(|cause| CertificateError::File { path, cause })?;
        let certificate = certificate.der().clone();
        Ok(Authority { installation, issuer: Issuer::new(params, key), certificate })
    }

    /// Reads the authority of the main node with this data directory. Blocking.
    ///
    /// # Errors
    /// When the file can't be read or is damaged.
    pub fn load(data_dir: &Path, installation: InstallationId) -> Result<Self, CertificateError> {
        let path = data_dir.join(CLUSTER_FOLDER).join(AUTHORITY_FILE);
        let text =
            std::fs::read_to_string(&path).map_err(|cause| CertificateError::File { path: path.clone(), cause })?;
        let damaged = |cause: String| CertificateError::Damaged { path: path.clone(), cause };
        let key = KeyPair::from_pem(&text).map_err(|error| damaged(error.to_string()))?;
        let certificate =
            CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| damaged(error.to_string()))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|error| damaged(error.to_string()))?;
        Ok(Authority { installation, issuer, certificate })
    }

    /// The installation it speaks for.
    pub fn installation(&self) -> InstallationId {
        self.installation
    }

    /// Its own certificate, which every node keeps.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// What a join token carries so that the new node knows the authority: BLAKE3 of the certificate.
    pub fn fingerprint(&self) -> BlobHash {
        fingerprint(&self.certificate)
    }

    /// Signs a node's request (PKCS #10, DER). Only the public key is taken from it: the name and everything else is
    /// what the authority says.
    ///
    /// # Errors
    /// [`CertificateError::Request`] when the request is broken.
    pub fn sign(
        &self,
        request: &[u8],
        node: NodeId,
        clock: &dyn Clock,
    ) -> Result<CertificateDer<'static>, CertificateError> {
        let mut request = CertificateSigningRequestParams::from_der(&request.to_vec().into())
            .map_err(|error| CertificateError::Request(error.to_string()))?;
        request.params = node_params(PeerName { installation: self.installation, node }, clock.now())?;
        Ok(request.signed_by(&self.issuer)?.der().clone())
    }
}

/// How a certificate is named in a join token.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> BlobHash {
    BlobHash::of(certificate)
}

fn authority_params(installation: InstallationId, now: Timestamp) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&format!("Sterna installation {installation}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity(&mut params, now, AUTHORITY_LIFETIME_MS)?;
    Ok(params)
}

fn node_params(name: PeerName, now: Timestamp) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&format!("Sterna node {}", name.node));
    params.subject_alt_names = vec![SanType::URI(name.to_string().try_into()?)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    validity(&mut params, now, CERTIFICATE_LIFETIME_MS)?;
    Ok(params)
}

fn validity(params: &mut CertificateParams, now: Timestamp, lifetime_ms: i64) -> Result<(), CertificateError> {
    let time = |at: Timestamp| {
        let time = ASN1Time::from_timestamp(at.seconds()).map_err(|e| CertificateError::Crypto(e.to_string()))?;
        Ok::<_, CertificateError>(time.to_datetime())
    };
    params.not_before = time(now.plus_ms(-CERTIFICATE_BACKDATE_MS))?;
    params.not_after = time(now.plus_ms(lifetime_ms))?;
    let mut serial: [u8; 16] = sterna_base::ids::random_bytes();
    serial[0] &= 0x7f; // positive (RFC 5280 section 4.1.2.2)
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(())
}

/// A distinguished name with nothing but a common name.
pub(crate) fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}
