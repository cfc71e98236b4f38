//! Locks (RFC 4918 section 6): items of a container of the account, so that every edge knows them, and a move takes
//! them along. A write says in its commit that the locks are still those that it was checked against.

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sterna_account::commit::Expect;
use sterna_account::lookup::all_items;
use sterna_account::{
    Account, AccountError, Answer, CommitError, ContainerKind, Content, FlagSet, ItemParts, Lookup, Mutation, NewItem,
    container_named,
};
use sterna_base::{AccountId, ContainerId, Modseq, OperationId, Timestamp};
use sterna_formats::dav::write::{escape, href};

use super::answer::Problem;
use super::limits::LOCKS_MAX;

/// The name of the container, which stands at the top.
const CONTAINER: &str = "locks";

/// What of an item says what is locked.
const BODY: ItemParts = ItemParts { body: true, summary: false, summary_start: false };

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Its token: a URI.
    pub token: String,
    /// What it is about: a path as answers write it.
    pub path: String,
    /// Whether it is about everything below, too.
    pub infinite: bool,
    /// Whether others may have one besides.
    pub shared: bool,
    /// Who, as the client said: XML.
    pub owner: String,
    /// Whose.
    pub user: u64,
}

/// The locks of an account at one moment.
#[derive(Clone, Debug, Default)]
pub struct Locks {
    container: Option<(ContainerId, Modseq)>,
    locks: Vec<(Lock, Timestamp)>,
    over: Vec<String>,
    now: Timestamp,
}

/// What is about to be written.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// Its path.
    pub path: &'a str,
    /// Whether it comes into its collection or goes from it: locks of that count, too.
    pub changes_members: bool,
    /// Whether everything below goes with it.
    pub with_below: bool,
}

impl Locks {
    /// Reads them; those that are over are none.
    ///
    /// # Errors
    /// When the account can't be read.
    pub async fn read(account: &dyn Account, now: Timestamp) -> Result<Self, AccountError> {
        let mut answers = account.look_up(&Self::lookups(0)).await?.into_iter();
        Self::found(account, now, &mut answers).await
    }

    /// The questions that find them, when the first of them is that one of those that are asked.
    pub fn lookups(first: usize) -> [Lookup; 2] {
        let container = Lookup::Container { kinds: vec![ContainerKind::Locks], name: CONTAINER.to_owned() };
        [container, Lookup::Items { of: first, parts: BODY }]
    }

    /// Those that the answers tell of.
    ///
    /// # Errors
    /// When there are more, and the account can't be read.
    pub async fn found(
        account: &dyn Account,
        now: Timestamp,
        answers: &mut impl Iterator<Item = Answer>,
    ) -> Result<Self, AccountError> {
        let mut found = Locks { now, ..Locks::default() };
        let (container, items) = (answers.next(), answers.next());
        let Some(container) = container.as_ref().and_then(Answer::container) else { return Ok(found) };
        found.container = Some((container.id, container.highest_modseq));
        let items = items.map(Answer::items).unwrap_or_default();
        for item in all_items(account, container, items, BODY, 2 * LOCKS_MAX).await? {
            let lock = item.body.as_deref().and_then(|body| postcard::from_bytes::<Lock>(body).ok());
            match lock.filter(|_| item.internal_date > now) {
                Some(lock) => found.locks.push((lock, item.internal_date)),
                None => found.over.extend(item.name),
            }
        }
        Ok(found)
    }

    /// The step of a commit that holds only while these are the account's locks.
    pub fn expectation(&self) -> Mutation {
        let (kind, name) = (ContainerKind::Locks, CONTAINER.to_owned());
        Mutation::ExpectContainer { kind, name, highest_modseq: self.container.map(|(_, modseq)| modseq) }
    }

    /// Those that are about a path: its own, and those of collections above that are about everything below.
    pub fn about<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Lock> {
        self.locks.iter().map(|(lock, _)| lock).filter(move |lock| is_about(lock, path))
    }

    /// Whether a path is locked by this token.
    pub fn has(&self, path: &str, token: &str) -> bool {
        self.about(path).any(|lock| lock.token == token)
    }

    /// Whether the user may write: every lock that is in the way must be the user's and be named in the request.
    ///
    /// # Errors
    /// `423` with what is locked.
    pub fn check(&self, write: Write<'_>, user: AccountId, tokens: &[String]) -> Result<(), Problem> {
        let path = trimmed(write.path);
        let is_in_the_way = |lock: &Lock| {
            is_about(lock, path)
                || (write.changes_members && trimmed(&lock.path) == parent(path))
                || (write.with_below && is_below(&lock.path, path))
        };
        let is_held = |lock: &Lock| lock.user == user.0 && tokens.contains(&lock.token);
        let in_the_way: Vec<&Lock> =
            self.locks.iter().map(|(lock, _)| lock).filter(|lock| is_in_the_way(lock)).collect();
        // Of several shared ones it is enough to hold one.
        let exclusive = in_the_way.iter().find(|lock| !lock.shared && !is_held(lock));
        let shared = in_the_way.iter().filter(|lock| lock.shared).collect::<Vec<_>>();
        let unheld = exclusive.or_else(|| {
            let holds_one = shared.is_empty() || shared.iter().any(|lock| is_held(lock));
            if holds_one { None } else { shared.first().copied() }
        });
        match unheld {
            None => Ok(()),
            Some(lock) => {
                let mut condition = "<D:lock-token-submitted>".to_owned();
                href(&lock.path, &mut condition);
                condition.push_str("</D:lock-token-submitted>");
                Err(Problem::new(StatusCode::LOCKED, "It is locked").condition(condition))
            }
        }
    }

    /// Whether another lock may be given (RFC 4918 section 6.1).
    ///
    /// # Errors
    /// `423` with the lock in the way.
    pub fn check_new(&self, path: &str, infinite: bool, shared: bool) -> Result<(), Problem> {
        let path = trimmed(path);
        let is_in_the_way = |lock: &&Lock| {
            let meets = is_about(lock, path) || (infinite && is_below(&lock.path, path));
            meets && !(lock.shared && shared)
        };
        match self.locks.iter().map(|(lock, _)| lock).find(is_in_the_way) {
            None => Ok(()),
            Some(lock) => {
                let mut condition = "<D:no-conflicting-lock>".to_owned();
                href(&lock.path, &mut condition);
                condition.push_str("</D:no-conflicting-lock>");
                Err(Problem::new(StatusCode::LOCKED, "It is locked").condition(condition))
            }
        }
    }

    /// The lock of a token, and when it ends.
    pub fn of_token(&self, token: &str) -> Option<&(Lock, Timestamp)> {
        self.locks.iter().find(|(lock, _)| lock.token == token)
    }

    /// Writes a lock, or makes it last; only while the locks are still these. Those that are over go.
    ///
    /// # Errors
    /// [`CommitError::Unexpected`] when others came first.
    pub async fn put(&self, account: &dyn Account, lock: &Lock, until: Timestamp) -> Result<(), Problem> {
        let Some((container, _)) = self.container else {
            make_container(account).await?;
            return Err(AccountError::Refused(CommitError::Unexpected).into());
        };
        if self.locks.len() >= LOCKS_MAX && self.of_token(&lock.token).is_none() {
            return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, "There are too many locks"));
        }
        let body = postcard::to_stdvec(lock).map_err(|error| Problem::bad_request(error.to_string()))?;
        let mut steps = vec![self.expectation()];
        steps.extend(self.over.iter().map(|name| Mutation::Remove { container, name: name.clone() }));
        let item = NewItem {
            content: Content::Inline(Bytes::from(body)),
            summary: None,
            internal_date: Some(until),
            flags: FlagSet::default(),
            name: Some(lock.token.clone()),
            object_uid: None,
        };
        steps.push(Mutation::Put { container, item, expect: Expect::Any });
        account.commit(OperationId::random(), steps).await?;
        Ok(())
    }

    /// The steps that take away the locks of what is deleted.
    pub fn released(&self, path: &str, with_below: bool) -> Vec<Mutation> {
        let Some((container, _)) = self.container else { return Vec::new() };
        let path = trimmed(path);
        let is_of = |lock: &&Lock| trimmed(&lock.path) == path || (with_below && is_below(&lock.path, path));
        let gone = self.locks.iter().map(|(lock, _)| lock).filter(is_of);
        gone.map(|lock| Mutation::Remove { container, name: lock.token.clone() }).collect()
    }

    /// The step that takes a lock away.
    pub fn removed(&self, token: &str) -> Option<Mutation> {
        self.container.map(|(container, _)| Mutation::Remove { container, name: token.to_owned() })
    }

    /// `DAV:lockdiscovery` of a path.
    pub fn discovery(&self, path: &str) -> String {
        let path = trimmed(path);
        let mut xml = String::new();
        for (lock, until) in self.locks.iter().filter(|(lock, _)| is_about(lock, path)) {
            active_lock(lock, (until.seconds() - self.now.seconds()).max(0), &mut xml);
        }
        xml
    }
}

/// `DAV:activelock` (RFC 4918 section 14.1).
pub fn active_lock(lock: &Lock, seconds: i64, xml: &mut String) {
    let scope = if lock.shared { "shared" } else { "exclusive" };
    let depth = if lock.infinite { "infinity" } else { "0" };
    xml.push_str(&format!(
        "<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:{scope}/></D:lockscope><D:depth>{depth}</D:depth>"
    ));
    if !lock.owner.is_empty() {
        xml.push_str(&format!("<D:owner>{}</D:owner>", lock.owner));
    }
    xml.push_str(&format!("<D:timeout>Second-{seconds}</D:timeout><D:locktoken><D:href>"));
    escape(&lock.token, xml);
    xml.push_str("</D:href></D:locktoken><D:lockroot>");
    href(&lock.path, xml);
    xml.push_str("</D:lockroot></D:activelock>");
}

async fn make_container(account: &dyn Account) -> Result<(), AccountError> {
    container_named(account, ContainerKind::Locks, CONTAINER).await.map(drop)
}

fn trimmed(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn is_below(path: &str, above: &str) -> bool {
    trimmed(path).strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

fn is_about(lock: &Lock, path: &str) -> bool {
    let own = trimmed(&lock.path);
    let path = trimmed(path);
    own == path || (lock.infinite && is_below(path, own))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: AccountId = AccountId(1);

    fn locks(locks: &[(&str, bool, bool)]) -> Locks {
        let of = |(n, (path, infinite, shared)): (usize, &(&str, bool, bool))| {
            let (token, path, owner) = (format!("t{n}"), (*path).to_owned(), String::new());
            (Lock { token, path, infinite: *infinite, shared: *shared, owner, user: ANA.0 }, Timestamp(1000))
        };
        Locks { locks: locks.iter().enumerate().map(of).collect(), ..Locks::default() }
    }

    fn write(path: &str) -> Write<'_> {
        Write { path, changes_members: false, with_below: false }
    }

    #[test]
    fn who_holds_a_lock_writes() {
        let one = locks(&[("/a/b.txt", false, false)]);
        let held = ["t0".to_owned()];
        assert!(one.check(write("/a/b.txt"), ANA, &[]).is_err());
        assert!(one.check(write("/a/b.txt"), ANA, &held).is_ok());
        assert!(one.check(write("/a/b.txt"), AccountId(2), &held).is_err(), "somebody else who knows the token");
        assert!(one.check(write("/a/b.txt2"), ANA, &[]).is_ok());
        assert!(one.check(Write { with_below: true, ..write("/a/") }, ANA, &[]).is_err());
    }

    #[test]
    fn locks_of_collections() {
        let (deep, flat) = (locks(&[("/a/", true, false)]), locks(&[("/a/", false, false)]));
        assert!(deep.check(write("/a/b/c"), ANA, &[]).is_err());
        assert!(flat.check(write("/a/b"), ANA, &[]).is_ok());
        assert!(flat.check(Write { changes_members: true, ..write("/a/b") }, ANA, &[]).is_err());
        assert!(deep.check_new("/a/b", false, true).is_err() && flat.check_new("/a/b", false, false).is_ok());
        assert!(locks(&[("/a/b", false, true)]).check_new("/a", true, true).is_ok());
        assert!(locks(&[("/a/b", false, true)]).check_new("/a", true, false).is_err());
    }
}
