//! `sterna graphs`

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::resource::{Session, silent_of};
use super::{GlobalArgs, Output};

const COLUMNS: &[Column] =
    &[("SERVER", "server"), ("METRIC", "metric"), ("LAST", "last"), ("LEAST", "least"), ("MOST", "most")];

/// See what servers measured of themselves: queue, deliveries, sessions, lag, disk
#[derive(Debug, Args)]
pub struct GraphsArgs {
    /// How far back
    #[arg(long, value_enum, default_value_t = Span::Day)]
    span: Span,
    /// Only of this server
    #[arg(long)]
    server: Option<String>,
}

/// How far back.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Span {
    /// 24 hours, by steps of 5 minutes
    Day,
    /// 30 days, by steps of 2 hours
    Month,
}

pub(super) async fn run(session: &Session<'_>, global: &GlobalArgs, args: GraphsArgs) -> Result<Exit, CliError> {
    let span = match args.span {
        Span::Day => "day",
        Span::Month => "month",
    };
    let parameters = [("span", Some(span)), ("server", args.server.as_deref())];
    let answer = session.client.get(&path(&["graphs"], &parameters)).await?;
    let shown = match global.format() {
        Output::Table => session.items(&rows(&answer), COLUMNS)?,
        _ => session.show(&answer)?,
    };
    session.say_silent(&silent_of(&answer));
    Ok(shown)
}

/// A line for each: the values themselves are for programs that draw.
fn rows(answer: &Value) -> Vec<Value> {
    let series = answer["series"].as_array().into_iter().flatten();
    let row = |series: &Value| {
        let values: Vec<f64> = series["values"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        json!({
            "server": series["server"],
            "metric": series["metric"],
            "last": values.last(),
            "least": values.iter().copied().reduce(f64::min),
            "most": values.iter().copied().reduce(f64::max),
        })
    };
    series.map(row).collect()
}
