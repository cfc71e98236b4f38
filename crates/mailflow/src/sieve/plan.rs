//! From the scripts to what is to be done with one message in one account.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use sterna_account::answered::Trouble;
use sterna_account::scripts::{self, Script, Scripts};
use sterna_account::service::{Message, ScriptFault};
use sterna_account::{
    Account, AccountError, CommitError, Container, ContainerKind, FlagSet, Keyword, Mutation, Outcome as Done,
    SystemFlag,
};
use sterna_base::{BlobHash, ContainerId, OperationId};

use super::Sieve;
use super::action::{Action, Form, Outcome, Place};
use super::answer::Asked;
use super::limits::INCLUDES_MAX;
use super::mailboxes::{Found, Mailboxes};
use super::material::{Material, Past};
use super::program::Program;
use super::sent::Outgoing;
use crate::delivery::Keep;
use crate::provenance::Provenance;
use crate::queue::QueueError;

/// What is known of a delivery besides the message itself.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The reverse-path; empty for bounces.
    pub mail_from: String,
    /// The recipient's address as it was given; the first one, if several lead here.
    pub rcpt_to: String,
    /// The name that the client gave itself, and where it is, if it is known.
    pub peer: Option<(String, IpAddr)>,
    /// Whether the content has bytes over 127.
    pub eight_bit: bool,
    /// Whether SMTPUTF8 was said.
    pub utf8: bool,
    /// Where what nobody files goes.
    pub keep: Keep,
    /// What was found out on its way in.
    pub provenance: Provenance,
}

/// One copy of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    /// Where; `None` is where mail goes that nobody files.
    pub container: Option<ContainerId>,
    /// With which flags.
    pub flags: FlagSet,
    /// Zero is the message as it came, others are [`Plan::forms`] from one on.
    pub form: usize,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// Copies; none when the message is discarded or only sent on.
    pub filed: Vec<Filed>,
    /// Other forms of the message.
    pub forms: Vec<Bytes>,
    /// Steps of the same commit: what is remembered.
    pub remembered: Vec<Mutation>,
    /// Sent on before the commit: without it the message would be lost.
    pub redirected: Vec<Outgoing>,
    /// Sent after the commit: who is too late hears nothing, and nobody hears it twice.
    pub answers: Vec<Outgoing>,
    /// The sender gets it back, for this reason.
    pub rejected: Option<String>,
}

impl Plan {
    /// Mail that nobody files.
    pub fn keep() -> Self {
        let kept = Filed { container: None, flags: FlagSet::default(), form: 0 };
        Plan { filed: vec![kept], ..Plan::default() }
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The account could not be asked.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The queue takes nothing.
    #[error("what a script sends can't be queued: {}", .0.cause())]
    Queue(QueueError),
    /// The script failed.
    #[error("{0}")]
    Script(String),
}

/// One delivery.
pub struct Delivery<'a> {
    pub sieve: &'a Sieve,
    pub account: &'a dyn Account,
    pub transaction: OperationId,
    pub message: &'a Message,
    pub wanted: &'a Wanted,
}

impl Sieve {
    /// Runs the scripts for a message. `scripts` are the account's own as they are known; when they have changed, this
    /// is [`CommitError::Unexpected`].
    ///
    /// # Errors
    /// [`PlanError::Account`] and [`PlanError::Queue`]; a script that fails keeps the message.
    pub async fn plan(
        &self,
        account: &dyn Account,
        scripts: &Scripts,
        transaction: OperationId,
        message: &Message,
        wanted: &Wanted,
    ) -> Result<Plan, PlanError> {
        let delivery = Delivery { sieve: self, account, transaction, message, wanted };
        let active = scripts.active();
        match delivery.plan(scripts, active).await {
            Err(PlanError::Script(why)) => {
                self.tell_owner(account, active, why).await;
                Ok(Plan::keep())
            }
            plan => plan,
        }
    }

    /// Once: what is noted already is not noted again, nor logged.
    async fn tell_owner(&self, account: &dyn Account, script: Option<&Script>, text: String) {
        let Some(script) = script else { return };
        let trouble = Trouble { script: script.hash, text, since: self.clock.now() };
        let noted = match Trouble::read(account).await {
            Ok(Some(known)) if known.script == trouble.script && known.text == trouble.text => return,
            Ok(_) => trouble.note(account).await,
            Err(error) => Err(error),
        };
        tracing::warn!(
            account = %account.id(), script = script.name, trouble = trouble.text,
            "a Sieve script failed; the mail is kept in the INBOX. Its owner sees why with `sterna sieve show`"
        );
        if let Err(error) = noted {
            tracing::warn!(account = %account.id(), %error, "the trouble of a Sieve script could not be noted");
        }
    }
}

impl Delivery<'_> {
    async fn plan(&self, scripts: &Scripts, active: Option<&Script>) -> Result<Plan, PlanError> {
        let (sieve, account) = (self.sieve, self.account);
        let containers = account.containers().await?;
        if highest(&containers) != scripts.highest_modseq {
            return Err(AccountError::Refused(CommitError::Unexpected).into());
        }
        let mut owner = sieve.recipients.owner(account.id()).await.unwrap_or_default();
        if owner.addresses.is_empty() {
            owner.addresses.push(self.wanted.rcpt_to.clone());
        }
        let (bytes, _place) = sieve.load(account.id(), self.message).await?;
        let asked = Asked::of(&bytes, &self.wanted.mail_from);
        let domain_scripts = (owner.script_before.clone(), owner.script_after.clone());
        let material = Arc::new(Material {
            message: bytes,
            mail_from: self.wanted.mail_from.clone(),
            rcpt_to: self.wanted.rcpt_to.clone(),
            environment: self.environment(),
            mailboxes: Mailboxes::new(account.id(), containers),
            // Who sends junk gives addresses of others.
            may_answer: asked.may_answer && self.wanted.keep == Keep::Inbox,
            settings: sieve.settings(),
            owner,
        });
        let mut past = Past::default();
        let mut outcome = kept();
        self.domain_script(domain_scripts.0, "before", &material, &mut past, &mut outcome).await;
        if let Some(active) = active
            && outcome.keeps()
        {
            let program = self.program(active).await?;
            let includes = self.includes(scripts, &program).await?;
            let own = sieve.run(account, &material, &program, &Arc::new(includes), &mut past).await?;
            outcome.then(own);
        }
        self.domain_script(domain_scripts.1, "after", &material, &mut past, &mut outcome).await;
        if let Some(why) = outcome.conflict() {
            return Err(PlanError::Script(why.to_owned()));
        }
        self.carry_out(outcome, &material, &asked, &past).await
    }

    /// A script of the administrators that fails is as if it were not there: they find it in the log.
    async fn domain_script(
        &self,
        text: Option<String>,
        which: &str,
        material: &Arc<Material>,
        past: &mut Past,
        outcome: &mut Outcome,
    ) {
        let Some(text) = text else { return };
        if !outcome.keeps() {
            return;
        }
        let run = async {
            let broken = |fault: ScriptFault| PlanError::Script(fault.to_string());
            let program = self.sieve.programs.compile(text.into()).await.map_err(broken)?;
            self.sieve.run(self.account, material, &program, &Arc::default(), past).await
        };
        match run.await {
            Ok(next) => outcome.then(next),
            Err(error) => tracing::error!(
                account = %self.account.id(), which, %error,
                "the Sieve script of a domain failed and was passed over; look at it with `sterna sieve domain show`"
            ),
        }
    }

    async fn program(&self, script: &Script) -> Result<Arc<Program>, PlanError> {
        let broken = |fault: ScriptFault| PlanError::Script(fault.to_string());
        if let Some(kept) = self.sieve.programs.kept(script.hash) {
            return kept.map_err(broken);
        }
        let text = scripts::text(self.account, &script.name).await?.unwrap_or_default();
        if BlobHash::of(&text) != script.hash {
            return Err(AccountError::Refused(CommitError::Unexpected).into());
        }
        self.sieve.programs.compile(text).await.map_err(broken)
    }

    /// The scripts that a script may include, and those that these may.
    async fn includes(
        &self,
        scripts: &Scripts,
        program: &Program,
    ) -> Result<BTreeMap<String, Arc<Program>>, PlanError> {
        let mut found = BTreeMap::new();
        let mut names = program.includes.clone();
        while let Some(name) = names.pop() {
            if found.contains_key(&name) {
                continue;
            }
            // One that is not there is the run's matter: it may be optional.
            let Some(script) = scripts.named(&name) else { continue };
            let program = self.program(script).await?;
            names.extend(program.includes.iter().cloned());
            found.insert(name, program);
            if found.len() > INCLUDES_MAX {
                return Err(PlanError::Script(format!("the script includes more than {INCLUDES_MAX} others")));
            }
        }
        Ok(found)
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let own_name = self.sieve.ways.as_ref().map(|ways| ways.outbound.own_name()).unwrap_or_default();
        let mut environment = vec![
            ("name", "Sterna".to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("location", "MDA".to_owned()),
            ("phase", "during".to_owned()),
            ("domain", own_name.split_once('.').map(|(_, domain)| domain.to_owned()).unwrap_or_default()),
            ("host", own_name),
        ];
        if let Some((helo, peer)) = &self.wanted.peer {
            environment.push(("remote-host", helo.clone()));
            environment.push(("remote-ip", peer.to_string()));
        }
        environment
    }

    async fn carry_out(
        &self,
        outcome: Outcome,
        material: &Material,
        asked: &Asked,
        past: &Past,
    ) -> Result<Plan, PlanError> {
        let now = self.sieve.clock.now();
        let mut plan =
            Plan { forms: outcome.forms.iter().map(|form| Bytes::from(form.clone())).collect(), ..Plan::default() };
        let mut keys: Vec<_> = outcome.remembered;
        for action in outcome.actions {
            match action {
                Action::Keep { flags, form } => file(&mut plan, None, &flags, form),
                Action::FileInto { place, flags, form } => {
                    let container = self.place(&place, &material.mailboxes).await?;
                    file(&mut plan, container, &flags, form);
                }
                Action::Redirect { address, notify, form } => {
                    let sent = self.redirect(&address, notify, form, &plan.forms, material).await?;
                    plan.redirected.push(sent);
                }
                Action::Reject { reason } => plan.rejected = Some(reason),
                Action::Vacation(vacation) => plan.answers.extend(self.vacation(&vacation, material, asked).await),
                Action::Notify(notify) => plan.answers.extend(self.notify(&notify, material, asked)),
            }
        }
        if plan.answers.is_empty() {
            keys.retain(|(key, _)| !key.starts_with("vacation "));
        }
        if plan.rejected.is_none() {
            let until = |seconds: u64| now.plus_ms(i64::try_from(seconds).unwrap_or(0).saturating_mul(1000));
            let keys: Vec<_> = keys.into_iter().map(|(key, seconds)| (key, until(seconds))).collect();
            let answered = past.answered(self.account, self.sieve).await?;
            plan.remembered = answered.remember(self.account, &keys, now).await?;
        }
        Ok(plan)
    }

    /// Where a script files mail; made, if it asks for that.
    async fn place(&self, place: &Place, mailboxes: &Mailboxes) -> Result<Option<ContainerId>, PlanError> {
        let (mut parent, missing) = match mailboxes.place(place) {
            Found::Here(found) => return Ok(Some(found)),
            Found::Missing(parent, missing) => (parent, missing),
            Found::Nowhere => {
                return Err(PlanError::Script(format!("there is no mailbox \"{}\"", place.folder)));
            }
        };
        for name in missing {
            let kind = ContainerKind::Mail;
            let step = Mutation::CreateContainer { parent, kind, name: name.clone(), special_use: None };
            match self.account.commit(OperationId::random(), vec![step]).await {
                Ok(done) => match done.outcomes.first() {
                    Some(Done::Container { id, .. }) => parent = Some(*id),
                    _ => return Ok(None),
                },
                // Another delivery was faster: look once more.
                Err(AccountError::Refused(CommitError::NameTaken)) => {
                    return Err(AccountError::Refused(CommitError::Unexpected).into());
                }
                Err(AccountError::Refused(error @ (CommitError::InvalidName | CommitError::Limit(_)))) => {
                    return Err(PlanError::Script(format!("the mailbox \"{}\" can't be made: {error}", place.folder)));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(parent)
    }
}

/// Before any script ran.
fn kept() -> Outcome {
    let keep = Action::Keep { flags: Vec::new(), form: Form::ORIGINAL };
    Outcome { actions: vec![keep], ..Outcome::default() }
}

fn highest(containers: &[Container]) -> Option<sterna_base::Modseq> {
    let is_it = |container: &&Container| {
        container.kind == ContainerKind::Sieve && container.parent.is_none() && container.name == scripts::CONTAINER
    };
    containers.iter().find(is_it).map(|container| container.highest_modseq)
}

/// Into one mailbox a message is filed once (RFC 5228 section 2.10.3), with the flags of the last time.
fn file(plan: &mut Plan, container: Option<ContainerId>, flags: &[String], form: Form) {
    let filed = Filed { container, flags: flag_set(flags), form: form.0 };
    match plan.filed.iter_mut().find(|other| other.container == container && other.form == form.0) {
        Some(other) => *other = filed,
        None => plan.filed.push(filed),
    }
}

/// Flags that nobody can set are passed over (RFC 5232 section 2).
fn flag_set(names: &[String]) -> FlagSet {
    let mut flags = FlagSet::default();
    for name in names.iter().flat_map(|names| names.split_ascii_whitespace()) {
        if let Some(flag) = SystemFlag::parse(name) {
            flags = flags.with(flag);
        } else if let Ok(keyword) = Keyword::new(name) {
            flags.insert(keyword);
        }
    }
    flags
}
