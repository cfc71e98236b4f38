//! Certificates of the installation from a certificate authority (ACME, RFC 8555). The main node alone orders them; the
//! directory carries what is to be answered, and what was issued, to every edge (`node::served`). Decision 57.
//!
//! [`due`] says when, [`names`] for what, [`order`] does it, [`state`] is what settings and rows say.

pub mod due;
mod http;
pub mod names;
mod order;
pub mod state;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sterna_base::{Modseq, NodeId, Timestamp};
use sterna_cluster::ControlClient;
use sterna_directory::acme::{ACME, Acme, Certificate, Challenge, Failure, LEFT_OUT_MAX, LeftOut};
use sterna_directory::{Directory, Reader, Request, RequestError, StorageError};
use sterna_mailflow::remote::Dns;
use tokio_util::sync::CancellationToken;

use self::due::Due;
use self::names::Names;
use self::order::Trouble;
use self::state::{Settings, settings};
use crate::node::discovery::Discovery;
use crate::node::served::Served;

/// What the sealed key and account are called where DKIM keys have their domain: domains are numbers.
pub const SEALED_FOR: &str = "acme";

/// What the key of the certificate is called where DKIM keys have their selector.
pub const SEALED_KEY: &str = "certificate-key";

/// The same of the account.
const SEALED_ACCOUNT: &str = "account";

/// How often it is looked which names lead here.
const NAMES_INTERVAL_MS: i64 = 3600 * 1000;

/// The longest and the shortest time between two looks at all this.
const ROUND_MAX: Duration = Duration::from_secs(3600);
/// See [`ROUND_MAX`].
const ROUND_MIN: Duration = Duration::from_secs(1);

/// How long an edge may take until it can answer the authority. One that takes longer is down: the authority will say
/// so if it asks there.
const EDGES_WAIT: Duration = Duration::from_secs(15);

/// How often an edge is asked how far it is.
const EDGE_ASK_INTERVAL: Duration = Duration::from_millis(200);

/// For how long a name that the authority refused is left out, in milliseconds: a day.
const REFUSED_MS: i64 = 24 * 3600 * 1000;

/// What it works with.
pub struct Tools {
    /// The directory of the main node.
    pub directory: Directory,
    /// Who knows which names the services have.
    pub discovery: Arc<Discovery>,
    /// Who asks DNS.
    pub dns: Arc<Dns>,
    /// The node's folder.
    pub folder: PathBuf,
    /// The node.
    pub node: NodeId,
    /// What this node shows.
    pub served: Arc<Served>,
    /// Who asks the other edges how far they are.
    pub others: ControlClient,
}

/// What the directory says.
struct Said {
    settings: Option<Settings>,
    acme: Acme,
    certificate: Option<Certificate>,
    domains: u64,
}

fn said(reader: &Reader<'_>) -> Result<Said, StorageError> {
    Ok(Said {
        settings: settings(reader)?,
        acme: reader.acme()?.map(|found| found.value).unwrap_or_default(),
        certificate: reader.certificate(ACME)?.map(|found| found.value),
        domains: reader.domain_count()?,
    })
}

/// Sees to it that there is a certificate, until `stop`.
pub async fn run(tools: Tools, stop: CancellationToken) {
    let mut changed = tools.directory.watch();
    let mut runner = Runner { tools, looked: None };
    loop {
        changed.borrow_and_update();
        let wait = tokio::select! {
            () = stop.cancelled() => return,
            wait = runner.round() => wait,
        };
        tokio::select! {
            () = stop.cancelled() => return,
            change = changed.changed() => if change.is_err() { return },
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Which names lead here, as of when and under which settings.
struct Looked {
    names: Names,
    at: Timestamp,
    settings: Settings,
    domains: u64,
}

struct Runner {
    tools: Tools,
    looked: Option<Looked>,
}

impl Runner {
    /// Does what is due, and says how long there is nothing to do.
    async fn round(&mut self) -> Duration {
        match self.look().await {
            Ok(Some(at)) => {
                let ms = at.0.saturating_sub(self.tools.directory.now().0);
                Duration::from_millis(u64::try_from(ms).unwrap_or_default()).clamp(ROUND_MIN, ROUND_MAX)
            }
            Ok(None) => ROUND_MAX,
            Err(error) => {
                tracing::warn!(%error, "it can't be seen to the certificate of the installation");
                ROUND_MAX
            }
        }
    }

    async fn look(&mut self) -> Result<Option<Timestamp>, RequestError> {
        let Said { settings, mut acme, certificate, domains } = self.tools.directory.read(said).await?;
        let Some(settings) = settings else {
            self.looked = None;
            return Ok(None);
        };
        let now = self.tools.directory.now();
        if acme.directory != settings.directory {
            // Another authority knows nothing of the account, and what went wrong with the former one is over.
            acme = Acme { directory: settings.directory.clone(), wanted: acme.wanted, ..Acme::default() };
        }
        if !settings.has_agreed {
            let trouble = Trouble::new(
                "the terms of service of the certificate authority are not agreed to",
                "Read them at the authority, then: sterna config set acme.terms agreed",
            );
            if acme.failure.as_ref().is_none_or(|failure| failure.what != trouble.what) {
                self.failed(acme, trouble, now).await?;
            }
            return Ok(None);
        }
        if self.looked.as_ref().is_some_and(|looked| looked.settings != settings) {
            // Somebody has mended something.
            acme.not_before = None;
        }
        let names = self.names(&settings, &acme, certificate.as_ref(), domains, now).await?;
        let left_out = left_out(&names, &acme, now);
        let asked: Vec<String> = due::asked(&names.found, &acme, now);
        match due::due(&acme, certificate.as_ref(), &asked, &settings.directory, now) {
            Due::Now => {
                acme.left_out = left_out;
                self.order(&settings, acme, certificate, asked).await?;
                Ok(Some(self.tools.directory.now()))
            }
            Due::At(at) => {
                let (at, told) = match certificate.filter(|_| acme.ask_again_at.is_none_or(|again| again <= now)) {
                    Some(certificate) => self.renewal(&settings, acme.clone(), &certificate).await,
                    None => (at, None),
                };
                let mut told = told.unwrap_or_else(|| acme.clone());
                (told.left_out, told.failures, told.failure, told.not_before) = (left_out, 0, None, None);
                self.keep(&acme, told).await?;
                Ok(Some(Timestamp(at.0.min(now.0.saturating_add(NAMES_INTERVAL_MS)))))
            }
            Due::Retry(at) => {
                self.keep(&acme, Acme { left_out, ..acme.clone() }).await?;
                Ok(Some(Timestamp(at.0.min(now.0.saturating_add(NAMES_INTERVAL_MS)))))
            }
            Due::Never => {
                let trouble = Trouble::new(
                    "none of the installation's names leads here by DNS",
                    "Set external-url, publish the records that sterna domain dns DOMAIN shows, then: sterna \
                     certificate renew",
                );
                let is_new = acme.failure.as_ref().is_none_or(|failure| failure.what != trouble.what);
                let kept = Acme { left_out, wanted: false, ..acme.clone() };
                match is_new {
                    true => self.failed(kept, trouble, now).await?,
                    false => drop(self.keep(&acme, kept).await?),
                }
                Ok(Some(now.plus_ms(NAMES_INTERVAL_MS)))
            }
        }
    }

    /// Writes a row that differs.
    async fn keep(&self, before: &Acme, after: Acme) -> Result<Modseq, RequestError> {
        if *before == after {
            return Ok(*self.tools.directory.watch().borrow());
        }
        Ok(self.tools.directory.submit(Request::PutAcme { acme: after, expect: None }).await?.modseq)
    }

    async fn names(
        &mut self,
        settings: &Settings,
        acme: &Acme,
        certificate: Option<&Certificate>,
        domains: u64,
        now: Timestamp,
    ) -> Result<Names, RequestError> {
        let is_fresh = |looked: &&Looked| {
            let age = now.0.saturating_sub(looked.at.0);
            !(acme.wanted && acme.not_before.is_none())
                && looked.settings == *settings
                && looked.domains == domains
                && age < NAMES_INTERVAL_MS
        };
        if let Some(looked) = self.looked.as_ref().filter(is_fresh) {
            return Ok(looked.names.clone());
        }
        let known = certificate.map(|one| one.names.clone()).unwrap_or_default();
        let Tools { directory, discovery, dns, .. } = &self.tools;
        let wanted = names::wanted(directory, discovery, &settings.names).await?;
        let names = names::leading_here(dns, wanted, &known).await;
        self.looked = Some(Looked { names: names.clone(), at: now, settings: settings.clone(), domains });
        Ok(names)
    }

    async fn order(
        &self,
        settings: &Settings,
        mut acme: Acme,
        former: Option<Certificate>,
        asked: Vec<String>,
    ) -> Result<(), RequestError> {
        tracing::info!(names = asked.join(" "), authority = settings.directory, "asking for a certificate");
        let ordered = order::order(self, settings, &mut acme, former.as_ref(), &asked).await;
        let now = self.tools.directory.now();
        acme.challenges.clear();
        match ordered {
            Ok(certificate) => {
                if acme.renews_as_told && acme.renew_at.is_some_and(|at| at <= now) {
                    acme.told_at = Some(now);
                }
                acme.renew_at = Some(due::renew_at(&certificate));
                (acme.renews_as_told, acme.ask_again_at) = (false, None);
                (acme.failures, acme.failure, acme.not_before, acme.wanted) = (0, None, None, false);
                acme.left_out.retain(|one| one.again_at.is_none_or(|again| again > now));
                tracing::info!(names = asked.join(" "), "there is a new certificate");
                self.tools.directory.submit(Request::PutCertificate(certificate)).await?;
                self.tools.directory.submit(Request::PutAcme { acme, expect: None }).await?;
                Ok(())
            }
            Err(trouble) => self.failed(acme, trouble, now).await,
        }
    }

    async fn failed(&self, mut acme: Acme, trouble: Trouble, now: Timestamp) -> Result<(), RequestError> {
        tracing::warn!(what = trouble.what, remedy = trouble.remedy, "there is no new certificate");
        acme.failures = acme.failures.saturating_add(1);
        let wait_ms =
            due::wait_ms(acme.failures, trouble.retry_after_ms, u64::from(acme.failures) ^ now.0.unsigned_abs());
        // Without those that were refused it may go well at once; they are asked for again later.
        acme.not_before = trouble.refused.is_empty().then(|| now.plus_ms(wait_ms));
        for (name, why) in trouble.refused {
            acme.left_out.retain(|one| one.name != name);
            acme.left_out.insert(0, LeftOut { name, why, again_at: Some(now.plus_ms(REFUSED_MS)) });
        }
        acme.left_out.truncate(LEFT_OUT_MAX);
        acme.failure = Some(Failure { what: trouble.what, remedy: trouble.remedy, at: now });
        self.tools.directory.submit(Request::PutAcme { acme, expect: None }).await?;
        Ok(())
    }

    /// Asks the authority when the certificate should be renewed (RFC 9773). One that doesn't say is no trouble.
    async fn renewal(
        &self,
        settings: &Settings,
        mut acme: Acme,
        certificate: &Certificate,
    ) -> (Timestamp, Option<Acme>) {
        let now = self.tools.directory.now();
        match order::renewal(self, settings, &acme, certificate).await {
            Some((at, again_ms)) => {
                let again = acme.told_at.map(|told| told.plus_ms(due::TOLD_AGAIN_MS));
                acme.renew_at = Some(again.map_or(at, |again| again.max(at)));
                acme.renews_as_told = true;
                acme.ask_again_at = Some(now.plus_ms(again_ms));
            }
            None => {
                // Away for a moment: what it said before holds.
                if !acme.renews_as_told {
                    acme.renew_at = Some(due::renew_at(certificate));
                }
                acme.ask_again_at = Some(now.plus_ms(due::ASK_AGAIN_MS));
            }
        }
        (acme.renew_at.unwrap_or(now).min(acme.ask_again_at.unwrap_or(now)), Some(acme))
    }

    /// Puts what the authority will look for into the directory, and waits until the edges have it.
    async fn publish(&self, acme: &mut Acme, challenges: Vec<Challenge>) -> Result<(), RequestError> {
        acme.challenges = challenges;
        let modseq = self.keep(&Acme::default(), acme.clone()).await?;
        let edges = self.tools.directory.servers().await?.into_iter().map(|found| found.value);
        let edges: Vec<_> = edges.filter(|server| server.roles.edge).map(|server| server.id).collect();
        let all = async {
            for edge in edges {
                while !self.has(edge, modseq).await {
                    tokio::time::sleep(EDGE_ASK_INTERVAL).await;
                }
            }
        };
        if tokio::time::timeout(EDGES_WAIT, all).await.is_err() {
            tracing::warn!("not every edge can answer the certificate authority yet");
        }
        Ok(())
    }

    async fn has(&self, edge: NodeId, modseq: Modseq) -> bool {
        if edge == self.tools.node {
            return self.tools.served.modseq() >= modseq.0;
        }
        let status = self.tools.others.status(edge).await;
        status.is_ok_and(|status| status.client_certificate_modseq.is_some_and(|there| there >= modseq.0))
    }
}

/// Those that don't lead here, and those that the authority refused lately.
fn left_out(names: &Names, acme: &Acme, now: Timestamp) -> Vec<LeftOut> {
    let refused = acme.left_out.iter().filter(|one| one.again_at.is_some_and(|again| again > now)).cloned();
    refused.chain(names.left_out.iter().cloned()).take(LEFT_OUT_MAX).collect()
}
