//! MTA-STS (RFC 8461): a domain says by HTTPS which mail exchangers it has, and that they have good certificates. Who
//! has seen that once is not led astray any more by those who can change what DNS and servers say.

pub mod fetch;
mod policy;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use http::StatusCode;
use parking_lot::Mutex;
use sterna_base::{Clock, Timestamp};

pub use policy::{Mode, Policy};

use super::dns::Resolver;
use super::failure::{FailureKind, TlsFailure};
use super::tls::Trust;
use fetch::{Exchange, HTTPS_PORT};
use policy::POLICY_BYTES_MAX;
use store::{Kept, Store};

/// Where a domain's policy is (RFC 8461 section 3.3).
const PATH: &str = "/.well-known/mta-sts.txt";

/// After how long a policy is fetched again although its id is the same, in milliseconds: its end is never near then,
/// and who holds back DNS wins nothing by it.
const REFRESH_MS: i64 = 24 * 60 * 60 * 1000;

/// How long a domain whose policy could not be fetched is not asked again, in milliseconds (RFC 8461 section 3.3).
const FAILURE_RETENTION_MS: i64 = 5 * 60 * 1000;

/// Domains of which it is known that their policies can't be fetched.
const FAILURES_MAX: usize = 10_000;

/// What holds for a domain.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Its policy, if it has one that asks for anything.
    pub policy: Option<Policy>,
    /// Why there is no new one, although there should be.
    pub failure: Option<TlsFailure>,
}

/// Knows the policies of domains.
pub struct MtaSts {
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    trust: Trust,
    port: u16,
    store: Store,
    failures: Mutex<HashMap<String, (Timestamp, TlsFailure)>>,
    /// Domains that are being fetched: the others wait for what comes of it.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl MtaSts {
    /// With a folder for policies, which is made if it isn't there. Blocks.
    ///
    /// # Errors
    /// When the folder can't be made or read.
    pub fn open(folder: &Path, resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let store = Store::open(folder, clock.now())?;
        let (failures, turns) = (Mutex::default(), Mutex::default());
        Ok(MtaSts { resolver, clock, trust: Trust::default(), port: HTTPS_PORT, store, failures, turns })
    }

    /// With other authorities and another port than everybody's.
    #[cfg(test)]
    pub fn with_https(self, trust: Trust, port: u16) -> Self {
        MtaSts { trust, port, ..self }
    }

    /// With a policy that was fetched just now.
    #[cfg(test)]
    pub async fn keep(&self, domain: &str, text: &str) {
        let kept = Kept { id: "1".to_owned(), fetched: self.clock.now(), policy: Policy::parse(text).unwrap() };
        self.store.put(domain, kept).await;
    }

    /// What holds for a domain now. Without an answer of DNS, or of the policy's host, what is known holds on.
    pub async fn of(&self, domain: &str) -> Found {
        let now = self.clock.now();
        let kept = self.store.of(domain, now);
        let Some(id) = self.id(domain).await else { return found(kept, None) };
        if let Some(kept) = kept.clone().filter(|kept| kept.id == id && !is_due(kept, now)) {
            return found(Some(kept), None);
        }
        if let Some(failure) = self.failure(domain, now) {
            return found(kept, Some(failure));
        }
        let turn = self.turns.lock().entry(domain.to_owned()).or_default().clone();
        let fetched = {
            let _turn = turn.lock().await;
            match self.store.of(domain, now).filter(|kept| kept.id == id && !is_due(kept, now)) {
                Some(kept) => Ok(Some(kept)),
                None => self.fetch(domain, id).await.map(|()| self.store.of(domain, now)),
            }
        };
        self.turns.lock().remove(domain);
        match fetched {
            Ok(kept) => found(kept, None),
            Err(failure) => {
                tracing::warn!(domain, %failure, "its MTA-STS policy could not be fetched");
                self.remember(domain, now, failure.clone());
                found(kept, Some(failure))
            }
        }
    }

    /// Fetches again what is due, so that nothing ends because nobody wrote there for a while.
    pub async fn refresh(&self) {
        for domain in self.store.domains(self.clock.now()) {
            self.of(&domain).await;
        }
    }

    /// The id of the policy that a domain says it has.
    async fn id(&self, domain: &str) -> Option<String> {
        policy::id(&self.resolver.txt(&format!("_mta-sts.{domain}")).await.ok()?)
    }

    async fn fetch(&self, domain: &str, id: String) -> Result<(), TlsFailure> {
        let host = format!("mta-sts.{domain}");
        let exchange =
            Exchange { host: &host, port: self.port, path: PATH, content: None, answer_bytes_max: POLICY_BYTES_MAX };
        let answer = exchange.run(&*self.resolver, &self.trust).await?;
        let failed = |kind, why: &dyn std::fmt::Display| TlsFailure::new(kind, format!("{host}: {why}"));
        if answer.status != StatusCode::OK {
            let why = format!("it answers {}", answer.status);
            return Err(failed(FailureKind::StsPolicyFetchError, &why));
        }
        if answer.media_type != "text/plain" {
            return Err(failed(FailureKind::StsPolicyFetchError, &"the policy is not text/plain"));
        }
        let invalid =
            |why: &'static str| failed(FailureKind::StsPolicyInvalid, &format!("the policy is no good: {why}"));
        let text = std::str::from_utf8(&answer.body).map_err(|_| invalid("it is not UTF-8"))?;
        let policy = Policy::parse(text).map_err(invalid)?;
        tracing::info!(domain, id, mode = ?policy.mode, "has an MTA-STS policy");
        self.store.put(domain, Kept { id, fetched: self.clock.now(), policy }).await;
        Ok(())
    }

    fn failure(&self, domain: &str, now: Timestamp) -> Option<TlsFailure> {
        let failures = self.failures.lock();
        let (at, failure) = failures.get(domain)?;
        (now < at.plus_ms(FAILURE_RETENTION_MS)).then(|| failure.clone())
    }

    fn remember(&self, domain: &str, now: Timestamp, failure: TlsFailure) {
        let mut failures = self.failures.lock();
        if failures.len() >= FAILURES_MAX {
            failures.clear();
        }
        failures.insert(domain.to_owned(), (now, failure));
    }
}

fn is_due(kept: &Kept, now: Timestamp) -> bool {
    let half_ms = i64::try_from(kept.policy.max_age_seconds / 2).unwrap_or(i64::MAX).saturating_mul(1000);
    now >= kept.fetched.plus_ms(half_ms.min(REFRESH_MS))
}

fn found(kept: Option<Arc<Kept>>, failure: Option<TlsFailure>) -> Found {
    let policy = kept.map(|kept| kept.policy.clone()).filter(|policy| policy.mode != Mode::None);
    Found { policy, failure }
}
