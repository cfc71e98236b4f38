//! What clients see.

use maud::{Markup, html};

use super::fields::{Field, form as form_of};
use super::{Cx, Trouble};
use crate::form::Form;
use crate::i18n::text;
use crate::setup::answers::Certificate;

/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// The page.
pub async fn show(cx: &Cx<'_>, form: &Form, trouble: &Trouble) -> Markup {
    let (lang, state) = (cx.lang, cx.setup.installation.certificate().await);
    let kept = cx.state.answers.certificate.clone().unwrap_or(Certificate::SelfSigned);
    let (mut is_own, mut certificate, mut key) = match kept {
        Certificate::SelfSigned => (true, String::new(), String::new()),
        Certificate::Files { certificate, key } => (false, certificate, key),
    };
    if !form.is_empty() {
        (is_own, certificate, key) = (form.line("kind") != "files", form.line("certificate"), form.line("key"));
    }
    let days = state.not_after.map(|end| (end.0 - cx.setup.now().0) / DAY_MS);
    let fields = html! {
        div class="note" {
            p {
                @if state.is_own { (text::setup_certificate_own(lang)) } @else { (text::setup_certificate_given(lang, &state.file)) }
                @if let Some(days) = days { " " (text::setup_certificate_days(lang, days)) }
                @if state.is_pending { " " (text::setup_certificate_pending(lang)) }
            }
        }
        fieldset {
            legend { (text::setup_certificate_which(lang)) }
            div class="choice" {
                input type="radio" id="self-signed" name="kind" value="self-signed" checked[is_own];
                label for="self-signed" { strong { (text::setup_certificate_self(lang)) } br; span class="soft" { (text::setup_certificate_self_hint(lang)) } }
            }
            div class="choice" {
                input type="radio" id="files" name="kind" value="files" checked[!is_own];
                label for="files" { strong { (text::setup_certificate_files(lang)) } br; span class="soft" { (text::setup_certificate_files_hint(lang)) } }
            }
            (Field { name: "certificate", label: text::setup_certificate_file(lang), value: &certificate, ..Field::default() }.show(trouble))
            (Field { name: "key", label: text::setup_certificate_key(lang), value: &key, ..Field::default() }.show(trouble))
        }
    };
    form_of(cx, &fields, None)
}

/// The form.
pub async fn take(cx: &Cx<'_>, form: &Form) -> Result<(), Trouble> {
    let certificate = match form.line("kind").as_str() {
        "files" => Certificate::Files { certificate: form.line("certificate"), key: form.line("key") },
        _ => Certificate::SelfSigned,
    };
    cx.setup.answer_certificate(cx.lang, certificate).await
}
