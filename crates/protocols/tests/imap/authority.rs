//! An authority that signs certificates of clients, and clients that have one.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedKey, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
    generate_simple_self_signed,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sterna_base::{ManualClock, Timestamp};
use sterna_protocols::listener::{ClientCertificates, ClientTrust};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::dialog::Client;

/// When the certificates are looked at.
const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate with its key.
pub struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    /// A certificate with these rfc822Names, or with an emailAddress in its subject, and this serial number.
    pub fn sign(&self, addresses: &[&str], subject: Option<&str>, serial: u64) -> Shown {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.subject_alt_names =
            addresses.iter().map(|address| SanType::Rfc822Name((*address).try_into().unwrap())).collect();
        if let Some(subject) = subject {
            // emailAddress of PKCS #9
            params.distinguished_name.push(DnType::from_oid(&[1, 2, 840, 113_549, 1, 9, 1]), subject);
        }
        let chain = vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()];
        Shown { chain, key: PrivateKeyDer::try_from(key.serialize_der()).unwrap() }
    }

    /// A list with this number of a certificate in it, in force until this year.
    pub fn revoke(&self, serial: u64, until: i32) -> CertificateRevocationListDer<'static> {
        let then = date_time_ymd(2020, 1, 1);
        let serial_number = SerialNumber::from(serial);
        let params = CertificateRevocationListParams {
            this_update: then,
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number,
                revocation_time: then,
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().clone()
    }

    pub fn trust(&self, revoked: Vec<CertificateRevocationListDer<'static>>) -> ClientTrust {
        ClientTrust { authorities: vec![self.certificate.clone()], revoked }
    }
}

/// A server that asks clients for certificates.
pub struct Asking {
    pub certificates: Arc<ClientCertificates>,
    pub config: Arc<ServerConfig>,
    roots: RootCertStore,
}

impl Asking {
    pub fn new(trust: ClientTrust) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let certificates = Arc::new(ClientCertificates::new(provider(), trust, clock).unwrap());
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["imap.x.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_client_cert_verifier(certificates.asking());
        let config = Arc::new(builder.with_single_cert(vec![cert.der().clone()], key).unwrap());
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        Asking { certificates, config, roots }
    }

    /// Encrypts a client's side after STARTTLS or STLS was agreed on.
    pub async fn encrypt<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: Client<S>,
        shown: Option<Shown>,
    ) -> Client<TlsStream<S>> {
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(self.roots.clone());
        let config = match shown {
            Some(Shown { chain, key }) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        let name = ServerName::try_from("imap.x.test").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, client.stream.into_inner()).await.unwrap();
        Client { stream: BufReader::new(stream) }
    }
}
