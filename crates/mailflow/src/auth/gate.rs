//! What comes from other servers passes here before it is delivered.

use std::path::PathBuf;
use std::sync::Arc;

use sterna_account::service::{Envelope, Message, MessageBody, Refusal};
use tokio::sync::watch;

use super::policy::{self, DmarcMode};
use super::results::{self, About};
use super::verdict::{Disposition, Dkim, Outcome, Verdict};
use super::verify::{Origin, Verifier, header_of};
use super::{HEADER_BYTES_MAX, header};
use crate::delivery::Keep;
use crate::guard::Guard;
use crate::reports::Reports;
use crate::reports::dmarc::Seen;
use crate::trace::Trace;

/// What administrators set about mail from other servers.
#[derive(Clone, Debug, Default)]
pub struct GateSettings {
    /// What DMARC is for.
    pub dmarc: DmarcMode,
    /// The name under which results are written (`authserv-id`): fields of others that claim it are taken out.
    pub authserv_id: String,
    /// This host.
    pub own_name: String,
    /// Domains that are believed when they say that they changed a message which was its author's (ARC).
    pub trusted_sealers: Vec<String>,
}

/// A message that goes on.
#[derive(Debug)]
pub struct Passed {
    /// With its results in front.
    pub message: Message,
    /// Where it goes in accounts.
    pub keep: Keep,
    /// The domains that answer for it: whose host brought it, or whose signature holds. Small letters.
    pub domains: Vec<String>,
}

/// Verifies messages, writes the result into them, and decides what becomes of them.
pub struct Gate {
    verifier: Verifier,
    settings: watch::Receiver<GateSettings>,
    spool_folder: PathBuf,
    trace: Trace,
    reports: Option<Arc<Reports>>,
    guard: Option<Arc<Guard>>,
}

impl Gate {
    /// With a folder for messages that are too large for memory; it is emptied by those who start the node.
    pub fn new(verifier: Verifier, settings: watch::Receiver<GateSettings>, spool_folder: PathBuf) -> Self {
        Gate { verifier, settings, spool_folder, trace: Trace::none(), reports: None, guard: None }
    }

    /// With a place to write verdicts down.
    pub fn with_trace(self, trace: Trace) -> Self {
        Gate { trace, ..self }
    }

    /// With reports to those in whose names mail comes.
    pub fn with_reports(self, reports: Arc<Reports>) -> Self {
        Gate { reports: Some(reports), ..self }
    }

    /// With one who is told which clients bring mail that is from whom it says.
    pub fn with_guard(self, guard: Arc<Guard>) -> Self {
        Gate { guard: Some(guard), ..self }
    }

    /// The message with one more field in front.
    ///
    /// # Errors
    /// When it can't be read or written.
    pub async fn with_field(&self, message: Message, name: &str, value: &str) -> Result<Message, Refusal> {
        let Some(header) = header_of(&message.body).await.map_err(unreadable)? else { return Ok(message) };
        let new = header::with(&header, &format!("{name}: {value}\r\n"), |_| true);
        self.replace(message, header.len(), new).await.map_err(unreadable)
    }

    /// The message with its results in front, and where it goes.
    ///
    /// # Errors
    /// What the client is told, when its author's domain wants it refused, or when its header has no end.
    pub async fn examine(&self, envelope: &Envelope, message: Message) -> Result<Passed, Refusal> {
        let settings = self.settings.borrow().clone();
        if settings.dmarc == DmarcMode::Off {
            let cleaned = self.without_forged(message, &settings.authserv_id).await.map_err(unreadable)?;
            return Ok(Passed { message: cleaned, keep: Keep::Inbox, domains: Vec::new() });
        }
        let sender = &envelope.sender;
        let origin = Origin {
            peer: sender.peer,
            helo: &sender.helo,
            mail_from: &envelope.mail_from,
            own_name: &settings.own_name,
        };
        let Some(header) = header_of(&message.body).await.map_err(unreadable)? else {
            let text = format!("The header of the message is longer than {HEADER_BYTES_MAX} bytes");
            return Err(Refusal::new(552, (5, 3, 4), text));
        };
        let verdict = self.verifier.verify(&origin, &header, &message.body).await.map_err(unreadable)?;
        let disposition = policy::disposition(&verdict, settings.dmarc, &settings.trusted_sealers);
        log(envelope, &verdict, disposition);
        self.trace.verdict(envelope.transaction, in_short(&verdict));
        if let Some(reports) = &self.reports
            && !matches!(verdict.dmarc.outcome, Outcome::None | Outcome::TempError)
        {
            let is_excused = policy::is_excused(&verdict, settings.dmarc, &settings.trusted_sealers);
            reports.saw_message(&reported(envelope, &verdict, disposition, is_excused));
        }
        if let Some(guard) = self.guard.as_ref().filter(|_| verdict.dmarc.outcome == Outcome::Pass) {
            guard.note_good(sender.peer);
        }
        let Disposition::Deliver(keep) = disposition else { return Err(policy::refusal(&verdict)) };
        let about = About {
            authserv_id: &settings.authserv_id,
            own_name: &settings.own_name,
            peer: sender.peer,
            helo: &sender.helo,
            mail_from: &envelope.mail_from,
            disposition,
        };
        let fields = results::fields(&verdict, &about);
        let new = header::with(&header, &fields, |field| !results::is_forged(field, &settings.authserv_id));
        let message = self.replace(message, header.len(), new).await.map_err(unreadable)?;
        Ok(Passed { message, keep, domains: verdict.domains() })
    }

    /// Results that others wrote in our name are believed by those who read mail here, whether we write any or not.
    async fn without_forged(&self, message: Message, authserv_id: &str) -> std::io::Result<Message> {
        let Some(header) = header_of(&message.body).await? else { return Ok(message) };
        if !header::fields(&header).any(|field| results::is_forged(field, authserv_id)) {
            return Ok(message);
        }
        let new = header::with(&header, "", |field| !results::is_forged(field, authserv_id));
        self.replace(message, header.len(), new).await
    }

    async fn replace(&self, message: Message, old_bytes: usize, new: Vec<u8>) -> std::io::Result<Message> {
        replace(message, old_bytes, new, self.spool_folder.clone()).await
    }
}

/// The message with another header, made where it may block if it is large.
pub(crate) async fn replace(
    message: Message,
    old_bytes: usize,
    new: Vec<u8>,
    spool_folder: PathBuf,
) -> std::io::Result<Message> {
    let is_small = matches!(&message.body, MessageBody::Inline(bytes)
        if bytes.len() + new.len() - old_bytes <= sterna_base::limits::INLINE_BLOB_BYTES_MAX);
    if is_small {
        return header::replace(&message, old_bytes, new, &spool_folder);
    }
    let replacing = move || header::replace(&message, old_bytes, new, &spool_folder);
    tokio::task::spawn_blocking(replacing).await.map_err(std::io::Error::other)?
}

/// The message with more fields in front, behind a Return-Path; as it is when its header is too long to be changed.
///
/// # Errors
/// When its file can't be read, or another one can't be written.
pub async fn with_fields(message: &Message, fields: &str, spool_folder: PathBuf) -> std::io::Result<Message> {
    let Some(header) = header_of(&message.body).await? else { return Ok(message.clone()) };
    let new = header::with(&header, fields, |_| true);
    replace(message.clone(), header.len(), new, spool_folder).await
}

/// What the author's domain is told of a message, if it asks for reports.
fn reported(envelope: &Envelope, verdict: &Verdict, disposition: Disposition, is_forwarded: bool) -> Seen {
    let (spf, dmarc) = (&verdict.spf, &verdict.dmarc);
    let signature = |dkim: &Dkim| (dkim.domain.clone(), dkim.selector.clone(), dkim.outcome.to_string());
    Seen {
        source: envelope.sender.peer,
        disposition: disposition.to_string(),
        is_forwarded,
        dkim_aligned: dmarc.dkim_aligned,
        spf_aligned: dmarc.spf_aligned,
        header_from: dmarc.domain.clone(),
        envelope_from: if spf.is_helo { String::new() } else { spf.domain.clone() },
        dkim: verdict.dkim.iter().filter(|dkim| !dkim.domain.is_empty()).map(signature).collect(),
        spf: (spf.domain.clone(), if spf.is_helo { "helo" } else { "mfrom" }.to_owned(), spf.outcome.to_string()),
    }
}

fn unreadable(error: std::io::Error) -> Refusal {
    Refusal::new(451, (4, 3, 0), "The message could not be taken in; try again later").because(error)
}

/// For people who ask why a message went where it did.
fn in_short(verdict: &Verdict) -> String {
    let dkim: Vec<_> = verdict.dkim.iter().map(|dkim| format!("dkim={} ({})", dkim.outcome, dkim.domain)).collect();
    let dkim = if dkim.is_empty() { "dkim=none".to_owned() } else { dkim.join(" ") };
    let (spf, dmarc) = (&verdict.spf, &verdict.dmarc);
    format!("spf={} ({}) {dkim} dmarc={} (p={})", spf.outcome, spf.domain, dmarc.outcome, dmarc.wish)
}

fn log(envelope: &Envelope, verdict: &Verdict, disposition: Disposition) {
    let passed = verdict.dkim.iter().map(|dkim| format!("{}={}", dkim.domain, dkim.outcome)).collect::<Vec<_>>();
    tracing::info!(
        transaction = %envelope.transaction,
        peer = %envelope.sender.peer,
        spf = %verdict.spf.outcome,
        spf_domain = verdict.spf.domain,
        dkim = passed.join(" "),
        dmarc = %verdict.dmarc.outcome,
        dmarc_domain = verdict.dmarc.domain,
        wish = %verdict.dmarc.wish,
        arc = %verdict.arc.outcome,
        ?disposition,
        "verified"
    );
}

#[cfg(test)]
mod tests {
    use sterna_account::service::InboundProtocol;

    use super::*;
    use crate::remote::Dns;
    use crate::tests::envelope;

    #[tokio::test]
    async fn results_in_our_name_go_even_when_nothing_is_verified() {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            GateSettings { dmarc: DmarcMode::Off, authserv_id: "mx.demo.test".to_owned(), ..GateSettings::default() };
        let dns = Dns::new(&[std::net::SocketAddr::from(([127, 0, 0, 1], 1))]).unwrap();
        let gate = Gate::new(Verifier::new(&dns), watch::channel(settings).1, folder.path().to_owned());
        let envelope = envelope(InboundProtocol::Smtp, &["ana@demo.test"], "x");
        for (field, stays) in [("mx.demo.test; dkim=pass", false), ("other.test; dkim=pass", true)] {
            let content = format!("Authentication-Results: {field}\r\nSubject: x\r\n\r\ntext\r\n");
            let (size, hash) = (content.len() as u64, sterna_base::BlobHash::of(content.as_bytes()));
            let body = MessageBody::Inline(content.clone().into());
            let message = Message { body, size, hash, summary: Vec::new().into() };
            let Passed { message: examined, keep, domains } = gate.examine(&envelope, message).await.unwrap();
            let MessageBody::Inline(bytes) = &examined.body else { panic!("small") };
            let expected = if stays { &*content } else { "Subject: x\r\n\r\ntext\r\n" };
            assert_eq!((&bytes[..], examined.size, keep), (expected.as_bytes(), expected.len() as u64, Keep::Inbox));
            assert_eq!(domains, Vec::<String>::new());
        }
    }
}
