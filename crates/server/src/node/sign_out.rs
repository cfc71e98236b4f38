//! Ends the sessions of protocols whose users may not log in any more: who is deleted or suspended, whose domain is,
//! who has another password than the one that the session was opened with; and those that were opened with an app
//! password that is gone. Clients
//! that may come again do so by themselves.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, Timestamp};
use sterna_directory::{Change, Cursor, Directory, Reader, RowKind, StorageError};
use sterna_protocols::account_sessions::AccountSessions;
use tokio::time::Instant;

use super::Parts;

/// How long after a change it is looked at once more: a log-in that was checked before it may have become a session
/// after it.
const LOOK_AGAIN: Duration = Duration::from_millis(LOOK_AGAIN_MS as u64);
const LOOK_AGAIN_MS: i64 = 10_000;
/// Second looks that wait; with more, the oldest are made early.
const LATER_MAX: usize = 1000;

/// What a change says of an account's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Touched {
    /// Whether they may go on is to be looked up.
    Perhaps,
    /// The same once more: whoever came within [`LOOK_AGAIN`] of a new password may have come with the old one.
    Again,
}

/// Follows the directory until the node stops.
///
/// # Errors
/// When the directory can't be read.
pub async fn start(parts: &Parts, sessions: Arc<AccountSessions>) -> Result<()> {
    let (directory, stop) = (parts.directory.clone(), parts.stop.clone());
    let head = directory.head().await.context("who may log in")?;
    let follower = Follower {
        directory,
        sessions,
        at: Cursor::since(head.modseq),
        touched: HashMap::new(),
        gone: Vec::new(),
        later: VecDeque::new(),
    };
    parts.tasks.spawn(async move { stop.run_until_cancelled(follower.run()).await });
    Ok(())
}

struct Follower {
    directory: Directory,
    sessions: Arc<AccountSessions>,
    at: Cursor,
    /// Whom to look at, until that was done.
    touched: HashMap<AccountId, Touched>,
    /// App passwords that are gone: what was opened with them ends.
    gone: Vec<(AccountId, String)>,
    /// Whom to look at once more, and when; or which app password.
    later: VecDeque<(Instant, AccountId, Option<String>)>,
}

impl Follower {
    async fn run(mut self) {
        let mut changed = self.directory.watch();
        loop {
            let next = self.later.front().map_or_else(|| Instant::now() + LOOK_AGAIN, |(at, ..)| *at);
            tokio::select! {
                ended = changed.changed() => if ended.is_err() { return },
                () = tokio::time::sleep_until(next), if !self.later.is_empty() => {}
            }
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "who may not be logged in any more could not be read from the directory");
            }
        }
    }

    async fn round(&mut self) -> Result<(), StorageError> {
        self.take_due();
        loop {
            let page = self.directory.changes_since(self.at.clone(), PAGE_ITEMS_MAX).await?;
            for change in &page.rows {
                self.note(change);
            }
            match page.next {
                Some(next) => self.at = next,
                None => break self.at = Cursor::since(page.head),
            }
        }
        for (id, gone) in std::mem::take(&mut self.gone) {
            let ended = self.sessions.end(id, |session| session.app_password.as_deref() == Some(&*gone));
            if ended > 0 {
                tracing::info!(account = %id, sessions = ended, "sessions were ended: their app password is gone");
            }
        }
        if self.touched.is_empty() {
            return Ok(());
        }
        let ids: Vec<AccountId> = self.touched.keys().copied().collect();
        let read = move |reader: &Reader<'_>| {
            ids.into_iter().map(|id| Ok((id, since_when(reader, id)?))).collect::<Result<Vec<_>, StorageError>>()
        };
        for (id, since) in self.directory.read(read).await? {
            let Some(touched) = self.touched.remove(&id) else { continue };
            let ended = self.sessions.end(id, |session| match (touched, since) {
                (_, None) => true,
                (Touched::Perhaps, Some(since)) => session.since < since,
                // Nobody had another password before it was ever changed.
                (Touched::Again, Some(since)) => since.0 > 0 && session.since.0 < since.0 + LOOK_AGAIN_MS,
            });
            if ended > 0 {
                tracing::info!(account = %id, sessions = ended, "sessions were ended: their log-in is not good any more");
            }
        }
        Ok(())
    }

    /// Those whose second look is due.
    fn take_due(&mut self) {
        let now = Instant::now();
        while self.later.front().is_some_and(|(at, ..)| *at <= now) {
            self.take_first();
        }
    }

    fn take_first(&mut self) {
        match self.later.pop_front() {
            Some((_, id, Some(app_password))) => self.gone.push((id, app_password)),
            Some((_, id, None)) => drop(self.touched.entry(id).or_insert(Touched::Again)),
            None => {}
        }
    }

    fn note(&mut self, change: &Change) {
        let account = || {
            let id = change.key.split('/').next().unwrap_or_default();
            u64::from_str_radix(id, 16).ok().map(AccountId)
        };
        match RowKind::from_number(change.kind) {
            Some(RowKind::User) => account().into_iter().for_each(|id| self.look_at(id)),
            Some(RowKind::AppPassword) if change.content.is_none() => {
                if let Some((id, (_, app_password))) = account().zip(change.key.split_once('/')) {
                    self.gone.push((id, app_password.to_owned()));
                    self.look_later(id, Some(app_password.to_owned()));
                }
            }
            Some(RowKind::Domain) => self.sessions.accounts().into_iter().for_each(|id| self.look_at(id)),
            _ => {}
        }
    }

    fn look_at(&mut self, account: AccountId) {
        let known = self.touched.entry(account).or_insert(Touched::Perhaps);
        if *known == Touched::Again {
            *known = Touched::Perhaps;
        }
        self.look_later(account, None);
    }

    fn look_later(&mut self, account: AccountId, app_password: Option<String>) {
        if self.later.len() >= LATER_MAX {
            // The oldest comes too early rather than never.
            self.take_first();
        }
        self.later.push_back((Instant::now() + LOOK_AGAIN, account, app_password));
    }
}

/// From when on sessions of an account are good; `None` when none are.
fn since_when(reader: &Reader<'_>, account: AccountId) -> Result<Option<Timestamp>, StorageError> {
    let Some(user) = reader.user(account)? else { return Ok(None) };
    let domain_is_open = reader.domain_of(account)?.is_some_and(|domain| !domain.suspended);
    let is_open = domain_is_open && !user.value.entry.suspended;
    Ok(is_open.then(|| user.value.password_at.unwrap_or(Timestamp(0))))
}
