//! Mail that leaves this edge: its queue, what administrators set about it, and who works it off.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use sterna_account::scripts::ScriptLimits;
use sterna_account::service::Recipients;
use sterna_base::Secret;
use sterna_base::ids::random_hex;
use sterna_directory::model::Scope;
use sterna_directory::{Directory, Reader, Request, StorageError, settings};
use sterna_mailflow::auth::{DmarcMode, GateSettings, Sealing, Signers, Verifier};
use sterna_mailflow::call_forward::CallForward;
use sterna_mailflow::dsn::Dsn;
use sterna_mailflow::guard::{Delays, Guard, GuardSettings, RateLimits};
use sterna_mailflow::outbound::{Outbound, OutboundSettings};
use sterna_mailflow::queue::{NextHop, Queue, Runner, RunnerSettings, Times};
use sterna_mailflow::remote::{
    Credentials, Dane, Dns, HopSettings, MtaSts, RemoteCarrier, RemoteSettings, SecureDns, TlsPolicy, Trust,
    trust_anchors,
};
use sterna_mailflow::reports::{ReportSettings, Reports, Sender};
use sterna_mailflow::scheduling::Scheduler;
use sterna_mailflow::sieve::{Sieve, SieveSettings};
use sterna_mailflow::srs::Srs;
use sterna_mailflow::{Carriers, Deliverer, Returned, Waiting};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::edge_check::EdgeCheck;
use super::{Parts, guard_sharing, reports, signing};

/// Where a name server would be on this machine.
const DNS_PORT: u16 = 53;

/// How often the trace forgets.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// How often MTA-STS policies that are due are fetched again.
const REFRESH_EVERY: Duration = Duration::from_secs(3600);

const MS_PER_SECOND: i64 = 1000;
const MS_PER_HOUR: i64 = 60 * 60 * MS_PER_SECOND;

/// What receives mail needs of what sends it.
pub struct Sending {
    /// The queue of this node.
    pub queue: Arc<Queue>,
    /// The ways out.
    pub outbound: Arc<Outbound>,
    /// The way to accounts.
    pub deliverer: Arc<Deliverer>,
    /// Who asks DNS.
    pub dns: Arc<Dns>,
    /// What administrators set about mail from other servers.
    pub gate: watch::Receiver<GateSettings>,
    /// Who signs for which domain.
    pub signers: watch::Receiver<Signers>,
    /// Who may bring mail, and how much.
    pub guard: Arc<Guard>,
    /// The directory's recipients, and senders elsewhere behind addresses of ours.
    pub recipients: Arc<dyn Recipients>,
    /// Who asks the other servers of split domains.
    pub call_forward: Arc<CallForward>,
    /// What runs people's scripts.
    pub sieve: Arc<Sieve>,
    /// What carries invitations.
    pub scheduler: Arc<Scheduler>,
    /// What validates DNS, if anything can.
    pub dane: Option<Arc<Dane>>,
    /// What other domains are told, if that can be kept.
    pub reports: Option<Arc<Reports>>,
}

/// What the directory says about sending.
#[derive(Clone)]
struct Settings {
    outbound: OutboundSettings,
    remote: RemoteSettings,
    runner: RunnerSettings,
    gate: GateSettings,
    guard: GuardSettings,
    sieve: SieveSettings,
    reports: ReportSettings,
}

/// Bytes of a new secret for reverse-paths.
const SRS_KEY_BYTES: usize = 32;

/// Opens the queue and starts working it off.
///
/// # Errors
/// When the queue can't be opened, or the system has no DNS configuration.
pub async fn start(parts: &Parts) -> Result<Sending> {
    let folder = parts.folder.join("queue");
    let opening = folder.clone();
    let queue = tokio::task::spawn_blocking(move || Queue::open(&opening)).await?;
    let queue = queue.with_context(|| format!("the queue {} can't be opened", folder.display()))?;
    let dns = Arc::new(dns(&parts.config.nameservers)?);
    let own_name = parts.config.hostname().to_owned();
    let first = read(&parts.directory, &own_name).await.context("the settings of sending can't be read")?;
    let (outbound, outbound_settings) = watch::channel(first.outbound);
    let (remote, remote_settings) = watch::channel(first.remote);
    let (runner, runner_settings) = watch::channel(first.runner);
    let (gate, gate_settings) = watch::channel(first.gate);
    let (guard, guard_settings) = watch::channel(first.guard);
    let (sieve, sieve_settings) = watch::channel(first.sieve);
    let (reports, report_settings) = watch::channel(first.reports);
    let (directory, stop) = (parts.directory.clone(), parts.stop.clone());
    parts.tasks.spawn(keep_read(directory, own_name, stop, move |settings| {
        outbound.send_replace(settings.outbound);
        remote.send_replace(settings.remote);
        runner.send_replace(settings.runner);
        gate.send_replace(settings.gate);
        guard.send_replace(settings.guard);
        sieve.send_replace(settings.sieve);
        reports.send_replace(settings.reports);
    }));
    let (directory, clock) = (Arc::new(parts.directory.clone()), parts.clock.clone());
    let recipients: Arc<dyn Recipients> = Arc::new(Returned::new(directory, clock.clone(), sieve_settings.clone()));
    let signers = signing::start(parts);
    let sealing = Sealing::new(Verifier::new(&dns), signers.clone(), gate_settings.clone());
    let outbound = Arc::new(Outbound::new(recipients.clone(), outbound_settings).with_sealing(sealing));
    let ways = Waiting { queue: queue.clone(), outbound: outbound.clone(), trace: parts.trace() };
    let sieve = Arc::new(Sieve::new(recipients.clone(), clock.clone(), sieve_settings, Some(ways)));
    let ways = Waiting { queue: queue.clone(), outbound: outbound.clone(), trace: parts.trace() };
    let scheduler = Scheduler::new(recipients.clone(), parts.accounts.clone(), clock, Some(ways));
    let scheduler = Arc::new(scheduler);
    let deliverer = Deliverer::new(recipients.clone(), parts.accounts.clone(), sieve.clone());
    let deliverer = Arc::new(deliverer.with_scheduler(scheduler.clone()));
    let reports = reports::open(parts, report_settings).await;
    let (remote, dane) = carrier(parts, &dns, remote_settings, reports.clone()).await?;
    if let Some(reports) = &reports {
        let sender = Sender {
            reports: reports.clone(),
            edges: Arc::new(reports::OtherEdges::new(parts)),
            resolver: dns.clone(),
            queue: queue.clone(),
            outbound: outbound.clone(),
            signers: signers.clone(),
            trust: Trust::default(),
            https_port: 0,
        };
        parts.tasks.spawn(reports::keep_sent(sender, parts.stop.clone()));
    }
    let call_forward = Arc::new(CallForward::new(outbound.clone(), remote.clone(), parts.clock.clone()));
    let carriers = Arc::new(Carriers { accounts: deliverer.clone(), remote });
    let notifier = Dsn::new(queue.clone(), outbound.clone(), parts.clock.clone()).with_signers(signers.clone());
    let notifier = Arc::new(notifier);
    let runner = Runner::new(queue.clone(), carriers, notifier, parts.clock.clone(), runner_settings);
    let runner = runner.with_trace(parts.trace());
    let guard = Guard::new(guard_settings, dns.clone(), parts.clock.clone());
    let guard = guard.with_trace(parts.trace()).with_verifier(Verifier::new(&dns));
    let greylist = parts.folder.join("greylist.sqlite");
    let guard = Arc::new(tokio::task::spawn_blocking(move || guard.with_greylist(&greylist)).await?);
    let check = EdgeCheck {
        directory: parts.directory.clone(),
        queue: queue.clone(),
        dns: dns.clone(),
        guard: guard.clone(),
        reports: reports.clone(),
        call_forward: call_forward.clone(),
        listen: parts.config.listen.clone(),
    };
    // Nobody has set it before: a node starts once.
    let _ = parts.edge_check.set(check);
    parts.tasks.spawn(guard_sharing::keep_shared(parts, guard.clone()));
    parts.tasks.spawn(forget(parts));
    parts.tasks.spawn(runner.run(parts.stop.clone()));
    Ok(Sending {
        queue,
        outbound,
        deliverer,
        dns,
        gate: gate_settings,
        guard,
        signers,
        recipients,
        call_forward,
        sieve,
        scheduler,
        dane,
        reports,
    })
}

/// The way to other servers, with what their domains say of TLS; and what validates DNS.
async fn carrier(
    parts: &Parts,
    dns: &Arc<Dns>,
    settings: watch::Receiver<RemoteSettings>,
    reports: Option<Arc<Reports>>,
) -> Result<(Arc<RemoteCarrier>, Option<Arc<Dane>>)> {
    let (folder, resolver, clock) = (parts.folder.join("mta-sts"), dns.clone(), parts.clock.clone());
    let sts = tokio::task::spawn_blocking(move || MtaSts::open(&folder, resolver, clock)).await?;
    let sts = Arc::new(sts.context("the folder mta-sts")?);
    let (refreshed, stop) = (sts.clone(), parts.stop.clone());
    parts.tasks.spawn(async move {
        while stop.run_until_cancelled(tokio::time::sleep(REFRESH_EVERY)).await.is_some() {
            stop.run_until_cancelled(refreshed.refresh()).await;
        }
    });
    let carrier = RemoteCarrier::new(dns.clone(), settings).with_sts(sts);
    let carrier = match reports {
        Some(reports) => carrier.with_observer(reports),
        None => carrier,
    };
    let path = parts.config.trust_anchors.clone();
    let anchors = tokio::task::spawn_blocking(move || path.as_deref().map(trust_anchors).transpose()).await?;
    let anchors = anchors.map_err(|cause| anyhow!("trust_anchors in sterna.toml: {cause}"))?;
    Ok(match SecureDns::new(&parts.config.nameservers, anchors) {
        Ok(secure) => {
            let dane = Arc::new(Dane::new(Arc::new(secure), parts.clock.clone()));
            // Whoever looks wants to know before there is mail.
            let (probed, stop) = (dane.clone(), parts.stop.clone());
            parts.tasks.spawn(async move { stop.run_until_cancelled(probed.able()).await.flatten().is_some() });
            (Arc::new(carrier.with_dane(dane.clone())), Some(dane))
        }
        Err(error) => {
            tracing::warn!(%error, "DNS answers can't be validated: DANE is off");
            (Arc::new(carrier), None)
        }
    })
}

/// The main node makes the secret behind reverse-paths, once, for all edges.
pub(super) async fn make_srs_key(directory: &Directory) {
    let is_set = directory.read(|reader| reader.setting(Scope::System, settings::SRS_KEYS)).await;
    if !directory.is_main() || !matches!(is_set, Ok(None)) {
        return;
    }
    let key = random_hex::<SRS_KEY_BYTES>();
    let (scope, name) = (Scope::System, settings::SRS_KEYS.to_owned());
    if let Err(error) = directory
        .submit(Request::PutSetting { expect: None, scope, name, value: Some(key), by: "the main node".to_owned() })
        .await
    {
        tracing::warn!(%error, "there is no secret for reverse-paths: redirected mail keeps its sender");
    }
}

/// Forgets what the trace need not know any more, every hour.
fn forget(parts: &Parts) -> impl Future<Output = ()> + use<> {
    let (trace, directory, stop) = (parts.trace.clone(), parts.directory.clone(), parts.stop.clone());
    async move {
        let Some((store, _)) = trace else { return };
        loop {
            let days = directory.read(|reader| reader.number_setting(settings::TRACE_DAYS)).await.unwrap_or(u64::MAX);
            let ms = i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(24 * MS_PER_HOUR);
            match store.forget(directory.now().plus_ms(-ms)).await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, days, "old messages were taken out of the trace"),
                Err(error) => tracing::warn!(%error, "old messages could not be taken out of the trace"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(FORGET_EVERY) => {}
            }
        }
    }
}

/// A machine without a DNS configuration still takes mail in, and sends to its relay host.
pub(super) fn dns(servers: &[SocketAddr]) -> Result<Dns> {
    Dns::new(servers).or_else(|error| {
        tracing::warn!(%error, "DNS can't be asked: look at /etc/resolv.conf, or set nameservers in sterna.toml");
        Dns::new(&[SocketAddr::from(([127, 0, 0, 1], DNS_PORT))]).context("DNS can't be asked")
    })
}

/// Reads the settings again whenever the directory changes.
async fn keep_read(directory: Directory, own_name: String, stop: CancellationToken, tell: impl Fn(Settings)) {
    let mut changed = directory.watch();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            change = changed.changed() => if change.is_err() { return },
        }
        match read(&directory, &own_name).await {
            Ok(settings) => tell(settings),
            Err(error) => tracing::warn!(%error, "the settings of sending could not be read; the former ones hold"),
        }
    }
}

async fn read(directory: &Directory, own_name: &str) -> Result<Settings, StorageError> {
    let own_name = own_name.to_owned();
    directory.read(move |reader| of(reader, own_name)).await
}

fn of(reader: &Reader<'_>, own_name: String) -> Result<Settings, StorageError> {
    let setting = |name| reader.setting_for(None, name);
    let number = |name| Ok::<_, StorageError>(i64::try_from(reader.number_setting(name)?).unwrap_or(i64::MAX));
    let relay: Option<NextHop> = setting(settings::RELAY_HOST)?.and_then(|hop| hop.parse().ok());
    let networks = setting(settings::NETWORKS)?.unwrap_or_default();
    let times = Times {
        retry_first_ms: number(settings::QUEUE_RETRY_SECONDS)?.saturating_mul(MS_PER_SECOND),
        retry_most_ms: number(settings::QUEUE_RETRY_MOST_SECONDS)?.saturating_mul(MS_PER_SECOND),
        warn_after_ms: number(settings::QUEUE_WARN_HOURS)?.saturating_mul(MS_PER_HOUR),
        lifetime_ms: number(settings::QUEUE_LIFETIME_HOURS)?.saturating_mul(MS_PER_HOUR),
    };
    let credentials = setting(settings::RELAY_USER)?.zip(setting(settings::RELAY_PASSWORD)?);
    let credentials = credentials.map(|(user, password)| Credentials { user, password: Secret::new(password) });
    let relay_tls = tls(setting(settings::RELAY_TLS)?.as_deref());
    let hops = relay.clone().map(|hop| HopSettings { hop, tls: relay_tls, credentials }).into_iter().collect();
    let count = |name| Ok::<_, StorageError>(usize::try_from(reader.number_setting(name)?).unwrap_or(usize::MAX));
    let gate = GateSettings {
        dmarc: match setting(settings::DMARC)?.as_deref() {
            Some("off") => DmarcMode::Off,
            Some("mark") => DmarcMode::Mark,
            _ => DmarcMode::Enforce,
        },
        authserv_id: setting(settings::AUTHSERV_ID)?.unwrap_or_else(|| own_name.clone()),
        own_name: own_name.clone(),
        trusted_sealers: words(setting(settings::ARC_TRUSTED)?),
    };
    let srs = Srs::new(setting(settings::SRS_KEYS)?.unwrap_or_default().split_whitespace());
    let reports = ReportSettings {
        dmarc: setting(settings::REPORTS_DMARC)?.as_deref() == Some("on"),
        tls: setting(settings::REPORTS_TLS)?.as_deref() == Some("on"),
        organization: setting(settings::REPORTS_ORGANIZATION)?.unwrap_or_else(|| own_name.clone()),
        contact: setting(settings::REPORTS_CONTACT)?,
        own_name: own_name.clone(),
    };
    Ok(Settings {
        gate,
        reports,
        guard: guard(reader, own_name.clone())?,
        outbound: OutboundSettings {
            own_name: own_name.clone(),
            relay,
            routes: routes(reader)?,
            asked: asked(reader)?,
            networks: networks.split_whitespace().filter_map(|network| network.parse().ok()).collect(),
            times,
            srs: srs.clone(),
        },
        remote: RemoteSettings {
            own_name,
            port: 0,
            tls: tls(setting(settings::SENDING_TLS)?.as_deref()),
            mta_sts: setting(settings::MTA_STS)?.as_deref() != Some("off"),
            dane: setting(settings::DANE)?.as_deref() != Some("off"),
            hops,
        },
        runner: RunnerSettings {
            times,
            tries_most: count(settings::QUEUE_PARALLEL)?,
            tries_per_destination_most: count(settings::QUEUE_PARALLEL_PER_DESTINATION)?,
        },
        sieve: SieveSettings {
            scripts: ScriptLimits {
                script_bytes: reader.number_setting(settings::SIEVE_SCRIPT_BYTES)?,
                scripts: reader.number_setting(settings::SIEVE_SCRIPTS)?,
            },
            steps: reader.number_setting(settings::SIEVE_STEPS)?,
            redirects: reader.number_setting(settings::SIEVE_REDIRECTS)?,
            vacation_least_seconds: reader.number_setting(settings::SIEVE_VACATION_SECONDS)?,
            has_domain_scripts: reader.has_domain_scripts()?,
            srs,
        },
    })
}

/// Limits, block lists and greylisting.
fn guard(reader: &Reader<'_>, own_name: String) -> Result<GuardSettings, StorageError> {
    let number = |name| reader.number_setting(name);
    let signed = |name| Ok::<_, StorageError>(i64::try_from(number(name)?).unwrap_or(i64::MAX));
    let lists = words(reader.setting_for(None, settings::BLOCK_LISTS)?);
    let allowed = words(reader.setting_for(None, settings::GREYLIST_ALLOW)?);
    let greylist = match reader.setting_for(None, settings::GREYLIST)?.as_deref() {
        Some("on") => Some(Delays {
            delay_ms: signed(settings::GREYLIST_DELAY_SECONDS)?.saturating_mul(MS_PER_SECOND),
            window_ms: signed(settings::GREYLIST_WINDOW_HOURS)?.saturating_mul(MS_PER_HOUR),
        }),
        _ => None,
    };
    Ok(GuardSettings {
        rates: RateLimits {
            client_messages: number(settings::CLIENT_MESSAGES)?,
            client_recipients: number(settings::CLIENT_RECIPIENTS)?,
            user_messages: number(settings::USER_MESSAGES)?,
            user_recipients: number(settings::USER_RECIPIENTS)?,
        },
        block_lists: Arc::new(lists.iter().filter_map(|list| list.parse().ok()).collect()),
        block_lists_score: signed(settings::BLOCK_LISTS_SCORE)?,
        block_lists_mark: reader.setting_for(None, settings::BLOCK_LISTS_ACTION)?.as_deref() == Some("mark"),
        greylist,
        greylist_allow: Arc::new(allowed.iter().filter_map(|passage| passage.parse().ok()).collect()),
        own_name,
    })
}

/// The ways of domains elsewhere, and those to the other half of domains of ours.
fn routes(reader: &Reader<'_>) -> Result<BTreeMap<String, NextHop>, StorageError> {
    let set = reader.setting_for(None, settings::ROUTES)?.unwrap_or_default();
    let parsed = set.split_whitespace().filter_map(|route| {
        let (domain, hop) = route.split_once('=')?;
        Some((domain.to_owned(), hop.parse().ok()?))
    });
    let mut routes: BTreeMap<String, NextHop> = parsed.collect();
    for (domain, hop) in reader.domains_with(settings::UNKNOWN_RECIPIENTS)? {
        let Ok(hop) = hop.parse::<NextHop>() else { continue };
        for name in std::iter::once(domain.name).chain(domain.aliases) {
            routes.insert(name, hop.clone());
        }
    }
    Ok(routes)
}

/// The names of split domains whose other server is asked which addresses it has.
fn asked(reader: &Reader<'_>) -> Result<BTreeSet<String>, StorageError> {
    let mut found = BTreeSet::new();
    for (domain, _) in reader.domains_with(settings::UNKNOWN_RECIPIENTS)? {
        let check = reader.setting_for(Some(&domain), settings::UNKNOWN_RECIPIENTS_CHECK)?;
        if check.as_deref() != Some("accept") {
            found.extend(std::iter::once(domain.name).chain(domain.aliases));
        }
    }
    Ok(found)
}

fn words(setting: Option<String>) -> Vec<String> {
    setting.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn tls(setting: Option<&str>) -> TlsPolicy {
    match setting {
        Some("never") => TlsPolicy::Never,
        Some("encrypt") => TlsPolicy::Encrypt,
        Some("verify") => TlsPolicy::Verify,
        _ => TlsPolicy::Opportunistic,
    }
}
