//! The main node at work on moves: asks [`next_step`] what to do, does it, and asks again. It keeps nothing that a
//! restart could lose.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sterna_base::{AccountId, Clock, NodeId, Timestamp, failpoint};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::book::{BookError, MoveBook, MoveEntry, Wish};
use super::core::answers::{Answers, Party};
use super::core::step::{AbortReason, MovePhase, Step, next_step};
use crate::copies::calls::{CopyState, ReadyCall, SealCall};
use crate::copies::client::{ClientError, CopiesClient};
use crate::limits::{COPIES_EXPIRE_ROUND_MS, MOVES_LISTED_MAX, MOVES_ROUND_MS};

/// Works on the moves of an installation.
pub struct Driver {
    book: Arc<dyn MoveBook>,
    copies: CopiesClient,
    clock: Arc<dyn Clock>,
}

/// What both ends of a move said, and what the last call that failed met.
#[derive(Default)]
struct Said {
    answers: Answers,
    trouble: Option<String>,
}

/// Whether a move's task has more to do.
enum Progress {
    GoesOn,
    Waits(Timestamp),
    Ended,
}

impl Driver {
    /// Over the main node's directory.
    pub fn new(book: Arc<dyn MoveBook>, copies: CopiesClient, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Driver { book, copies, clock })
    }

    /// Works until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.clone().work() => {}
            () = self.let_copies_go() => {}
        }
    }

    /// Kept copies go when their time is over.
    async fn let_copies_go(&self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(COPIES_EXPIRE_ROUND_MS));
        loop {
            ticks.tick().await;
            if let Err(error) = self.book.expire_copies(self.clock.as_ref()).await {
                tracing::warn!(%error, "copies whose time is over could not be let go; this is tried again");
            }
        }
    }

    /// A task for each move under way. Dropped, all of them end where they stand, and the next driver goes on there.
    async fn work(self: Arc<Self>) {
        let mut changed = self.book.changed();
        let (mut tasks, mut running) = (JoinSet::new(), HashMap::<AccountId, AbortHandle>::new());
        loop {
            changed.mark_unchanged();
            running.retain(|_, task| !task.is_finished());
            match self.due().await {
                Ok(due) => {
                    for account in due {
                        let drive = self.clone();
                        running
                            .entry(account)
                            .or_insert_with(|| tasks.spawn(async move { drive.drive(account).await }));
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the moves can't be read from the directory; this is tried again")
                }
            }
            while tasks.try_join_next().is_some() {}
            let round = tokio::time::sleep(Duration::from_millis(MOVES_ROUND_MS));
            tokio::select! {
                () = round => {}
                Some(_) = tasks.join_next() => {}
                ended = changed.changed() => if ended.is_err() { return std::future::pending().await },
            }
        }
    }

    /// Accounts whose moves are to be worked on now.
    async fn due(&self) -> Result<Vec<AccountId>, BookError> {
        let parallel = self.book.parallel().await;
        let entries = self.book.moves(MOVES_LISTED_MAX).await?;
        let is_under_way = |entry: &MoveEntry| !matches!(entry.view.phase, MovePhase::Planned);
        let mut room = parallel.saturating_sub(entries.iter().filter(|entry| is_under_way(entry)).count());
        let mut due = Vec::new();
        for entry in entries {
            let is_due = match entry.wish {
                Wish::GiveUp => true,
                // What is sealed is brought to its end; nobody waits for a person.
                Wish::Pause => matches!(entry.view.phase, MovePhase::CutOver { .. }),
                Wish::GoOn if is_under_way(&entry) => true,
                Wish::GoOn if room > 0 => {
                    room -= 1;
                    true
                }
                Wish::GoOn => false,
            };
            if is_due {
                due.push(entry.view.account);
            }
        }
        Ok(due)
    }

    /// Works on one move until it is over, or paused.
    async fn drive(&self, account: AccountId) {
        let (mut said, mut refused, mut changed) = (Said::default(), None, self.book.changed());
        loop {
            changed.mark_unchanged();
            let progress = match self.step(account, &mut said).await {
                Ok(progress) => progress,
                Err(error) => {
                    let error = error.to_string();
                    if refused.as_ref() != Some(&error) {
                        tracing::warn!(%account, %error, "a step of a move failed in the directory; it is tried again");
                    }
                    refused = Some(error);
                    Progress::Waits(self.clock.now().plus_ms(MOVES_ROUND_MS as i64))
                }
            };
            match progress {
                Progress::GoesOn => {}
                Progress::Ended => return,
                Progress::Waits(until) => {
                    let wait_ms = (until.0 - self.clock.now().0).max(0).unsigned_abs();
                    let waited = tokio::time::sleep(Duration::from_millis(wait_ms));
                    tokio::select! {
                        () = waited => {}
                        ended = changed.changed() => if ended.is_err() { return },
                    }
                }
            }
        }
    }

    async fn step(&self, account: AccountId, heard: &mut Said) -> Result<Progress, BookError> {
        let Some(entry) = self.book.entry(account).await? else { return Ok(Progress::Ended) };
        let is_cut_over = matches!(entry.view.phase, MovePhase::CutOver { .. });
        match entry.wish {
            Wish::GiveUp => {
                self.book.abort(account, false, "the job was aborted").await?;
                failpoint::reached("main-given-up");
                return Ok(Progress::Ended);
            }
            Wish::Pause if !is_cut_over => return Ok(Progress::Ended),
            _ => {}
        }
        let view = entry.view;
        match next_step(&view, &heard.answers, self.clock.now()) {
            Step::StartCopying => {
                failpoint::reached("main-planned");
                self.book.start_copying(account).await?;
                failpoint::reached("main-copying");
            }
            Step::AskSource => {
                if let Some(said) = self.wanted(account, self.copies.state(view.from, account)).await {
                    self.heard(heard, |answers| &mut answers.source, view.from, said);
                }
            }
            Step::AskTarget => {
                if let Some(said) = self.wanted(account, self.copies.state(view.to, account)).await {
                    self.heard(heard, |answers| &mut answers.target, view.to, said);
                }
            }
            Step::StartCutOver { deadline } => {
                let end = self.clock.now().plus_ms(self.book.cut_over_ms().await.max(1));
                self.book.start_cut_over(account, deadline.min(end)).await?;
                failpoint::reached("main-cut-over");
            }
            Step::Seal { epoch } => {
                let call = SealCall { epoch };
                let said = self.in_time(view.phase, view.from, self.copies.seal(view.from, account, &call)).await;
                self.heard(heard, |answers| &mut answers.source, view.from, said.map(Some));
                failpoint::reached("main-sealed");
            }
            Step::MakeReady { end, epoch } => {
                let call = self.copies.make_ready(view.to, account, ReadyCall { end, epoch });
                let said = self.in_time(view.phase, view.to, call).await;
                self.heard(heard, |answers| &mut answers.target, view.to, said.map(Some));
                failpoint::reached("main-ready");
            }
            Step::Commit { epoch } => {
                failpoint::reached("main-committing");
                self.book.commit(account, epoch).await?;
                failpoint::reached("main-committed");
                tracing::info!(%account, from = %view.from, to = %view.to, %epoch, "the account was moved");
                return Ok(Progress::Ended);
            }
            Step::Abort { retry, reason } => {
                // What took too long usually has a cause, and the administrator can do something about that.
                let reason = match (reason, std::mem::take(heard).trouble) {
                    (AbortReason::Deadline, Some(trouble)) => format!("{reason}: {trouble}"),
                    (reason, _) => reason.to_string(),
                };
                tracing::warn!(%account, to = %view.to, %reason, again = retry.is_some(), "a cut-over was given up");
                failpoint::reached("main-aborting");
                match retry {
                    Some(_) => self.book.abort(account, true, &reason).await?,
                    None => self.book.fail(account, &reason).await?,
                }
                failpoint::reached("main-aborted");
            }
            Step::Wait { until } => return Ok(Progress::Waits(until)),
            // The target follows the directory by itself.
            Step::TellTarget | Step::Done => return Ok(Progress::Ended),
        }
        Ok(Progress::GoesOn)
    }

    /// The answer to a question, unless the move is to be paused or given up meanwhile: a server that hangs must not
    /// keep the administrator waiting.
    async fn wanted<T>(&self, account: AccountId, question: impl Future<Output = T>) -> Option<T> {
        let mut changed = self.book.changed();
        tokio::pin!(question);
        loop {
            tokio::select! {
                answer = &mut question => return Some(answer),
                Ok(()) = changed.changed() => match self.book.entry(account).await {
                    Ok(Some(MoveEntry { wish: Wish::GoOn, .. })) | Err(_) => {}
                    Ok(_) => return None,
                },
            }
        }
    }

    /// A call of a cut-over, up to its deadline: a server that hangs must not keep the account sealed for as long as it
    /// takes to be noticed.
    async fn in_time(
        &self,
        phase: MovePhase,
        node: NodeId,
        call: impl Future<Output = Result<CopyState, ClientError>>,
    ) -> Result<CopyState, ClientError> {
        let MovePhase::CutOver { deadline, .. } = phase else { return call.await };
        let left_ms = (deadline.0 - self.clock.now().0).max(0).unsigned_abs();
        let answer = tokio::time::timeout(Duration::from_millis(left_ms), call).await;
        answer.unwrap_or_else(|_| Err(ClientError::Late(self.copies.name(node))))
    }

    fn heard(
        &self,
        heard: &mut Said,
        party: impl FnOnce(&mut Answers) -> &mut Party,
        node: NodeId,
        said: Result<Option<CopyState>, ClientError>,
    ) {
        let (now, party) = (self.clock.now(), party(&mut heard.answers));
        match said {
            Ok(state) => {
                party.answered(state.map(|state| state.said()), now);
                heard.trouble = None;
            }
            Err(error) => {
                tracing::debug!(%node, %error, "a party of a move did not do what it was asked");
                party.failed(now);
                // That the time was over says less than what was met before.
                if heard.trouble.is_none() || !matches!(error, ClientError::Late(_)) {
                    heard.trouble = Some(error.to_string());
                }
            }
        }
    }
}
