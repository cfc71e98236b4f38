//! One connection to a milter: one transaction.

use std::path::{Path, PathBuf};

use bytes::BytesMut;
use sterna_account::service::Refusal;
use sterna_formats::milter::{
    Actions, Answer, BODY_CHUNK_BYTES, Command, Modification, Offer, Options, Stage, Steps, next_packet, write_packet,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::body::NewBody;
use super::steps::{self, Step};
use crate::auth::header;
use crate::filter::endpoint::Wire;
use crate::filter::field::words;
use crate::filter::{Action, Change, Draft, Endpoint, EnvelopeChange, Facts, FilterError, Verdict};

/// Changes that a milter may want of one message, pieces of a new body not counted.
const CHANGES_MAX: usize = 1000;

/// Longest text of a milter that senders are told, in bytes.
const TEXT_BYTES_MAX: usize = 400;

/// See the module.
pub struct Dialog {
    wire: Box<dyn Wire>,
    input: BytesMut,
    output: BytesMut,
    options: Options,
    spool_folder: PathBuf,
}

/// What a milter says about a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Go on.
    Continue,
    /// Take it, and ask no more.
    Accept,
    /// Refuse it.
    Refuse(Refusal),
    /// Throw it away.
    Discard,
}

/// What comes before the final word about a message.
struct Wishes {
    changes: Vec<Change>,
    envelope: Vec<EnvelopeChange>,
    body: Option<NewBody>,
    quarantine: Option<String>,
}

impl Dialog {
    /// Connects, and agrees on what is told.
    ///
    /// # Errors
    /// [`FilterError`].
    pub async fn open(endpoint: &Endpoint, spool_folder: &Path) -> Result<Self, FilterError> {
        let wire = endpoint.connect().await?;
        let (input, output, options) = (BytesMut::new(), BytesMut::new(), Options::default());
        let mut dialog = Dialog { wire, input, output, options, spool_folder: spool_folder.to_owned() };
        write_packet(b'O', &Offer::ALL.encode(), &mut dialog.output);
        dialog.send().await?;
        dialog.options = match dialog.answer().await? {
            Answer::Options(data) => Offer::ALL.agree(&data).map_err(|e| FilterError::Protocol(e.to_string()))?,
            other => return Err(unexpected(&other)),
        };
        Ok(dialog)
    }

    /// The milter's version of the protocol.
    pub fn version(&self) -> u32 {
        self.options.version
    }

    async fn send(&mut self) -> Result<(), FilterError> {
        self.wire.write_all(&self.output).await?;
        self.output.clear();
        Ok(self.wire.flush().await?)
    }

    async fn answer(&mut self) -> Result<Answer, FilterError> {
        loop {
            let packet = next_packet(&mut self.input).map_err(|error| FilterError::Protocol(error.to_string()))?;
            if let Some(packet) = packet {
                match Answer::read(&packet).map_err(|error| FilterError::Protocol(error.to_string()))? {
                    Answer::Progress => continue,
                    answer => return Ok(answer),
                }
            }
            if self.wire.read_buf(&mut self.input).await? == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    fn put(&mut self, step: &Step) {
        let macros: Vec<(&str, &str)> = step.macros.iter().map(|(name, value)| (*name, &**value)).collect();
        if !macros.is_empty() {
            Command::write_macros(step.stage, &macros, &mut self.output);
        }
        step.command.write(&mut self.output);
    }

    /// Tells it one step; what it says.
    ///
    /// # Errors
    /// [`FilterError`].
    pub async fn step(&mut self, step: &Step) -> Result<Said, FilterError> {
        Ok(self.told(step).await?.unwrap_or(Said::Continue))
    }

    /// The same; `None` when it wants no more of this step's kind.
    async fn told(&mut self, step: &Step) -> Result<Option<Said>, FilterError> {
        if !self.options.wants(step.stage) {
            return Ok(Some(Said::Continue));
        }
        self.put(step);
        self.send().await?;
        if !self.options.answers(step.stage) {
            return Ok(Some(Said::Continue));
        }
        match self.answer().await? {
            Answer::Skip => Ok(None),
            answer => said(answer).map(Some),
        }
    }

    /// Tells it the message, after the envelope; its verdict. The dialog is over then.
    ///
    /// # Errors
    /// [`FilterError`].
    pub async fn message(&mut self, facts: &Facts<'_>, draft: &Draft) -> Result<Verdict, FilterError> {
        let verdict = match self.content(facts, draft).await? {
            Said::Continue => self.end(facts, draft).await?,
            Said::Accept => Verdict::new(Action::Accept, "accepted before the end"),
            Said::Discard => Verdict::new(Action::Discard, "discarded before the end"),
            Said::Refuse(refusal) => {
                let why = refusal.text.clone();
                Verdict::new(Action::Refuse(refusal), why)
            }
        };
        self.quit().await;
        Ok(verdict)
    }

    async fn content(&mut self, facts: &Facts<'_>, draft: &Draft) -> Result<Said, FilterError> {
        let plain = |stage, command| Step::plain(facts, stage, command);
        let mut said = self.step(&plain(Stage::Data, Command::Data)).await?;
        let with_space = self.options.steps.has(Steps::LEADING_SPACE);
        for field in shown(draft) {
            let Some(command) = steps::header(field, with_space) else { continue };
            if said != Said::Continue {
                return Ok(said);
            }
            said = self.step(&Step { stage: Stage::Header, macros: Vec::new(), command }).await?;
        }
        if said == Said::Continue {
            said = self.step(&plain(Stage::EndOfHeader, Command::EndOfHeader)).await?;
        }
        let mut reader = draft.read_body();
        let wants_body = self.options.wants(Stage::Body);
        while wants_body && said == Said::Continue {
            let Some(mut piece) = reader.next().await.map_err(FilterError::Message)? else { break };
            while said == Said::Continue && !piece.is_empty() {
                let chunk = piece.split_to(piece.len().min(BODY_CHUNK_BYTES));
                let step = Step { stage: Stage::Body, macros: Vec::new(), command: Command::Body(chunk) };
                match self.told(&step).await? {
                    Some(answer) => said = answer,
                    None => return Ok(Said::Continue),
                }
            }
        }
        Ok(said)
    }

    /// The end of the message, what is to be changed, and the final word.
    async fn end(&mut self, facts: &Facts<'_>, draft: &Draft) -> Result<Verdict, FilterError> {
        self.put(&Step::plain(facts, Stage::EndOfMessage, Command::EndOfMessage));
        self.send().await?;
        let mut wishes = Wishes { changes: Vec::new(), envelope: Vec::new(), body: None, quarantine: None };
        let said = loop {
            match self.answer().await? {
                Answer::Modification(wish) => self.wish(wish, &mut wishes, draft).await?,
                answer => break said(answer)?,
            }
        };
        let Wishes { mut changes, envelope, body, quarantine } = wishes;
        if let Some(body) = body {
            let (body, size) = body.finish().await.map_err(FilterError::Message)?;
            changes.push(Change::Body { body, size });
        }
        let (action, why) = match (said, quarantine) {
            (Said::Refuse(refusal), _) => {
                let why = refusal.text.clone();
                (Action::Refuse(refusal), why)
            }
            (Said::Discard, _) => (Action::Discard, "discarded".to_owned()),
            (_, Some(why)) => (Action::Quarantine, why),
            _ => (Action::Accept, format!("{} changes", changes.len() + envelope.len())),
        };
        Ok(Verdict { action, why, changes, envelope })
    }

    /// Takes a wish down; one for what the milter did not say it would do is passed over.
    async fn wish(&mut self, wish: Modification, wishes: &mut Wishes, draft: &Draft) -> Result<(), FilterError> {
        if wishes.changes.len() + wishes.envelope.len() >= CHANGES_MAX {
            return Err(FilterError::Protocol(format!("more than {CHANGES_MAX} changes")));
        }
        if !may(self.options.actions, &wish) {
            tracing::info!(?wish, "a milter wants a change of a kind that it did not ask for");
            return Ok(());
        }
        let spaced = |value: String| match self.options.steps.has(Steps::LEADING_SPACE) {
            true => value,
            false if value.is_empty() => value,
            false => format!(" {value}"),
        };
        match wish {
            Modification::AddHeader { name, value } => {
                wishes.changes.push(Change::Append { name, value: spaced(value) });
            }
            Modification::InsertHeader { index, name, value } => {
                let at = usize::try_from(index).unwrap_or(usize::MAX);
                wishes.changes.push(Change::Insert { at, name, value: spaced(value) });
            }
            Modification::ChangeHeader { index, name, value } => {
                let hidden = i64::from(hidden(draft).into_iter().flatten().any(|own| own.eq_ignore_ascii_case(&name)));
                let number = i64::from(index).max(1) + hidden;
                wishes.changes.push(Change::Replace { name, number, value: spaced(value) });
            }
            Modification::ReplaceBody(piece) => {
                let body = wishes.body.take().unwrap_or_else(|| NewBody::new(&self.spool_folder));
                wishes.body = Some(body.push(&piece).await.map_err(FilterError::Message)?);
            }
            Modification::AddRcpt(address) => wishes.envelope.push(EnvelopeChange::AddRcpt(address)),
            Modification::DeleteRcpt(address) => wishes.envelope.push(EnvelopeChange::RemoveRcpt(address)),
            Modification::ChangeFrom(address) => wishes.envelope.push(EnvelopeChange::From(address)),
            Modification::Quarantine(why) => wishes.quarantine = Some(words(&why, TEXT_BYTES_MAX)),
        }
        Ok(())
    }

    /// A farewell; whether it is heard doesn't matter.
    pub async fn quit(&mut self) {
        Command::Quit.write(&mut self.output);
        let _ = self.send().await;
    }
}

/// Our own trace fields, which milters are not shown, as sendmail doesn't: they would count them among the sender's.
fn hidden(draft: &Draft) -> [Option<&'static str>; 2] {
    let return_path = draft.fields().first().is_some_and(|field| header::value(field, "Return-Path").is_some());
    [return_path.then_some("Return-Path"), draft.has("Received").then_some("Received")]
}

/// The fields that a milter is shown.
fn shown(draft: &Draft) -> impl Iterator<Item = &[u8]> {
    let mut hidden = hidden(draft);
    draft.fields().iter().map(Vec::as_slice).filter(move |field| {
        let own = hidden.iter_mut().find(|own| own.is_some_and(|name| header::value(field, name).is_some()));
        own.map(Option::take).is_none()
    })
}

/// Whether a milter said that it would do such a thing.
fn may(allowed: Actions, wish: &Modification) -> bool {
    let needed = match wish {
        Modification::AddHeader { .. } | Modification::InsertHeader { .. } => Actions::ADD_HEADERS,
        Modification::ChangeHeader { .. } => Actions::CHANGE_HEADERS,
        Modification::ReplaceBody(_) => Actions::CHANGE_BODY,
        Modification::AddRcpt(_) if allowed.has(Actions::ADD_RCPT_PARAMS) => return true,
        Modification::AddRcpt(_) => Actions::ADD_RCPT,
        Modification::DeleteRcpt(_) => Actions::DELETE_RCPT,
        Modification::ChangeFrom(_) => Actions::CHANGE_FROM,
        Modification::Quarantine(_) => Actions::QUARANTINE,
    };
    allowed.has(needed)
}

fn said(answer: Answer) -> Result<Said, FilterError> {
    Ok(match answer {
        Answer::Continue | Answer::Skip => Said::Continue,
        Answer::Accept => Said::Accept,
        Answer::Discard => Said::Discard,
        Answer::Reject => Said::Refuse(Refusal::new(550, (5, 7, 1), "Not taken here")),
        Answer::TempFail => Said::Refuse(Refusal::new(451, (4, 7, 1), "Not taken now; try again later")),
        Answer::ReplyCode { code, enhanced, text } => {
            // 421 would promise that the connection ends.
            let code = if code == 421 { 451 } else { code };
            let class = if code < 500 { 4 } else { 5 };
            let text = words(&text, TEXT_BYTES_MAX);
            let text = if text.is_empty() { "Not taken here".to_owned() } else { text };
            Said::Refuse(Refusal::new(code, enhanced.unwrap_or((class, 7, 1)), text))
        }
        Answer::Shutdown => Said::Refuse(Refusal::new(451, (4, 3, 2), "Not taken now; try again later")),
        Answer::ConnectionFailure => return Err(FilterError::Unable("it can't be asked any more".to_owned())),
        other @ (Answer::Options(_) | Answer::Modification(_) | Answer::Progress) => return Err(unexpected(&other)),
    })
}

fn unexpected(answer: &Answer) -> FilterError {
    FilterError::Protocol(words(&format!("{answer:.100?}"), TEXT_BYTES_MAX))
}
