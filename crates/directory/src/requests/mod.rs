//! What each request checks and writes.

mod bin;
mod copies;
mod domain;
mod entry;
mod group;
mod job;
pub(crate) mod migration;
mod moves;
mod pending;
mod server;
mod setting;
mod update;

use sterna_base::{AccountId, Modseq, NodeId};

use crate::read::Versioned;
use crate::request::{Created, Request};
use crate::row::ACCOUNT_COUNTER;
use crate::write::Write;
use crate::{RequestError, StorageError};
use crate::{acme, contact, dkim, firewall, rights, share, source};

/// Does one request inside an open transaction. On `Err` the caller rolls back.
pub(crate) fn run(write: &mut Write<'_>, request: &Request) -> Result<Option<Created>, RequestError> {
    match request {
        Request::CreateDomain(new) => domain::create(write, new).map(|id| Some(Created::Domain(id))),
        Request::SetDomain { id, expect, patch } => domain::set(write, *id, *expect, patch).map(|()| None),
        Request::DeleteDomain { id, expect } => domain::delete(write, *id, *expect).map(|()| None),
        Request::ReserveAccount { server } => pending::reserve(write, *server).map(|id| Some(Created::Account(id))),
        Request::GiveUpAccount { account } => pending::give_up(write, *account).map(|()| None),
        Request::StoreGone { account, server } => pending::gone(write, *account, *server).map(|()| None),
        Request::CreateUser { id, new, server } => entry::create_user(write, *id, new, *server).map(|()| None),
        Request::SetUser { id, expect, patch } => {
            entry::set_user(write, *id, *expect, patch)?;
            source::suspended_here(write, *id, patch.suspended).map(|()| None)
        }
        Request::CreateShared { id, new, server } => entry::create_shared(write, *id, new, *server).map(|()| None),
        Request::SetShared { id, expect, patch } => entry::set_shared(write, *id, *expect, patch).map(|()| None),
        Request::CreateGroup(new) => group::create(write, new).map(|id| Some(Created::Account(id))),
        Request::SetGroup { id, expect, patch } => {
            group::set(write, *id, *expect, patch)?;
            source::suspended_here(write, *id, patch.suspended).map(|()| None)
        }
        Request::SetMembers { id, add, remove } => group::set_members(write, *id, add, remove).map(|()| None),
        Request::CreateContact { domain, new } => {
            contact::create(write, *domain, new).map(|id| Some(Created::Account(id)))
        }
        Request::SetContact { id, expect, patch } => contact::set(write, *id, *expect, patch).map(|()| None),
        Request::DeleteContact { id, expect } => contact::delete(write, *id, *expect).map(|()| None),
        Request::DeleteEntry { id, kind, expect } => entry::delete(write, *id, *kind, *expect).map(|()| None),
        Request::BinEntry { id, kind, expect, until, by } => {
            bin::put(write, *id, *kind, *expect, (*until, by)).map(|()| None)
        }
        Request::RestoreEntry { id, address } => bin::restore(write, *id, address.as_deref()).map(|()| None),
        Request::PurgeEntry { id } => bin::purge(write, *id).map(|()| None),
        Request::SetShare { share, shares } => share::set(write, *share, *shares).map(|()| None),
        Request::PutServer { id, name, address, roles } => {
            server::put(write, *id, name, address, *roles).map(|()| None)
        }
        Request::SetServer { id, expect, patch } => server::set(write, *id, *expect, patch).map(|()| None),
        Request::DeleteServer { id, expect } => server::delete(write, *id, *expect).map(|()| None),
        Request::CreateDkimKey(new) => dkim::create(write, new).map(|()| None),
        Request::SetDkimKey { domain, selector, state } => {
            dkim::set_state(write, *domain, selector, *state).map(|()| None)
        }
        Request::DeleteDkimKey { domain, selector } => dkim::delete(write, *domain, selector).map(|()| None),
        Request::PutSetting { expect, scope, name, value, by } => {
            setting::is_still(write, *scope, name, *expect)?;
            setting::put(write, *scope, name, value.as_deref(), by).map(|()| None)
        }
        Request::RevertSetting { change, by } => setting::revert(write, *change, by).map(|()| None),
        Request::PutSource { source: new, expect } => source::put(write, new, *expect).map(|()| None),
        Request::DeleteSource { name, expect } => source::delete(write, name, *expect).map(|()| None),
        Request::Linked { link, request } => source::linked(write, link, request),
        Request::SetLink(link) => source::set(write, link).map(|()| None),
        Request::Unlink { account } => source::unlink(write, *account).map(|()| None),
        Request::PutRole { role, expect } => rights::put_role(write, role, *expect).map(|()| None),
        Request::DeleteRole { name, expect } => rights::delete_role(write, name, *expect).map(|()| None),
        Request::SetGrant { grant, granted } => rights::set_grant(write, grant, *granted).map(|()| None),
        Request::BindSubject(subject) => rights::bind_subject(write, subject).map(|()| None),
        Request::ForgetSubjects { account } => rights::forget_subjects(write, *account).map(|()| None),
        Request::CreateApiToken(new) => rights::create_token(write, new).map(|()| None),
        Request::DeleteApiToken { id } => rights::delete_token(write, id).map(|()| None),
        Request::CreateAppPassword(new) => rights::create_app_password(write, new).map(|()| None),
        Request::DeleteAppPassword { account, id } => rights::delete_app_password(write, *account, id).map(|()| None),
        Request::UseSecondFactor { account, used } => rights::use_second_factor(write, *account, used).map(|()| None),
        Request::SetSecondFactor { account, factor } => {
            rights::set_second_factor(write, *account, factor.as_ref()).map(|()| None)
        }
        Request::CreatePasskey(new) => rights::create_passkey(write, new).map(|()| None),
        Request::ChangePasskey { account, id, change } => {
            rights::change_passkey(write, *account, id, change).map(|()| None)
        }
        Request::PutCertificate(certificate) => acme::put_certificate(write, certificate).map(|()| None),
        Request::DeleteCertificate { name } => acme::delete_certificate(write, name).map(|()| None),
        Request::PutFirewall { firewall: rules, expect } => firewall::put(write, rules, *expect).map(|()| None),
        Request::PutAcme { acme, expect } => acme::put(write, acme, *expect).map(|()| None),
        Request::BeginJob(new) => job::begin(write, new).map(|id| Some(Created::Job(id))),
        Request::MoveBack { accounts, what, by } => {
            job::move_back(write, accounts, what, by).map(|id| Some(Created::Job(id)))
        }
        Request::SetJob { id, change } => job::set(write, *id, *change).map(|()| None),
        Request::StartMove { account } => moves::start(write, *account).map(|()| None),
        Request::CutOver { account, deadline } => {
            moves::cut_over(write, *account, *deadline).map(|epoch| Some(Created::Epoch(epoch)))
        }
        Request::CommitMove { account, epoch } => moves::commit(write, *account, *epoch).map(|()| None),
        Request::AbortMove { account, retry, reason } => {
            moves::abort(write, *account, *retry, reason).map(|epoch| epoch.map(Created::Epoch))
        }
        Request::FailMove { account, reason } => {
            moves::fail(write, *account, reason).map(|epoch| epoch.map(Created::Epoch))
        }
        Request::PutStandby { accounts, server, durability } => {
            copies::put_standby(write, accounts, *server, *durability).map(|()| None)
        }
        Request::SetStandbyStage(report) => copies::set_stage(write, report).map(|()| None),
        Request::DropCopy { account, server } => copies::drop(write, *account, *server).map(|()| None),
        Request::DropStore { account, server } => copies::drop_store(write, *account, *server).map(|()| None),
        Request::BeginMigration { from, to, by } => migration::begin(write, *from, *to, by).map(|()| None),
        Request::SetMigration { expect, phase, pace } => migration::set(write, *expect, *phase, *pace).map(|()| None),
        Request::FollowMigration => migration::follow(write).map(|()| None),
        Request::PlanMigration => migration::plan(write).map(|()| None),
        Request::DropMigrationCopies => migration::drop_copies(write).map(|()| None),
        Request::ForgetMigrated => migration::forget(write).map(|()| None),
        Request::HandOverMain { to, left_behind } => migration::hand_over(write, *to, left_behind).map(|()| None),
        Request::PutUpdate { expect, update, event } => {
            update::put(write, *expect, update, event.as_ref()).map(|()| None)
        }
        Request::PruneJobs => job::prune(write).map(|()| None),
        Request::ExpireCopies { before } => copies::expire(write, *before).map(|()| None),
        Request::FailOver { account, to, expect } => {
            moves::fail_over(write, *account, *to, *expect).map(|epoch| Some(Created::Epoch(epoch)))
        }
    }
}

/// What a server is called in messages.
pub(crate) fn names_server(write: &Write<'_>, id: NodeId) -> Result<String, StorageError> {
    Ok(write.reader.server(id)?.map_or_else(|| id.to_string(), |found| found.value.name))
}

pub(crate) fn reserve(write: &mut Write<'_>) -> Result<AccountId, StorageError> {
    write.next_number(ACCOUNT_COUNTER).map(AccountId)
}

/// The row that must be there, at the modseq that the caller expects.
pub(crate) fn found<T>(
    row: Option<Versioned<T>>,
    what: &'static str,
    id: impl ToString,
    expect: Option<Modseq>,
) -> Result<T, RequestError> {
    let row = row.ok_or_else(|| RequestError::NoSuch { what, id: id.to_string() })?;
    match expect {
        Some(expected) if expected != row.modseq => Err(RequestError::Changed { expected, found: row.modseq }),
        _ => Ok(row.value),
    }
}
