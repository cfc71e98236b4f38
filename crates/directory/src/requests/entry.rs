//! Users and shared mailboxes, and what all entries have in common.

use sterna_account::scram::ScramVerifier;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, Epoch, Modseq, NodeId};

use super::found;
use crate::model::{Address, Entry, Member, Membership, Placement, Resource, SharedMailbox, User};
use crate::names::{self, invalid};
use crate::read::AnyEntry;
use crate::request::{NewShared, NewUser, SharedPatch, UserPatch};
use crate::rights::check_unit;
use crate::row::{self, Content, RowKind};
use crate::write::Write;
use crate::{ADDRESSES_PER_ENTRY_MAX, FORWARDS_MAX, RequestError, SENDERS_MAX};

/// The epoch of a new account.
pub(crate) const FIRST_EPOCH: Epoch = Epoch(1);

pub(crate) fn create_user(
    write: &mut Write<'_>,
    id: AccountId,
    new: &NewUser,
    server: NodeId,
) -> Result<(), RequestError> {
    let id = reserved(write, id, server)?;
    let entry = new_entry(write, id, &new.address, &new.aliases, (&new.display_name, &new.unit))?;
    if is_repeated(write, &entry, RowKind::User)? {
        return Ok(());
    }
    let user = User {
        entry,
        login: new.login.clone(),
        password_hash: new.password_hash.clone(),
        scram: new.scram.clone(),
        password_at: None,
        admin: new.admin,
        quota_bytes: new.quota_bytes,
    };
    let user = checked_user(write, user)?;
    write.put(&user)?;
    place(write, user.entry.id, server)
}

pub(crate) fn set_user(
    write: &mut Write<'_>,
    id: AccountId,
    expect: Option<Modseq>,
    patch: &UserPatch,
) -> Result<(), RequestError> {
    let mut user = found(write.reader.user(id)?, "user", id, expect)?;
    let UserPatch { address, aliases, login, display_name, password_hash, scram, unit, .. } = patch.clone();
    let UserPatch { admin, quota_bytes, suspended, hidden, forward_only, .. } = *patch;
    change_forward(&mut user.entry, patch.forward_to.as_deref(), forward_only)?;
    change_senders(write, &mut user.entry, patch.senders.as_deref())?;
    let change = EntryChange { address, aliases, display_name, unit, suspended, hidden };
    change_entry(write, &mut user.entry, change)?;
    user.login = login.unwrap_or(user.login);
    if let Some(hash) = password_hash {
        // Of another password than before: what SCRAM knew of that one goes.
        user.scram = scram.filter(|_| hash.is_some());
        if user.password_hash != hash {
            user.password_at = Some(write.now);
        }
        user.password_hash = hash;
    }
    user.admin = admin.unwrap_or(user.admin);
    user.quota_bytes = quota_bytes.unwrap_or(user.quota_bytes);
    let user = checked_user(write, user)?;
    Ok(write.put(&user)?)
}

pub(crate) fn create_shared(
    write: &mut Write<'_>,
    id: AccountId,
    new: &NewShared,
    server: NodeId,
) -> Result<(), RequestError> {
    let id = reserved(write, id, server)?;
    let entry = new_entry(write, id, &new.address, &new.aliases, (&new.display_name, &new.unit))?;
    if is_repeated(write, &entry, RowKind::Shared)? {
        return Ok(());
    }
    check_addresses(write, &entry)?;
    let resource = new.resource.clone().map(|resource| checked_resource(write, resource)).transpose()?;
    let shared = SharedMailbox { entry, quota_bytes: new.quota_bytes, resource };
    write.put(&shared)?;
    place(write, shared.entry.id, server)
}

pub(crate) fn set_shared(
    write: &mut Write<'_>,
    id: AccountId,
    expect: Option<Modseq>,
    patch: &SharedPatch,
) -> Result<(), RequestError> {
    let mut shared = found(write.reader.shared(id)?, "shared mailbox", id, expect)?;
    let SharedPatch { address, aliases, display_name, unit, .. } = patch.clone();
    let SharedPatch { quota_bytes, suspended, hidden, forward_only, .. } = *patch;
    let change = EntryChange { address, aliases, display_name, unit, suspended, hidden };
    change_entry(write, &mut shared.entry, change)?;
    change_forward(&mut shared.entry, patch.forward_to.as_deref(), forward_only)?;
    change_senders(write, &mut shared.entry, patch.senders.as_deref())?;
    shared.quota_bytes = quota_bytes.unwrap_or(shared.quota_bytes);
    if let Some(resource) = patch.resource.clone() {
        if shared.resource.is_none() {
            return Err(invalid("resource", "a mailbox does not become a resource; make one (sterna resource create)"));
        }
        shared.resource = Some(checked_resource(write, resource)?);
    }
    check_addresses(write, &shared.entry)?;
    Ok(write.put(&shared)?)
}

/// The managers of a resource are users and groups that exist, each once.
fn checked_resource(write: &Write<'_>, mut resource: Resource) -> Result<Resource, RequestError> {
    resource.managers.sort_unstable();
    resource.managers.dedup();
    if resource.managers.len() > SENDERS_MAX {
        return Err(invalid("managers", format!("at most {SENDERS_MAX}")));
    }
    for manager in &resource.managers {
        if write.reader.entry(*manager)?.is_none() {
            return Err(RequestError::NoSuch { what: "user or group", id: manager.to_string() });
        }
    }
    if resource.rules.bookings == 0 {
        return Err(invalid("bookings", "at least one at a time"));
    }
    Ok(resource)
}

pub(crate) fn delete(
    write: &mut Write<'_>,
    id: AccountId,
    kind: RowKind,
    expect: Option<Modseq>,
) -> Result<(), RequestError> {
    of_kind(write, id, kind, expect)?;
    forget(write, id, kind)?;
    super::pending::abandon(write, id)?;
    Ok(write.delete(RowKind::Placement, &row::account_key(id))?)
}

/// An entry that must be of this kind and at this modseq.
pub(crate) fn of_kind(
    write: &Write<'_>,
    id: AccountId,
    kind: RowKind,
    expect: Option<Modseq>,
) -> Result<AnyEntry, RequestError> {
    let entry = found(write.reader.entry(id)?, kind_name(kind), id, expect)?;
    if entry.kind() != kind {
        return Err(RequestError::NoSuch { what: kind_name(kind), id: id.to_string() });
    }
    Ok(entry)
}

/// Deletes an entry and what hangs on it; its store and where that is are left.
pub(crate) fn forget(write: &mut Write<'_>, id: AccountId, kind: RowKind) -> Result<(), RequestError> {
    leave_groups(write, id)?;
    crate::share::forget(write, id)?;
    crate::rights::forget(write, id)?;
    if kind == RowKind::Group {
        super::group::remove_all_members(write, id)?;
    }
    Ok(write.delete(kind, &row::account_key(id))?)
}

/// Removes an entry from every group that has it as a member itself.
fn leave_groups(write: &mut Write<'_>, id: AccountId) -> Result<(), RequestError> {
    loop {
        let groups = write.reader.groups_of(id, AccountId(0), PAGE_ITEMS_MAX)?;
        if groups.is_empty() {
            return Ok(());
        }
        for group in groups {
            write.delete(RowKind::Member, &Membership { group, member: Member::Local(id) }.key())?;
        }
    }
}

/// What a kind of entry is called in messages.
pub(crate) fn kind_name(kind: RowKind) -> &'static str {
    match kind {
        RowKind::User => "user",
        RowKind::Group => "group",
        RowKind::Shared => "shared mailbox",
        _ => "entry",
    }
}

/// Whoever only tries out whether an account could be made has not reserved an id for it.
fn reserved(write: &mut Write<'_>, id: AccountId, server: NodeId) -> Result<AccountId, RequestError> {
    if write.dry_run && id.0 == 0 { super::pending::reserve(write, server) } else { Ok(id) }
}

/// A new entry with its addresses read, not yet checked for being free.
pub(crate) fn new_entry(
    write: &Write<'_>,
    id: AccountId,
    address: &str,
    aliases: &[String],
    (display_name, unit): (&str, &str),
) -> Result<Entry, RequestError> {
    check_unit(unit)?;
    let address = read_address(write, "address", address)?;
    let aliases = read_aliases(write, aliases, &address)?;
    let display_name = names::display("display_name", display_name)?;
    Ok(Entry {
        id,
        address,
        aliases,
        display_name,
        suspended: false,
        unit: unit.to_owned(),
        hidden: false,
        forward_to: Vec::new(),
        forward_only: false,
        senders: Vec::new(),
        created_at: write.now,
    })
}

/// What patches of all entries may change; what is `None` stays.
pub(crate) struct EntryChange {
    pub(crate) address: Option<String>,
    pub(crate) aliases: Option<Vec<String>>,
    pub(crate) display_name: Option<String>,
    pub(crate) unit: Option<String>,
    pub(crate) suspended: Option<bool>,
    pub(crate) hidden: Option<bool>,
}

pub(crate) fn change_entry(write: &Write<'_>, entry: &mut Entry, change: EntryChange) -> Result<(), RequestError> {
    let EntryChange { address, aliases, display_name, unit, suspended, hidden } = change;
    if let Some(unit) = unit {
        check_unit(&unit)?;
        entry.unit = unit;
    }
    if let Some(address) = address {
        entry.address = read_address(write, "address", &address)?;
        entry.aliases.retain(|alias| *alias != entry.address);
    }
    if let Some(aliases) = aliases {
        entry.aliases = read_aliases(write, &aliases, &entry.address)?;
    }
    if let Some(display_name) = display_name {
        entry.display_name = names::display("display_name", &display_name)?;
    }
    entry.suspended = suspended.unwrap_or(entry.suspended);
    entry.hidden = hidden.unwrap_or(entry.hidden);
    Ok(())
}

/// Addresses that mail is sent on to need not exist: what doesn't is told to the administrator by a check, and the
/// account gets its mail then.
fn change_forward(entry: &mut Entry, to: Option<&[String]>, only: Option<bool>) -> Result<(), RequestError> {
    if let Some(to) = to {
        if to.len() > FORWARDS_MAX {
            return Err(RequestError::Limit { what: "addresses that mail is sent on to", limit: FORWARDS_MAX });
        }
        let read = |text: &String| {
            names::external(text).ok_or_else(|| invalid("forward_to", format!("“{text}” is not an address")))
        };
        let mut to = to.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        to.sort_unstable();
        to.dedup();
        entry.forward_to = to;
    }
    entry.forward_only = only.unwrap_or(entry.forward_only) && !entry.forward_to.is_empty();
    Ok(())
}

pub(crate) fn change_senders(
    write: &Write<'_>,
    entry: &mut Entry,
    senders: Option<&[AccountId]>,
) -> Result<(), RequestError> {
    let Some(senders) = senders else { return Ok(()) };
    if senders.len() > SENDERS_MAX {
        return Err(RequestError::Limit {
            what: "others who may send with the addresses of one entry",
            limit: SENDERS_MAX,
        });
    }
    for id in senders {
        match found(write.reader.entry(*id)?, "user", id, None)? {
            AnyEntry::Shared(_) => {
                return Err(invalid("senders", "nobody logs in as a shared mailbox: name users or groups"));
            }
            AnyEntry::User(_) | AnyEntry::Group(_) => {}
        }
    }
    let mut senders = senders.to_vec();
    senders.sort_unstable();
    senders.dedup();
    entry.senders = senders;
    Ok(())
}

pub(super) fn read_address(write: &Write<'_>, field: &'static str, text: &str) -> Result<Address, RequestError> {
    let (local, name) = names::address(text).ok_or_else(|| invalid(field, format!("“{text}” is not an address")))?;
    match write.reader.domain_id(&name)? {
        Some(domain) => Ok(Address { local, domain }),
        None => Err(RequestError::NoSuch { what: "domain", id: name }),
    }
}

fn read_aliases(write: &Write<'_>, aliases: &[String], main: &Address) -> Result<Vec<Address>, RequestError> {
    if aliases.len() >= ADDRESSES_PER_ENTRY_MAX {
        return Err(RequestError::Limit { what: "addresses of one entry", limit: ADDRESSES_PER_ENTRY_MAX });
    }
    let mut read = aliases.iter().map(|text| read_address(write, "aliases", text)).collect::<Result<Vec<_>, _>>()?;
    read.sort_unstable();
    read.dedup();
    read.retain(|alias| alias != main);
    Ok(read)
}

/// Whether this very entry was made before: the answer to the first request was lost.
pub(crate) fn is_repeated(write: &Write<'_>, entry: &Entry, kind: RowKind) -> Result<bool, RequestError> {
    match write.reader.entry(entry.id)? {
        None => Ok(false),
        Some(old) if old.value.kind() == kind && old.value.entry().address == entry.address => Ok(true),
        Some(old) => Err(taken(&entry.id.to_string(), &old.value)),
    }
}

/// Every address must be free or the entry's own.
pub(crate) fn check_addresses(write: &Write<'_>, entry: &Entry) -> Result<(), RequestError> {
    for address in entry.addresses() {
        if let Some((owner, kind)) = write.reader.owner(address)?
            && owner != entry.id
        {
            let name = write.reader.address_text(address)?.unwrap_or_else(|| address.local.clone());
            return Err(RequestError::Taken { name, owner: kind_name(kind), owner_id: owner.to_string() });
        }
    }
    Ok(())
}

pub(super) fn checked_user(write: &Write<'_>, mut user: User) -> Result<User, RequestError> {
    check_addresses(write, &user.entry)?;
    user.login = user.login.as_deref().map(names::login).transpose()?;
    if let Some(login) = &user.login
        && let Some(owner) = write.reader.login_owner(login)?
        && owner != user.entry.id
    {
        return Err(RequestError::Taken { name: login.clone(), owner: "user", owner_id: owner.to_string() });
    }
    if let Some(hash) = &user.password_hash
        && !crate::password::is_hash(hash)
    {
        return Err(invalid(
            "password_hash",
            "it is no hash that is known: $argon2id$.., $pbkdf2-sha256$.., {SSHA512}..",
        ));
    }
    if user.scram.as_ref().is_some_and(|scram| scram.0.parse::<ScramVerifier>().is_err()) {
        return Err(invalid("scram", "it is not a verifier (SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey)"));
    }
    Ok(user)
}

fn taken(name: &str, owner: &AnyEntry) -> RequestError {
    RequestError::Taken {
        name: name.to_owned(),
        owner: kind_name(owner.kind()),
        owner_id: owner.entry().id.to_string(),
    }
}

fn place(write: &mut Write<'_>, account: AccountId, server: NodeId) -> Result<(), RequestError> {
    super::pending::claim(write, account, server)?;
    let server = found(write.reader.server(server)?, "server", server, None)?;
    if !server.roles.data {
        return Err(crate::placement_policy::NoServer::NotData(server.name).into());
    }
    write.put(&Placement { account, server: server.id, epoch: FIRST_EPOCH })?;
    super::copies::stand_by(write, account, &server)
}
