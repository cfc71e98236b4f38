//! What every edge says of its own mail.

use sterna_account::edge_report::EdgeReport;
use sterna_directory::{Reader, StorageError};

use crate::admin::doors::AdminState;
use crate::admin::findings::Finding;
use crate::admin::problem::Problem;

/// The edges' answers.
#[derive(Default)]
pub struct Asked {
    /// What is wrong there.
    pub problems: Vec<Finding>,
    /// Those that did not answer, and those that this node may not ask.
    pub not_asked: Vec<String>,
}

/// Asks them, side by side. Only the main node may ask others than itself.
///
/// # Errors
/// When the directory can't be read.
pub async fn ask(state: &AdminState) -> Result<Asked, Problem> {
    let edges = state.directory.read(|reader: &Reader<'_>| {
        let servers = reader.servers()?.into_iter().map(|found| found.value);
        Ok::<_, StorageError>(servers.filter(|server| server.roles.edge).collect::<Vec<_>>())
    });
    let (is_main, own) = (state.directory.is_main(), state.node.id);
    let (may, may_not): (Vec<_>, Vec<_>) = edges.await?.into_iter().partition(|edge| is_main || edge.id == own);
    let mut asked = Asked { not_asked: may_not.into_iter().map(|edge| edge.name).collect(), ..Asked::default() };
    let mut asking = tokio::task::JoinSet::new();
    for edge in may {
        let provision = state.provision.clone();
        asking.spawn(async move { (edge.name, provision.edge_report(edge.id).await) });
    }
    for (edge, answer) in asking.join_all().await {
        match answer {
            Ok(report) => asked.problems.extend(findings(&edge, report)),
            Err(error) => {
                let remedy = "See whether it runs (sterna status); its mail was not looked at.";
                asked.problems.push(Finding::of_server(&edge, format!("could not be asked: {error}"), remedy));
                asked.not_asked.push(edge);
            }
        }
    }
    asked.problems.sort_by(|a, b| a.server().cmp(&b.server()));
    asked.not_asked.sort_unstable();
    Ok(asked)
}

fn findings(edge: &str, report: EdgeReport) -> Vec<Finding> {
    let silent = report.silent.into_iter().map(|silent| {
        let what = format!("{} on {} does not answer: {}", silent.service, silent.address, silent.cause);
        let remedy = format!("Look at its log, and at {} in [listen] of its sterna.toml.", silent.service);
        Finding::of_server(edge, what, remedy)
    });
    let unreachable = report.unreachable.into_iter().map(|hop| {
        let what = format!("{} ({}) can't be reached: {}; mail for it waits", hop.hop, hop.setting, hop.cause);
        let name = hop.setting.split(' ').next().unwrap_or_default().to_owned();
        Finding::of_server(edge, what, format!("Look at that server and the way to it, or change the setting {name}."))
    });
    let stranded = report.stranded.into_iter().map(|stranded| {
        let to = &stranded.destination;
        let what = format!("{} deliveries wait for {to}: {}", stranded.deliveries, stranded.cause);
        let remedy = format!(
            "Look at them on {edge} (sterna queue list --destination {to}), then sterna queue reroute or delete with \
             the same option."
        );
        Finding::of_server(edge, what, remedy)
    });
    let refusing = report.refusing.into_iter().map(|refusing| {
        let to = &refusing.hop;
        let what = format!("{to} refuses to be asked which addresses of a split domain it has: {}", refusing.said);
        let remedy = format!(
            "Senders to unknown addresses are told to come again. Let {to} take MAIL FROM:<> from {edge}, or take all: \
             sterna config set unknown-recipients-check accept --domain NAME."
        );
        Finding::of_server(edge, what, remedy)
    });
    silent.chain(unreachable).chain(refusing).chain(stranded).collect()
}
