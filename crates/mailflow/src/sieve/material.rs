//! One message as scripts look at it, and their runs on threads of their own.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use sterna_account::answered::Answered;
use sterna_account::service::{Message, MessageBody, Owner};
use sterna_account::{Account, AccountError, CommitError};
use sterna_base::AccountId;

use super::action::Outcome;
use super::interpret::{Stop, Subject, interpret};
use super::limits::{KILOBYTES_LOOKED_AT_MAX, QUESTIONS_MAX, RUN_TIMEOUT};
use super::mailboxes::Mailboxes;
use super::places::Place;
use super::plan::PlanError;
use super::program::Program;
use super::{Sieve, SieveSettings};

/// What the scripts of one delivery see.
pub struct Material {
    pub message: Bytes,
    pub mail_from: String,
    pub rcpt_to: String,
    pub owner: Owner,
    pub environment: Vec<(&'static str, String)>,
    pub mailboxes: Mailboxes,
    pub may_answer: bool,
    pub settings: SieveSettings,
}

impl Material {
    /// Runs a script, here.
    pub fn run(
        &self,
        program: &Program,
        includes: &BTreeMap<String, Arc<Program>>,
        known: &BTreeMap<String, bool>,
    ) -> Result<Outcome, Stop> {
        let subject = Subject {
            message: &self.message,
            mail_from: &self.mail_from,
            rcpt_to: &self.rcpt_to,
            owner: &self.owner,
            environment: &self.environment,
            mailboxes: &self.mailboxes,
            includes,
            may_answer: self.may_answer,
            steps: self.settings.steps,
            redirects: self.settings.redirects,
            vacation_least_seconds: self.settings.vacation_least_seconds,
        };
        interpret(program, &subject, known)
    }
}

/// What was asked about the past in one delivery.
#[derive(Default)]
pub struct Past {
    keys: Vec<String>,
    known: BTreeMap<String, bool>,
}

impl Past {
    /// Everything that was asked, as it is remembered now.
    ///
    /// # Errors
    /// When the account can't be read; [`CommitError::Unexpected`] when something is not as the scripts were told.
    pub async fn answered(&self, account: &dyn Account, sieve: &Sieve) -> Result<Answered, AccountError> {
        let answered = Answered::read(account, &self.keys, sieve.clock.now()).await?;
        let is_new = |key: &String| answered.contains(key) && self.known.get(key) == Some(&false);
        if self.keys.iter().any(is_new) {
            return Err(AccountError::Refused(CommitError::Unexpected));
        }
        Ok(answered)
    }
}

impl Sieve {
    /// Runs a script on a thread of its own, as often as it takes to know what it asks for.
    pub(super) async fn run(
        &self,
        account: &dyn Account,
        material: &Arc<Material>,
        program: &Arc<Program>,
        includes: &Arc<BTreeMap<String, Arc<Program>>>,
        past: &mut Past,
    ) -> Result<Outcome, PlanError> {
        for _ in 0..QUESTIONS_MAX {
            match self.run_once(account, material, program, includes, past).await {
                Err(Stop::Unknown(key)) => {
                    let answered = Answered::read(account, std::slice::from_ref(&key), self.clock.now()).await?;
                    past.known.insert(key.clone(), answered.contains(&key));
                    past.keys.push(key);
                }
                Err(Stop::Failed(why)) => return Err(PlanError::Script(why)),
                Ok(outcome) => return Ok(outcome),
            }
        }
        Err(PlanError::Script(format!("the script asks more than {QUESTIONS_MAX} times what is remembered")))
    }

    async fn run_once(
        &self,
        account: &dyn Account,
        material: &Arc<Material>,
        program: &Arc<Program>,
        includes: &Arc<BTreeMap<String, Arc<Program>>>,
        past: &Past,
    ) -> Result<Outcome, Stop> {
        let id = account.id();
        if self.stuck.lock().contains(&id) {
            return Err(Stop::Failed("an earlier run of the script did not come to its end".to_owned()));
        }
        let place = self.running.take(id, 1).await;
        let (material, program, includes) = (material.clone(), program.clone(), includes.clone());
        let (known, stuck) = (past.known.clone(), self.stuck.clone());
        let running = tokio::task::spawn_blocking(move || {
            let outcome = material.run(&program, &includes, &known);
            stuck.lock().remove(&id);
            drop(place);
            outcome
        });
        let mut running = running;
        match tokio::time::timeout(RUN_TIMEOUT, &mut running).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Stop::Failed("the interpreter could not run the script".to_owned())),
            Err(_) => {
                self.stuck.lock().insert(id);
                if running.is_finished() {
                    self.stuck.lock().remove(&id);
                }
                Err(Stop::Failed(format!("the script ran for more than {} seconds", RUN_TIMEOUT.as_secs())))
            }
        }
    }

    /// The whole message, and the place that it takes in memory.
    pub(super) async fn load(
        &self,
        account: AccountId,
        message: &Message,
    ) -> Result<(Bytes, Option<Place>), PlanError> {
        let spooled = match &message.body {
            MessageBody::Inline(bytes) => return Ok((bytes.clone(), None)),
            MessageBody::Spooled(spooled) => spooled.clone(),
        };
        let kilobytes = (message.size / 1024 + 1).min(KILOBYTES_LOOKED_AT_MAX);
        let place = self.kilobytes.take(account, kilobytes).await;
        let size = message.size;
        let reading = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
            std::fs::File::open(&spooled.path)?.take(size).read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(Bytes::from(bytes))
        });
        let read = reading.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let unreadable = |error| AccountError::Unavailable(format!("the spool file can't be read: {error}"));
        Ok((read.map_err(unreadable)?, place))
    }
}
