//! ARC (RFC 8617): who passes a message on seals what it found out about it, because the next server can't any more.

use std::io;

use mail_auth::common::crypto::HashAlgorithm;
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::Canonicalization;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::{AuthenticatedMessage, AuthenticationResults};
use sterna_account::service::MessageBody;
use tokio::time::{Instant, timeout_at};

use super::sign::Signer;
use super::verify::{ARC_SETS_MAX, Origin, SIGNATURES_MAX, Verifier, hash_body, header_of, spf_domain};

impl Verifier {
    /// The fields of the next ARC set for a message that is passed on, with their CRLF; `None` when there is nothing to
    /// seal with or the chain is broken already. It is sealed as it came in: whatever is changed comes afterwards. What
    /// was asked when the message was verified is still in the cache of DNS.
    ///
    /// # Errors
    /// When the message's file can't be read.
    pub async fn seal(
        &self,
        origin: &Origin<'_>,
        body: &MessageBody,
        signer: &Signer,
        authserv_id: &str,
    ) -> io::Result<Option<String>> {
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
        let deadline = Instant::now() + self.patience();
        let finding = async {
            let spf = self.spf(origin).await;
            let dkim = self.dns().verify_dkim(&message).await;
            let arc = self.dns().verify_arc(&message).await;
            let parameters = DmarcParameters::new(&message, &dkim, spf_domain(origin), &spf);
            let dmarc = self.dns().verify_dmarc(parameters).await;
            let author = message.from.first().map_or("", String::as_str);
            let results = AuthenticationResults::new(authserv_id)
                .with_dkim_results(&dkim, author)
                .with_spf_mailfrom_result(&spf, origin.peer, origin.mail_from, origin.helo)
                .with_dmarc_result(&dmarc)
                .with_arc_result(&arc, origin.peer);
            sealer.seal(&message, &results, &arc).ok().map(|set| set.to_header())
        };
        // Unsealed mail is mail.
        Ok(timeout_at(deadline, finding).await.unwrap_or(None))
    }
}
