//! Who acts for whom: whoever may write somebody's default calendar, or read it. That is what calendarserver.org calls
//! calendar proxies, and what Apple's clients call delegates; and whoever may write it may schedule in the owner's
//! name.

use sterna_account::{Container, ContainerKind, Identifier, Rights};

use super::answer::Problem;
use super::context::{Context, Home, no_directory};
use super::paths::{self, Proxy};
use super::property::{READ, WRITE};
use crate::grants::Grant;
use crate::owners::ask_all;

/// What the first calendar of an account is called.
const DEFAULT: &str = "Calendar";

/// What a proxy is given on all calendars and task lists.
fn given(proxy: Proxy) -> Rights {
    match proxy {
        Proxy::Read => READ,
        Proxy::Write => READ | WRITE,
    }
}

/// Whether these rights are those of such a proxy, and not more.
fn is_such(proxy: Proxy, rights: Rights) -> bool {
    match proxy {
        Proxy::Read => rights.has(READ) && !rights.has(WRITE),
        Proxy::Write => rights.has(READ | WRITE),
    }
}

/// The calendar that stands for an account in questions of delegation.
pub fn default_calendar(containers: &[Container]) -> Option<&Container> {
    let mut calendars: Vec<&Container> =
        containers.iter().filter(|one| one.kind == ContainerKind::Calendar && one.parent.is_none()).collect();
    calendars.sort_by_key(|calendar| (calendar.name != DEFAULT, calendar.id));
    calendars.first().copied()
}

/// Who is such a proxy of an account.
///
/// # Errors
/// When the account can't be asked.
pub async fn members(home: &Home, proxy: Proxy) -> Result<Vec<Identifier>, Problem> {
    let containers = home.account.containers().await?;
    let Some(calendar) = default_calendar(&containers) else { return Ok(Vec::new()) };
    let entries = calendar.acl.entries().iter().filter(|entry| {
        // Whoever has no principal can't be named, and must not lose what was given otherwise.
        !entry.negative && entry.identifier != Identifier::Anyone && is_such(proxy, entry.rights)
    });
    Ok(entries.map(|entry| entry.identifier).collect())
}

/// The entries that make these the proxies of an account, and nobody else: on all its calendars and task lists.
///
/// # Errors
/// When the account can't be asked.
pub async fn grants(home: &Home, proxy: Proxy, wanted: &[Identifier]) -> Result<Vec<Grant>, Problem> {
    let before = members(home, proxy).await?;
    let containers = home.account.containers().await?;
    let is_meant =
        |one: &&Container| matches!(one.kind, ContainerKind::Calendar | ContainerKind::Tasks) && one.parent.is_none();
    let mut grants = Vec::new();
    for container in containers.iter().filter(is_meant) {
        let mut grant = |identifier, rights| {
            let (container, negative) = (container.clone(), false);
            grants.push(Grant { container, identifier, negative, rights });
        };
        for identifier in wanted.iter().filter(|wanted| !before.contains(wanted)) {
            // Who writes and is to read only is given less than before; whoever manages goes on to.
            let had = container.acl.get(*identifier, false);
            let kept = if proxy == Proxy::Read { had - WRITE } else { had };
            grant(*identifier, kept | given(proxy));
        }
        for identifier in before.iter().filter(|before| !wanted.contains(before)) {
            grant(*identifier, Rights::NONE);
        }
    }
    Ok(grants)
}

/// For whom the user is such a proxy, as paths of principals. Owners whose servers are away are left out: clients ask
/// again, and keep no copies by this.
///
/// # Errors
/// When the directory has no answer.
pub async fn for_whom(context: &Context, proxy: Proxy) -> Result<Vec<String>, Problem> {
    let sharing = context.shared.shares.sharing(context.login.account).await.map_err(no_directory)?;
    let who = context.who().await?;
    let mut found = Vec::new();
    for (owner, answer) in ask_all(&context.shared.accounts, &sharing.owners).await {
        let Some((_, containers)) = answer else { continue };
        let rights = default_calendar(&containers).map(|calendar| calendar.acl.rights(|one| who.is(one)));
        if rights.is_some_and(|rights| is_such(proxy, rights)) {
            found.push(paths::principal(&owner.address));
        }
    }
    Ok(found)
}
