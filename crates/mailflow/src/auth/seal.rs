//! ARC (RFC 8617): who passes a message on seals what it found out about it, because the next server can't any more.
//!
//! What is sealed is what [`Gate`](super::Gate) wrote into the message when it came in, not a second verification: by
//! the time that a script redirects it, nobody knows any more where it came from.

use std::io;

use mail_auth::common::crypto::HashAlgorithm;
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::Canonicalization;
use mail_auth::{AuthenticatedMessage, AuthenticationResults, DkimResult};
use sterna_account::service::MessageBody;
use tokio::sync::watch;
use tokio::time::timeout;

use super::gate::GateSettings;
use super::results;
use super::sign::{Signer, Signers};
use super::verify::{ARC_SETS_MAX, SIGNATURES_MAX, Verifier, hash_body, header_of};

/// What the field of results is called in a set.
const RESULTS_FIELD: &str = "ARC-Authentication-Results: ";

/// Seals messages in the name of domains that have keys.
pub struct Sealing {
    verifier: Verifier,
    signers: watch::Receiver<Signers>,
    settings: watch::Receiver<GateSettings>,
}

impl Sealing {
    /// With the keys of domains, and the name under which results are written.
    pub fn new(verifier: Verifier, signers: watch::Receiver<Signers>, settings: watch::Receiver<GateSettings>) -> Self {
        Sealing { verifier, signers, settings }
    }

    /// The fields of the next ARC set with their CRLF for a message that leaves in this form on behalf of an address of
    /// a domain. `verified` has the header with our results: only what came through the gate has, whatever else claims
    /// to be one. Empty when there is nothing to seal with, nothing to seal, or the chain is broken already; what can't
    /// be sealed goes without.
    pub async fn fields(&self, domain: &str, verified: &MessageBody, content: &MessageBody) -> String {
        let Some(signer) = self.signers.borrow().of(&domain.to_ascii_lowercase()) else { return String::new() };
        let sealed = async {
            let Some(header) = header_of(verified).await? else { return Ok(None) };
            let own_id = self.settings.borrow().authserv_id.clone();
            let Some(results) = results::own(&header, &own_id) else { return Ok(None) };
            self.verifier.seal(&results, content, &signer).await
        };
        match sealed.await {
            Ok(set) => set.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(domain, %error, "a message that goes on could not be sealed and goes without");
                String::new()
            }
        }
    }
}

impl Verifier {
    /// The fields of the next ARC set for a message that is passed on, with their CRLF; `None` when there is nothing to
    /// seal with or the chain is broken already. `results` is one line, as an Authentication-Results field has it.
    ///
    /// # Errors
    /// When the message's file can't be read.
    pub(super) async fn seal(&self, results: &str, body: &MessageBody, signer: &Signer) -> io::Result<Option<String>> {
        let (Some(sealer), Some(header)) = (signer.sealer(), header_of(body).await?) else { return Ok(None) };
        let Some(mut message) = AuthenticatedMessage::parse(&header) else { return Ok(None) };
        if message.as_headers.len() >= ARC_SETS_MAX {
            return Ok(None);
        }
        message.dkim_headers.truncate(SIGNATURES_MAX);
        message.errors.truncate(SIGNATURES_MAX);
        let own = (Canonicalization::Relaxed, HashAlgorithm::Sha256, 0, Vec::new());
        if !message.body_hashes.iter().any(|wanted| (wanted.0, wanted.1, wanted.2) == (own.0, own.1, own.2)) {
            message.body_hashes.push(own);
        }
        hash_body(&mut message, header.len(), body).await?;
        // A chain that can't be checked in time is not continued: a seal says that it holds.
        let Ok(arc) = timeout(self.patience(), self.dns().verify_arc(&message)).await else { return Ok(None) };
        if !matches!(arc.result(), DkimResult::Pass | DkimResult::None) {
            return Ok(None);
        }
        let results = AuthenticationResults::new(results);
        Ok(sealer.seal(&message, &results, &arc).ok().map(|set| folded(&set.to_header())))
    }
}

/// The library writes the results into one line, which may be longer than a line can be (RFC 5322 section 2.1.1). Where
/// it is folded makes no difference to the signatures, which are over relaxed fields.
fn folded(set: &str) -> String {
    let fold = |line: &str| match line.split_once("; ") {
        Some((start, rest)) if start.starts_with(RESULTS_FIELD) => {
            format!("{start}; {}", rest.replace("; ", ";\r\n\t"))
        }
        _ => line.to_owned(),
    };
    set.split_inclusive('\n').map(fold).collect()
}
