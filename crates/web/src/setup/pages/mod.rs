//! The pages, one file each: what it shows, and what its form does.

mod administrator;
mod backup;
pub mod certificate;
pub mod checks;
pub mod dns;
mod entrance;
mod fields;
mod people;
mod place;
pub mod proof;
pub mod storage;

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};

pub use entrance::{entrance, missing, over};

use super::answers::Mistakes;
use super::door::Refusal;
use super::state::State;
use super::{PATH, Setup, guard};
use crate::form::Form;
use crate::i18n::{Lang, text};
use crate::page::Page;

/// The steps, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Who administers it.
    Administrator,
    /// Where it is found.
    Place,
    /// What is looked at.
    Checks,
    /// What DNS should have.
    Dns,
    /// What clients see.
    Certificate,
    /// Where accounts live.
    Storage,
    /// Where copies go.
    Backup,
    /// Who gets accounts.
    People,
    /// Whether it works.
    Proof,
}

impl Step {
    /// All of them.
    pub const ALL: [Step; 9] = [
        Step::Administrator,
        Step::Place,
        Step::Checks,
        Step::Dns,
        Step::Certificate,
        Step::Storage,
        Step::Backup,
        Step::People,
        Step::Proof,
    ];

    fn slug(self) -> &'static str {
        match self {
            Step::Administrator => "administrator",
            Step::Place => "place",
            Step::Checks => "checks",
            Step::Dns => "dns",
            Step::Certificate => "certificate",
            Step::Storage => "storage",
            Step::Backup => "backup",
            Step::People => "people",
            Step::Proof => "proof",
        }
    }

    /// From the last part of a path.
    pub fn from_slug(slug: &str) -> Option<Self> {
        Step::ALL.into_iter().find(|step| step.slug() == slug)
    }

    /// Its path.
    pub fn path(self) -> String {
        format!("{PATH}/{}", self.slug())
    }

    /// The one after it; the last leads to itself.
    pub fn next(self) -> Self {
        Step::ALL.into_iter().find(|step| *step > self).unwrap_or(self)
    }

    fn title(self, lang: Lang) -> &'static str {
        match self {
            Step::Administrator => text::setup_administrator_title(lang),
            Step::Place => text::setup_place_title(lang),
            Step::Checks => text::setup_checks_title(lang),
            Step::Dns => text::setup_dns_title(lang),
            Step::Certificate => text::setup_certificate_title(lang),
            Step::Storage => text::setup_storage_title(lang),
            Step::Backup => text::setup_backup_title(lang),
            Step::People => text::setup_people_title(lang),
            Step::Proof => text::setup_proof_title(lang),
        }
    }

    /// What is asked there; what only shows something asks nothing.
    fn why(self, lang: Lang) -> &'static str {
        match self {
            Step::Administrator => text::setup_administrator_why(lang),
            Step::Place => text::setup_place_why(lang),
            Step::Checks => text::setup_checks_why(lang),
            Step::Dns => text::setup_dns_why(lang),
            Step::Certificate => text::setup_certificate_why(lang),
            Step::Storage => text::setup_storage_why(lang),
            Step::Backup => text::setup_backup_why(lang),
            Step::People => text::setup_people_why(lang),
            Step::Proof => text::setup_proof_why(lang),
        }
    }

    /// Whether it was answered; what asks nothing never is.
    fn is_answered(self, state: &State) -> bool {
        let answers = &state.answers;
        match self {
            Step::Administrator => answers.administrator.is_some(),
            Step::Place => state.made.domain.is_some(),
            Step::Certificate => answers.certificate.is_some(),
            Step::Storage => answers.storage.is_some(),
            Step::Backup => answers.backup.is_some(),
            Step::People => answers.people.is_some(),
            Step::Proof => state.made.proof.is_some(),
            Step::Checks | Step::Dns => false,
        }
    }

    /// Where somebody goes on who comes back: the first question without an answer, or else the end. The pages without
    /// a question lie on the way.
    pub fn first_open(state: &State) -> Self {
        let mut questions = Step::ALL.into_iter().filter(|step| !matches!(step, Step::Checks | Step::Dns));
        let open = questions.find(|step| !step.is_answered(state)).unwrap_or(Step::Proof);
        if open == Step::Certificate { Step::Checks } else { open }
    }

    /// Whether it can be shown: without a domain only the first two.
    fn is_reachable(self, state: &State) -> bool {
        match self {
            Step::Administrator => true,
            Step::Place => state.answers.administrator.is_some(),
            _ => state.made.administrator.is_some(),
        }
    }
}

/// What a page is made from.
pub struct Cx<'a> {
    /// The setup.
    pub setup: &'a Setup,
    /// How far it is.
    pub state: Arc<State>,
    /// The language of the page.
    pub lang: Lang,
    /// Which page.
    pub step: Step,
    token: String,
}

impl<'a> Cx<'a> {
    /// A page of a session.
    pub fn new(setup: &'a Setup, lang: Lang, secret: &str, step: Step) -> Self {
        Cx { setup, state: setup.state(), lang, step, token: guard::token(secret) }
    }

    /// The field that makes a form ours.
    pub fn token(&self) -> Markup {
        html! { input type="hidden" name=(guard::TOKEN_FIELD) value=(self.token); }
    }
}

/// Where a form leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To the same page.
    Stay,
    /// To another.
    Step(Step),
    /// Out of the setup, which is over.
    Over,
}

/// Why a form was not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// What is wrong with fields.
    pub mistakes: Mistakes,
    /// What was refused behind the page.
    pub refusal: Option<Refusal>,
    /// What is wrong with lines of a list.
    pub lines: Vec<String>,
}

impl Trouble {
    /// Something was refused.
    pub fn refused(refusal: Refusal) -> Self {
        Trouble { refusal: Some(refusal), ..Trouble::default() }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.mistakes.is_empty() && self.refusal.is_none() && self.lines.is_empty()
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Trouble::refused(refusal)
    }
}

impl From<Mistakes> for Trouble {
    fn from(mistakes: Mistakes) -> Self {
        Trouble { mistakes, ..Trouble::default() }
    }
}

/// Takes the form of a page.
pub async fn take(cx: &Cx<'_>, form: &Form) -> Result<Next, Trouble> {
    if !cx.step.is_reachable(&cx.state) {
        return Ok(Next::Step(Step::first_open(&cx.state)));
    }
    let next = cx.step.next();
    match cx.step {
        Step::Administrator => administrator::take(cx, form).await?,
        Step::Place => place::take(cx, form).await?,
        Step::Checks => return Ok(checks::take(cx, form)),
        Step::Dns => return Ok(dns::take(cx, form)),
        Step::Certificate => certificate::take(cx, form).await?,
        Step::Storage => return storage::take(cx, form).await,
        Step::Backup => backup::take(cx, form).await?,
        Step::People => people::take(cx, form).await?,
        Step::Proof => return proof::take(cx, form).await,
    }
    Ok(Next::Step(next))
}

/// Shows a page.
pub async fn respond(cx: &Cx<'_>, form: &Form, trouble: &Trouble, status: StatusCode) -> Response {
    if !cx.step.is_reachable(&cx.state) {
        return crate::page::see_other(&Step::first_open(&cx.state).path());
    }
    let (lang, title) = (cx.lang, cx.step.title(cx.lang));
    let (body, is_waiting) = match cx.step {
        Step::Administrator => (administrator::show(cx, form, trouble), false),
        Step::Place => (place::show(cx, form, trouble), false),
        Step::Checks => checks::show(cx).await,
        Step::Dns => dns::show(cx).await,
        Step::Certificate => (certificate::show(cx, form, trouble).await, false),
        Step::Storage => storage::show(cx, form, trouble).await,
        Step::Backup => (backup::show(cx, form, trouble), false),
        Step::People => (people::show(cx, form, trouble), false),
        Step::Proof => proof::show(cx, form, trouble).await,
    };
    let reminder = match cx.step > Step::Certificate {
        true => certificate::reminder(cx).await,
        false => html! {},
    };
    let content = html! {
        h1 { (title) }
        details class="why" { summary { (text::setup_why(lang)) } p { (cx.step.why(lang)) } }
        (summary(cx, trouble))
        (reminder)
        (body)
    };
    let side = Some(steps(cx));
    Page { lang, path: &cx.step.path(), title, is_waiting, side, content }.respond(status)
}

/// What is wrong, all together, at the top: where readers of the screen are told of it first.
fn summary(cx: &Cx<'_>, trouble: &Trouble) -> Markup {
    html! {
        @if !trouble.is_empty() {
            div class="note bad" role="alert" {
                @if let Some(refusal) = &trouble.refusal {
                    p { strong { (refusal.detail) } }
                    p { (refusal.remedy) }
                }
                @if !trouble.mistakes.is_empty() {
                    p { strong { (text::setup_mistakes(cx.lang)) } }
                    ul { @for (field, said) in trouble.mistakes.all() { li { a href=(format!("#{field}")) { (said) } } } }
                }
                @if !trouble.lines.is_empty() {
                    p { strong { (text::setup_people_not_made(cx.lang)) } }
                    ul { @for line in &trouble.lines { li { (line) } } }
                }
            }
        }
    }
}

/// The way through, with what was answered.
fn steps(cx: &Cx<'_>) -> Markup {
    html! {
        nav aria-label=(text::setup_steps(cx.lang)) {
            ol class="steps" {
                @for step in Step::ALL {
                    li class=(if step == cx.step { "here" } else { "" }) {
                        @if step == cx.step { span aria-current="step" { (step.title(cx.lang)) } }
                        @else if step.is_reachable(&cx.state) { a href=(step.path()) { (step.title(cx.lang)) } }
                        @else { span class="soft" { (step.title(cx.lang)) } }
                        @if step.is_answered(&cx.state) { span class="state good" { (text::setup_answered(cx.lang)) } }
                    }
                }
            }
        }
    }
}
