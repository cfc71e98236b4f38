//! `/api/v1/graphs`: what every server has measured of itself over a day or a month.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::Timestamp;

use super::doors::AdminState;
use super::edges;
use super::input::Asked;
use super::problem::Problem;
use super::view::time;
use crate::graphs::{Measured, Metric, Span};
use crate::node::questions::Question;

/// What is asked.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "GraphSelection")]
pub(super) struct Selection {
    /// How far back.
    span: Span,
    /// Only of this server; “all” is all of them, as is none on the main node.
    server: Option<String>,
}

/// Numbers of the servers, all by the same steps of time.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Graphs")]
pub(super) struct GraphsView {
    span: Span,
    /// How many seconds one value stands for; it is the mean of what was measured in them.
    step_seconds: i64,
    /// When the first step began. The last one goes on still.
    start: String,
    series: Vec<SeriesView>,
    /// Servers that did not answer: what they measured is missing.
    unreachable: Vec<String>,
}

/// One metric of one server.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "GraphSeries")]
struct SeriesView {
    server: String,
    metric: Metric,
    /// One for each step; null where nothing was measured.
    values: Vec<Option<f64>>,
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Asked(selection): Asked<Selection>,
) -> Result<Json<GraphsView>, Problem> {
    let span = selection.span;
    let meant = edges::servers(&state, selection.server.as_deref()).await?;
    let told = meant.ask::<Measured>(&state, |_| Question::Graphs { span }).await?;
    let steps = i64::try_from(span.values()).unwrap_or(i64::MAX);
    let first = span.step_of(state.directory.now()) - steps + 1;
    let series = told.answers.into_iter().flat_map(|(server, measured)| {
        let shift = measured.first - first;
        measured.series.into_iter().map(move |series| SeriesView {
            server: server.clone(),
            metric: series.metric,
            values: shifted(&series.values, shift, span.values()),
        })
    });
    Ok(Json(GraphsView {
        span,
        step_seconds: span.step_seconds(),
        start: time(Timestamp::from_seconds(first * span.step_seconds())),
        series: series.collect(),
        unreachable: told.unreachable,
    }))
}

/// The values by our own steps: another server's clock may already be in the next one.
fn shifted(values: &[Option<f64>], by: i64, len: usize) -> Vec<Option<f64>> {
    let mut placed = vec![None; len];
    for (at, value) in values.iter().enumerate() {
        let place = i64::try_from(at).ok().and_then(|at| usize::try_from(at + by).ok());
        if let Some(slot) = place.and_then(|place| placed.get_mut(place)) {
            *slot = *value;
        }
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::shifted;

    #[test]
    fn a_server_whose_clock_is_in_another_step_is_drawn_at_the_same_time() {
        let values = [Some(1.0), None, Some(3.0)];
        assert_eq!(shifted(&values, 0, 3), values);
        assert_eq!(shifted(&values, 1, 3), [None, Some(1.0), None]);
        assert_eq!(shifted(&values, -1, 3), [None, Some(3.0), None]);
        assert_eq!(shifted(&values, i64::from(i32::MAX), 3), [None; 3]);
    }
}
