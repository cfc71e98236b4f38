//! What scripts would do with a message, told to people: `sterna sieve test`. Nothing is done.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use sterna_account::service::{Owner, ScriptFault};
use sterna_formats::smtp::subaddresses;

use super::SieveSettings;
use super::action::Action;
use super::answer::Asked;
use super::interpret::Stop;
use super::limits::QUESTIONS_MAX;
use super::mailboxes::Mailboxes;
use super::material::Material;
use super::program::compile;

/// A message and its envelope.
#[derive(Clone, Debug, Default)]
pub struct DryRun {
    /// The message.
    pub message: Bytes,
    /// The reverse-path.
    pub mail_from: String,
    /// The recipient, whose script it would be.
    pub rcpt_to: String,
    /// The recipient's name.
    pub name: String,
    /// What separates addresses from their details (RFC 5233).
    pub plus_separators: String,
}

/// Why nothing can be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DryRunError {
    /// It is no script.
    #[error(transparent)]
    Script(#[from] ScriptFault),
    /// It fails with this message, which would be kept in the INBOX.
    #[error("the script fails, and the message is kept in the INBOX: {0}")]
    Failed(String),
}

/// Runs a script: one line for each thing that it would do. Nothing is remembered, and all mailboxes are taken for not
/// there. Takes a while: not for async workers.
///
/// # Errors
/// [`DryRunError`].
pub fn dry_run(script: &[u8], run: &DryRun) -> Result<Vec<String>, DryRunError> {
    let program = Arc::new(compile(script)?);
    let asked = Asked::of(&run.message, &run.mail_from);
    let material = Material {
        message: run.message.clone(),
        mail_from: run.mail_from.clone(),
        rcpt_to: run.rcpt_to.clone(),
        owner: Owner {
            addresses: vec![without_detail(&run.rcpt_to, &run.plus_separators)],
            name: run.name.clone(),
            plus_separators: run.plus_separators.clone(),
            ..Owner::default()
        },
        environment: vec![
            ("name", "Sterna".to_owned()),
            ("location", "MDA".to_owned()),
            ("phase", "during".to_owned()),
        ],
        mailboxes: Mailboxes::default(),
        may_answer: asked.may_answer,
        settings: SieveSettings::default(),
    };
    let mut known = BTreeMap::new();
    for _ in 0..QUESTIONS_MAX {
        match material.run(&program, &BTreeMap::new(), &known) {
            Ok(outcome) if outcome.actions.is_empty() => return Ok(vec!["discard".to_owned()]),
            Ok(outcome) => return Ok(outcome.actions.iter().map(describe).collect()),
            Err(Stop::Unknown(key)) => drop(known.insert(key, false)),
            Err(Stop::Failed(why)) => return Err(DryRunError::Failed(why)),
        }
    }
    Err(DryRunError::Failed("the script asks too often what is remembered".to_owned()))
}

/// Nobody knows here whose address it is: what stands before the first separator is taken for it.
fn without_detail(address: &str, separators: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let user = subaddresses(local, separators).next().map_or(local, |(user, _)| user);
    format!("{user}@{domain}")
}

fn describe(action: &Action) -> String {
    let with = |flags: &[String]| if flags.is_empty() { String::new() } else { format!(" with {}", flags.join(" ")) };
    match action {
        Action::Keep { flags, form } => format!("keep in the INBOX{}{}", with(flags), changed(form.0)),
        Action::FileInto { place, flags, form } => {
            let made = if place.create { ", made if it isn't there" } else { "" };
            let special = place.special_use.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            format!("file into \"{}\"{special}{}{}{made}", place.folder, with(flags), changed(form.0))
        }
        Action::Redirect { address, form, .. } => format!("redirect to {address}{}", changed(form.0)),
        Action::Reject { reason } => format!("reject: {}", reason.trim()),
        Action::Vacation(vacation) => format!("answer the sender: {}", vacation.reason.trim()),
        Action::Notify(notify) => format!("notify {}: {}", notify.method, notify.message),
    }
}

fn changed(form: usize) -> &'static str {
    if form > 0 { ", changed" } else { "" }
}
