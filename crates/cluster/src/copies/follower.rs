//! The following side: one account of which this node holds a copy.
//!
//! It pulls: a source keeps no list of its followers, and a follower that was away begins where it ended. What it asks
//! is decided by [`Following`]; here is who does it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sterna_account::account::BlobUpload;
use sterna_account::aside::commits_since;
use sterna_account::follow::{Applied, CopiedBlob, FollowError, PAGE_ROWS_MAX, Page, Progress, differing};
use sterna_account::fork::skipped_after;
use sterna_account::local::{LocalAccount, LocalAccounts};
use sterna_account::{Account, AccountError, Container, Cursor, Role};
use sterna_base::{AccountId, BlobHash, Clock, Modseq, Timestamp, failpoint};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::acks::EqualAt;
use super::ahead::Ahead;
use super::asides::{AsideNote, Asides};
use super::book::CopyBook;
use super::calls::{BlobsCall, ContainerPageCall, CopyState, PageCall, ReadyCall, path};
use super::throttle::{Counted, Throttle};
use crate::handle::remote::RemoteAccount;
use crate::limits::{COPIED_BLOBS_MAX, NEWS_WAIT_MS, READY_WAIT_MS};
use crate::moving::core::answers::FollowingSaid;
use crate::moving::core::following::{Ask, Following};
use crate::moving::core::step::End;
use crate::nodes::Placement;
use crate::rpc::CallError;
use crate::rpc::calls::BlobCall;
use crate::rpc::peers::Peers;

/// Questions of a cut-over that wait; the main node asks one at a time.
const READY_QUEUE_MAX: usize = 4;

/// Why a copy does not go on.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source can't be reached, or refused.
    #[error(transparent)]
    Source(#[from] CallError),
    /// The copy's own store failed.
    #[error(transparent)]
    Store(#[from] AccountError),
    /// The source's answer can't be read.
    #[error("the source's answer could not be read: {0}")]
    Malformed(String),
    /// The copy did not become equal in time.
    #[error("the copy did not reach modseq {sealed} of the sealed account in time")]
    Behind {
        /// Where the sealed account ends.
        sealed: Modseq,
    },
    /// At the same place the copy is not the same.
    #[error("the copy has another digest than the sealed account")]
    Differs,
    /// The store does not follow (any more).
    #[error("this copy of the account does not follow another one")]
    NotFollowing,
}

/// How a copy's following goes, for the main node and for people.
#[derive(Clone, Debug, Default)]
struct Report {
    said: Option<FollowingSaid>,
    source_modseq: Modseq,
    source_bytes: u64,
    source_items: u64,
    fetched_bytes: u64,
    equal_since: Option<Timestamp>,
    equal_at: Option<Instant>,
    trouble: Option<String>,
    differed: u64,
    differed_at: Option<Timestamp>,
}

/// A cut-over's question, and where its answer goes.
type Question = (ReadyCall, oneshot::Sender<Result<(), CopyError>>);

/// One account of which this node holds a copy. Lives as long as its task.
pub struct Follower {
    pub(super) account: AccountId,
    pub(super) source: Placement,
    pub(super) local: Arc<LocalAccounts>,
    pub(super) peers: Arc<Peers>,
    pub(super) throttle: Arc<Throttle>,
    pub(super) book: Arc<dyn CopyBook>,
    asides: Arc<Asides>,
    clock: Arc<dyn Clock>,
    report: Mutex<Report>,
    questions: mpsc::Sender<Question>,
    /// Questions of cut-overs that wait for their answers.
    pub(super) cut_overs: AtomicUsize,
    /// Whether commits of the account wait for this copy.
    pub(super) is_awaited: AtomicBool,
    /// The source called.
    called: Notify,
}

impl Follower {
    /// Follows the account on the node of its placement, in a task that ends when the returned future is dropped or the
    /// store no longer follows.
    pub fn start(
        account: AccountId,
        source: Placement,
        local: Arc<LocalAccounts>,
        peers: Arc<Peers>,
        throttle: Arc<Throttle>,
        asides: Arc<Asides>,
        book: Arc<dyn CopyBook>,
        clock: Arc<dyn Clock>,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let (questions, asked) = mpsc::channel(READY_QUEUE_MAX);
        let follower = Follower {
            account,
            source,
            local,
            peers,
            throttle,
            book,
            asides,
            clock,
            report: Mutex::default(),
            questions,
            cut_overs: AtomicUsize::new(0),
            is_awaited: AtomicBool::new(false),
            called: Notify::new(),
        };
        let follower = Arc::new(follower);
        let work = Work::new(follower.clone(), asked);
        (follower, work.run())
    }

    /// Whom it follows.
    pub fn source(&self) -> Placement {
        self.source
    }

    /// Which account it is.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// How often it was found to differ from its source, and when the last time.
    pub fn differed(&self) -> (u64, Option<Timestamp>) {
        let report = self.report.lock();
        (report.differed, report.differed_at)
    }

    /// How long ago it was equal for the last time, in milliseconds: zero while it is, `None` when it never was.
    pub(super) fn lag_ms(&self) -> Option<u64> {
        let report = self.report.lock();
        let since_equal = report.equal_at.map(|at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX));
        if report.equal_since.is_some() { Some(0) } else { since_equal }
    }

    /// How its following goes, as far as it is known.
    pub(super) fn said(&self) -> Option<FollowingSaid> {
        self.report.lock().said
    }

    /// Whether commits of the account wait for this copy, as the directory says.
    pub fn set_awaited(&self, is_awaited: bool) {
        self.is_awaited.store(is_awaited, Ordering::Relaxed);
    }

    /// The source has something, and waits for it: no pause is worth keeping.
    pub fn news(&self) {
        self.called.notify_one();
    }

    /// How the copy is.
    ///
    /// # Errors
    /// When its store can't be read.
    pub async fn state(&self) -> Result<CopyState, AccountError> {
        let account = self.local.get(self.account).await?;
        let state = state_of(&account).await?;
        let report = self.report.lock().clone();
        Ok(CopyState {
            following: report.said,
            source_modseq: report.source_modseq,
            source_bytes: report.source_bytes,
            source_items: report.source_items,
            fetched_bytes: report.fetched_bytes,
            equal_since: report.equal_since,
            equal_ms: report.equal_at.map(|at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)),
            trouble: report.trouble,
            differed: report.differed,
            ..state
        })
    }

    /// Becomes equal to the sealed account and takes its next epoch. May be repeated.
    ///
    /// # Errors
    /// [`CopyError`]; it stays a follower then.
    pub async fn make_ready(&self, call: ReadyCall) -> Result<(), CopyError> {
        let sealed = call.end.modseq;
        let _cut_over = Counted::new(&self.cut_overs);
        let (sender, answer) = oneshot::channel();
        if self.questions.send((call, sender)).await.is_err() {
            return Err(CopyError::NotFollowing);
        }
        match tokio::time::timeout(Duration::from_millis(READY_WAIT_MS), answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(CopyError::NotFollowing),
            Err(_) => Err(CopyError::Behind { sealed }),
        }
    }
}

/// How a store is, whatever its role.
///
/// # Errors
/// When it can't be read.
pub async fn state_of(account: &LocalAccount) -> Result<CopyState, AccountError> {
    let (head, progress) = (account.head_of_copy().await?, account.progress().await?);
    Ok(CopyState {
        role: head.role,
        epoch: head.epoch,
        modseq: head.modseq,
        digest: head.digest,
        answers: progress.answers,
        bytes: head.quota.bytes_used,
        items: head.quota.items_used,
        following: None,
        source_modseq: Modseq::ZERO,
        source_bytes: 0,
        source_items: 0,
        fetched_bytes: 0,
        equal_since: None,
        equal_ms: None,
        source_silent_ms: None,
        trouble: None,
        differed: 0,
        speed: None,
        is_complete: head.modseq > Modseq::ZERO,
        is_settled: head.modseq > Modseq::ZERO && progress.rows == Cursor::since(head.modseq),
        waiting: Vec::new(),
    })
}

/// The task of one follower.
struct Work {
    follower: Arc<Follower>,
    following: Following,
    questions: mpsc::Receiver<Question>,
    /// The cut-over's question that is being answered.
    question: Option<Question>,
    /// The source's modseq as it grows.
    news: watch::Receiver<Modseq>,
    /// Whether the last page was empty: then the next one is asked for when there is news.
    is_idle: bool,
    ahead: Ahead,
    /// The acknowledgement that the source has.
    told: Option<EqualAt>,
    upload: Option<Box<dyn BlobUpload>>,
}

impl Work {
    fn new(follower: Arc<Follower>, questions: mpsc::Receiver<Question>) -> Self {
        let news = RemoteAccount::new(&follower.peers, follower.account, follower.source).watch();
        let following = Following::new(follower.source.epoch);
        Work {
            follower,
            following,
            questions,
            question: None,
            news,
            is_idle: false,
            ahead: Ahead::default(),
            told: None,
            upload: None,
        }
    }

    async fn run(mut self) {
        while let Some(ask) = Some(self.following.next()).filter(|ask| *ask != Ask::Stop) {
            if let Err(error) = self.perform(ask).await {
                self.trouble(&error);
                self.following.on_failed(self.follower.clock.now());
            }
            let mut report = self.follower.report.lock();
            report.said = Some(self.following.said());
            if self.following.differed() > report.differed {
                (report.differed, report.differed_at) = (self.following.differed(), Some(self.follower.clock.now()));
            }
        }
    }

    async fn perform(&mut self, ask: Ask) -> Result<(), CopyError> {
        let account = self.follower.local.get(self.follower.account).await?;
        match ask {
            Ask::Page(after) => {
                self.wait_for_news().await;
                let page = self.page(after).await?;
                self.is_idle = page.is_last && page.rows.is_empty() && page.answers.is_empty();
                self.following.on_page(page, self.now());
            }
            Ask::ContainerPage(id, after) => {
                let call = ContainerPageCall { id, after, rows_max: PAGE_ROWS_MAX as u64 };
                self.following.on_container_page(self.follower.ask(path::CONTAINER_PAGE, &call).await?);
            }
            Ask::Blobs(mut hashes) => {
                let mut blobs = self.ahead.blobs(&hashes);
                if blobs.is_empty() {
                    hashes.truncate(self.ahead.lacking(&hashes).min(COPIED_BLOBS_MAX));
                    blobs = self.follower.ask(path::BLOBS, &BlobsCall { hashes }).await?;
                }
                failpoint::reached("target-fetched");
                self.follower.report.lock().fetched_bytes += blobs.iter().map(|blob| blob.size).sum::<u64>();
                self.following.on_blobs(blobs, self.now());
            }
            Ask::Range { hash, range } => self.stage(&account, hash, range).await?,
            Ask::Staged(hash) => {
                let upload = self.upload.take().ok_or_else(|| CopyError::Malformed("nothing is staged".into()))?;
                let (staged, _) = upload.finish().await?;
                if staged != hash {
                    return Err(CopyError::Malformed(format!("blob {hash} has other bytes than its name says")));
                }
                self.following.on_staged(hash);
            }
            Ask::Compare => {
                let theirs: Vec<Container> = self.follower.ask(path::CONTAINERS, &()).await?;
                self.following.on_compared(differing(&account.containers_of_copy().await?, &theirs));
            }
            Ask::Wait(until) => {
                let wait_ms = (until.0 - self.now().0).max(0).unsigned_abs();
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
                    () = self.follower.called.notified() => {}
                }
                self.following.on_waited();
            }
            own => self.own_store(&account, own).await?,
        }
        Ok(())
    }

    /// What concerns only the copy's own store.
    async fn own_store(&mut self, account: &LocalAccount, ask: Ask) -> Result<(), CopyError> {
        match ask {
            Ask::OwnProgress => {
                let (progress, forks) = (account.progress().await?, account.forks().await?);
                self.following.on_progress(progress, forks);
            }
            Ask::Lacking(hashes) => self.following.on_lacking(account.lacking(hashes).await?),
            Ask::Apply(page, blobs) => self.apply(account, page, blobs).await?,
            Ask::Forget(id) => {
                self.follower.take_back().await?;
                tracing::error!(
                    account = %self.follower.account, source = %self.follower.source.node, container = %id,
                    "a copy differs from its source in a container, which is copied again"
                );
                let forgotten = account.forget_container(id).await.map(|()| 0);
                self.following.on_forgotten(forgotten, self.now());
            }
            Ask::ApplyContainer(page, blobs) => {
                let applied = account.follow_container(page, blobs).await;
                self.following.on_container_applied(applied, self.now());
            }
            Ask::CopyAnew => {
                self.follower.take_back().await?;
                let Follower { account, source, local, .. } = &*self.follower;
                tracing::error!(%account, source = %source.node, "a copy differs from its source and is made anew");
                local.delete(*account).await.map_err(AccountError::from)?;
                local.create_follower(*account, source.epoch).await.map_err(AccountError::from)?;
                self.following.on_copied_anew(source.epoch);
            }
            Ask::SetAside(fork) => {
                self.follower.take_back().await?;
                let Follower { account: id, source, local, asides, .. } = &*self.follower;
                let modseq = account.head_of_copy().await?.modseq;
                let commits = commits_since(&fork, modseq, &account.forks().await?);
                let note = AsideNote { fork, modseq, commits, account_on: source.node, lost: None };
                asides.set(*id, note).await.map_err(AccountError::from)?;
                failpoint::reached("copy-aside");
                local.create_follower(*id, source.epoch).await.map_err(AccountError::from)?;
                self.following.on_copied_anew(source.epoch);
            }
            _ => {}
        }
        Ok(())
    }

    /// One piece of a long content.
    async fn stage(&mut self, account: &LocalAccount, hash: BlobHash, range: Range<u64>) -> Result<(), CopyError> {
        if range.start == 0 {
            self.upload = Some(account.stage_copied_blob().await?);
        }
        let call = BlobCall { hash, start: range.start, end: range.end };
        let bytes = self.follower.ask_bytes(path::BLOB, &call).await?;
        let taken = bytes.len() as u64;
        if let Some(upload) = &mut self.upload {
            upload.write(bytes).await?;
        }
        self.following.on_range(taken);
        failpoint::reached("target-staged");
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.follower.clock.now()
    }

    /// Where this copy is known to be equal to the placement that it follows. All that was applied is durable.
    fn equal(&self) -> Option<EqualAt> {
        let epoch = self.follower.source.epoch;
        self.following.said().equal_at.map(|modseq| EqualAt { epoch, modseq })
    }

    /// Returns when a page is worth asking for: at once, unless the last one was empty.
    async fn wait_for_news(&mut self) {
        // What the source waits for is said first.
        if !self.is_idle || self.question.is_some() || self.equal() != self.told {
            return;
        }
        tokio::select! {
            // A source that can't be watched is asked now and then.
            _ = self.news.changed() => {}
            () = self.follower.called.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(NEWS_WAIT_MS)) => {}
            question = self.questions.recv() => self.question = question,
        }
    }

    async fn page(&mut self, after: Progress) -> Result<Page, CopyError> {
        self.news.mark_unchanged();
        // Asked before the page: what is sealed when this question comes is on the page.
        if self.question.is_none() {
            self.question = self.questions.try_recv().ok();
        }
        let page = match self.ahead.page(after).await? {
            Some(page) => page,
            None => {
                let equal = self.equal();
                let call = PageCall { after, rows_max: PAGE_ROWS_MAX as u64, equal };
                let page: Page = self.follower.ask(path::PAGE, &call).await?;
                self.told = equal;
                page
            }
        };
        let mut report = self.follower.report.lock();
        // Numbers that a takeover skipped are no changes.
        let skipped = skipped_after(after.rows.modseq, &page.forks);
        report.source_modseq = Modseq(page.head.modseq.0.saturating_sub(skipped));
        report.source_bytes = page.head.quota.bytes_used;
        report.source_items = page.head.quota.items_used;
        Ok(page)
    }

    async fn apply(&mut self, account: &LocalAccount, page: Page, blobs: Vec<CopiedBlob>) -> Result<(), CopyError> {
        let (is_empty, sealed) = (self.is_idle, page.head.role == Role::Sealed);
        if !page.is_last {
            self.ahead.begin(&self.follower, page.end());
        }
        let head = if is_empty { Some(account.head_of_copy().await?) } else { None };
        let applied = match head {
            // Most pages of a quiet account are empty: those are not worth a flush.
            Some(head)
                if head.role == Role::Follower
                    && head.modseq == page.head.modseq
                    && head.digest == page.head.digest =>
            {
                let progress = account.progress().await?;
                Ok(Applied { progress, modseq: head.modseq, digest: head.digest, is_equal: true })
            }
            _ => match account.follow(page, blobs).await {
                Err(FollowError::Store(error)) => return Err(AccountError::from(error).into()),
                applied => applied,
            },
        };
        failpoint::reached("target-applied");
        let is_equal = applied.as_ref().is_ok_and(|applied| applied.is_equal);
        self.following.on_applied(applied, self.follower.clock.now());
        {
            let mut report = self.follower.report.lock();
            report.trouble = None;
            if is_equal {
                report.equal_at = Some(Instant::now());
            }
            report.equal_since = match report.equal_since {
                _ if !is_equal => None,
                None => Some(self.follower.clock.now()),
                since => since,
            };
        }
        if is_equal && sealed {
            self.answer(account).await;
        }
        let Follower { account: id, asides, .. } = &*self.follower;
        if is_equal && asides.is_uncounted(*id) {
            asides.count(*id).await.map_err(AccountError::from)?;
        }
        Ok(())
    }

    /// Answers the cut-over's question: this copy is equal to an account that is sealed.
    async fn answer(&mut self, account: &LocalAccount) {
        let Some((call, answer)) = self.question.take() else { return };
        let ready = async {
            let head = account.head_of_copy().await?;
            match head.role {
                Role::Ready if head.epoch == call.epoch => {}
                Role::Follower => {}
                _ => return Err(CopyError::NotFollowing),
            }
            if End::of(&state_of(account).await?.said()) != call.end {
                return Err(CopyError::Differs);
            }
            failpoint::reached("target-readying");
            account.set_role(call.epoch, Role::Ready).await?;
            failpoint::reached("target-ready");
            Ok(())
        };
        // Whoever asked may have given up; the main node asks again.
        let _ = answer.send(ready.await);
    }

    fn trouble(&self, error: &CopyError) {
        let mut report = self.follower.report.lock();
        let text = error.to_string();
        if report.trouble.as_ref() != Some(&text) {
            let (account, source) = (self.follower.account, self.follower.source.node);
            tracing::warn!(%account, %source, %error, "a copy does not go on; it is tried again");
        }
        report.equal_since = None;
        report.trouble = Some(text);
    }
}
