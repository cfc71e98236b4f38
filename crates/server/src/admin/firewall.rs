//! `/api/v1/firewall`: who may reach the ports between the machines. A change is on trial until somebody confirms it:
//! who shuts a server out by mistake waits a minute, and all is as before.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::{Modseq, Timestamp};
use sterna_cluster::FirewallStatus;
use sterna_directory::firewall::{Firewall, FirewallRules};
use sterna_directory::{Reader, Request, Server, StorageError, Versioned};

use super::doors::AdminState;
use super::findings::Finding;
use super::input::{Body, By, IfMatch, Params};
use super::problem::Problem;
use super::status::ask_once;
use super::view::{Resource, time};
use crate::firewall::Addresses;
use crate::firewall::rules::NodeRules;

/// How long rules are on trial when nobody says, in seconds.
const CONFIRM_SECONDS: u32 = 60;
/// How long servers may take to hear of a change under the new rules.
const PROOF_WAIT: Duration = Duration::from_secs(8);
/// How often they are asked meanwhile.
const PROOF_STEP: Duration = Duration::from_millis(250);
/// Servers that are asked at the same time.
const ASKED_AT_ONCE: usize = 50;

/// The rules, and what comes of them on each server.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Firewall")]
pub(super) struct FirewallView {
    on: bool,
    /// Who may reach the ports besides the installation's own servers.
    networks: Vec<String>,
    changed_by: String,
    changed_at: Option<String>,
    /// Until when somebody has to confirm these rules; null when nobody has to.
    confirm_by: Option<String>,
    /// What holds again if nobody does.
    before: Option<FirewallRulesView>,
    servers: Vec<GuardedServerView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FirewallRules")]
struct FirewallRulesView {
    on: bool,
    networks: Vec<String>,
}

/// One server.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "GuardedServer")]
struct GuardedServerView {
    name: String,
    address: String,
    /// Its ports that are for the installation's servers only.
    ports: Vec<u16>,
    /// "off", "on", "following" (it has not heard of these rules yet), "failed" or "silent" (it doesn't answer).
    state: &'static str,
    failure: Option<String>,
    remedy: Option<String>,
    /// What these rules are for nft(8); empty when they are off, null while the ports are not known.
    rules: Option<String>,
    /// The same of the rules that hold if nobody confirms these, or, in a dry run, that hold now; null without those.
    rules_before: Option<String>,
}

/// The body of PUT.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FirewallChange")]
pub(super) struct FirewallBody {
    on: bool,
    /// Those of before when left out.
    networks: Option<Vec<String>>,
    /// How long the rules are on trial; a minute when left out.
    #[schemars(range(min = 10, max = 3600))]
    confirm_seconds: Option<u32>,
}

/// The body of a confirmation.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "FirewallConfirmation")]
pub(super) struct FirewallConfirmBody {
    /// Although not every server answers and has the rules.
    anyway: bool,
}

/// What the directory says.
struct Said {
    firewall: Firewall,
    modseq: Modseq,
    servers: Vec<Server>,
}

async fn said(state: &AdminState) -> Result<Said, Problem> {
    let read = |reader: &Reader<'_>| Ok::<_, StorageError>((reader.firewall()?, reader.servers()?));
    let (found, servers) = state.directory.read(read).await?;
    let found = found.unwrap_or(Versioned { value: Firewall::default(), modseq: Modseq(0) });
    let servers = servers.into_iter().map(|found| found.value).collect();
    Ok(Said { firewall: found.value, modseq: found.modseq, servers })
}

/// What every server says of itself, in the order of the servers.
async fn asked(state: &AdminState, servers: &[Server]) -> Vec<Result<FirewallStatus, String>> {
    let asked: Vec<_> = servers.iter().map(|server| ask_once(state, server.id)).collect();
    let answers = futures_util::stream::iter(asked).buffered(ASKED_AT_ONCE);
    answers.map(|answer| answer.map(|status| status.firewall)).collect().await
}

/// The text of rules on a server that says this of itself.
async fn text(
    rules: &FirewallRules,
    status: &FirewallStatus,
    servers: &[Server],
    known: &mut Addresses,
) -> Option<String> {
    if !rules.is_on {
        return Some(String::new());
    }
    let addresses: Vec<_> = servers.iter().map(|server| server.address.clone()).collect();
    let (mut networks, _) = known.of(&addresses, false).await;
    networks.extend(rules.networks());
    let ports = status.ports.iter().copied().collect();
    Some(NodeRules { own_port: status.own_port, ports, networks, open: Default::default() }.text())
}

/// As clients see it; `before` is what the rules are compared with.
async fn view(state: &AdminState, said: &Said, before: Option<&FirewallRules>, now: Timestamp) -> FirewallView {
    let firewall = &said.firewall;
    let rules = firewall.in_force(now);
    let trial = firewall.trial.as_ref().filter(|_| firewall.is_on_trial(now));
    let before = before.or(trial.map(|trial| &trial.before));
    let mut known = Addresses::default();
    let mut servers = Vec::with_capacity(said.servers.len());
    for (server, answer) in said.servers.iter().zip(asked(state, &said.servers).await) {
        let ports = answer.as_ref().map(|answer| answer.ports.clone()).unwrap_or_default();
        let (mut shown, mut shown_before) = (None, None);
        if let Ok(status) = &answer {
            shown = text(rules, status, &said.servers, &mut known).await;
            if let Some(before) = before {
                shown_before = text(before, status, &said.servers, &mut known).await;
            }
        }
        let (failure, remedy) = match &answer {
            Ok(answer) => (answer.failure.clone(), answer.remedy.clone()),
            Err(cause) => (Some(cause.clone()), None),
        };
        servers.push(GuardedServerView {
            name: server.name.clone(),
            address: server.address.clone(),
            state: state_of(&answer, said.modseq, trial.is_some()),
            ports,
            failure,
            remedy,
            rules: shown,
            rules_before: shown_before,
        });
    }
    FirewallView {
        on: rules.is_on,
        networks: rules.networks.clone(),
        changed_by: firewall.changed_by.clone(),
        changed_at: (said.modseq > Modseq(0)).then(|| time(firewall.changed_at)),
        confirm_by: trial.map(|trial| time(trial.ends_at)),
        before: trial
            .map(|trial| FirewallRulesView { on: trial.before.is_on, networks: trial.before.networks.clone() }),
        servers,
    }
}

fn state_of(answer: &Result<FirewallStatus, String>, modseq: Modseq, is_on_trial: bool) -> &'static str {
    match answer {
        Err(_) => "silent",
        Ok(status) if status.failure.is_some() => "failed",
        // The end of a trial is no change of the directory: each node looks at its clock for it.
        Ok(status) if status.modseq < modseq.0 || status.is_on_trial && !is_on_trial => "following",
        Ok(status) if status.is_on => "on",
        Ok(_) => "off",
    }
}

pub(super) async fn get(State(state): State<AdminState>) -> Result<Resource<FirewallView>, Problem> {
    let said = said(&state).await?;
    let view = view(&state, &said, None, state.directory.now()).await;
    Ok(Resource::read(view, said.modseq))
}

/// Sets the rules, on trial. In a dry run they are shown beside those that hold.
pub(super) async fn put(
    State(state): State<AdminState>,
    params: Params,
    IfMatch(expect): IfMatch,
    By(by): By,
    Body(body): Body<FirewallBody>,
) -> Result<Resource<FirewallView>, Problem> {
    let (said, now) = (said(&state).await?, state.directory.now());
    let before = said.firewall.in_force(now).clone();
    let mut rules =
        FirewallRules { is_on: body.on, networks: body.networks.unwrap_or_else(|| before.networks.clone()) };
    rules.networks.iter_mut().for_each(|network| *network = network.trim().to_owned());
    rules.networks.retain(|network| !network.is_empty());
    rules.networks.sort_unstable();
    rules.networks.dedup();
    if rules == before {
        return Ok(Resource::read(view(&state, &said, None, now).await, said.modseq).changed(false));
    }
    let trial_ms = i64::from(body.confirm_seconds.unwrap_or(CONFIRM_SECONDS)) * 1000;
    let firewall = said.firewall.tried(rules, trial_ms, now, by);
    let expect = expect.or(Some(said.modseq));
    let done = state.write(Request::PutFirewall { firewall: firewall.clone(), expect }, params.dry_run).await?;
    let modseq = if params.dry_run { said.modseq } else { done.modseq };
    let asked = Said { firewall, modseq, servers: said.servers };
    let view = view(&state, &asked, Some(&before), now).await;
    Ok(Resource::read(view, modseq).changed(true))
}

/// Keeps the rules that are on trial.
pub(super) async fn confirm(
    State(state): State<AdminState>,
    params: Params,
    Body(body): Body<FirewallConfirmBody>,
) -> Result<Resource<FirewallView>, Problem> {
    let mut said = said(&state).await?;
    if !said.firewall.is_on_trial(state.directory.now()) {
        return Err(nothing_on_trial());
    }
    if !body.anyway && !params.dry_run {
        said = prove(&state, said).await?;
    }
    // Asking takes time, and the trial may have ended meanwhile.
    let now = state.directory.now();
    if !said.firewall.is_on_trial(now) {
        return Err(nothing_on_trial());
    }
    let firewall = said.firewall.confirmed(now);
    written(&state, firewall, said, params.dry_run).await
}

/// Sees that every server hears of a change that is made under the new rules, and says so: both directions, because
/// a server fetches changes by a connection of its own, perhaps from another address than it is listed with.
async fn prove(state: &AdminState, said: Said) -> Result<Said, Problem> {
    let firewall = Firewall { proofs: said.firewall.proofs + 1, ..said.firewall };
    let request = Request::PutFirewall { firewall: firewall.clone(), expect: Some(said.modseq) };
    let modseq = state.write(request, false).await?.modseq;
    let said = Said { firewall, modseq, servers: said.servers };
    let until = tokio::time::Instant::now() + PROOF_WAIT;
    loop {
        let answers = asked(state, &said.servers).await;
        let without = said.servers.iter().zip(&answers).filter_map(|(server, answer)| {
            let state = match answer {
                // A clock that is ahead: the rules of before hold there already.
                Ok(status) if status.failure.is_none() && status.modseq >= modseq.0 && !status.is_on_trial => "clock",
                _ => state_of(answer, modseq, true),
            };
            let has_them = matches!((state, said.firewall.rules.is_on), ("on", true) | ("off", false));
            (!has_them).then(|| format!("{} ({state})", server.name))
        });
        let without: Vec<_> = without.collect();
        if without.is_empty() {
            return Ok(said);
        }
        if tokio::time::Instant::now() >= until {
            return Err(not_everywhere(&without.join(", ")));
        }
        tokio::time::sleep(PROOF_STEP).await;
    }
}

/// Takes the rules on trial back at once.
pub(super) async fn take_back(
    State(state): State<AdminState>,
    params: Params,
) -> Result<Resource<FirewallView>, Problem> {
    let said = said(&state).await?;
    if !said.firewall.is_on_trial(state.directory.now()) {
        return Err(nothing_on_trial());
    }
    let firewall = said.firewall.taken_back();
    written(&state, firewall, said, params.dry_run).await
}

async fn written(
    state: &AdminState,
    firewall: Firewall,
    said: Said,
    dry_run: bool,
) -> Result<Resource<FirewallView>, Problem> {
    let request = Request::PutFirewall { firewall: firewall.clone(), expect: Some(said.modseq) };
    let done = state.write(request, dry_run).await?;
    let modseq = if dry_run { said.modseq } else { done.modseq };
    let said = Said { firewall, modseq, servers: said.servers };
    let view = view(state, &said, None, state.directory.now()).await;
    Ok(Resource::read(view, modseq).changed(true))
}

fn nothing_on_trial() -> Problem {
    let detail = "no rules wait to be confirmed: either somebody did, or their time is over";
    let remedy = "See which rules hold: sterna firewall show.";
    Problem::new(StatusCode::CONFLICT, "nothing-on-trial", "Nothing is on trial", detail, remedy)
}

fn not_everywhere(without: &str) -> Problem {
    let detail = format!("these servers don't answer under the new rules, or have not got them: {without}");
    let remedy = "Wait for them, or let the rules be taken back and see what is wrong. If a server is off anyway: \
                  sterna firewall confirm --anyway.";
    Problem::new(StatusCode::CONFLICT, "firewall-not-everywhere", "Not every server is well", detail, remedy)
}

/// What an administrator should know of one server.
pub(super) fn findings(name: &str, status: &FirewallStatus) -> Option<Finding> {
    let failure = status.failure.as_ref()?;
    let what = format!("its ports for other servers are not guarded as they should be: {failure}");
    Some(Finding::of_server(name, what, status.remedy.clone().unwrap_or_default()))
}

/// The rules of one server for those who load them by hand.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FirewallText")]
pub(super) struct FirewallTextView {
    name: String,
    rules: String,
}

/// The rules of one server, as if they were on: for those who load them themselves.
pub(super) async fn rules_of(
    State(state): State<AdminState>,
    axum::extract::Path(name): axum::extract::Path<String>,
) -> Result<Json<FirewallTextView>, Problem> {
    let said = said(&state).await?;
    let found = said.servers.iter().find(|server| server.name == name || server.id.to_string() == name);
    let server = found.ok_or_else(|| Problem::no_such("server", &name))?;
    let answer = ask_once(&state, server.id).await;
    let silent = |cause: String| {
        let remedy = "See sterna status.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "silent", "The server does not answer", cause, remedy)
    };
    let status = answer.map_err(silent)?.firewall;
    let rules = FirewallRules { is_on: true, ..said.firewall.in_force(state.directory.now()).clone() };
    let text = text(&rules, &status, &said.servers, &mut Addresses::default()).await;
    let unknown = || silent("the address of a server is not known".to_owned());
    Ok(Json(FirewallTextView { name: server.name.clone(), rules: text.ok_or_else(unknown)? }))
}
