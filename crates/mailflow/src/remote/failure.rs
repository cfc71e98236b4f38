//! Why TLS to another server is not as it should be, in the words of TLS reports (RFC 8460 section 4.3).

use std::fmt;

use rustls::CertificateError;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// The server does not offer STARTTLS.
    StartTlsNotSupported,
    /// Its certificate is another host's.
    CertificateHostMismatch,
    /// Its certificate is not valid any more, or not yet.
    CertificateExpired,
    /// Nobody whom we trust has signed its certificate.
    CertificateNotTrusted,
    /// Something else.
    ValidationFailure,
    /// None of its TLSA records can be used.
    TlsaInvalid,
    /// DNS gave answers that were tampered with, or none.
    DnssecInvalid,
    /// Its policy could not be fetched.
    StsPolicyFetchError,
    /// Its policy can't be understood.
    StsPolicyInvalid,
    /// The host of its policy has no good certificate.
    StsWebpkiInvalid,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [FailureKind; 10] = [
        FailureKind::StartTlsNotSupported,
        FailureKind::CertificateHostMismatch,
        FailureKind::CertificateExpired,
        FailureKind::CertificateNotTrusted,
        FailureKind::ValidationFailure,
        FailureKind::TlsaInvalid,
        FailureKind::DnssecInvalid,
        FailureKind::StsPolicyFetchError,
        FailureKind::StsPolicyInvalid,
        FailureKind::StsWebpkiInvalid,
    ];

    /// Its name in reports (`result-type`).
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::StartTlsNotSupported => "starttls-not-supported",
            FailureKind::CertificateHostMismatch => "certificate-host-mismatch",
            FailureKind::CertificateExpired => "certificate-expired",
            FailureKind::CertificateNotTrusted => "certificate-not-trusted",
            FailureKind::ValidationFailure => "validation-failure",
            FailureKind::TlsaInvalid => "tlsa-invalid",
            FailureKind::DnssecInvalid => "dnssec-invalid",
            FailureKind::StsPolicyFetchError => "sts-policy-fetch-error",
            FailureKind::StsPolicyInvalid => "sts-policy-invalid",
            FailureKind::StsWebpkiInvalid => "sts-webpki-invalid",
        }
    }
}

/// A failure, with words for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct TlsFailure {
    /// What kind it is.
    pub kind: FailureKind,
    /// What happened.
    pub text: String,
}

impl TlsFailure {
    /// Of a kind, in words.
    pub fn new(kind: FailureKind, text: impl fmt::Display) -> Self {
        TlsFailure { kind, text: text.to_string() }
    }

    /// Of a handshake.
    pub fn of_handshake(error: &std::io::Error) -> Self {
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        TlsFailure::new(cause.map_or(FailureKind::ValidationFailure, kind_of), format!("TLS: {error}"))
    }

    /// Of a certificate.
    pub fn of_certificate(error: &rustls::Error) -> Self {
        TlsFailure::new(kind_of(error), format!("TLS: {error}"))
    }
}

fn kind_of(error: &rustls::Error) -> FailureKind {
    use CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                FailureKind::CertificateExpired
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => FailureKind::CertificateHostMismatch,
            Bad::UnknownIssuer => FailureKind::CertificateNotTrusted,
            _ => FailureKind::ValidationFailure,
        },
        _ => FailureKind::ValidationFailure,
    }
}
