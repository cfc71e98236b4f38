//! `sterna migrate rehearse`: tries the switch on copies of the copies.

use clap::Args;

use super::client::CliError;
use super::exit::Exit;
use super::{GlobalArgs, Output, output};
use crate::rehearsal::{self, Report, Wanted, trial};

/// Options of `rehearse`.
#[derive(Clone, Debug, Args)]
pub struct RehearseArgs {
    /// Try the log-in of this user, too; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    account: Vec<String>,
    /// For how many users, from the first to the last, log-in and delivery are tried
    #[arg(long, value_name = "N", default_value_t = 5)]
    log_ins: usize,
    /// What the rehearsal says to itself in its own network
    #[arg(long, hide = true, value_name = "JSON")]
    inside: Option<String>,
}

pub(super) async fn run(global: &GlobalArgs, args: RehearseArgs) -> Result<Exit, CliError> {
    let said = |error: anyhow::Error| CliError::Usage(format!("{error:#}"));
    let folder = global.folder();
    if let Some(inside) = args.inside {
        let tried = trial::run(&folder, &inside).await.map_err(said)?;
        output::line(&serde_json::json!(tried).to_string())?;
        return Ok(Exit::Done);
    }
    let wanted = Wanted { addresses: args.account, log_ins: args.log_ins };
    let report = rehearsal::run(&folder, &wanted).await.map_err(said)?;
    match global.format() {
        Output::Table => show(&report)?,
        format => output::one(format, &serde_json::json!(report))?,
    }
    Ok(if report.is_well() { Exit::Done } else { Exit::Failed })
}

fn show(report: &Report) -> Result<(), CliError> {
    output::line(&format!("{} copies checked, {} findings", report.checked, report.damaged.len()))?;
    for damage in &report.damaged {
        output::line(&format!("  {}: {}", damage.account, damage.what))?;
    }
    for tried in &report.tried {
        let says = match &tried.trouble {
            Some(trouble) => format!("NOT WELL: {trouble}"),
            None => {
                let place = if tried.is_in_inbox { "the INBOX" } else { "where a filter put it" };
                let (messages, folders) = (tried.messages, tried.folders);
                format!("logged in, {messages} messages in {folders} folders; a message arrived in {place}")
            }
        };
        output::line(&format!("  {}: {says}", tried.address))?;
    }
    output::line(match report.is_well() {
        true => "The switch would give everybody what they have. All copies of the rehearsal are deleted.",
        false => {
            "Don't switch yet. A copy that is damaged is made anew by giving up (sterna migrate abort) and pairing \
             again; if the same is found then, look at the old machine with sterna check."
        }
    })
}
