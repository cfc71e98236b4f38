//! One session: its states, and the loop that reads commands and answers them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BufMut;
use sterna_account::{Account, AccountError, Committed, Mutation, Rights};
use sterna_base::session_limits::SessionLimits;
use sterna_base::{AccountId, ContainerId, Modseq, OperationId};
use sterna_formats::imap::append::AppendVerb;
use sterna_formats::imap::command::{Sort, Thread};
use sterna_formats::imap::{Body, Frame, Framer, command_within, tag_of};
use tokio::time::Instant;

use super::Shared;
use super::command as commands;
use super::mailboxes::{Known, rights_of};
use super::metadata_news::MetadataNews;
use super::progress::Progress;
use super::reply::{Fail, Outcome, Reply, account_reply, concerns_operator, is_passing, no_mailbox};
use super::rights;
use super::selected::Selected;
use super::updates;
use super::watching::Watching;
use crate::account_sessions::AccountSession;
use crate::io::{Disconnect, Io};
use crate::sasl::{Exchange, Offers, Wire};

/// A logged-in user.
pub struct User {
    pub account: Arc<dyn Account>,
    pub address: String,
    /// See [`sterna_account::service::Login`].
    pub is_sudo: bool,
    /// Counts as one of the user's sessions.
    pub place: AccountSession,
}

/// Extensions that a client switched on (RFC 5161).
#[derive(Clone, Copy, Debug, Default)]
pub struct Enabled {
    /// CONDSTORE: MODSEQ is told with every change.
    pub condstore: bool,
    /// UTF8=ACCEPT, or IMAP4rev2: names and strings are UTF-8.
    pub utf8: bool,
    /// UTF8=ACCEPT itself, which does away with CHARSET.
    pub utf8_accept: bool,
    /// QRESYNC: VANISHED instead of EXPUNGE (RFC 7162).
    pub qresync: bool,
    /// UIDONLY: no sequence numbers at all (RFC 9586).
    pub uid_only: bool,
    /// METADATA: entries that others change are told (RFC 5464).
    pub metadata: bool,
    /// IMAP4rev2: no RECENT, ESEARCH instead of SEARCH.
    pub rev2: bool,
}

impl Enabled {
    /// Whether expunges are told by UID.
    pub fn vanished(self) -> bool {
        self.qresync || self.uid_only
    }
}

/// A session.
pub struct Session {
    pub io: Io,
    pub(super) shared: Arc<Shared>,
    pub peer: IpAddr,
    pub framer: Framer,
    pub enabled: Enabled,
    /// Set by log-in.
    pub user: Option<User>,
    /// Set by SELECT and EXAMINE.
    pub selected: Option<Selected>,
    /// The mailbox that was selected was deleted: commands on messages say so until another one is selected.
    pub mailbox_gone: bool,
    /// What the directory last said of the user and of who shares with them.
    pub(super) known: Option<Known>,
    /// What of METADATA it was told.
    pub metadata_news: MetadataNews,
    /// What it asked to hear of by NOTIFY.
    pub watching: Watching,
    /// The newest commits of this session: an account's news of them may come later than the answer.
    committed: HashMap<AccountId, Modseq>,
    pub failed_logins: u32,
    /// How users can log in, besides with passwords.
    pub offers: Offers,
    /// Of the command that is being done.
    pub tag: String,
    /// Set by STARTTLS; the handshake follows its answer.
    pub upgrading: bool,
    /// Set by COMPRESS; what follows its answer is compressed.
    pub compressing: bool,
    /// When it tells of itself.
    pub progress: Progress,
    /// Its name, for the log.
    command: &'static str,
    /// Whether news of the selected mailbox could not be told after the last command.
    untold: bool,
    started: Instant,
    bad_commands: u32,
    ended: bool,
}

impl Session {
    pub(super) fn new(io: Io, shared: Arc<Shared>) -> Self {
        Session {
            framer: Framer::new(io.limits.clone()),
            peer: io.peer(),
            io,
            shared,
            enabled: Enabled::default(),
            user: None,
            selected: None,
            mailbox_gone: false,
            known: None,
            metadata_news: MetadataNews::default(),
            watching: Watching::default(),
            committed: HashMap::new(),
            failed_logins: 0,
            offers: Offers::default(),
            tag: String::new(),
            upgrading: false,
            compressing: false,
            progress: Progress::begin(),
            command: "",
            untold: false,
            started: Instant::now(),
            bad_commands: 0,
            ended: false,
        }
    }

    /// Greets, and serves until the client goes.
    pub async fn run(mut self) {
        self.offers = Offers::of(self.shared.authenticator.as_ref()).await;
        let greeting = format!("* OK [CAPABILITY {}] Sterna ready\r\n", commands::capability::list(&self));
        self.io.output.extend_from_slice(greeting.as_bytes());
        let end = self.serve().await;
        let bye = match &end {
            Ok(()) | Err(Disconnect::Closed | Disconnect::Io(_)) => None,
            Err(Disconnect::Timeout) => Some("* BYE You were silent for too long\r\n".to_owned()),
            Err(Disconnect::Stopping) => Some("* BYE [UNAVAILABLE] The server is ending\r\n".to_owned()),
            Err(Disconnect::SignedOut) => Some("* BYE [UNAVAILABLE] You were signed out\r\n".to_owned()),
            Err(Disconnect::Hopeless(why)) => Some(format!("* BYE {why}\r\n")),
        };
        if let Some(bye) = bye {
            self.io.output.extend_from_slice(bye.as_bytes());
            let _ = self.io.flush().await;
        }
        let user = self.user.as_ref().map(|user| user.address.as_str()).unwrap_or_default();
        match end {
            Err(why @ (Disconnect::Hopeless(_) | Disconnect::Timeout | Disconnect::SignedOut)) => {
                tracing::info!(peer = %self.peer, user, %why, "IMAP session ended");
            }
            _ => tracing::debug!(peer = %self.peer, user, "IMAP session ended"),
        }
    }

    async fn serve(&mut self) -> Result<(), Disconnect> {
        while !self.ended {
            self.framer.utf8 = self.enabled.utf8;
            match self.framer.next(&mut self.io.input) {
                Frame::More => self.wait().await?,
                Frame::Continue => self.io.output.extend_from_slice(b"+ Ready\r\n"),
                Frame::Command(bytes) => self.command(&bytes).await?,
                Frame::Append(start) => {
                    let tag = start.tag.clone();
                    self.tag.clone_from(&tag);
                    self.progress = Progress::begin();
                    self.command = if start.verb == AppendVerb::Append { "APPEND" } else { "REPLACE" };
                    let outcome = commands::append::run(self, start).await;
                    self.finish(&tag, outcome, true).await?;
                }
                Frame::AppendNext(_) => return Err(Disconnect::Hopeless("The command was over")),
                Frame::TooLong { tag, hopeless } => {
                    let tag = tag.unwrap_or_else(|| "*".to_owned());
                    self.answer(&tag, &Reply::bad("The command is too long").code("TOOBIG"));
                    if hopeless {
                        return Err(Disconnect::Hopeless("The command is too long"));
                    }
                    self.count_bad()?;
                }
            }
        }
        self.io.flush().await
    }

    async fn wait(&mut self) -> Result<(), Disconnect> {
        let wait = match (&self.user, self.io.input.is_empty()) {
            (None, _) => self.login_wait(),
            (Some(_), true) if self.watching.is_on() => return self.wait_and_tell().await,
            (Some(_), true) => self.idle_wait(),
            (Some(_), false) => self.literal_wait(),
        };
        self.io.fill(wait).await
    }

    async fn command(&mut self, bytes: &[u8]) -> Result<(), Disconnect> {
        let parsed = match command_within(bytes, self.enabled.utf8, &self.io.limits) {
            Ok(parsed) => parsed,
            Err(error) => {
                let tag = tag_of(bytes).unwrap_or("*").to_owned();
                tracing::debug!(peer = %self.peer, %error, "IMAP syntax error");
                self.answer(&tag, &Reply::bad(format!("Syntax error: {error}")));
                return self.count_bad();
            }
        };
        // RFC 9051 section 7.5.1, RFC 5256 section 3.
        let expunge_allowed = match &parsed.body {
            Body::Fetch(fetch) => fetch.uid,
            Body::Store(store) => store.uid,
            Body::Search(search) | Body::Sort(Sort { search, .. }) | Body::Thread(Thread { search, .. }) => search.uid,
            _ => true,
        };
        self.tag.clone_from(&parsed.tag);
        self.progress = Progress::begin();
        self.command = parsed.body.name();
        if self.enabled.uid_only && !expunge_allowed
            || matches!(&parsed.body, Body::Copy { uid, .. } if !uid && self.enabled.uid_only)
        {
            let refused = Reply::bad("Only UIDs name messages in this session").code("UIDREQUIRED");
            return self.finish(&parsed.tag, Ok(refused), false).await;
        }
        let outcome = self.dispatch(parsed.body).await;
        self.finish(&parsed.tag, outcome, expunge_allowed).await
    }

    async fn dispatch(&mut self, body: Body) -> Outcome {
        match body {
            Body::Capability => commands::capability::run(self),
            Body::Noop => Ok(Reply::ok("Done")),
            Body::Logout => {
                self.ended = true;
                self.selected = None;
                self.mailbox_gone = false;
                self.io.output.extend_from_slice(b"* BYE Good-bye\r\n");
                Ok(Reply::ok("Logged out"))
            }
            Body::Id(fields) => commands::id::run(self, &fields),
            Body::Starttls => commands::starttls::run(self),
            Body::Login { user, password } => commands::login::run(self, &user, &password).await,
            Body::Authenticate { mechanism, initial } => {
                commands::authenticate::run(self, &mechanism, initial.map(|initial| initial.0)).await
            }
            body if self.user.is_some() => self.dispatch_authenticated(body).await,
            _ => Ok(Reply::bad("Log in first")),
        }
    }

    async fn dispatch_authenticated(&mut self, body: Body) -> Outcome {
        match body {
            Body::Enable(names) => commands::enable::run(self, &names),
            Body::Unauthenticate => commands::unauthenticate::run(self),
            Body::Compress(algorithm) => commands::compress::run(self, &algorithm),
            Body::Namespace => commands::namespace::run(self),
            Body::Select { mailbox, read_only, condstore, qresync } => {
                commands::select::run(self, &mailbox, read_only, condstore, qresync).await
            }
            Body::Create { mailbox, special_use } => commands::create::run(self, &mailbox, &special_use).await,
            Body::Delete(mailbox) => commands::delete::run(self, &mailbox).await,
            Body::Rename { from, to } => commands::rename::run(self, &from, &to).await,
            Body::Subscribe(mailbox) => commands::subscribe::run(self, &mailbox, true).await,
            Body::Unsubscribe(mailbox) => commands::subscribe::run(self, &mailbox, false).await,
            Body::List(list) => commands::list::run(self, list).await,
            Body::Lsub { reference, pattern } => commands::lsub::run(self, &reference, &pattern).await,
            Body::Status { mailbox, items } => commands::status::run(self, &mailbox, &items).await,
            Body::SetAcl { mailbox, identifier, rights } => {
                commands::setacl::run(self, &mailbox, &identifier, &rights).await
            }
            Body::DeleteAcl { mailbox, identifier } => commands::deleteacl::run(self, &mailbox, &identifier).await,
            Body::GetAcl(mailbox) => commands::getacl::run(self, &mailbox).await,
            Body::ListRights { mailbox, identifier } => commands::listrights::run(self, &mailbox, &identifier).await,
            Body::MyRights(mailbox) => commands::myrights::run(self, &mailbox).await,
            Body::GetMetadata { mailbox, max_size, depth, entries } => {
                commands::getmetadata::run(self, &mailbox, max_size, depth, &entries).await
            }
            Body::SetMetadata { mailbox, entries } => commands::setmetadata::run(self, &mailbox, entries).await,
            Body::GetQuota(root) => commands::getquota::run(self, &root).await,
            Body::GetQuotaRoot(mailbox) => commands::getquota::root(self, &mailbox).await,
            Body::SetQuota => commands::getquota::set(),
            Body::Esearch { sources, search } => commands::esearch::run(self, &sources, search).await,
            Body::Notify(notify) => commands::notify::run(self, notify).await,
            Body::Idle => commands::idle::run(self).await,
            body if self.selected.is_some() || self.mailbox_gone => self.dispatch_selected(body).await,
            _ => Ok(Reply::bad("Select a mailbox first")),
        }
    }

    async fn dispatch_selected(&mut self, body: Body) -> Outcome {
        self.catch_up(matches!(body, Body::Check | Body::Close | Body::Unselect)).await?;
        if self.selected.is_none() {
            let leaving = matches!(body, Body::Close | Body::Unselect);
            self.mailbox_gone &= !leaving;
            return Ok(if leaving { Reply::ok("It was deleted already") } else { no_mailbox() });
        }
        match body {
            Body::Check => Ok(Reply::ok("Done")),
            Body::Close => commands::close::run(self, true).await,
            Body::Unselect => commands::close::run(self, false).await,
            Body::Expunge => commands::expunge::run(self, None).await,
            Body::UidExpunge(set) => commands::expunge::run(self, Some(set)).await,
            Body::CancelUpdate(tags) => {
                self.selected()?.cancel_contexts(&tags);
                Ok(Reply::ok("No further updates"))
            }
            Body::Search(search) => commands::search::run(self, search).await,
            Body::Sort(sort) => commands::sort::run(self, sort).await,
            Body::Thread(thread) => commands::thread::run(self, thread).await,
            Body::Fetch(fetch) => commands::fetch::run(self, fetch).await,
            Body::Store(store) => commands::store::run(self, store).await,
            Body::Copy { set, mailbox, uid, expunge } => commands::copy::run(self, &set, &mailbox, uid, expunge).await,
            _ => Ok(Reply::bad("Unknown command")),
        }
    }

    /// Takes in what is new, before a command on messages. Without its news a mailbox is still answered for as far as
    /// it is known: what the account can't do, it says. What could not be told after the last command is told before
    /// this one, which may name it.
    ///
    /// # Errors
    /// When what this client has just added can't be seen: it may be named, and to ignore that would be an OK for
    /// nothing. Not so for a command that `names_none`.
    pub async fn catch_up(&mut self, names_none: bool) -> Result<(), Fail> {
        let refreshed = if self.untold { self.tell(false).await } else { self.refresh_selected().await };
        if let Err(error) = refreshed {
            if !names_none && self.has_committed_unseen() {
                return Err(error.into());
            }
            tracing::debug!(peer = %self.peer, %error, "a view could not be refreshed");
        }
        Ok(())
    }

    /// Tells what others did, then the tagged answer.
    async fn finish(&mut self, tag: &str, outcome: Outcome, expunge: bool) -> Result<(), Disconnect> {
        let failed = outcome.is_err();
        let reply = match outcome {
            Ok(reply) => reply,
            Err(Fail::Disconnect(disconnect)) => return Err(disconnect),
            Err(Fail::Reply(reply)) => reply,
            Err(Fail::Account(error)) => {
                self.log_failure(&error);
                account_reply(&error)
            }
        };
        let told = self.tell(expunge).await;
        self.untold = told.is_err();
        if let Err(error) = told {
            tracing::debug!(peer = %self.peer, %error, "a view could not be refreshed");
            if !failed && !is_passing(&error) {
                self.log_failure(&error);
            }
        }
        let bad = reply.status == "BAD";
        self.answer(tag, &reply);
        if bad {
            return self.count_bad();
        }
        self.bad_commands = 0;
        if std::mem::take(&mut self.upgrading) {
            self.io.start_tls().await?;
            self.framer = Framer::new(self.io.limits.clone());
        }
        if std::mem::take(&mut self.compressing) {
            self.io.start_deflate().await?;
        }
        self.io.flush_if_full().await
    }

    /// Everything as before log-in (RFC 8437), except the number of failures.
    pub fn forget_user(&mut self) {
        self.selected = None;
        self.mailbox_gone = false;
        self.user = None;
        self.known = None;
        self.metadata_news = MetadataNews::default();
        self.watching = Watching::default();
        self.committed.clear();
        self.enabled = Enabled::default();
        self.started = Instant::now();
    }

    /// One line for the operator, if there is something to do or to wait for.
    fn log_failure(&self, error: &AccountError) {
        let Some(user) = self.user.as_ref().filter(|_| concerns_operator(error)) else { return };
        let (account, user, command) = (user.account.id(), user.address.as_str(), self.command);
        if is_passing(error) {
            tracing::warn!(peer = %self.peer, %account, user, command, %error, "an IMAP command could not be done now");
        } else {
            tracing::error!(peer = %self.peer, %account, user, command, %error, "an IMAP command failed");
        }
    }

    /// Takes in what is new in the selected mailbox, and leaves it when it was deleted or may not be read any more.
    pub async fn refresh_selected(&mut self) -> Result<(), AccountError> {
        let Some(selected) = &self.selected else { return Ok(()) };
        selected.view.refresh(self.committed_to(selected.account.as_ref())).await?;
        let deleted = selected.view.picture().deleted;
        if deleted {
            self.leave("The mailbox was deleted");
            return Ok(());
        }
        let own = self.user.as_ref().is_some_and(|user| user.account.id() == selected.account.id());
        if own {
            return Ok(());
        }
        // Who the directory can't tell at present has the rights of a moment ago.
        let Ok(who) = self.who().await else { return Ok(()) };
        let Some(selected) = &mut self.selected else { return Ok(()) };
        let rights = rights_of(Some(&who), &selected.view.picture().container);
        if !rights.has(Rights::READ) {
            self.leave("You may not read the mailbox any more");
        } else if rights != selected.rights {
            selected.rights = rights;
            // RFC 4314 section 5.1.1 asks to tell.
            updates::permanent_flags(selected, &mut self.io.output);
        }
        Ok(())
    }

    /// Whether this mailbox is the selected one.
    pub fn has_selected(&self, account: &dyn Account, id: ContainerId) -> bool {
        self.selected.as_ref().is_some_and(|selected| selected.id == id && selected.account.id() == account.id())
    }

    /// The newest commit of this session to an account.
    pub fn committed_to(&self, account: &dyn Account) -> Modseq {
        self.committed.get(&account.id()).copied().unwrap_or(Modseq::ZERO)
    }

    /// Whether this session added or changed what its view of the selected mailbox doesn't have yet.
    fn has_committed_unseen(&self) -> bool {
        let Some(selected) = &self.selected else { return false };
        selected.view.picture().synced < self.committed_to(selected.account.as_ref())
    }

    /// Leaves the selected mailbox that is not there for the user any more. The client is told by CLOSED (RFC 9051
    /// section 7.1), not by BYE, which RFC 2180 section 3.3 would allow: the other mailboxes are none the worse.
    pub fn leave(&mut self, why: &str) {
        self.selected = None;
        self.mailbox_gone = true;
        self.io.output.extend_from_slice(format!("* OK [CLOSED] {why}\r\n").as_bytes());
    }

    /// Commits to an account.
    pub async fn commit(&mut self, account: &dyn Account, mutations: Vec<Mutation>) -> Result<Committed, Fail> {
        self.commit_as(account, OperationId::random(), mutations).await
    }

    /// The same under a name of its own.
    pub async fn commit_as(
        &mut self,
        account: &dyn Account,
        operation: OperationId,
        mutations: Vec<Mutation>,
    ) -> Result<Committed, Fail> {
        let committed = self.wait_for(account.commit(operation, mutations)).await??;
        let newest = self.committed.entry(account.id()).or_default();
        *newest = committed.modseq.max(*newest);
        Ok(committed)
    }

    /// Commits to the account of the selected mailbox.
    pub async fn commit_selected(&mut self, mutations: Vec<Mutation>) -> Result<Committed, Fail> {
        let account = self.selected()?.account.clone();
        self.commit(account.as_ref(), mutations).await
    }

    /// Tells of keywords that are new, before messages that have them.
    pub fn tell_keywords(&mut self) {
        if let Some(selected) = &mut self.selected {
            let view = selected.view.clone();
            updates::new_keywords(selected, &view.picture(), &mut self.io.output);
        }
    }

    /// Takes in what this session has just committed.
    pub async fn see_commit(&mut self) -> Result<(), Fail> {
        let selected = self.selected.as_ref().ok_or_else(|| Reply::bad("Select a mailbox first"))?;
        Ok(selected.view.refresh(self.committed_to(selected.account.as_ref())).await?)
    }

    fn answer(&mut self, tag: &str, reply: &Reply) {
        let out = &mut self.io.output;
        out.extend_from_slice(tag.as_bytes());
        out.put_u8(b' ');
        out.extend_from_slice(reply.status.as_bytes());
        if let Some(code) = &reply.code {
            out.extend_from_slice(b" [");
            out.extend_from_slice(code.as_bytes());
            out.put_u8(b']');
        }
        out.put_u8(b' ');
        out.extend_from_slice(reply.text.as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    fn count_bad(&mut self) -> Result<(), Disconnect> {
        self.bad_commands += 1;
        if u64::from(self.bad_commands) >= self.io.limits.bad_commands {
            return Err(Disconnect::Hopeless("Too many bad commands"));
        }
        Ok(())
    }

    /// The user's account; commands that need it run after log-in only.
    pub fn account(&self) -> Result<Arc<dyn Account>, Fail> {
        self.user.as_ref().map(|user| user.account.clone()).ok_or_else(|| Reply::bad("Log in first").into())
    }

    /// The selected mailbox; commands that need it run after SELECT only.
    pub fn selected(&mut self) -> Result<&mut Selected, Fail> {
        self.selected.as_mut().ok_or_else(|| Reply::bad("Select a mailbox first").into())
    }

    /// The selected mailbox, if it may be written, and with these rights.
    pub fn writable(&mut self, needed: Rights) -> Result<&mut Selected, Fail> {
        let selected = self.selected()?;
        if selected.read_only {
            return Err(Reply::no("The mailbox is open read-only").into());
        }
        if selected.rights.has(needed) { Ok(selected) } else { Err(rights::denied().into()) }
    }

    /// The account of the selected mailbox.
    pub fn selected_account(&self) -> Result<Arc<dyn Account>, Fail> {
        let selected = self.selected.as_ref().ok_or_else(|| Reply::bad("Select a mailbox first"))?;
        Ok(selected.account.clone())
    }

    /// How long a client that has not logged in may be waited for.
    pub fn login_wait(&self) -> Duration {
        self.io.login_wait(self.started)
    }

    /// How long a client may be silent after log-in.
    pub fn idle_wait(&self) -> Duration {
        SessionLimits::seconds(self.io.limits.imap_idle_seconds)
    }

    /// How long it may pause inside a command or a message.
    pub fn literal_wait(&self) -> Duration {
        SessionLimits::seconds(self.io.limits.imap_literal_seconds)
    }

    /// A log-in by SASL.
    pub fn exchange(&mut self) -> Exchange<'_> {
        let (authenticator, offers) = (self.shared.authenticator.as_ref(), self.offers);
        Exchange { io: &mut self.io, authenticator, offers, protocol: "imap", since: self.started, wire: Wire::Lines }
    }

    /// Whether log-in is refused because anybody could listen.
    pub fn login_disabled(&self) -> bool {
        !self.io.is_encrypted() && !self.shared.config.plaintext_login
    }
}
