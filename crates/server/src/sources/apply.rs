//! Doing what a plan says, step by step: what can't be done is written down, and the rest goes on.

use std::collections::HashMap;

use sterna_base::AccountId;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_directory::request::{GroupPatch, NewGroup, NewUser, UserPatch};
use sterna_directory::{Created, Link, Member, Request, Source};

use super::plan::{Action, Plan, Present, Step};
use super::run::Log;
use crate::admin::problem::Problem;
use crate::admin::{AdminState, ways_in};

/// Does the steps of a plan; gives how many were done and how many could not be.
pub async fn apply(
    state: &AdminState,
    source: &Source,
    plan: &Plan,
    present: &Present,
    log: &mut Log,
) -> (usize, usize) {
    let mut accounts: HashMap<String, AccountId> =
        present.linked.iter().map(|here| (here.link.external_id.clone(), here.link.account)).collect();
    let (mut done, mut failed) = (0, 0);
    for step in &plan.steps {
        match one(state, source, step, &mut accounts).await {
            Ok(()) => {
                done += 1;
                log.line(in_words(step));
            }
            Err(problem) => {
                failed += 1;
                log.line(format!("could not be done: {}: {}", in_words(step), problem.detail));
            }
        }
    }
    (done, failed)
}

/// A step as a line of the log.
pub fn in_words(step: &Step) -> String {
    let what = match step.action {
        Action::Change => "change",
        Action::Adopt => "adopt",
        Action::Recover => "have back from the bin",
        Action::Create => "create",
        Action::Restore => "restore",
        Action::Members => "members of",
        Action::Suspend => "suspend",
    };
    let mut line = format!("{what} {} {}", step.kind, step.address);
    for field in &step.fields {
        match (field.before.is_empty(), field.after.is_empty()) {
            (true, _) => line.push_str(&format!("; {} + {}", field.name, field.after)),
            (_, true) => line.push_str(&format!("; {} - {}", field.name, field.before)),
            _ => line.push_str(&format!("; {} {} → {}", field.name, field.before, field.after)),
        }
    }
    if !step.reason.is_empty() {
        line.push_str(&format!(" ({})", step.reason));
    }
    line
}

async fn one(
    state: &AdminState,
    source: &Source,
    step: &Step,
    accounts: &mut HashMap<String, AccountId>,
) -> Result<(), Problem> {
    let account = step.account;
    match (step.action, account) {
        (Action::Create, _) => {
            let id = create(state, step).await?;
            accounts.insert(step.link.external_id.clone(), id);
            Ok(())
        }
        (Action::Adopt, Some(id)) => {
            // Made anew there: it can be somebody else, who has what let the former one in nowhere. First, while
            // nobody is let in: a run that ends in between finds it as it was.
            if step.restores && step.kind == "user" {
                ways_in::forget(state, id).await?;
            }
            set(state, step, id, |patch| {
                // The source checks passwords from now on: what was known here is not good any more.
                patch.password_hash = source.logins.then_some(None);
                patch.suspended = step.restores.then_some(false);
            })
            .await?;
            // Whoever was let in by what was known here is let in by the source from now on, or not.
            if source.logins
                && step.kind == "user"
                && let Some(records) = &state.records
            {
                records.end_sessions(id, None).await?;
            }
            accounts.insert(step.link.external_id.clone(), id);
            Ok(())
        }
        (Action::Recover, Some(id)) => {
            let found = step.found.as_ref().ok_or_else(|| Problem::malformed("nothing is known of it"))?;
            state.write(Request::RestoreEntry { id, address: Some(found.address.clone()) }, false).await?;
            set(state, step, id, |patch| patch.suspended = step.restores.then_some(false)).await?;
            accounts.insert(step.link.external_id.clone(), id);
            Ok(())
        }
        (Action::Change, Some(id)) => set(state, step, id, |_| {}).await,
        (Action::Suspend, Some(id)) => suspend(state, step, id, true).await,
        (Action::Restore, Some(id)) => suspend(state, step, id, false).await,
        (Action::Members, known) => {
            let made = accounts.get(&step.link.external_id).copied();
            let id = known.or(made).ok_or_else(|| Problem::no_such("group", &step.address))?;
            members(state, step, id, accounts).await
        }
        (_, None) => Err(Problem::no_such("user", &step.address)),
    }
}

async fn create(state: &AdminState, step: &Step) -> Result<AccountId, Problem> {
    let found = step.found.as_ref().ok_or_else(|| Problem::malformed("nothing is known of it"))?;
    if found.is_group {
        let new = NewGroup {
            address: found.address.clone(),
            aliases: step.aliases.clone(),
            display_name: found.display_name.clone(),
            ..NewGroup::default()
        };
        let request = Request::Linked { link: step.link.clone(), request: Box::new(Request::CreateGroup(new)) };
        return match state.write(request, false).await?.created {
            Some(Created::Account(id)) => Ok(id),
            _ => Err(Problem::no_such("group", &found.address)),
        };
    }
    let new = NewUser {
        address: found.address.clone(),
        aliases: step.aliases.clone(),
        login: step.login.clone(),
        unit: found.unit.clone().unwrap_or_default(),
        display_name: found.display_name.clone(),
        ..NewUser::default()
    };
    state.create_linked(new, step.link.clone()).await
}

async fn set(state: &AdminState, step: &Step, id: AccountId, more: impl FnOnce(&mut UserPatch)) -> Result<(), Problem> {
    let found = step.found.as_ref().ok_or_else(|| Problem::malformed("nothing is known of it"))?;
    let (address, aliases) = (Some(found.address.clone()), Some(step.aliases.clone()));
    let (display_name, unit) = (Some(found.display_name.clone()), found.unit.clone());
    let request = if found.is_group {
        let patch = GroupPatch { address, aliases, display_name, ..GroupPatch::default() };
        Request::SetGroup { id, expect: step.expect, patch }
    } else {
        let login = step.login.clone().map(Some);
        let mut patch = UserPatch { address, aliases, display_name, unit, login, ..UserPatch::default() };
        more(&mut patch);
        Request::SetUser { id, expect: step.expect, patch }
    };
    linked(state, step, id, request).await
}

async fn suspend(state: &AdminState, step: &Step, id: AccountId, suspended: bool) -> Result<(), Problem> {
    let request = match step.kind {
        "group" => {
            let patch = GroupPatch { suspended: Some(suspended), ..GroupPatch::default() };
            Request::SetGroup { id, expect: None, patch }
        }
        _ => {
            let patch = UserPatch { suspended: Some(suspended), ..UserPatch::default() };
            Request::SetUser { id, expect: None, patch }
        }
    };
    linked(state, step, id, request).await
}

async fn linked(state: &AdminState, step: &Step, account: AccountId, request: Request) -> Result<(), Problem> {
    let link = Link { account, ..step.link.clone() };
    state.write(Request::Linked { link, request: Box::new(request) }, false).await.map(drop)
}

async fn members(
    state: &AdminState,
    step: &Step,
    id: AccountId,
    accounts: &HashMap<String, AccountId>,
) -> Result<(), Problem> {
    // Who could not be made is named by the step that failed.
    let joining = step.joining.iter().filter_map(|member| accounts.get(member));
    let add: Vec<Member> = joining.map(|id| Member::Local(*id)).collect();
    let remove: Vec<Member> = step.leaving.iter().map(|id| Member::Local(*id)).collect();
    for part in add.chunks(PAGE_ITEMS_MAX) {
        state.write(Request::SetMembers { id, add: part.to_vec(), remove: Vec::new() }, false).await?;
    }
    for part in remove.chunks(PAGE_ITEMS_MAX) {
        state.write(Request::SetMembers { id, add: Vec::new(), remove: part.to_vec() }, false).await?;
    }
    Ok(())
}
