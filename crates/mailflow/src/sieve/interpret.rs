//! One run of one script over one message. It asks nobody: what it must know is given to it, and when it needs more it
//! says so and is run again.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mail_parser::{Address, Message, MessageParser};
use sieve::compiler::grammar::actions::action_redirect::{Notify as DsnNotify, NotifyItem};
use sieve::runtime::Variable;
use sieve::{Context, Envelope, Event, Importance, Input, Recipient, Script};
use sterna_account::service::Owner;

use super::action::{Action, Form, Notify, Outcome, Place, Vacation};
use super::limits::{
    ACTIONS_MAX, FIELD_BYTES_MAX, INCLUDES_NESTED_MAX, NOTIFICATIONS_MAX, OWN_ADDRESSES_MAX, REMEMBERED_SECONDS_MAX,
    VACATION_SECONDS, VARIABLE_BYTES_MAX,
};
use super::mailboxes::Mailboxes;
use super::program::{self, Program};
use super::{spam, subaddress};

/// What a script is told.
pub struct Subject<'a> {
    /// The message.
    pub message: &'a [u8],
    /// The reverse-path; empty for bounces.
    pub mail_from: &'a str,
    /// The recipient's address as it was given.
    pub rcpt_to: &'a str,
    /// The recipient.
    pub owner: &'a Owner,
    /// What `environment` tells, by name.
    pub environment: &'a [(&'static str, String)],
    /// The account's mailboxes.
    pub mailboxes: &'a Mailboxes,
    /// The scripts that may be included, by name.
    pub includes: &'a BTreeMap<String, Arc<Program>>,
    /// Whether the message may be answered at all.
    pub may_answer: bool,
    /// Steps and redirects that a run may take.
    pub steps: u64,
    /// See `steps`.
    pub redirects: u64,
    /// The shortest time between two answers to a sender, in seconds.
    pub vacation_least_seconds: u64,
}

/// Why a run came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It must be known whether this is remembered.
    Unknown(String),
    /// The script failed; the text is for its owner.
    Failed(String),
}

/// Runs a script. `known` says what is remembered.
///
/// # Errors
/// [`Stop`].
pub fn interpret(program: &Program, subject: &Subject<'_>, known: &BTreeMap<String, bool>) -> Result<Outcome, Stop> {
    let run = || {
        let mut runtime = program::runtime();
        runtime.set_cpu_limit(usize::try_from(subject.steps).unwrap_or(usize::MAX));
        runtime.set_max_nested_includes(INCLUDES_NESTED_MAX);
        // One more than there may be, so that a script that has too many is told so instead of losing some.
        runtime.set_max_redirects(usize::try_from(subject.redirects).unwrap_or(usize::MAX).saturating_add(1));
        runtime.set_max_out_messages(ACTIONS_MAX);
        runtime.set_max_received_headers(usize::MAX);
        runtime.set_max_variable_size(VARIABLE_BYTES_MAX);
        runtime.set_max_header_size(FIELD_BYTES_MAX);
        runtime.set_default_vacation_expiry(VACATION_SECONDS);
        // What the envelope says of the original recipient is where the interpreter looks for the owner's addresses.
        runtime.set_vacation_use_orig_rcpt(true);
        let mut envelope = vec![
            (Envelope::From, Variable::from(subject.mail_from.to_owned())),
            (Envelope::To, Variable::from(subject.rcpt_to.to_owned())),
        ];
        let owner = subject.owner;
        envelope.extend(subaddress::envelope(owner, subject.mail_from, subject.rcpt_to));
        let mut parsed = MessageParser::new().parse(subject.message);
        let with_details = parsed.as_ref().map(|message| own_addresses(owner, message)).unwrap_or_default();
        let own = owner.addresses.iter().cloned().chain([subject.rcpt_to.to_owned()]).chain(with_details);
        envelope.extend(own.map(|address| (Envelope::Orcpt, Variable::from(address))));
        let divides = |program: &Program| program.divides_fields;
        if let Some(message) = &mut parsed
            && (divides(program) || subject.includes.values().any(|program| divides(program)))
        {
            subaddress::add_fields(owner, message);
        }
        let context = parsed.map(|message| runtime.filter_parsed(message));
        let context = context.unwrap_or_else(|| runtime.filter(subject.message));
        let mut context = context.with_envelope_list(envelope);
        context.set_user_address(owner.addresses.first().map_or(subject.rcpt_to, String::as_str));
        context.set_user_full_name(&owner.name);
        for (name, value) in subject.environment {
            context.set_env_variable(*name, value.clone());
        }
        let (spam, virus) = spam::status(subject.message);
        context.set_spam_status(spam);
        context.set_virus_status(virus);
        Run { subject, known, outcome: Outcome::default(), vacation: None, seen: BTreeSet::new() }.run(context, program)
    };
    let failed = |_| Err(Stop::Failed("the interpreter could not run the script".to_owned()));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(failed)
}

/// Who the message says that it is for, as far as it is the owner with a detail: `vacation` wants to see an address
/// that it knows (RFC 5230 section 4.5).
fn own_addresses(owner: &Owner, message: &Message<'_>) -> Vec<String> {
    let fields = [message.to(), message.cc(), message.bcc()];
    let all = fields.into_iter().flatten().flat_map(Address::iter).filter_map(|found| found.address.as_deref());
    all.filter(|address| subaddress::is_own(owner, address)).take(OWN_ADDRESSES_MAX).map(str::to_owned).collect()
}

struct Run<'a, 'b> {
    subject: &'a Subject<'b>,
    known: &'a BTreeMap<String, bool>,
    outcome: Outcome,
    /// What a `vacation` that is about to answer asked for.
    vacation: Option<(String, u64)>,
    /// The interpreter's numbers of forms.
    seen: BTreeSet<usize>,
}

impl Run<'_, '_> {
    fn run(mut self, mut context: Context<'_>, program: &Program) -> Result<Outcome, Stop> {
        let mut input = Input::script("", program.sieve.clone());
        while let Some(event) = context.run(input) {
            input = match event {
                Ok(event) => self.event(event)?,
                Err(error) => return Err(Stop::Failed(error.to_string())),
            };
            if self.outcome.actions.len() > ACTIONS_MAX {
                return Err(Stop::Failed(format!("the script does more than {ACTIONS_MAX} things")));
            }
        }
        match self.outcome.conflict() {
            Some(why) => Err(Stop::Failed(why.to_owned())),
            None => Ok(self.outcome),
        }
    }

    fn event(&mut self, event: Event) -> Result<Input, Stop> {
        match event {
            Event::IncludeScript { name: Script::Personal(name), optional } => match self.subject.includes.get(&name) {
                Some(program) => return Ok(Input::script(name, program.sieve.clone())),
                None if optional => return Ok(Input::False),
                None => return Err(Stop::Failed(format!("there is no script \"{name}\" to include"))),
            },
            Event::IncludeScript { name, .. } => {
                return Err(Stop::Failed(format!("there is no global script \"{name}\" to include")));
            }
            Event::MailboxExists { mailboxes, special_use } => {
                return Ok(self.subject.mailboxes.exist(&mailboxes, &special_use).into());
            }
            Event::DuplicateId { id, expiry, last } => return self.duplicate(id, expiry, last),
            Event::CreatedMessage { message_id, message } => {
                self.seen.insert(message_id);
                self.outcome.forms.push(message);
            }
            Event::Keep { flags, message_id } => {
                let form = self.form(message_id);
                self.outcome.actions.push(Action::Keep { flags, form });
            }
            Event::FileInto { folder, flags, mailbox_id, special_use, create, message_id } => {
                let form = self.form(message_id);
                self.outcome.actions.push(if folder == program::KEEP {
                    Action::Keep { flags, form }
                } else {
                    Action::FileInto { place: Place { folder, mailbox_id, special_use, create }, flags, form }
                });
            }
            Event::Reject { reason, .. } => self.outcome.actions.push(Action::Reject { reason }),
            Event::SendMessage { recipient, notify, message_id, .. } => {
                self.redirect(recipient, &notify, message_id)?;
            }
            Event::Notify { from, importance, options, message, method } => {
                self.tell(from, importance, options, message, &method)?;
            }
            Event::Discard | Event::SetEnvelope { .. } => {}
            Event::ListContains { .. } | Event::Function { .. } => return Ok(Input::False),
        }
        Ok(Input::True)
    }

    /// The interpreter numbers its forms as it likes; ours are numbered as they came.
    fn form(&self, message_id: usize) -> Form {
        self.seen.iter().position(|id| *id == message_id).map_or(Form::ORIGINAL, |at| Form(at + 1))
    }

    fn duplicate(&mut self, id: String, seconds: u64, last: bool) -> Result<Input, Stop> {
        let is_vacation = id.starts_with("_v");
        let is_own = || subaddress::is_own(self.subject.owner, self.subject.mail_from);
        if is_vacation && (!self.subject.may_answer || is_own()) {
            return Ok(Input::True);
        }
        let key = if is_vacation { format!("vacation {}", &id[2..]) } else { format!("duplicate {id}") };
        let Some(&known) = self.known.get(&key) else { return Err(Stop::Unknown(key)) };
        let mut seconds = seconds.min(REMEMBERED_SECONDS_MAX);
        if is_vacation {
            seconds = seconds.max(self.subject.vacation_least_seconds);
            self.vacation = (!known).then_some((key, seconds));
        } else if (!known || last) && !self.outcome.remembered.iter().any(|(other, _)| *other == key) {
            self.outcome.remembered.push((key, seconds));
        }
        Ok(known.into())
    }

    fn redirect(&mut self, recipient: Recipient, notify: &DsnNotify, message_id: usize) -> Result<(), Stop> {
        let Recipient::Address(address) = recipient else {
            return Err(Stop::Failed("mail can't be redirected to a list".to_owned()));
        };
        let is_same = |action: &&Action| matches!(action, Action::Redirect { address: other, .. } if *other == address);
        if self.outcome.actions.iter().find(is_same).is_some() {
            return Ok(());
        }
        let redirects = |action: &&Action| matches!(action, Action::Redirect { .. });
        if self.outcome.actions.iter().filter(redirects).count() as u64 >= self.subject.redirects {
            let most = self.subject.redirects;
            return Err(Stop::Failed(format!("the script redirects a message more than {most} times")));
        }
        let form = self.form(message_id);
        self.outcome.actions.push(Action::Redirect { address, notify: dsn_notify(notify), form });
        Ok(())
    }

    fn tell(
        &mut self,
        from: Option<String>,
        importance: Importance,
        options: Vec<String>,
        message: String,
        method: &str,
    ) -> Result<(), Stop> {
        let Some(method) = method.strip_prefix(program::NOTIFY).and_then(|rest| rest.strip_prefix(':')) else {
            let [has_subject, subject, mime] = options.as_slice() else { return Ok(()) };
            let subject = (!has_subject.is_empty()).then(|| subject.clone());
            if self.outcome.actions.iter().any(|action| matches!(action, Action::Vacation(_))) {
                return Err(Stop::Failed("the script answers a message more than once".to_owned()));
            }
            let vacation = Vacation { from, subject, is_mime: !mime.is_empty(), reason: message };
            self.outcome.actions.push(Action::Vacation(vacation));
            self.outcome.remembered.extend(self.vacation.take());
            return Ok(());
        };
        if !program::is_mailto(method) {
            return Err(Stop::Failed(format!("nobody can be told by \"{method}\"")));
        }
        let notifies = |action: &&Action| matches!(action, Action::Notify(_));
        if self.outcome.actions.iter().filter(notifies).count() >= NOTIFICATIONS_MAX {
            return Err(Stop::Failed(format!("the script notifies more than {NOTIFICATIONS_MAX} times")));
        }
        let importance = match importance {
            Importance::High => 1,
            Importance::Normal => 2,
            Importance::Low => 3,
        };
        self.outcome.actions.push(Action::Notify(Notify { method: method.to_owned(), from, message, importance }));
        Ok(())
    }
}

fn dsn_notify(notify: &DsnNotify) -> Option<String> {
    match notify {
        DsnNotify::Never => Some("NEVER".to_owned()),
        DsnNotify::Items(items) => {
            let word = |item: &NotifyItem| match item {
                NotifyItem::Success => "SUCCESS",
                NotifyItem::Failure => "FAILURE",
                NotifyItem::Delay => "DELAY",
            };
            Some(items.iter().map(word).collect::<Vec<_>>().join(","))
        }
        DsnNotify::Default => None,
    }
}
