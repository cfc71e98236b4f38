//! `sterna doctor`

use super::client::{CliError, path};
use super::exit::Exit;
use super::output;
use super::resource::Session;
use super::status::{tell, text};
use super::{GlobalArgs, Output};

/// Prints what is wrong, what could not be looked at, and what is fine; ends with 1 when something is wrong.
pub(super) async fn run(session: &Session<'_>, global: &GlobalArgs) -> Result<Exit, CliError> {
    let found = session.client.get(&path(&["doctor"], &[])).await?;
    let list = |field: &str| found[field].as_array().cloned().unwrap_or_default();
    let problems = list("problems");
    if global.format() != Output::Table {
        output::one(global.format(), &found)?;
        return Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed });
    }
    tell(&problems)?;
    for line in list("unknown") {
        output::line(&format!("? {}", text(&line)))?;
    }
    for line in list("fine") {
        output::line(&format!("  {} is fine", text(&line)))?;
    }
    if problems.is_empty() {
        output::line("\nNothing is wrong.")?;
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
}
