//! SPF (RFC 7208), DKIM (RFC 6376), ARC (RFC 8617) and DMARC (RFC 7489, and RFC 9989 for how its records are found) of
//! a message that comes from another server.
//!
//! The library that does it, `mail-auth`, is seen here and in `sign` alone. It is given the header; bodies are
//! hashed piece by piece, so that their size costs no memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use mail_auth::common::crypto::{Algorithm, HashAlgorithm, HashContext, HashImpl, Sha1, Sha256};
use mail_auth::dkim::Canonicalization;
use mail_auth::dkim::canonicalize::BodyHasher;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    ArcOutput, AuthenticatedMessage, DkimOutput, DkimResult, DmarcOutput, DmarcResult, Error, MessageAuthenticator,
    SpfOutput, SpfResult, arc, dkim, dmarc,
};
use parking_lot::Mutex;
use sterna_account::service::MessageBody;
use tokio::time::{Instant, timeout_at};

use super::header;
use super::verdict::{Arc, Dkim, Dmarc, Outcome, Spf, Verdict, Wish};
use crate::limits::SPOOL_CHUNK_BYTES;
use crate::remote::Dns;

/// Signatures of one message that are looked at; each costs a question to DNS and a check.
pub const SIGNATURES_MAX: usize = 10;

/// Sets of an ARC chain that are looked at; a longer chain is broken.
pub const ARC_SETS_MAX: usize = 10;

/// How long DNS may take for all questions about one message, and then once more for whose signatures are the author's.
/// What is not answered then is a temporary failure.
pub const DNS_TIMEOUT: Duration = Duration::from_secs(20);

/// The same after DNS has kept silent for a message, until [`SILENCE_REMEMBERED`] is over: or each message would wait
/// for what is gone.
pub const DNS_TIMEOUT_AFTER_SILENCE: Duration = Duration::from_secs(2);

/// See [`DNS_TIMEOUT_AFTER_SILENCE`].
pub const SILENCE_REMEMBERED: Duration = Duration::from_secs(60);

/// Who hands a message in, and as whose.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Where the connection comes from.
    pub peer: IpAddr,
    /// The name given with EHLO or HELO.
    pub helo: &'a str,
    /// The reverse-path; empty for bounces.
    pub mail_from: &'a str,
    /// The name of this host, which SPF's explanations may name.
    pub own_name: &'a str,
}

/// See the module.
pub struct Verifier {
    dns: MessageAuthenticator,
    /// Until when the short limit holds.
    silent_until: Mutex<Option<Instant>>,
}

/// What is hashed of a body, and how.
type BodyHash = (Canonicalization, HashAlgorithm);

impl Verifier {
    /// With the resolver that sending uses, and its cache.
    pub fn new(dns: &Dns) -> Self {
        Verifier { dns: MessageAuthenticator(dns.resolver().clone()), silent_until: Mutex::default() }
    }

    /// The library's own door to DNS.
    pub(super) fn dns(&self) -> &MessageAuthenticator {
        &self.dns
    }

    /// Everything about a message, whose header has these bytes.
    ///
    /// # Errors
    /// When the message's file can't be read.
    pub async fn verify(&self, origin: &Origin<'_>, header: &[u8], body: &MessageBody) -> io::Result<Verdict> {
        let mut message = AuthenticatedMessage::parse(header).unwrap_or_default();
        message.dkim_headers.truncate(SIGNATURES_MAX);
        message.errors.truncate(SIGNATURES_MAX);
        let (outdated, valid): (Vec<_>, Vec<_>) =
            message.dkim_headers.drain(..).partition(|found| found.header.a == Algorithm::RsaSha1);
        message.dkim_headers = valid;
        hash_body(&mut message, header.len(), body).await?;
        let signed = by_signature(&mut message);
        let patience = self.patience();
        let deadline = Instant::now() + patience;
        let signatures = signed.iter().map(|one| timeout_at(deadline, self.dns.verify_dkim(one)));
        let (spf, dkim, chain_found, author) = tokio::join!(
            timeout_at(deadline, self.spf(origin)),
            join_all(signatures),
            timeout_at(deadline, self.arc(&message)),
            timeout_at(deadline, self.author_policy(&message)),
        );
        let is_answered = author == Ok(true);
        // Only the author's domain says something of DNS: the others are the sender's choice, and may well be silent. A
        // quick failure is an answer.
        self.note(!is_answered && deadline - patience + DNS_TIMEOUT_AFTER_SILENCE <= Instant::now());
        let spf_domain = spf_domain(origin);
        let spf = spf.unwrap_or_else(|_| SpfOutput::default().with_result(SpfResult::TempError));
        let answers = dkim.into_iter().zip(&signed);
        let dkim: Vec<_> = answers.flat_map(|(found, one)| found.unwrap_or_else(|_| unanswered(one))).collect();
        let dmarc = if is_answered {
            let parameters = DmarcParameters::new(&message, &dkim, spf_domain, &spf);
            tokio::time::timeout(patience, self.dns.verify_dmarc(parameters)).await.ok()
        } else {
            None
        };
        Ok(Verdict {
            spf: Spf {
                outcome: spf_outcome(spf.result()),
                domain: spf_domain.to_ascii_lowercase(),
                is_helo: origin.mail_from.is_empty(),
            },
            dkim: dkim.iter().map(signature).chain(outdated.iter().map(|found| forged_easily(&found.header))).collect(),
            arc: chain_found.unwrap_or(Arc { outcome: Outcome::TempError, ..Arc::default() }),
            dmarc: dmarc.as_ref().map_or_else(
                || Dmarc { outcome: Outcome::TempError, domain: author_domain(&message), ..Dmarc::default() },
                policy,
            ),
        })
    }

    /// Asks for the policy of the author's domain: it is in the cache then, however long the sender's own domains take.
    /// Gives whether there is an answer.
    async fn author_policy(&self, message: &AuthenticatedMessage<'_>) -> bool {
        let spf = SpfOutput::default().with_result(SpfResult::None);
        let found = self.dns.verify_dmarc(DmarcParameters::new(message, &[], "", &spf)).await;
        !matches!(found.dkim_result(), DmarcResult::TempError(_))
    }

    /// How long DNS may take now.
    pub(super) fn patience(&self) -> Duration {
        let is_silent = self.silent_until.lock().is_some_and(|until| Instant::now() < until);
        if is_silent { DNS_TIMEOUT_AFTER_SILENCE } else { DNS_TIMEOUT }
    }

    /// An answer in time ends the silence; it does not begin again with each message that meets it.
    pub(super) fn note(&self, was_silent: bool) {
        let mut until = self.silent_until.lock();
        match (was_silent, *until) {
            (false, _) => *until = None,
            (true, Some(time)) if Instant::now() < time => {}
            (true, _) => {
                tracing::warn!("DNS does not answer in time; mail is taken without being verified until it does");
                *until = Some(Instant::now() + SILENCE_REMEMBERED);
            }
        }
    }

    /// The reverse-path decides, and the greeting where there is none (RFC 7208 section 2.4).
    pub(super) async fn spf(&self, origin: &Origin<'_>) -> SpfOutput {
        let peer = origin.peer.to_canonical();
        let parameters = if origin.mail_from.is_empty() {
            SpfParameters::verify_ehlo(peer, origin.helo, origin.own_name)
        } else {
            SpfParameters::verify_mail_from(peer, origin.helo, origin.own_name, origin.mail_from)
        };
        self.dns.verify_spf(parameters).await
    }

    /// Whether the client may send for the reverse-path's domain, or for its own name where there is none. What DNS
    /// does not say in time is no.
    pub async fn passes_spf(&self, origin: &Origin<'_>) -> bool {
        let asked = tokio::time::timeout(self.patience(), self.spf(origin)).await;
        self.note(asked.is_err());
        asked.is_ok_and(|spf| spf_outcome(spf.result()) == Outcome::Pass)
    }

    async fn arc(&self, message: &AuthenticatedMessage<'_>) -> Arc {
        let instances = u32::try_from(message.as_headers.len()).unwrap_or(u32::MAX);
        if message.as_headers.len() > ARC_SETS_MAX {
            return Arc { outcome: Outcome::Fail, instances, ..Arc::default() };
        }
        let output = self.dns.verify_arc(message).await;
        chain(&output, instances)
    }
}

/// The message once for each of its signatures: one whose domain keeps silent must not cost the others their answers,
/// or anybody could make a forged one of a third domain uncertain.
fn by_signature<'x>(message: &mut AuthenticatedMessage<'x>) -> Vec<AuthenticatedMessage<'x>> {
    let signatures = std::mem::take(&mut message.dkim_headers);
    let one = |signature| AuthenticatedMessage { dkim_headers: vec![signature], ..message.clone() };
    signatures.into_iter().map(one).collect()
}

/// Hashes the body once for each way that signatures of it want.
pub(super) async fn hash_body(
    message: &mut AuthenticatedMessage<'_>,
    from: usize,
    body: &MessageBody,
) -> io::Result<()> {
    let wanted: Vec<BodyHash> = message.body_hashes.iter().map(|(canonical, hash, _, _)| (*canonical, *hash)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let found = match body {
        MessageBody::Inline(bytes) => hashes(&wanted, &mut &bytes[from..])?,
        MessageBody::Spooled(spooled) => {
            let spooled = spooled.clone();
            let hashing = move || {
                let mut file = File::open(&spooled.path)?;
                file.seek(SeekFrom::Start(from as u64))?;
                hashes(&wanted, &mut file)
            };
            tokio::task::spawn_blocking(hashing).await.map_err(io::Error::other)??
        }
    };
    for (entry, hash) in message.body_hashes.iter_mut().zip(found) {
        entry.3 = hash;
    }
    Ok(())
}

/// One hasher of a body, whichever algorithm it has.
enum Hasher {
    Sha1(BodyHasher<<Sha1 as HashImpl>::Context>),
    Sha256(BodyHasher<<Sha256 as HashImpl>::Context>),
}

impl Hasher {
    fn new((canonical, hash): &BodyHash) -> Self {
        match hash {
            HashAlgorithm::Sha1 => Hasher::Sha1(BodyHasher::new(Sha1::hasher(), *canonical, 0)),
            HashAlgorithm::Sha256 => Hasher::Sha256(BodyHasher::new(Sha256::hasher(), *canonical, 0)),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha1(hasher) => hasher.write(bytes),
            Hasher::Sha256(hasher) => hasher.write(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Hasher::Sha1(hasher) => hasher.finish().0.complete().as_ref().to_vec(),
            Hasher::Sha256(hasher) => hasher.finish().0.complete().as_ref().to_vec(),
        }
    }
}

fn hashes(wanted: &[BodyHash], body: &mut dyn Read) -> io::Result<Vec<Vec<u8>>> {
    let mut hashers: Vec<Hasher> = wanted.iter().map(Hasher::new).collect();
    let mut chunk = vec![0; SPOOL_CHUNK_BYTES];
    loop {
        let count = body.read(&mut chunk)?;
        if count == 0 {
            return Ok(hashers.into_iter().map(Hasher::finish).collect());
        }
        hashers.iter_mut().for_each(|hasher| hasher.write(&chunk[..count]));
    }
}

/// The signatures of a message when DNS did not answer.
fn unanswered<'x>(message: &'x AuthenticatedMessage<'x>) -> Vec<DkimOutput<'x>> {
    let silent = || Error::Dns(mail_auth::DnsError::Resolver("DNS does not answer".to_owned()));
    message.dkim_headers.iter().map(|found| DkimOutput::temp_err(silent()).with_signature(&found.header)).collect()
}

pub(super) fn spf_domain<'a>(origin: &Origin<'a>) -> &'a str {
    origin.mail_from.rsplit_once('@').map_or(origin.helo, |(_, domain)| domain)
}

fn author_domain(message: &AuthenticatedMessage<'_>) -> String {
    let mut domains = message.from.iter().filter_map(|from| from.rsplit_once('@')).map(|(_, domain)| domain);
    let first = domains.next().unwrap_or_default();
    if domains.all(|other| other == first) { first.to_owned() } else { String::new() }
}

fn spf_outcome(result: SpfResult) -> Outcome {
    match result {
        SpfResult::Pass => Outcome::Pass,
        SpfResult::Fail => Outcome::Fail,
        SpfResult::SoftFail => Outcome::SoftFail,
        SpfResult::Neutral => Outcome::Neutral,
        SpfResult::TempError => Outcome::TempError,
        SpfResult::PermError => Outcome::PermError,
        SpfResult::None => Outcome::None,
    }
}

/// A body or a header that was changed is a failure; the library calls the former neutral.
fn outcome(result: &DkimResult) -> (Outcome, String) {
    match result {
        DkimResult::Pass => (Outcome::Pass, String::new()),
        DkimResult::Neutral(
            error
            @ (Error::Dkim(dkim::DkimError::FailedBodyHashMatch) | Error::Arc(arc::ArcError::FailedBodyHashMatch)),
        )
        | DkimResult::Fail(error) => (Outcome::Fail, error.to_string()),
        DkimResult::Neutral(error) => (Outcome::Neutral, error.to_string()),
        DkimResult::PermError(error) => (Outcome::PermError, error.to_string()),
        DkimResult::TempError(error) => (Outcome::TempError, error.to_string()),
        DkimResult::None => (Outcome::None, String::new()),
    }
}

fn signature(output: &DkimOutput<'_>) -> Dkim {
    let (outcome, reason) = outcome(output.result());
    let Some(signature) = output.signature() else { return Dkim { outcome, reason, ..Dkim::default() } };
    Dkim {
        outcome,
        reason,
        domain: signature.d.clone(),
        selector: signature.s.clone(),
        algorithm: super::algorithm_name(signature.a).to_owned(),
        signature: start_of(&signature.b),
    }
}

/// SHA-1 proves nothing any more (RFC 8301 section 3.1).
fn forged_easily(signature: &dkim::Signature) -> Dkim {
    let output = DkimOutput::perm_err(Error::ParseError).with_signature(signature);
    Dkim { reason: "rsa-sha1 is not accepted".to_owned(), ..self::signature(&output) }
}

/// The first eight characters of a signature tell it from others (RFC 6008 section 4).
fn start_of(signature: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(&signature[..signature.len().min(6)])
}

fn chain(output: &ArcOutput<'_>, instances: u32) -> Arc {
    let (outcome, _) = outcome(output.result());
    let sealers = output.sets().iter().map(|set| set.seal.header.d.clone()).collect();
    let first = output.sets().first().map(|set| set.results.value);
    Arc { outcome, instances, sealers, dmarc_passed: first.is_some_and(has_passed_dmarc) }
}

/// Whether an ARC-Authentication-Results field says so.
fn has_passed_dmarc(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    let mut results = text.split(';').map(|result| result.trim_start());
    results.any(|result| result.strip_prefix("dmarc=pass").is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)))
}

fn policy(output: &DmarcOutput) -> Dmarc {
    let results = [output.dkim_result(), output.spf_result()];
    let is_any = |is: fn(&DmarcResult) -> bool| results.into_iter().any(is);
    let outcome = if is_any(|result| matches!(result, DmarcResult::Pass)) {
        Outcome::Pass
    } else if is_any(|result| matches!(result, DmarcResult::TempError(_))) {
        Outcome::TempError
    } else if output.dmarc_record().is_some() {
        Outcome::Fail
    } else if is_any(|result| matches!(result, DmarcResult::PermError(_))) {
        Outcome::PermError
    } else {
        Outcome::None
    };
    let wish = match output.policy() {
        dmarc::Policy::Reject => Wish::Reject,
        dmarc::Policy::Quarantine => Wish::Quarantine,
        dmarc::Policy::None | dmarc::Policy::Unspecified => Wish::None,
    };
    Dmarc {
        outcome,
        domain: output.domain().to_owned(),
        wish,
        dkim_aligned: *output.dkim_result() == DmarcResult::Pass,
        spf_aligned: *output.spf_result() == DmarcResult::Pass,
    }
}

/// The header of a message for [`Verifier::verify`].
///
/// # Errors
/// When the file can't be read.
pub async fn header_of(body: &MessageBody) -> io::Result<Option<bytes::Bytes>> {
    match body {
        MessageBody::Inline(_) => header::read(body),
        MessageBody::Spooled(_) => {
            let body = body.clone();
            tokio::task::spawn_blocking(move || header::read(&body)).await.map_err(io::Error::other)?
        }
    }
}
