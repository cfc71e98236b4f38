//! `sterna sieve`

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use sterna_mailflow::sieve::dry_run::{DryRun, dry_run};

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::resource::{DeleteArgs, Fields, Session, WriteArgs};

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("ACTIVE", "active"),
    ("BYTES", "size_bytes"),
    ("WRITTEN", "written_at"),
    ("TROUBLE", "trouble"),
];

/// Largest message that is tried, in bytes.
const MESSAGE_BYTES_MAX: u64 = sterna_base::limits::MESSAGE_BYTES_MAX;

/// Look at and change the Sieve scripts of accounts and domains, and try them
#[derive(Debug, Subcommand)]
pub enum SieveCommand {
    /// List the scripts of an account
    List {
        /// Address or id
        account: String,
    },
    /// Show a script, and what went wrong when it ran
    Show {
        /// Address or id
        account: String,
        /// Its name; the active one when left out
        name: Option<String>,
    },
    /// Store a script, after checking it
    Put {
        /// Address or id
        account: String,
        /// Its name
        name: String,
        /// The file with it; - is standard input
        file: PathBuf,
        /// Make it the active one, too
        #[arg(long)]
        activate: bool,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Make a script the one that runs
    Activate {
        /// Address or id
        account: String,
        /// Its name
        name: String,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Let no script run
    Deactivate {
        /// Address or id
        account: String,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Delete a script that is not active
    Delete {
        /// Address or id
        account: String,
        /// Its name
        name: String,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        delete: DeleteArgs,
    },
    /// Check a script without a server
    Check {
        /// The file with it; - is standard input
        file: PathBuf,
    },
    /// Print what a script would do with a message; nothing is done
    Test {
        /// The file with the script
        script: PathBuf,
        /// The file with the message; - is standard input
        message: PathBuf,
        /// The sender in the envelope
        #[arg(long, value_name = "ADDRESS", default_value = "sender@example.org")]
        from: String,
        /// The recipient in the envelope
        #[arg(long, value_name = "ADDRESS", default_value = "recipient@example.com")]
        to: String,
        /// What separates addresses from their details in the recipient's domain; '' for nothing
        #[arg(long, value_name = "CHARACTERS", default_value = "+", allow_hyphen_values = true)]
        plus_separators: String,
    },
    /// Show and change the scripts that run before and after those of users
    Domain {
        /// Before or after
        when: When,
        /// The file with the new script, - is standard input; '' removes it; what is there is shown when left out
        file: Option<String>,
        /// Of this domain, instead of the installation
        #[arg(long, value_name = "DOMAIN")]
        domain: Option<String>,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
}

/// When a domain's script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// First
    Before,
    /// For what was kept
    After,
}

pub(super) async fn run(session: &Session<'_>, command: SieveCommand) -> Result<Exit, CliError> {
    match command {
        SieveCommand::List { account } => session.list(&["accounts", &account, "sieve"], &[], COLUMNS).await,
        SieveCommand::Show { account, name } => show(session, &account, name).await,
        SieveCommand::Put { account, name, file, activate, write } => {
            let fields = Fields::default().add("text", Some(read(&file)?)).0;
            let done = session.put(&["accounts", &account, "sieve", &name], fields, &write).await?;
            if !activate || write.dry_run {
                return Ok(done);
            }
            set_active(session, &account, Some(name), &write).await
        }
        SieveCommand::Activate { account, name, write } => set_active(session, &account, Some(name), &write).await,
        SieveCommand::Deactivate { account, write } => set_active(session, &account, None, &write).await,
        SieveCommand::Delete { account, name, delete } => {
            let question = format!("Delete the script \"{name}\" of {account}?");
            session.delete(&["accounts", &account, "sieve", &name], &question, &delete).await
        }
        SieveCommand::Check { file } => match sterna_mailflow::sieve::check(read(&file)?.as_bytes()) {
            Ok(()) => {
                session.say("it is a script\n");
                Ok(Exit::Done)
            }
            Err(fault) => Err(CliError::Usage(format!("{}: {fault}", file.display()))),
        },
        SieveCommand::Test { script, message, from, to, plus_separators } => {
            let message = bytes(&message)?.into();
            let name = String::new();
            let run = DryRun { message, mail_from: from, rcpt_to: to, name, plus_separators };
            test(session, &script, &run)
        }
        SieveCommand::Domain { when, file, domain, write } => {
            let when = if when == When::Before { "before" } else { "after" };
            let parameters = [("domain", domain.as_deref())];
            let Some(file) = file else {
                let value = session.client.get(&path(&["sieve", when], &parameters)).await?;
                return session.show(&value);
            };
            let text = if file.is_empty() { Value::Null } else { read(Path::new(&file))?.into() };
            session
                .set_with(&["sieve", when], &parameters, [("text".to_owned(), text)].into_iter().collect(), &write)
                .await
        }
    }
}

async fn show(session: &Session<'_>, account: &str, name: Option<String>) -> Result<Exit, CliError> {
    let name = match name {
        Some(name) => name,
        None => {
            let page = session.client.get(&path(&["accounts", account, "sieve"], &[])).await?;
            let items = page["items"].as_array().cloned().unwrap_or_default();
            let active = items.iter().find(|item| item["active"] == json!(true));
            let Some(name) = active.and_then(|item| item["name"].as_str()) else {
                session.say("no script is active\n");
                return Ok(Exit::NothingToDo);
            };
            name.to_owned()
        }
    };
    session.get(&["accounts", account, "sieve", &name]).await
}

async fn set_active(
    session: &Session<'_>,
    account: &str,
    name: Option<String>,
    write: &WriteArgs,
) -> Result<Exit, CliError> {
    let body = [("active".to_owned(), name.map_or(Value::Null, Value::from))].into_iter().collect();
    session.change_list(&["accounts", account, "sieve"], body, COLUMNS, write).await
}

fn test(session: &Session<'_>, script: &Path, run: &DryRun) -> Result<Exit, CliError> {
    let text = read(script)?;
    match dry_run(text.as_bytes(), run) {
        Ok(actions) => session.show(&json!({ "actions": actions })),
        Err(error) => Err(CliError::Usage(format!("{}: {error}", script.display()))),
    }
}

fn read(file: &Path) -> Result<String, CliError> {
    let not_utf8 = |_| CliError::Usage(format!("{} is not UTF-8", file.display()));
    String::from_utf8(bytes(file)?).map_err(not_utf8)
}

fn bytes(file: &Path) -> Result<Vec<u8>, CliError> {
    let mut found = Vec::new();
    let reading = if file == Path::new("-") {
        std::io::stdin().take(MESSAGE_BYTES_MAX).read_to_end(&mut found)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(MESSAGE_BYTES_MAX).read_to_end(&mut found))
    };
    reading.map_err(|error| CliError::Usage(format!("{}: {error}", file.display())))?;
    Ok(found)
}
