//! `sterna account move`, `standby` and `release`: where the stores of accounts are.

use clap::Args;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::plan::{self, JobArgs};
use super::resource::{Fields, Session, WriteArgs};
use super::{GlobalArgs, prompt};

/// Columns of copies.
pub(super) const COPY_COLUMNS: &[Column] = &[
    ("ADDRESS", "address"),
    ("ON", "server"),
    ("PURPOSE", "purpose"),
    ("DURABILITY", "durability"),
    ("STAGE", "stage"),
    ("BEHIND", "lag"),
    ("EQUAL SINCE", "equal_since"),
    ("KEPT UNTIL", "until"),
    ("REFUSED SINCE", "waiting_since"),
    ("TROUBLE", "trouble"),
];

/// Which accounts, and where they go.
#[derive(Clone, Debug, Args)]
#[command(group(clap::ArgGroup::new("target").required(true).args(["to", "back"])))]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(true)
    .args(["accounts", "domain", "pattern", "from"])))]
pub struct MoveArgs {
    /// Addresses or ids
    #[arg(value_name = "ADDRESS")]
    accounts: Vec<String>,
    /// The server that they move to, by name or id
    #[arg(long, value_name = "SERVER")]
    to: Option<String>,
    /// Back to where they were moved away from, as long as the copies there are kept
    #[arg(long)]
    back: bool,
    /// All accounts of this domain
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// All accounts whose address has this form; * is any text: 'a*@example.org'
    #[arg(long, value_name = "PATTERN")]
    pattern: Option<String>,
    /// All accounts that live on this server; with other options, only those of them
    #[arg(long, value_name = "SERVER")]
    from: Option<String>,
    /// See [`JobArgs`].
    #[command(flatten)]
    job: JobArgs,
}

impl MoveArgs {
    fn body(&self) -> Value {
        let which = Fields::default()
            .list("accounts", &self.accounts)
            .add("domain", self.domain.as_deref())
            .add("pattern", self.pattern.as_deref())
            .add("from", self.from.as_deref());
        let mut body = json!({"kind": "move", "which": which.0, "back": self.back});
        if let Some(to) = &self.to {
            body["to"] = json!(to);
        }
        body
    }
}

/// Where standby copies are, and what they are for.
#[derive(Clone, Debug, Args)]
pub struct StandbyArgs {
    /// The server that has the standby copy, by name or id; without it, what there is is shown
    #[arg(long, value_name = "SERVER")]
    on: Option<String>,
    /// 1: an acknowledgement doesn't wait for the copy, and a failover loses what the copy lacks. 2: it waits until the
    /// copy has the change on its disk, too, from when the copy has caught up; while the copy is away, changes are
    /// refused. Can be set back to 1 at any time
    #[arg(long, value_name = "1|2", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    durability: u8,
    /// Remove the standby copy
    #[arg(long, requires = "on", conflicts_with = "durability")]
    remove: bool,
    /// Don't ask before a copy is removed
    #[arg(short, long, requires = "remove")]
    yes: bool,
    /// See [`WriteArgs`].
    #[command(flatten)]
    write: WriteArgs,
}

/// `sterna account move`
pub(super) async fn move_accounts(
    session: &Session<'_>,
    global: &GlobalArgs,
    args: &MoveArgs,
) -> Result<Exit, CliError> {
    plan::begin(session, global, &args.body(), args.job).await
}

/// `sterna account standby`
pub(super) async fn standby_of_account(
    session: &Session<'_>,
    accounts: &[String],
    args: &StandbyArgs,
) -> Result<Exit, CliError> {
    let mut exit = Exit::NothingToDo;
    for account in accounts {
        let done = match &args.on {
            None => session.list(&["accounts", account, "copies"], &[], COPY_COLUMNS).await?,
            Some(on) if args.remove => {
                confirm_removal(&format!("of {account} on {on}"), args)?;
                let parameters = [("purpose", Some("standby")), args.write.parameter()];
                delete(session, &["accounts", account, "copies", on], &parameters, args.write).await?
            }
            Some(on) => {
                let fields = Fields::default().add("durability", Some(args.durability));
                session.put(&["accounts", account, "copies", on], fields.0, &args.write).await?
            }
        };
        if done == Exit::Done {
            exit = Exit::Done;
        }
    }
    Ok(exit)
}

/// `sterna server standby`
pub(super) async fn standby_of_server(
    session: &Session<'_>,
    server: &str,
    args: &StandbyArgs,
) -> Result<Exit, CliError> {
    match &args.on {
        None => session.list(&["servers", server, "standby"], &[], COPY_COLUMNS).await,
        Some(on) if args.remove => {
            confirm_removal(&format!("on {on} of all accounts of {server}"), args)?;
            let parameters = [("on", Some(on.as_str())), args.write.parameter()];
            delete(session, &["servers", server, "standby"], &parameters, args.write).await
        }
        Some(on) => {
            let fields = Fields::default().add("on", Some(on.as_str())).add("durability", Some(args.durability));
            session.put(&["servers", server, "standby"], fields.0, &args.write).await
        }
    }
}

fn confirm_removal(which: &str, args: &StandbyArgs) -> Result<(), CliError> {
    if args.write.dry_run {
        return Ok(());
    }
    prompt::confirm(
        &format!("Remove the standby copy {which}? Without it a loss of the server is a loss of data."),
        args.yes,
    )
}

/// `sterna account release`: a kept copy goes before its time.
pub(super) async fn release(
    session: &Session<'_>,
    accounts: &[String],
    on: &str,
    yes: bool,
    write: WriteArgs,
) -> Result<Exit, CliError> {
    if !write.dry_run {
        let which = if let [one] = accounts { one.clone() } else { format!("{} accounts", accounts.len()) };
        let question = format!("Delete the copy of {which} that {on} keeps? There is no way back then.");
        prompt::confirm(&question, yes)?;
    }
    let mut exit = Exit::NothingToDo;
    for account in accounts {
        let parameters = [("purpose", Some("kept")), write.parameter()];
        if delete(session, &["accounts", account, "copies", on], &parameters, write).await? == Exit::Done {
            exit = Exit::Done;
        }
    }
    Ok(exit)
}

async fn delete(
    session: &Session<'_>,
    segments: &[&str],
    parameters: &[(&str, Option<&str>)],
    write: WriteArgs,
) -> Result<Exit, CliError> {
    let answer = session.client.send(Method::DELETE, &path(segments, parameters), None).await?;
    session.written(&answer, &write)
}
