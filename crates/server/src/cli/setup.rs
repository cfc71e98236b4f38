//! `sterna setup`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::Value;
use sterna_web::setup::answers::AnswersFile;
use sterna_web::setup::unattended::TEMPLATE;

use super::client::{CliError, path};
use super::exit::Exit;
use super::resource::Session;
use super::{output, prompt};

/// Longest file of answers, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Set up a new installation: in a browser by a link, or from a file of answers
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SetupArgs {
    #[command(subcommand)]
    command: Option<SetupCommand>,
    /// A file with all answers: does the whole setup without a browser
    #[arg(long, value_name = "FILE", conflicts_with = "answers_template")]
    answers: Option<PathBuf>,
    /// Don't ask whether the answers are meant
    #[arg(short, long, requires = "answers")]
    yes: bool,
    /// Print a file of answers to fill in
    #[arg(long)]
    answers_template: bool,
}

/// What can be done with the setup.
#[derive(Debug, Subcommand)]
pub enum SetupCommand {
    /// Print a new link to the pages of the setup; it works once, for an hour, and ends the one before
    Link,
}

pub(super) async fn run(session: &Session<'_>, args: SetupArgs) -> Result<Exit, CliError> {
    if args.answers_template {
        output::line(TEMPLATE.trim_end())?;
        return Ok(Exit::Done);
    }
    if let Some(file) = &args.answers {
        return answer(session, file, args.yes).await;
    }
    match args.command {
        Some(SetupCommand::Link) => {
            let answer = session.client.send(Method::POST, &path(&["setup", "link"], &[]), None).await?;
            output::line(answer.body["text"].as_str().unwrap_or_default().trim_matches('\n'))?;
            Ok(Exit::Done)
        }
        None => {
            let state = session.client.get(&path(&["setup"], &[])).await?;
            let text = match state["open"] == Value::Bool(true) {
                true => "the setup waits for answers: sterna setup link, or sterna setup --answers FILE",
                false => "the setup is over, or was never begun (sterna init)",
            };
            output::line(text)?;
            Ok(Exit::Done)
        }
    }
}

async fn answer(session: &Session<'_>, file: &PathBuf, yes: bool) -> Result<Exit, CliError> {
    let unread = |source| CliError::Io { what: format!("{} can't be read", file.display()), source };
    if std::fs::metadata(file).map_err(unread)?.len() > FILE_BYTES_MAX {
        return Err(CliError::Usage(format!("{} is too large to be a file of answers", file.display())));
    }
    let text = std::fs::read_to_string(file).map_err(unread)?;
    let answers: AnswersFile = toml::from_str(&text)
        .map_err(|error| CliError::Usage(format!("{} is no file of answers: {error}", file.display())))?;
    let domain = answers.place.as_ref().map(|place| place.domain.clone()).unwrap_or_default();
    prompt::confirm(&format!("Set up this installation for {domain}, and end the setup?"), yes)?;
    let body = serde_json::to_value(answers).map_err(|error| CliError::Usage(error.to_string()))?;
    let answer = session.client.send(Method::POST, &path(&["setup"], &[]), Some(&body)).await?;
    session.show(&answer.body)
}
