//! What clients see.

use maud::{Markup, html};

use super::fields::{Field, form as form_of};
use super::{Cx, Step, Trouble};
use crate::form::Form;
use crate::i18n::text;
use crate::setup::answers::{Certificate, usual_authority};
use crate::setup::door::{CertificateState, Refusal};

/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// How long an answer holds, in milliseconds.
const HOLDS_MS: i64 = 1_500;

/// What was typed, or chosen before.
struct Chosen {
    kind: String,
    certificate: String,
    key: String,
    directory: String,
    has_agreed: bool,
    contact: String,
}

impl Chosen {
    fn of(kept: Option<&Certificate>, form: &Form, administrator: &str) -> Self {
        let mut chosen = Chosen {
            kind: "self-signed".to_owned(),
            certificate: String::new(),
            key: String::new(),
            directory: usual_authority(),
            has_agreed: false,
            contact: administrator.to_owned(),
        };
        match kept {
            Some(Certificate::Files { certificate, key }) => {
                (chosen.kind, chosen.certificate, chosen.key) = ("files".to_owned(), certificate.clone(), key.clone());
            }
            Some(Certificate::Acme { directory, terms_agreed, contact, .. }) => {
                (chosen.kind, chosen.directory, chosen.has_agreed) =
                    ("acme".to_owned(), directory.clone(), *terms_agreed);
                chosen.contact.clone_from(contact);
            }
            Some(Certificate::SelfSigned) | None => {}
        }
        if !form.is_empty() {
            (chosen.kind, chosen.certificate, chosen.key) =
                (form.line("kind"), form.line("certificate"), form.line("key"));
            (chosen.directory, chosen.has_agreed) = (form.line("directory"), form.line("terms_agreed") == "yes");
            chosen.contact = form.line("contact");
        }
        chosen
    }
}

/// The page.
pub async fn show(cx: &Cx<'_>, form: &Form, trouble: &Trouble) -> Markup {
    let (lang, state) = (cx.lang, cx.setup.installation.certificate().await);
    let administrator = cx.state.made.administrator.clone().unwrap_or_default();
    let chosen = Chosen::of(cx.state.answers.certificate.as_ref(), form, &administrator);
    let is = |kind: &str| chosen.kind == kind;
    let kind = |kind: &str, title: &str, hint: &str| {
        html! {
            div class="choice" {
                input type="radio" id=(kind) name="kind" value=(kind) checked[is(kind)];
                label for=(kind) { strong { (title) } br; span class="soft" { (hint) } }
            }
        }
    };
    let terms = trouble.mistakes.of("terms_agreed");
    let fields = html! {
        div data-live="/setup/live/certificate" { (standing(cx, &state)) }
        fieldset {
            legend { (text::setup_certificate_which(lang)) }
            (kind("acme", text::setup_certificate_acme(lang), text::setup_certificate_acme_hint(lang)))
            (Field { name: "directory", label: text::setup_certificate_authority(lang), value: &chosen.directory, ..Field::default() }.show(trouble))
            (Field { name: "contact", label: text::setup_certificate_contact(lang), value: &chosen.contact, autocomplete: "email", ..Field::default() }.show(trouble))
            div class="choice" {
                input type="checkbox" id="terms_agreed" name="terms_agreed" value="yes" checked[chosen.has_agreed];
                label for="terms_agreed" { (text::setup_certificate_terms(lang)) }
            }
            @if let Some(terms) = terms { p class="mistake" { (terms) } }
            (kind("self-signed", text::setup_certificate_self(lang), text::setup_certificate_self_hint(lang)))
            (kind("files", text::setup_certificate_files(lang), text::setup_certificate_files_hint(lang)))
            (Field { name: "certificate", label: text::setup_certificate_file(lang), value: &chosen.certificate, ..Field::default() }.show(trouble))
            (Field { name: "key", label: text::setup_certificate_key(lang), value: &chosen.key, ..Field::default() }.show(trouble))
        }
    };
    form_of(cx, &fields, None)
}

/// What is shown to clients now, and what an authority that is asked says.
pub fn live(cx: &Cx<'_>) -> Markup {
    let installation = cx.setup.installation.clone();
    let ask = move || async move { installation.certificate().await };
    match cx.setup.certificate.look(cx.setup.now(), HOLDS_MS, ask) {
        Some(state) => standing(cx, &state),
        None => html! { p class="note" { (text::setup_looking(cx.lang)) } },
    }
}

fn standing(cx: &Cx<'_>, state: &CertificateState) -> Markup {
    let lang = cx.lang;
    // One that the machine made itself never ends, as people count.
    let is_lasting = state.is_own && state.issued_by.is_none();
    let days = state.not_after.filter(|_| !is_lasting).map(|end| (end.0 - cx.setup.now().0) / DAY_MS);
    html! {
        div class="note" role="status" {
            p {
                @if let Some(issuer) = &state.issued_by { (text::setup_certificate_issued(lang, issuer)) }
                @else if state.is_own { (text::setup_certificate_own(lang)) }
                @else { (text::setup_certificate_given(lang, &state.file)) }
                @if let Some(days) = days { " " (text::setup_certificate_days(lang, days)) }
                @if state.is_pending { " " (text::setup_certificate_pending(lang)) }
            }
            @if state.is_asking { p { (text::setup_certificate_asking(lang)) } }
        }
        @if let Some(failure) = &state.failure { (failing(cx, failure)) }
    }
}

fn failing(cx: &Cx<'_>, failure: &Refusal) -> Markup {
    let lang = cx.lang;
    html! {
        div class="note bad" role="status" {
            p { (text::setup_certificate_failing(lang, &failure.detail)) }
            @if !failure.remedy.is_empty() { p { strong { (text::setup_do(lang)) } " " (failure.remedy) } }
        }
    }
}

/// On the pages after this one: an authority that refuses is told of wherever somebody has got to meanwhile.
pub async fn reminder(cx: &Cx<'_>) -> Markup {
    if !matches!(cx.state.answers.certificate, Some(Certificate::Acme { .. })) {
        return html! {};
    }
    let state = cx.setup.installation.certificate().await;
    let Some(failure) = &state.failure else { return html! {} };
    html! {
        (failing(cx, failure))
        p { a href=(Step::Certificate.path()) { (text::setup_certificate_change(cx.lang)) } }
    }
}

/// The form.
pub async fn take(cx: &Cx<'_>, form: &Form) -> Result<(), Trouble> {
    let certificate = match form.line("kind").as_str() {
        "files" => Certificate::Files { certificate: form.line("certificate"), key: form.line("key") },
        "acme" => Certificate::Acme {
            directory: form.line("directory"),
            terms_agreed: form.line("terms_agreed") == "yes",
            contact: form.line("contact"),
            // Only a file of answers names some; they stay.
            roots: match &cx.state.answers.certificate {
                Some(Certificate::Acme { roots, .. }) => roots.clone(),
                _ => String::new(),
            },
        },
        _ => Certificate::SelfSigned,
    };
    cx.setup.answer_certificate(cx.lang, certificate).await
}
