//! Scheduling of what users change (RFC 6638): what a PUT or a DELETE means for others is worked out before it is done,
//! written in the same commit, and carried afterwards.

mod carry;
mod change;
pub mod outbox;

pub use carry::{carry, send_left_behind};
pub use change::{Change, Scheduled, may_concern, not_unique};

use sterna_account::{Container, ContainerKind, Item};
use sterna_formats::calendar::Facts;

use super::answer::Problem;
use super::context::Context;

/// Whether a container is a scheduling inbox or outbox.
pub fn is_scheduling(container: &Container) -> bool {
    matches!(container.kind, ContainerKind::ScheduleInbox | ContainerKind::ScheduleOutbox)
}

/// The schedule tag of an item, if it has one: read with its summary.
pub fn tag_of(item: &Item) -> Option<String> {
    let facts = item.summary.as_deref().and_then(Facts::decode)?;
    facts.schedule_tag.map(|tag| format!("\"{tag}\""))
}

/// Whether `If-Schedule-Tag-Match` holds (RFC 6638 section 8.3).
///
/// # Errors
/// `412`
pub fn check_tag(context: &Context, item: Option<&Item>) -> Result<(), Problem> {
    let Some(wanted) = context.header("if-schedule-tag-match") else { return Ok(()) };
    let tag = item.and_then(tag_of);
    if tag.as_deref() == Some(wanted.trim()) { Ok(()) } else { Err(Problem::failed_precondition()) }
}
