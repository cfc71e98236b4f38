//! What becomes of updates. Who decides is the main node's executor; here nothing is written that can't be.

use sterna_base::Modseq;

use crate::model::{Update, UpdateEvent, UpdatePhase};
use crate::names::invalid;
use crate::write::Write;
use crate::{RequestError, UPDATE_KEY_BYTES_MAX, UPDATE_PLAN_BYTES_MAX};

/// Puts the row in the place of the one at `expect`, and an event into the history.
pub(crate) fn put(
    write: &mut Write<'_>,
    expect: Option<Modseq>,
    update: &Update,
    event: Option<&UpdateEvent>,
) -> Result<(), RequestError> {
    let before = write.reader.update()?;
    let (found, old) = before.map_or((Modseq::ZERO, Update::default()), |found| (found.modseq, found.value));
    if let Some(expected) = expect.filter(|expected| *expected != found) {
        return Err(RequestError::Changed { expected, found });
    }
    may_follow(write, &old, update)?;
    let mut update = update.clone();
    if let Some(event) = event {
        update.events = old.events + 1;
        let (number, at) = (update.events, write.now);
        write.put(&UpdateEvent { number, at, plan: update.number, ..event.clone() })?;
    }
    Ok(write.put(&update)?)
}

fn may_follow(write: &Write<'_>, old: &Update, new: &Update) -> Result<(), RequestError> {
    if old.phase != new.phase && !old.phase.may_become(new.phase) {
        let reason = format!("an update that is {} can't become {}", old.phase.name(), new.phase.name());
        return Err(invalid("phase", reason));
    }
    if new.number < old.number {
        return Err(invalid("number", format!("plan {} came after plan {}", old.number, new.number)));
    }
    let same_number = old.plan.as_ref().zip(new.plan.as_ref()).filter(|(old, new)| old.number == new.number);
    if same_number.is_some_and(|(old, new)| old != new) {
        return Err(invalid("plan", "a plan is never changed; another one has another number"));
    }
    // Of one that is stopped the next plan is made of what runs then, whatever that is.
    let takes_its_place = old.phase == UpdatePhase::Stopped && new.phase == UpdatePhase::Prepared;
    if old.phase.is_under_way() && new.number != old.number && !takes_its_place {
        return Err(invalid("number", "another plan is under way"));
    }
    if new.phase.is_under_way() && new.plan.as_ref().is_none_or(|plan| plan.number != new.number) {
        return Err(invalid("plan", "there is no plan to act on"));
    }
    if new.plan.as_ref().is_some_and(|plan| plan.content.len() > UPDATE_PLAN_BYTES_MAX) {
        return Err(invalid("plan", "it is too long"));
    }
    if new.repository.as_ref().is_some_and(|repository| repository.key.len() > UPDATE_KEY_BYTES_MAX) {
        return Err(invalid("key", format!("it is longer than {} KiB", UPDATE_KEY_BYTES_MAX / 1024)));
    }
    // Two ways to change what runs where would get into each other's.
    let begins = new.phase == UpdatePhase::Rolling && !old.phase.is_under_way();
    if begins && write.reader.migration()?.is_some_and(|found| !found.value.phase.is_over()) {
        return Err(RequestError::InUse { by: "a machine is taking another one's place (sterna migrate)".to_owned() });
    }
    Ok(())
}

/// Nothing else that changes what runs where is begun while servers run two versions.
pub(crate) fn none_under_way(write: &Write<'_>) -> Result<(), RequestError> {
    match write.reader.update()? {
        Some(found) if found.value.phase.is_under_way() => {
            Err(RequestError::InUse { by: format!("update {} is under way (sterna update)", found.value.number) })
        }
        _ => Ok(()),
    }
}
