//! `sterna domain dns`

use serde_json::Value;

use super::GlobalArgs;
use super::client::{CliError, path};
use super::exit::Exit;
use super::output::{self, Column, Listing};
use super::resource::Session;

const COLUMNS: &[Column] =
    &[("NAME", "name"), ("TYPE", "type"), ("VALUE", "value"), ("NEEDED FOR", "need"), ("PURPOSE", "purpose")];

/// Prints the records that DNS should have of a domain, as a table or as lines of a zone file.
pub(super) async fn run(
    session: &Session<'_>,
    global: &GlobalArgs,
    domain: &str,
    is_zone: bool,
) -> Result<Exit, CliError> {
    let found = session.client.get(&path(&["domains", domain, "dns"], &[])).await?;
    let items = found["items"].as_array().map_or(&[][..], Vec::as_slice);
    if is_zone {
        items.iter().filter_map(|item| item["zone"].as_str()).try_for_each(output::line)?;
    } else {
        let mut listing = Listing::new(global.format(), COLUMNS);
        listing.page(items)?;
        listing.end()?;
    }
    let problems: Vec<&str> = found["problems"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for problem in &problems {
        session.say(&format!("{problem}\n"));
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
}
