//! Searches: everything, or what changed since the last time.

use std::collections::{HashMap, HashSet};

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{Ldap, Scope, SearchEntry};
use serde::{Deserialize, Serialize};
use sterna_base::Secret;
use sterna_directory::{Source, SourceKind};

use super::connect::{self, ANSWER_TIMEOUT, LdapFailure};
use super::entry::{self, Found, Unusable};

/// Entries that one search may give.
pub const ENTRIES_MAX: usize = 500_000;

/// Entries of one page (RFC 2696); Active Directory gives 1000 at most.
const PAGE_ENTRIES: i32 = 500;

/// Further questions for the rest of one attribute's values (MS-ADTS section 3.1.1.3.1.3.3): 1500 values each.
const RANGES_MAX: usize = 200;

/// Entries that can't be used and are named.
const PROBLEMS_MAX: usize = 200;

/// Up to where a source was read. It means something to one server only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which server.
    pub server: String,
    /// `modifyTimestamp` of what changed last, or the highest `uSNChanged`.
    pub position: String,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// People and groups.
    pub found: Vec<Found>,
    /// Entries that can't be used, and why; the first of them.
    pub problems: Vec<String>,
    /// Stable ids of those that can't be used.
    pub unusable: HashSet<String>,
    /// Whether there was one without a stable id.
    pub has_nameless: bool,
    /// Up to where.
    pub mark: Mark,
    /// Whether it is everything, so that who isn't there is gone.
    pub is_full: bool,
}

impl Answer {
    fn note(&mut self, Unusable { external_id, why }: Unusable) {
        self.has_nameless |= external_id.is_none();
        self.unusable.extend(external_id);
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(why);
        }
    }
}

/// Reads a source: what changed since a mark, or everything when there is none, or when it is another server's.
///
/// # Errors
/// [`LdapFailure`]: an answer that breaks off is no answer.
pub async fn read(
    source: &Source,
    password: &Secret,
    domains: &[String],
    since: Option<&Mark>,
) -> Result<Answer, LdapFailure> {
    let (mut ldap, url) = connect::connect(source).await?;
    connect::bind(&mut ldap, &source.bind_dn, password).await?;
    let (server, head) = head(&mut ldap, source.kind, &url).await?;
    let since = since.filter(|mark| mark.server == server && !mark.position.is_empty());
    let mut answer = Answer {
        mark: Mark { server, position: since.map(|mark| mark.position.clone()).unwrap_or_default() },
        is_full: since.is_none(),
        ..Answer::default()
    };
    let group_base = if source.group_base.is_empty() { &source.base } else { &source.group_base };
    let searches = [(&source.base, &source.user_filter, false), (group_base, &source.group_filter, true)];
    for (base, filter, is_group) in searches {
        if filter.is_empty() {
            continue;
        }
        let filter = match since {
            Some(mark) => narrowed(source.kind, filter, &mark.position),
            None => filter.clone(),
        };
        for found in entries(&mut ldap, source, base, &filter).await? {
            let changed = changed_at(source.kind, &found);
            if changed > answer.mark.position {
                answer.mark.position = changed;
            }
            match entry::read(source, domains, found, is_group) {
                Ok(found) => answer.found.push(found),
                Err(unusable) => answer.note(unusable),
            }
        }
    }
    // Read before the search: what changed meanwhile is found the next time.
    if let Some(head) = head {
        answer.mark.position = head;
    }
    let _ = ldap.unbind().await;
    Ok(answer)
}

/// `(&(filter)(changed>=position))`: what changed at that very instant is read again.
fn narrowed(kind: SourceKind, filter: &str, position: &str) -> String {
    match kind {
        SourceKind::OpenLdap => format!("(&{filter}(modifyTimestamp>={position}))"),
        SourceKind::ActiveDirectory => {
            let next = position.parse::<u64>().map_or_else(|_| position.to_owned(), |usn| (usn + 1).to_string());
            format!("(&{filter}(uSNChanged>={next}))")
        }
    }
}

/// When an entry of OpenLDAP changed; generalized times of one server (RFC 4517 section 3.3.13) sort as text.
fn changed_at(kind: SourceKind, entry: &SearchEntry) -> String {
    let value = entry.attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case("modifyTimestamp"));
    match kind {
        SourceKind::OpenLdap => value.and_then(|(_, values)| values.first().cloned()).unwrap_or_default(),
        SourceKind::ActiveDirectory => String::new(),
    }
}

/// Which server this is, and where its count of changes stands: those of Active Directory count each for itself.
async fn head(ldap: &mut Ldap, kind: SourceKind, url: &str) -> Result<(String, Option<String>), LdapFailure> {
    if kind == SourceKind::OpenLdap {
        return Ok((url.to_owned(), None));
    }
    let names = vec!["dsServiceName", "highestCommittedUSN"];
    let searched = ldap.with_timeout(ANSWER_TIMEOUT).search("", Scope::Base, "(objectClass=*)", names).await?;
    let (found, _) = searched.success()?;
    let root = found.into_iter().next().map(SearchEntry::construct);
    let root = root.ok_or_else(|| LdapFailure::Broken("the server shows no root entry".to_owned()))?;
    let value = |name: &str| {
        let found = root.attrs.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, values)| values.first().cloned()).unwrap_or_default()
    };
    let (server, position) = (value("dsServiceName"), value("highestCommittedUSN"));
    if position.parse::<u64>().is_err() {
        let cause = "the server has no highestCommittedUSN: is it an Active Directory? (kind openldap otherwise)";
        return Err(LdapFailure::Settings(cause.to_owned()));
    }
    Ok((format!("{url} {server}"), Some(position)))
}

async fn entries(ldap: &mut Ldap, source: &Source, base: &str, filter: &str) -> Result<Vec<SearchEntry>, LdapFailure> {
    let mut names: Vec<String> = source.mapping.attributes().into_iter().map(str::to_owned).collect();
    names.push("modifyTimestamp".to_owned());
    let adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> =
        vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(PAGE_ENTRIES))];
    let mut stream =
        ldap.with_timeout(ANSWER_TIMEOUT).streaming_search_with(adapters, base, Scope::Subtree, filter, names).await?;
    let mut found = Vec::new();
    while let Some(entry) = stream.next().await? {
        if found.len() >= ENTRIES_MAX {
            return Err(LdapFailure::TooMany(ENTRIES_MAX));
        }
        found.push(SearchEntry::construct(entry));
    }
    let end = stream.finish().await;
    if end.rc != 0 {
        return Err(LdapFailure::Refused { what: "the search", code: end.rc, text: end.text });
    }
    for entry in &mut found {
        complete(ldap, entry).await?;
    }
    Ok(found)
}

/// Fetches the values that Active Directory didn't give at once.
async fn complete(ldap: &mut Ldap, entry: &mut SearchEntry) -> Result<(), LdapFailure> {
    let partial: Vec<String> = entry.attrs.keys().filter(|name| range(name).is_some()).cloned().collect();
    for mut name in partial {
        let mut values = entry.attrs.remove(&name).unwrap_or_default();
        let attribute = name.split(';').next().unwrap_or_default().to_owned();
        let mut asked = 0;
        while let Some(Some(last)) = range(&name) {
            asked += 1;
            if asked > RANGES_MAX {
                return Err(LdapFailure::Broken(format!("{} of {} has no end", attribute, entry.dn)));
            }
            let next = format!("{attribute};range={}-*", last + 1);
            let searched = ldap.with_timeout(ANSWER_TIMEOUT);
            let (found, _) = searched.search(&entry.dn, Scope::Base, "(objectClass=*)", vec![next]).await?.success()?;
            let Some(more) = found.into_iter().next().map(SearchEntry::construct) else { break };
            let part: HashMap<String, Vec<String>> = more.attrs;
            let Some((further, more)) = part.into_iter().find(|(name, _)| range(name).is_some()) else { break };
            values.extend(more);
            name = further;
        }
        entry.attrs.entry(attribute).or_default().extend(values);
    }
    Ok(())
}

/// The last value of a range (`member;range=0-1499`); `Some(None)` when nothing follows (`member;range=1500-*`).
fn range(name: &str) -> Option<Option<u64>> {
    let (_, range) = name.split_once(";range=")?;
    let (_, last) = range.split_once('-')?;
    Some(last.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_say_whether_more_follows() {
        assert_eq!(range("member;range=0-1499"), Some(Some(1499)));
        assert_eq!(range("member;range=1500-*"), Some(None));
        assert_eq!(range("member"), None);
        assert_eq!(range("cn;lang-en"), None);
    }

    #[test]
    fn what_changed_is_asked_for_within_the_filter() {
        let narrow = |kind, position| narrowed(kind, "(objectClass=person)", position);
        let expected = "(&(objectClass=person)(modifyTimestamp>=20261122170000Z))";
        assert_eq!(narrow(SourceKind::OpenLdap, "20261122170000Z"), expected);
        assert_eq!(narrow(SourceKind::ActiveDirectory, "41"), "(&(objectClass=person)(uSNChanged>=42))");
    }
}
