//! What was found out about a message, in the words of RFC 8601.

use std::fmt;

use crate::delivery::Keep;

/// The result of a method (RFC 8601 section 2.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing to check.
    #[default]
    None,
    /// It is what it says it is.
    Pass,
    /// It is not.
    Fail,
    /// Probably not (SPF only).
    SoftFail,
    /// Whoever is responsible doesn't say, or the check can't tell.
    Neutral,
    /// DNS did not answer; later it may be known.
    TempError,
    /// What is published, or what the message says, can't be understood.
    PermError,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::None => "none",
            Outcome::Pass => "pass",
            Outcome::Fail => "fail",
            Outcome::SoftFail => "softfail",
            Outcome::Neutral => "neutral",
            Outcome::TempError => "temperror",
            Outcome::PermError => "permerror",
        })
    }
}

/// Whether a host may send for a domain (RFC 7208).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spf {
    /// What was found.
    pub outcome: Outcome,
    /// The domain that was asked: of the reverse-path, or of the greeting for bounces.
    pub domain: String,
    /// Whether it is the greeting's.
    pub is_helo: bool,
}

/// One signature (RFC 6376).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dkim {
    /// What was found.
    pub outcome: Outcome,
    /// Who signed (`d=`); empty when the signature can't be read.
    pub domain: String,
    /// With which key (`s=`).
    pub selector: String,
    /// How (`a=`).
    pub algorithm: String,
    /// The start of the signature, which tells it from others.
    pub signature: String,
    /// Why it is no pass, for people.
    pub reason: String,
}

/// What those say who passed the message on (RFC 8617).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arc {
    /// Whether the chain holds.
    pub outcome: Outcome,
    /// How many are in it.
    pub instances: u32,
    /// The domains that sealed it, first to last.
    pub sealers: Vec<String>,
    /// Whether the first of them found that the message passes DMARC.
    pub dmarc_passed: bool,
}

/// What a domain wants done with messages that are not its own (RFC 7489 section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    #[default]
    None,
    /// To be looked at with suspicion.
    Quarantine,
    /// To be refused.
    Reject,
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wish::None => "none",
            Wish::Quarantine => "quarantine",
            Wish::Reject => "reject",
        })
    }
}

/// Whether the author's domain answers for the message (RFC 7489).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dmarc {
    /// What was found.
    pub outcome: Outcome,
    /// The domain of the From field; empty when there is not exactly one.
    pub domain: String,
    /// What the domain wants if it fails.
    pub wish: Wish,
    /// Whether a signature of the domain's organisation holds.
    pub dkim_aligned: bool,
    /// Whether a domain of the same organisation permits the host.
    pub spf_aligned: bool,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// SPF.
    pub spf: Spf,
    /// Each signature that was looked at.
    pub dkim: Vec<Dkim>,
    /// ARC.
    pub arc: Arc,
    /// DMARC.
    pub dmarc: Dmarc,
}

impl Verdict {
    /// The domains that answer for the message, in small letters, each once.
    pub fn domains(&self) -> Vec<String> {
        let by_dmarc = (self.dmarc.outcome == Outcome::Pass).then_some(&self.dmarc.domain);
        let by_host = (self.spf.outcome == Outcome::Pass && !self.spf.is_helo).then_some(&self.spf.domain);
        let signed = self.dkim.iter().filter(|dkim| dkim.outcome == Outcome::Pass).map(|dkim| &dkim.domain);
        let all = by_dmarc.into_iter().chain(by_host).chain(signed).map(|domain| domain.to_ascii_lowercase());
        let mut domains: Vec<String> = all.filter(|domain| !domain.is_empty()).collect();
        domains.sort();
        domains.dedup();
        domains
    }
}

/// What is done with a message because of its [`Verdict`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is delivered.
    Deliver(Keep),
    /// It is refused.
    Refuse,
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Disposition::Deliver(Keep::Inbox | Keep::Calendar) => "none",
            Disposition::Deliver(Keep::Junk) => "quarantine",
            Disposition::Refuse => "reject",
        })
    }
}
