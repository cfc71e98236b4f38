//! `/api/v1/doctor`: everything that can be looked at, in one answer: how the servers are, mail routing, what DNS has
//! of each domain, and what is around the machine that answers. What is in order is named, too: nobody trusts a
//! silence.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Serialize;
use sterna_directory::{Domain, Reader, StorageError, settings};
use sterna_formats::discovery::records;
use sterna_web::i18n::Lang;
use sterna_web::setup::answers::Place;
use sterna_web::setup::door::{Check, Found, Health};
use sterna_web::setup::pages::checks;

use super::doors::AdminState;
use super::findings::Finding;
use super::input::Params;
use super::problem::Problem;
use super::view::time;
use super::{maintenance, status};
use crate::setup::records::compared;

/// Domains whose records are looked for; of more, these are the first by name.
const DOMAINS_MAX: usize = 200;
/// How long DNS may take for all records of one domain.
const DOMAIN_WAIT: Duration = Duration::from_secs(20);

/// What was found.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Doctor")]
pub(super) struct DoctorView {
    /// When it was looked.
    at: String,
    /// What is wrong; empty when all is well.
    pub(super) problems: Vec<Finding>,
    /// What was looked at and is in order.
    pub(super) fine: Vec<String>,
    /// What could not be looked at, and why.
    pub(super) unknown: Vec<String>,
}

/// What is being put together.
#[derive(Default)]
struct Looked {
    problems: Vec<Finding>,
    fine: Vec<String>,
    unknown: Vec<String>,
}

impl Looked {
    /// Notes that something was looked at: as fine if nothing of it is wrong.
    fn part(&mut self, name: &str, problems: Vec<Finding>) {
        if problems.is_empty() {
            self.fine.push(name.to_owned());
        }
        self.problems.extend(problems);
    }
}

pub(super) async fn get(State(state): State<AdminState>) -> Result<Json<DoctorView>, Problem> {
    look(&state).await.map(Json)
}

/// Looks at everything; takes as long as DNS and servers that don't answer, within bounds.
///
/// # Errors
/// When the directory can't be read.
pub(super) async fn look(state: &AdminState) -> Result<DoctorView, Problem> {
    let (servers, mail, dns, machine) = tokio::join!(servers(state), mail(state), dns(state), machine(state));
    let mut looked = Looked::default();
    for part in [servers?, mail?, dns?, machine?] {
        looked.problems.extend(part.problems);
        looked.fine.extend(part.fine);
        looked.unknown.extend(part.unknown);
    }
    let Looked { problems, fine, unknown } = looked;
    Ok(DoctorView { at: time(state.directory.now()), problems, fine, unknown })
}

async fn servers(state: &AdminState) -> Result<Looked, Problem> {
    let Json(status) = status::get(State(state.clone())).await?;
    let mut looked = Looked::default();
    looked.part("servers: all answer and follow the directory; space, certificates, copies, work", status.problems);
    Ok(looked)
}

async fn mail(state: &AdminState) -> Result<Looked, Problem> {
    let mut looked = Looked::default();
    if state.routing.is_none() {
        return Ok(looked);
    }
    let params = Params { dry_run: true, ..Params::default() };
    let Json(run) = maintenance::run(State(state.clone()), params).await?;
    looked.unknown.extend(run.not_asked.iter().map(|edge| format!("the mail of {edge}: it could not be asked")));
    looked.part("mail routing: every address leads somewhere, services answer, nothing is stranded", run.problems);
    Ok(looked)
}

async fn dns(state: &AdminState) -> Result<Looked, Problem> {
    let mut looked = Looked::default();
    let read = |reader: &Reader<'_>| {
        let found = reader.domains("", DOMAINS_MAX)?;
        Ok::<_, StorageError>(found.into_iter().map(|found| found.value).collect::<Vec<_>>())
    };
    let domains = state.directory.read(read).await?;
    if domains.len() >= DOMAINS_MAX {
        looked
            .unknown
            .push(format!("DNS of domains after {}: sterna domain dns DOMAIN", domains[DOMAINS_MAX - 1].name));
    }
    for (domain, found) in join_all(domains.iter().map(|domain| records_of(state, domain))).await {
        match found {
            Ok(problems) => looked.part(&format!("DNS of {domain}"), problems),
            Err(cause) => looked.unknown.push(format!("DNS of {domain}: {cause}")),
        }
    }
    Ok(looked)
}

/// What of a domain's records is wrong, or why that can't be said.
async fn records_of(state: &AdminState, domain: &Domain) -> (String, Result<Vec<Finding>, String>) {
    let name = domain.name.clone();
    let (Some(discovery), Some(tools)) = (state.discovery.as_deref(), state.dkim.as_deref()) else {
        return (name, Err("this node doesn't ask DNS".to_owned()));
    };
    let asked = async {
        let Some(found) = discovery.find(&name).await.map_err(|error| error.to_string())? else {
            return Ok((Vec::new(), Vec::new()));
        };
        Ok::<_, String>((compared(&tools.dns, records(&found.facts)).await, found.problems))
    };
    let (rows, problems) = match tokio::time::timeout(DOMAIN_WAIT, asked).await {
        Ok(Ok(found)) => found,
        Ok(Err(cause)) => return (name, Err(cause)),
        Err(_) => return (name, Err("DNS takes too long".to_owned())),
    };
    let remedy = format!("See what is to be entered: sterna domain dns {name}.");
    let mut findings: Vec<Finding> =
        problems.into_iter().map(|what| Finding::of_installation(what, remedy.clone())).collect();
    // What is only advised, and what clients find by other ways as well, is no problem.
    for row in rows.into_iter().filter(|row| row.need == "mail") {
        let what = match &row.found {
            Found::Missing => format!("DNS has no {} record of {}", row.kind, row.name),
            Found::Other(found) => {
                format!("DNS has another {} record of {}: {}", row.kind, row.name, found.join(", "))
            }
            Found::Right | Found::Unknown(_) => continue,
        };
        findings.push(Finding::of_installation(what, format!("Enter it where {name} is kept: {}", row.zone)));
    }
    (name, Ok(findings))
}

/// What is around this machine: ports, the way out, its names, lists that it is on, clock, memory, room.
async fn machine(state: &AdminState) -> Result<Looked, Problem> {
    let mut looked = Looked::default();
    let Some(tools) = state.checks.clone() else { return Ok(looked) };
    let read = |reader: &Reader<'_>| reader.setting_for(None, settings::EXTERNAL_URL);
    let url = state.directory.read(read).await?;
    let place = url.map(|url| Place { url, domain: String::new() });
    let found = join_all(Check::ALL.map(|check| {
        let (tools, place) = (tools.clone(), place.clone());
        async move { (check, tools.look(check, place.as_ref()).await) }
    }));
    for (check, finding) in found.await {
        let name = checks::name(check, Lang::En);
        let (what, remedy) = checks::words(check, &finding, Lang::En);
        match finding.health() {
            Health::Good => looked.fine.push(format!("{}: {name}", state.node.name)),
            Health::Unknown => looked.unknown.push(format!("{}: {name}: {what}", state.node.name)),
            Health::Attention | Health::Bad => {
                let remedy = remedy.unwrap_or_default();
                looked.problems.push(Finding::of_server(&state.node.name, format!("{name}: {what}"), remedy));
            }
        }
    }
    Ok(looked)
}
