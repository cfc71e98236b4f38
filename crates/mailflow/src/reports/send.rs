//! Sends the reports of days that are over.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use sterna_account::service::{MessageBody, Rcpt};
use sterna_base::{BlobHash, OperationId};
use tokio::sync::watch;

use super::record::{self, Record, Uri};
use super::store::{Kind, Subject};
use super::{About, DAY_SECONDS, Edges, ReportSettings, Reports, day, dmarc, mail, tls};
use crate::auth::Signers;
use crate::delivery::Keep;
use crate::outbound::Outbound;
use crate::provenance::Provenance;
use crate::queue::{NewMessage, Queue, QueueId, QueuedEnvelope};
use crate::remote::sts::fetch::{Exchange, HTTPS_PORT};
use crate::remote::{DnsError, Resolver, Trust};

/// Nodes send at different times within this many seconds after midnight (RFC 8460 section 4.1 asks for it).
const SPREAD_SECONDS: u64 = 4 * 60 * 60;

/// Days after which a report that could not be sent is given up.
const DAYS_MAX: i64 = 3;

/// Domains that are looked at in one go.
const SUBJECTS_MAX: usize = 50_000;

/// Questions without an answer after which DNS counts as away, until the next time.
const UNANSWERED_MAX: usize = 20;

/// How long it is remembered that a report was sent, in milliseconds.
const SENT_RETENTION_MS: i64 = 2 * DAYS_MAX * DAY_SECONDS * 1000;

/// Longest answer of a server that takes reports.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Reports with the same receiver and day.
type Groups = BTreeMap<(i64, String), (Record, Vec<Subject>)>;

/// Makes reports and puts them into the queue.
pub struct Sender {
    /// What was counted.
    pub reports: Arc<Reports>,
    /// The edges that have seen something.
    pub edges: Arc<dyn Edges>,
    /// Who knows where they go.
    pub resolver: Arc<dyn Resolver>,
    /// Where they wait.
    pub queue: Arc<Queue>,
    /// The ways out.
    pub outbound: Arc<Outbound>,
    /// Who signs them.
    pub signers: watch::Receiver<Signers>,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// The port of HTTPS: 443 everywhere but in tests; 0 stands for it.
    pub https_port: u16,
}

/// Why a report is not out.
enum NotSent {
    /// It may be later.
    Later(String),
    /// It will never be.
    Never(String),
}

impl From<DnsError> for NotSent {
    fn from(error: DnsError) -> Self {
        NotSent::Later(error.to_string())
    }
}

impl Sender {
    /// Sends what is due. What can't be sent now is tried again by the next call, for some days; a report that is out
    /// already doesn't go twice, however often this is tried.
    pub async fn send_due(&self) {
        self.reports.flush().await;
        let settings = self.reports.settings.borrow().clone();
        let now = self.reports.clock.now();
        // Days that are over, and for long enough.
        let today = day(now.plus_ms(-spread_ms(&settings.own_name)));
        let store = self.reports.store.clone();
        self.blocking(move || store.remove_before(today - DAYS_MAX)).await;
        if !Kind::ALL.into_iter().any(|kind| settings.makes(kind)) {
            return;
        }
        self.take_days(today, today - DAYS_MAX).await;
        for kind in Kind::ALL.into_iter().filter(|kind| settings.makes(*kind)) {
            for ((day, domain), (record, subjects)) in self.groups(kind, today).await {
                let sent = self.send(kind, day, &domain, &record, &subjects, &settings).await;
                match sent {
                    Ok(()) => tracing::info!(domain, ?kind, "a report is on its way"),
                    Err(NotSent::Never(why)) => tracing::info!(domain, ?kind, why, "there is no way for a report"),
                    Err(NotSent::Later(why)) => {
                        tracing::info!(domain, ?kind, why, "a report can't be sent yet");
                        continue;
                    }
                }
                self.remove(subjects).await;
            }
        }
    }

    /// What is due, by the domain whose record says where it goes.
    async fn groups(&self, kind: Kind, today: i64) -> Groups {
        let mut groups = Groups::new();
        let (mut after, mut unanswered): (Option<Subject>, usize) = (None, 0);
        for _ in 0..SUBJECTS_MAX {
            if unanswered >= UNANSWERED_MAX {
                tracing::info!("DNS does not say where reports go; they wait");
                break;
            }
            let (store, last) = (self.reports.store.clone(), after.take());
            let next = self.blocking(move || store.next(kind, today, last.as_ref())).await.flatten();
            let Some(subject) = next else { break };
            after = Some(subject.clone());
            let found = match kind {
                Kind::Dmarc => record::dmarc(&*self.resolver, &subject.domain).await,
                Kind::Tls => {
                    let found = record::tls(&*self.resolver, &subject.domain).await;
                    found.map(|record| record.map(|record| (subject.domain.clone(), record)))
                }
            };
            match found {
                Ok(Some((name, record))) => {
                    groups.entry((subject.day, name)).or_insert_with(|| (record, Vec::new())).1.push(subject);
                }
                Ok(None) => self.remove(vec![subject]).await,
                Err(error) => {
                    unanswered += 1;
                    tracing::debug!(domain = subject.domain, %error, "nobody knows where its reports go");
                }
            }
        }
        groups
    }

    async fn remove(&self, subjects: Vec<Subject>) {
        let store = self.reports.store.clone();
        self.blocking(move || subjects.iter().try_for_each(|subject| store.remove(subject))).await;
    }

    async fn send(
        &self,
        kind: Kind,
        day: i64,
        domain: &str,
        record: &Record,
        subjects: &[Subject],
        settings: &ReportSettings,
    ) -> Result<(), NotSent> {
        let uris = record.uris();
        if uris.is_empty() {
            return Err(NotSent::Never("its record names no address for them".to_owned()));
        }
        let contact = settings.contact.as_deref().unwrap_or_default();
        let id_text = name(kind, day, domain, contact, "").to_string();
        let about = About { kind, domain, day, organization: &settings.organization, contact, id: &id_text };
        let report = match kind {
            Kind::Dmarc => dmarc::report(&about, record, &self.seen(subjects).await),
            Kind::Tls => tls::report(&about, &self.seen(subjects).await),
        };
        let compressed = Bytes::from(mail::compressed(&report).map_err(|error| NotSent::Later(error.to_string()))?);
        let (mut any, mut later, mut never) = (false, None, None);
        for uri in &uris {
            match self.send_to(uri, &about, &compressed, settings).await {
                Ok(()) => any = true,
                Err(NotSent::Later(why)) => later = Some(why),
                Err(NotSent::Never(why)) => never = Some(why),
            }
        }
        match (later, any) {
            (Some(why), _) => Err(NotSent::Later(why)),
            (None, true) => Ok(()),
            (None, false) => Err(NotSent::Never(never.unwrap_or_default())),
        }
    }

    async fn seen<T: DeserializeOwned + Send + 'static>(&self, subjects: &[Subject]) -> Vec<(T, u64)> {
        let (store, subjects) = (self.reports.store.clone(), subjects.to_vec());
        let read = move || {
            let mut seen = Vec::new();
            for subject in &subjects {
                let rows = store.of(subject)?.into_iter();
                seen.extend(rows.filter_map(|(what, count)| Some((serde_json::from_str(&what).ok()?, count))));
            }
            Ok(seen)
        };
        self.blocking(read).await.unwrap_or_default()
    }

    async fn send_to(
        &self,
        uri: &Uri,
        about: &About<'_>,
        compressed: &Bytes,
        settings: &ReportSettings,
    ) -> Result<(), NotSent> {
        match uri {
            Uri::Mail { address, bytes_max } => {
                if bytes_max.is_some_and(|most| compressed.len() as u64 > most) {
                    return Err(NotSent::Never(format!("{address} does not take as much")));
                }
                let (_, destination) = address.rsplit_once('@').unwrap_or_default();
                if about.kind == Kind::Dmarc && !record::accepts(&*self.resolver, about.domain, destination).await? {
                    return Err(NotSent::Never(format!("{destination} does not say that it takes them")));
                }
                self.mail(address, about, compressed, settings).await
            }
            // RFC 7489 section 6.2 knows mail alone.
            Uri::Https { host, .. } if about.kind == Kind::Dmarc => {
                Err(NotSent::Never(format!("{host} is asked for by HTTPS")))
            }
            Uri::Https { host, path } => self.post(host, path, compressed).await,
        }
    }

    /// RFC 8460 section 5.4.
    async fn post(&self, host: &str, path: &str, compressed: &Bytes) -> Result<(), NotSent> {
        let port = if self.https_port == 0 { HTTPS_PORT } else { self.https_port };
        let content = Some(("application/tlsrpt+gzip", compressed.clone()));
        let exchange = Exchange { host, port, path, content, answer_bytes_max: ANSWER_BYTES_MAX };
        let answer = exchange.run(&*self.resolver, &self.trust).await;
        let answer = answer.map_err(|failure| NotSent::Later(failure.text))?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(NotSent::Later(format!("{host} answers {}", answer.status)))
        }
    }

    async fn mail(
        &self,
        to: &str,
        about: &About<'_>,
        compressed: &[u8],
        settings: &ReportSettings,
    ) -> Result<(), NotSent> {
        let now = self.reports.clock.now();
        let content = mail::message(about, &settings.own_name, to, compressed, now);
        let content = self.signed(about.contact, content).await;
        let expires = now.plus_ms(self.outbound.times().lifetime_ms);
        let rcpt = Rcpt { address: to.to_owned(), original: None, notify: Some("NEVER".to_owned()) };
        let deliveries = self.outbound.deliveries(vec![rcpt], now, expires).await;
        if deliveries.is_empty() {
            return Err(NotSent::Never(format!("no mail goes to {to}")));
        }
        let envelope = QueuedEnvelope {
            mail_from: about.contact.to_owned(),
            envelope_id: None,
            return_headers_only: true,
            eight_bit: false,
            utf8: false,
            keep: Keep::Inbox,
            provenance: Provenance::default(),
            origin: format!("report to {}", about.domain),
            received: now,
            expires,
        };
        let id = name(about.kind, about.day, about.domain, about.contact, to);
        let (size_bytes, hash) = (content.len() as u64, BlobHash::of(&content));
        let body = MessageBody::Inline(content);
        let message = NewMessage { id: QueueId(id), envelope, body, size_bytes, hash, deliveries };
        let added = self.queue.add_once(message, now, now.plus_ms(SENT_RETENTION_MS)).await;
        added.map(drop).map_err(|error| NotSent::Later(error.cause().to_string()))
    }

    /// With the signatures of the contact's domain. RFC 8460 section 3 asks for one; without a key it goes all the
    /// same.
    async fn signed(&self, contact: &str, content: Vec<u8>) -> Bytes {
        let content = Bytes::from(content);
        let domain = contact.rsplit_once('@').map_or("", |(_, domain)| domain);
        let Some(signer) = self.signers.borrow().of(domain) else { return content };
        let body = MessageBody::Inline(content.clone());
        match tokio::task::spawn_blocking(move || signer.sign(&body)).await {
            Ok(Ok(fields)) => [fields.as_bytes(), &content].concat().into(),
            _ => content,
        }
    }

    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, super::StoreError> + Send + 'static,
    ) -> Option<T> {
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(done)) => Some(done),
            Ok(Err(error)) => {
                tracing::warn!(%error, "what was seen can't be read for reports");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "what was seen can't be read for reports");
                None
            }
        }
    }
}

/// The same name for every try of the same report, by whichever edge: a receiver that gets it twice knows it again.
fn name(kind: Kind, day: i64, domain: &str, contact: &str, to: &str) -> OperationId {
    let mut hasher = blake3::Hasher::new_derive_key("sterna mailflow report 1");
    for part in [format!("{kind:?} {day}").as_str(), domain, contact, to] {
        hasher.update(part.as_bytes()).update(b"\0");
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    OperationId(id)
}

/// How long after midnight a node sends.
fn spread_ms(own_name: &str) -> i64 {
    let hash = blake3::hash(own_name.as_bytes());
    let number = hash.as_bytes().iter().take(4).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    i64::try_from(number % SPREAD_SECONDS * 1000).unwrap_or(0)
}

/// When the reports of a day can be sent, at the latest.
#[cfg(test)]
pub fn due(day: i64) -> sterna_base::Timestamp {
    sterna_base::Timestamp::from_seconds((day + 1) * DAY_SECONDS + i64::try_from(SPREAD_SECONDS).unwrap_or(0))
}
