//! `sterna user import`

use std::path::PathBuf;

use clap::Args;
use hyper::Method;
use serde_json::json;

use super::client::{CliError, path};
use super::exit::Exit;
use super::resource::{Session, WriteArgs};
use crate::people_csv::{self, Row};

/// People of one request.
const PART: usize = 100;

/// The columns that are sent on.
const COLUMNS: [&str; 7] = ["address", "name", "aliases", "login", "password", "unit", "quota"];

/// What is read, and how.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The list: CSV in UTF-8, with commas, semicolons or tabs; its first line names the columns: address, and any of
    /// name, aliases, login, password, unit, quota
    file: PathBuf,
    /// Make those who can be made although lines of others are wrong
    #[arg(long)]
    partial: bool,
    /// See [`WriteArgs`].
    #[command(flatten)]
    write: WriteArgs,
}

/// Tries the whole list, and then makes its people; with an error anywhere nobody is made, unless the rest is wanted.
pub async fn run(session: &Session<'_>, args: ImportArgs) -> Result<Exit, CliError> {
    let unreadable = |why: String| CliError::Usage(format!("{}: {why}", args.file.display()));
    let bytes = std::fs::read(&args.file).map_err(|error| unreadable(error.to_string()))?;
    let text = people_csv::text(&bytes).map_err(|error| unreadable(error.to_string()))?;
    let rows = people_csv::read(text).map_err(|error| unreadable(error.to_string()))?;
    let tried = send(session, &rows, true, args.partial).await?;
    if args.write.dry_run || (!tried.errors.is_empty() && !args.partial) {
        tried.show(session, false)?;
        return Ok(if tried.errors.is_empty() { Exit::Done } else { Exit::Failed });
    }
    let made = send(session, &rows, false, args.partial).await?;
    made.show(session, true)?;
    Ok(match (made.errors.is_empty(), made.created) {
        (false, _) => Exit::Failed,
        (true, 0) => Exit::NothingToDo,
        (true, _) => Exit::Done,
    })
}

#[derive(Default)]
struct Report {
    created: u64,
    existing: u64,
    errors: Vec<String>,
}

impl Report {
    fn show(&self, session: &Session<'_>, made: bool) -> Result<Exit, CliError> {
        let Report { created, existing, errors } = self;
        session.show(&json!({ "made": made, "created": created, "existing": existing, "errors": errors }))
    }
}

async fn send(session: &Session<'_>, rows: &[Row], dry_run: bool, partial: bool) -> Result<Report, CliError> {
    let mut report = Report::default();
    for part in rows.chunks(PART) {
        let path = path(&["people-imports"], &[("dry_run", dry_run.then_some("true"))]);
        let body = json!({ "csv": csv(part), "partial": partial });
        let answer = session.client.send(Method::POST, &path, Some(&body)).await?.body;
        let number = |name: &str| answer[name].as_u64().unwrap_or_default();
        report.created += number("created");
        report.existing += number("existing");
        for error in answer["errors"].as_array().into_iter().flatten() {
            // The part's first line names the columns, and each of its people has one line.
            let at = error["line"].as_u64().and_then(|line| usize::try_from(line).ok()).unwrap_or(2);
            let line = part.get(at.saturating_sub(2)).map_or(at, |row| row.line);
            let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
            report.errors.push(format!("line {line}: {} {}", text("address"), text("detail")));
        }
    }
    Ok(report)
}

fn csv(rows: &[Row]) -> String {
    let mut text = COLUMNS.join(",");
    for row in rows {
        let field = |name: &&str| {
            let value = row.fields.get(*name).map(String::as_str).unwrap_or_default();
            format!("\"{}\"", value.replace(['\r', '\n'], " ").replace('"', "\"\""))
        };
        text.push('\n');
        text.push_str(&COLUMNS.iter().map(field).collect::<Vec<_>>().join(","));
    }
    text
}
