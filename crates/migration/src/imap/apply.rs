//! What was learned from a source, as commits.

use std::collections::BTreeMap;

use sterna_account::commit::MODSEQ_MIN_MAX;
use sterna_account::{Account, AccountError, CommitError, FlagAction, FlagSet, Mutation, NewItem, Outcome, UidSet};
use sterna_base::{Modseq, OperationId, Uid, UidValidity};

use super::fetch::Fetched;
use super::state::{FolderState, States};
use crate::run::report::{ImportError, Report};
use crate::target::{flags, message};

/// Mutations of one commit of flags.
const FLAG_STEPS_MAX: usize = 1000;
/// How often messages are put at the end of a mailbox that others put something into at the same time.
const COMMIT_TRIES_MAX: u32 = 20;

/// The flags of a message that can be kept; the report names the others.
pub fn kept_flags(fetched: &Fetched, folder: &str, report: &Report) -> FlagSet {
    let names = fetched.flags.iter().flatten().map(Vec::as_slice);
    flags::flags(names, |lost| {
        let name = lost.escape_ascii();
        report.note(format!("{folder}: the keyword {name} can't be kept: keywords are ASCII here"));
    })
}

/// Puts messages into their mailbox, and notes that they came, whole or not at all.
///
/// # Errors
/// [`ImportError::Account`].
pub async fn messages(
    account: &dyn Account,
    states: &States,
    state: &mut FolderState,
    fetched: Vec<Fetched>,
    (folder, report): (&str, &Report),
) -> Result<(), ImportError> {
    let (mut items, mut bytes): (Vec<(u32, NewItem)>, u64) = (Vec::with_capacity(fetched.len()), 0);
    for mut one in fetched {
        let flags = kept_flags(&one, folder, report);
        let Some(body) = one.body.take() else { continue };
        bytes += body.size();
        items.push((one.uid, message::item(account, body, flags, one.date).await?));
    }
    let count = items.len() as u64;
    match commit(account, states, state, &items).await {
        Err(AccountError::Refused(CommitError::Unexpected)) if state.is_exact => {
            // Somebody has put something into the mailbox here: from now on the numbers are others.
            state.renumber();
            report.with(|report| report.renumbered.push(folder.to_owned()));
            commit(account, states, state, &items).await?;
        }
        done => done?,
    }
    report.with(|report| {
        report.messages += count;
        report.bytes += bytes;
    });
    Ok(())
}

async fn commit(
    account: &dyn Account,
    states: &States,
    state: &mut FolderState,
    items: &[(u32, NewItem)],
) -> Result<(), AccountError> {
    let container = state.container;
    for tries in 1.. {
        let next = match state.is_exact {
            true => None,
            // Expected, so that the note says what the messages are called before they are.
            false => account.container(container).await?.map(|found| found.uid_next.0),
        };
        let (mut after, mut steps) = (state.clone(), Vec::with_capacity(items.len() + 2));
        if state.is_exact {
            steps.push(numbers(state, state.uid_next, 0));
        }
        for ((there, item), at) in items.iter().zip(0_u32..) {
            let uid = Uid(next.map_or(*there, |next| next.saturating_add(at)));
            after.came(*there, uid);
            steps.push(Mutation::AppendAt { container, uid, item: item.clone() });
        }
        match states.commit(account, steps, &after).await {
            Err(AccountError::Refused(CommitError::Unexpected)) if next.is_some() && tries < COMMIT_TRIES_MAX => {}
            Err(error) => return Err(error),
            Ok(_) => {
                *state = after;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Makes flags here those there.
///
/// # Errors
/// [`ImportError::Account`].
pub async fn flag_changes(
    account: &dyn Account,
    state: &FolderState,
    changed: &[Fetched],
    (folder, report): (&str, &Report),
) -> Result<(), ImportError> {
    let mut groups: BTreeMap<(u8, Vec<String>), (FlagSet, Vec<u32>)> = BTreeMap::new();
    for one in changed.iter().filter(|one| one.flags.is_some()) {
        let kept = kept_flags(one, folder, report);
        groups.entry(flags::key(&kept)).or_insert_with(|| (kept, Vec::new())).1.push(one.uid);
    }
    let step = |(flags, uids): (FlagSet, Vec<u32>)| Mutation::StoreFlags {
        container: state.container,
        uids: state.all_here(uids.into_iter()),
        action: FlagAction::Replace,
        flags,
        unchanged_since: None,
    };
    let steps: Vec<Mutation> = groups.into_values().map(step).collect();
    for part in steps.chunks(FLAG_STEPS_MAX) {
        let committed = account.commit(OperationId::random(), part.to_vec()).await?;
        let count = |outcome: &Outcome| match outcome {
            Outcome::Flagged { changed, .. } => changed.iter().count() as u64,
            _ => 0,
        };
        let count: u64 = committed.outcomes.iter().map(count).sum();
        report.with(|report| report.flags += count);
    }
    Ok(())
}

/// Expunges what is gone there.
///
/// # Errors
/// [`ImportError::Account`].
pub async fn expunges(
    account: &dyn Account,
    state: &FolderState,
    uids: UidSet,
    report: &Report,
) -> Result<(), ImportError> {
    if uids.is_empty() {
        return Ok(());
    }
    let step = Mutation::Expunge { container: state.container, uids, deleted_only: false };
    let committed = account.commit(OperationId::random(), vec![step]).await?;
    if let Some(Outcome::Expunged { uids }) = committed.outcomes.first() {
        let count = uids.iter().count() as u64;
        report.with(|report| report.expunged += count);
    }
    Ok(())
}

/// The step that gives a mailbox the source's numbers, as long as nothing was put into it here since.
pub fn numbers(state: &FolderState, uid_next: u32, highest_modseq: u64) -> Mutation {
    Mutation::SetNumbers {
        container: state.container,
        uid_validity: UidValidity(state.uid_validity),
        uid_next: Uid(uid_next),
        modseq_min: Modseq(highest_modseq).min(MODSEQ_MIN_MAX),
        expect_uid_next: Some(Uid(state.uid_next)),
    }
}

/// Notes that a mailbox is as it was there at this HIGHESTMODSEQ, and that its numbers are at least these.
///
/// # Errors
/// [`ImportError::Account`].
pub async fn complete(
    account: &dyn Account,
    states: &States,
    state: &mut FolderState,
    (uid_next, highest_modseq): (u32, u64),
    (folder, report): (&str, &Report),
) -> Result<(), ImportError> {
    let before = state.clone();
    let completed = |state: &FolderState| {
        let uid_next = state.uid_next.max(uid_next);
        FolderState { uid_next, highest_modseq, ..state.clone() }
    };
    *state = completed(&before);
    if before.is_exact {
        let steps = vec![numbers(&before, state.uid_next, highest_modseq)];
        let done = match *state == before {
            true => account.commit(OperationId::random(), steps).await,
            false => states.commit(account, steps, state).await,
        };
        match done {
            Err(AccountError::Refused(CommitError::Unexpected)) => {
                let mut others = before.clone();
                others.renumber();
                report.with(|report| report.renumbered.push(folder.to_owned()));
                *state = completed(&others);
            }
            done => return Ok(done.map(|_| ())?),
        }
    }
    if *state != before {
        states.commit(account, Vec::new(), state).await?;
    }
    Ok(())
}
