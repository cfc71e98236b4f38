//! Where mail for an address goes.

use std::collections::{HashSet, VecDeque};

use async_trait::async_trait;
use sterna_account::scheduling::MailPolicy;
use sterna_account::service::{Login, Owner, Recipients, Route, RouteError, Target};
use sterna_base::AccountId;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_formats::smtp::subaddresses;

use crate::model::{Address, Domain, Member, SharedMailbox};
use crate::read::{AnyEntry, Reader};
use crate::row::RowKind;
use crate::{Directory, StorageError, names, senders, settings};

/// Groups that one address may lead through.
pub const GROUPS_MAX: usize = 10_000;
/// Accounts and external addresses that one address may lead to.
pub const RECIPIENTS_MAX: usize = 100_000;
/// Mailboxes that send on to each other in a row; the last one keeps its mail.
pub const FORWARDS_DEPTH_MAX: usize = 16;
/// Administrators that get a postmaster's mail when nobody else was named.
pub const POSTMASTERS_MAX: usize = 32;

/// What an address stands for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Recipient {
    /// The accounts, each once, in the order in which they were found.
    pub accounts: Vec<AccountId>,
    /// Addresses elsewhere: those of groups that take external members, those that mail is sent on to, and unknown
    /// ones of a domain that another server has the rest of.
    pub external: Vec<String>,
    /// What followed the separator of plus-addressing, as given.
    pub detail: Option<String>,
}

/// Why an address leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum RoutingError {
    /// Not one of the installation's domains, or no address at all.
    #[error("not a domain of this installation")]
    NotLocal,
    /// The domain is ours, the address doesn't exist.
    #[error("no such address")]
    NoSuchAddress,
    /// The entry or its domain is suspended.
    #[error("the address is suspended")]
    Suspended,
    /// It is postmaster, whom every domain has, and nobody is there to read it.
    #[error(
        "there is no postmaster: make the address, set “postmaster” (sterna domain set DOMAIN --postmaster ADDRESS), \
         or make a user an administrator"
    )]
    NoPostmaster,
    /// Groups inside groups lead to more than [`GROUPS_MAX`] groups or [`RECIPIENTS_MAX`] recipients.
    #[error("the group leads to too many recipients")]
    TooMany,
    /// The file can't be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Resolves an address as a client gave it: domain aliases, addresses, plus-addressing, groups, postmaster.
///
/// # Errors
/// [`RoutingError`].
pub fn resolve(reader: &Reader<'_>, address: &str) -> Result<Recipient, RoutingError> {
    let (local, domain) = split(reader, address)?;
    if domain.suspended {
        return Err(RoutingError::Suspended);
    }
    if let Some((owner, detail)) = find(reader, &domain, &local)? {
        return expand(reader, owner, detail);
    }
    if is_postmaster(&local) {
        return postmaster(reader, &domain);
    }
    if let Some(address) = reader.setting_for(Some(&domain), settings::CATCH_ALL)? {
        return catch_all(reader, &address);
    }
    match reader.setting_for(Some(&domain), settings::UNKNOWN_RECIPIENTS)? {
        Some(_) => Ok(Recipient { external: vec![address.trim().to_owned()], ..Recipient::default() }),
        None => Err(RoutingError::NoSuchAddress),
    }
}

/// Whoever gets the mail of those who don't exist, here or elsewhere.
fn catch_all(reader: &Reader<'_>, address: &str) -> Result<Recipient, RoutingError> {
    match split(reader, address) {
        Ok((local, domain)) => {
            let (owner, _) = find(reader, &domain, &local)?.ok_or(RoutingError::NoSuchAddress)?;
            expand(reader, owner, None)
        }
        Err(RoutingError::NotLocal) => Ok(Recipient { external: vec![address.to_owned()], ..Recipient::default() }),
        Err(error) => Err(error),
    }
}

/// Whose address it is, with or without a detail; `None` when it is ours and nobody has it.
///
/// # Errors
/// [`RoutingError::NotLocal`], or when the file can't be read.
pub fn holder(reader: &Reader<'_>, address: &str) -> Result<Option<AccountId>, RoutingError> {
    let (local, domain) = split(reader, address)?;
    Ok(find(reader, &domain, &local)?.map(|(owner, _)| owner))
}

/// The local part as given (without quotes) and the domain.
pub(crate) fn split(reader: &Reader<'_>, address: &str) -> Result<(String, Domain), RoutingError> {
    let address = address.trim();
    let (local, name) = match address.rsplit_once('@') {
        Some((local, name)) => (local, name.to_owned()),
        // RFC 5321 section 4.5.1: postmaster without a domain must be taken.
        None if is_postmaster(address) => {
            let name = reader.setting_for(None, settings::DEFAULT_DOMAIN)?;
            let first = || Ok::<_, StorageError>(reader.domains("", 1)?.pop().map(|domain| domain.value.name));
            (address, name.map_or_else(first, |name| Ok(Some(name)))?.ok_or(RoutingError::NotLocal)?)
        }
        None => return Err(RoutingError::NotLocal),
    };
    let domain = reader.domain_named(&name)?.ok_or(RoutingError::NotLocal)?.value;
    let local = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(local);
    Ok((local.to_owned(), domain))
}

/// Who has the local part: as it is, or without what follows the first separator that leaves somebody's address.
pub(crate) fn find(
    reader: &Reader<'_>,
    domain: &Domain,
    local: &str,
) -> Result<Option<(AccountId, Option<String>)>, RoutingError> {
    let owner = |local: &str| -> Result<Option<AccountId>, StorageError> {
        let Some(local) = names::local_part(local) else { return Ok(None) };
        Ok(reader.owner(&Address { local, domain: domain.id })?.map(|(id, _)| id))
    };
    if let Some(id) = owner(local)? {
        return Ok(Some((id, None)));
    }
    let separators = reader.plus_separators(domain)?;
    for (user, detail) in subaddresses(local, &separators) {
        if let Some(id) = owner(user)? {
            return Ok(Some((id, Some(detail.to_owned()))));
        }
    }
    Ok(None)
}

fn is_postmaster(local: &str) -> bool {
    local.eq_ignore_ascii_case("postmaster")
}

/// The address that was set for the domain or the system; all administrators when there is none, or when it leads
/// nowhere: mail to postmaster is never refused because of a setting that went stale.
fn postmaster(reader: &Reader<'_>, domain: &Domain) -> Result<Recipient, RoutingError> {
    if let Some(address) = reader.setting_for(Some(domain), settings::POSTMASTER)?
        && let Ok((local, other)) = split(reader, &address)
        && let Some((owner, _)) = find(reader, &other, &local)?
        && let Ok(recipient) = expand(reader, owner, None)
    {
        return Ok(recipient);
    }
    let mut accounts = Vec::new();
    for id in reader.admins(POSTMASTERS_MAX)? {
        if reader.user(id)?.is_some_and(|user| !user.value.entry.suspended) {
            accounts.push(id);
        }
    }
    if accounts.is_empty() {
        return Err(RoutingError::NoPostmaster);
    }
    Ok(Recipient { accounts, ..Recipient::default() })
}

/// The accounts behind an entry. Each group is passed once, so that cycles end; suspended members are left out.
fn expand(reader: &Reader<'_>, id: AccountId, detail: Option<String>) -> Result<Recipient, RoutingError> {
    let Some(entry) = reader.entry(id)? else { return Err(RoutingError::NoSuchAddress) };
    if entry.value.entry().suspended {
        return Err(RoutingError::Suspended);
    }
    let is_plain = entry.value.has_account() && entry.value.entry().forward_to.is_empty();
    if is_plain {
        return Ok(Recipient { accounts: vec![id], detail, ..Recipient::default() });
    }
    let walk = walk(reader, id)?;
    if !walk.found.accounts.is_empty() || !walk.found.external.is_empty() {
        return Ok(walk.found);
    }
    // Mail that nobody would get is not taken. Whoever is suspended may be back.
    Err(if walk.met_suspended { RoutingError::Suspended } else { RoutingError::NoSuchAddress })
}

fn walk(reader: &Reader<'_>, id: AccountId) -> Result<Walk, RoutingError> {
    let mut walk = Walk::default();
    walk.local(reader, id)?;
    while let Some(group) = walk.queue.pop_front() {
        walk.members_of(reader, group)?;
    }
    Ok(walk)
}

#[derive(Default)]
struct Walk {
    queue: VecDeque<AccountId>,
    groups: HashSet<AccountId>,
    seen: HashSet<AccountId>,
    /// Those of them that were gone to, and lead to somebody.
    led: HashSet<AccountId>,
    seen_external: HashSet<String>,
    found: Recipient,
    met_suspended: bool,
}

impl Walk {
    fn members_of(&mut self, reader: &Reader<'_>, group: AccountId) -> Result<(), RoutingError> {
        let mut after: Option<Member> = None;
        loop {
            let page = reader.members(group, after.as_ref(), PAGE_ITEMS_MAX)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for member in page {
                match member {
                    Member::Local(id) => self.local(reader, id)?,
                    Member::External(address) => self.outside(reader, address)?,
                }
                if self.found.accounts.len() + self.found.external.len() > RECIPIENTS_MAX
                    || self.groups.len() > GROUPS_MAX
                {
                    return Err(RoutingError::TooMany);
                }
            }
        }
    }

    fn external(&mut self, address: String) {
        if self.seen_external.insert(address.clone()) {
            self.found.external.push(address);
        }
    }

    /// A member that is an address. Its domain may have come here since, with somebody who has it now.
    fn outside(&mut self, reader: &Reader<'_>, address: String) -> Result<(), RoutingError> {
        let found = match split(reader, &address) {
            Ok((local, domain)) => find(reader, &domain, &local)?,
            Err(RoutingError::NotLocal) => None,
            Err(error) => return Err(error),
        };
        match found {
            Some((owner, _)) => self.local(reader, owner),
            None => {
                self.external(address);
                Ok(())
            }
        }
    }

    /// Whom a user or shared mailbox sends its mail on to. An address of ours that leads nowhere is passed over.
    /// Whether it leads to anybody.
    fn forward(&mut self, reader: &Reader<'_>, to: &[String], depth: usize) -> Result<bool, RoutingError> {
        let mut leads = false;
        for address in to {
            match split(reader, address) {
                Ok((local, domain)) => {
                    if let Some((owner, _)) = find(reader, &domain, &local)? {
                        leads |= self.local_at(reader, owner, depth + 1)?;
                    }
                }
                Err(RoutingError::NotLocal) => {
                    self.external(address.clone());
                    leads = true;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(leads)
    }

    fn local(&mut self, reader: &Reader<'_>, id: AccountId) -> Result<(), RoutingError> {
        self.local_at(reader, id, 0).map(drop)
    }

    /// Goes to an entry; whether that leads to anybody. One that is being gone to already leads to nobody yet: around
    /// in a circle somebody keeps the mail.
    fn local_at(&mut self, reader: &Reader<'_>, id: AccountId, depth: usize) -> Result<bool, RoutingError> {
        if self.groups.contains(&id) {
            return Ok(true);
        }
        if !self.seen.insert(id) {
            return Ok(self.led.contains(&id));
        }
        let Some(entry) = reader.entry(id)? else { return Ok(false) };
        if entry.value.entry().suspended {
            self.met_suspended = true;
            return Ok(false);
        }
        if matches!(entry.value, AnyEntry::Group(_)) {
            self.groups.insert(id);
            self.queue.push_back(id);
            return Ok(true);
        }
        let entry = entry.value.entry();
        if !entry.forward_only {
            self.found.accounts.push(id);
        }
        let leads = depth < FORWARDS_DEPTH_MAX && self.forward(reader, &entry.forward_to, depth)?;
        if entry.forward_only && !leads {
            // It is sent on to nobody who is there: the mail stays with whom it was for.
            self.found.accounts.push(id);
        }
        self.led.insert(id);
        Ok(true)
    }
}

/// Who an account belongs to: the addresses under every name of their domains, and the scripts of the main one's.
fn owner_of(reader: &Reader<'_>, account: AccountId) -> Result<Option<Owner>, StorageError> {
    let Some(found) = reader.entry(account)? else { return Ok(None) };
    let entry = found.value.entry();
    let mut owner = Owner { name: entry.display_name.clone(), ..Owner::default() };
    let mut main = None;
    for address in entry.addresses() {
        let Some(domain) = reader.domain(address.domain)?.map(|found| found.value) else { continue };
        let names = std::iter::once(&domain.name).chain(&domain.aliases);
        owner.addresses.extend(names.map(|name| format!("{}@{name}", address.local)));
        main.get_or_insert(domain);
    }
    if let Some(domain) = &main {
        owner.plus_separators = reader.plus_separators(domain)?;
    }
    owner.script_before = reader.setting_for(main.as_ref(), settings::SIEVE_BEFORE)?;
    owner.script_after = reader.setting_for(main.as_ref(), settings::SIEVE_AFTER)?;
    let policy = reader.setting_for(main.as_ref(), settings::CALENDAR_MAIL)?;
    if let AnyEntry::Shared(SharedMailbox { resource: Some(resource), .. }) = &found.value {
        for manager in &resource.managers {
            if let Some(manager) = reader.entry(*manager)? {
                owner.managers.extend(reader.address_text(&manager.value.entry().address)?);
            }
        }
        owner.resource = Some(resource.rules.clone());
    }
    owner.mail_policy = policy.as_deref().and_then(MailPolicy::named).unwrap_or_default();
    Ok(Some(owner))
}

/// Most resources that are found at once.
const RESOURCES_FOUND_MAX: usize = 200;

/// The resources whose name or address has a text in it.
fn resources(reader: &Reader<'_>, text: &str) -> Result<Vec<Owner>, StorageError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = reader.entries(RowKind::Shared, None, after.as_ref(), PAGE_ITEMS_MAX)?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.value.entry().address.clone());
        for shared in &page {
            let AnyEntry::Shared(SharedMailbox { entry, resource: Some(_), .. }) = &shared.value else { continue };
            let Some(owner) = owner_of(reader, entry.id)? else { continue };
            let has = owner.addresses.iter().chain([&owner.name]).any(|known| known.to_lowercase().contains(text));
            if has && !entry.suspended {
                found.push(owner);
            }
            if found.len() >= RESOURCES_FOUND_MAX {
                return Ok(found);
            }
        }
    }
}

/// Whether anybody may write to an address. A group that is closed to strangers is closed under its own addresses; as a
/// member of an open group it gets what that one lets in.
pub(crate) fn is_open(reader: &Reader<'_>, address: &str) -> Result<bool, RoutingError> {
    let (local, domain) = split(reader, address)?;
    let Some((owner, _)) = find(reader, &domain, &local)? else { return Ok(true) };
    Ok(reader.group(owner)?.is_none_or(|group| !group.value.internal_senders_only))
}

impl From<RoutingError> for RouteError {
    fn from(error: RoutingError) -> Self {
        match error {
            RoutingError::NotLocal => RouteError::NotLocal,
            RoutingError::NoSuchAddress => RouteError::NoSuchAddress,
            // Whoever is suspended may be back tomorrow; a refusal for good would cost the mail.
            RoutingError::Suspended => RouteError::Suspended { temporary: true },
            RoutingError::NoPostmaster | RoutingError::TooMany => RouteError::Unavailable(error.to_string()),
            RoutingError::Storage(error) => RouteError::Unavailable(error.to_string()),
        }
    }
}

#[async_trait]
impl Recipients for Directory {
    async fn route(&self, address: &str) -> Result<Route, RouteError> {
        let wanted = address.to_owned();
        let found = self.read(move |reader| resolve(reader, &wanted)).await?;
        let detail = found.detail;
        let targets = found.accounts.into_iter().map(|account| Target { account, detail: detail.clone() }).collect();
        Ok(Route { targets, external: found.external })
    }

    async fn may_write_to(&self, login: Option<&Login>, address: &str) -> Result<bool, RouteError> {
        if login.is_some() {
            return Ok(true);
        }
        let address = address.to_owned();
        match self.read(move |reader| is_open(reader, &address)).await {
            Ok(open) => Ok(open),
            Err(RoutingError::Storage(error)) => Err(RouteError::Unavailable(error.to_string())),
            Err(_) => Ok(true),
        }
    }

    async fn is_held(&self, address: &str) -> Result<bool, RouteError> {
        let address = address.to_owned();
        match self.read(move |reader| holder(reader, &address)).await {
            Ok(holder) => Ok(holder.is_some()),
            Err(RoutingError::Storage(error)) => Err(RouteError::Unavailable(error.to_string())),
            Err(_) => Ok(false),
        }
    }

    async fn deferred_when_full_ms(&self, account: AccountId) -> Option<i64> {
        let read = move |reader: &Reader<'_>| reader.deferred_when_full_ms(reader.domain_of(account)?.as_ref());
        // What can't be looked up must not cost a message.
        self.read(read).await.unwrap_or(None)
    }

    async fn language(&self, address: &str) -> Option<String> {
        let address = address.to_owned();
        let read = move |reader: &Reader<'_>| {
            let domain = split(reader, &address).ok().map(|(_, domain)| domain);
            reader.setting_for(domain.as_ref(), settings::LANGUAGE)
        };
        self.read(read).await.ok().flatten()
    }

    async fn resources(&self, text: &str) -> Vec<Owner> {
        let text = text.to_lowercase();
        self.read(move |reader| resources(reader, &text)).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "resources can't be looked up");
            Vec::new()
        })
    }

    async fn owner(&self, account: AccountId) -> Option<Owner> {
        match self.read(move |reader| owner_of(reader, account)).await {
            Ok(owner) => owner,
            Err(error) => {
                tracing::warn!(%account, %error, "the owner of an account can't be looked up");
                None
            }
        }
    }

    async fn may_send_as(&self, login: &Login, address: &str) -> Result<bool, RouteError> {
        let (account, address) = (login.account, address.to_owned());
        match self.read(move |reader| senders::may_send_as(reader, account, &address)).await {
            Ok(own) => Ok(own),
            Err(RoutingError::Storage(error)) => Err(RouteError::Unavailable(error.to_string())),
            Err(_) => Ok(false),
        }
    }
}
