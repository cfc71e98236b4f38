//! Where the installation is found.

use maud::{Markup, html};

use super::fields::{Field, form as form_of};
use super::{Cx, Trouble};
use crate::form::Form;
use crate::i18n::text;
use crate::setup::answers::{self, Place};

/// The page.
pub fn show(cx: &Cx<'_>, form: &Form, trouble: &Trouble) -> Markup {
    let (lang, machine) = (cx.lang, cx.setup.installation.machine());
    let kept = cx.state.answers.place.clone().unwrap_or_else(|| answers::offered(&machine));
    let place = match form.is_empty() {
        true => kept,
        false => Place { url: form.line("url"), domain: form.line("domain") },
    };
    let fields = html! {
        (Field {
            name: "url",
            label: text::setup_place_url(lang),
            value: &place.url,
            autocomplete: "url",
            hint: Some(text::setup_place_url_hint(lang)),
            is_required: true,
            ..Field::default()
        }.show(trouble))
        (Field {
            name: "domain",
            label: text::setup_place_domain(lang),
            value: &place.domain,
            hint: Some(text::setup_place_domain_hint(lang)),
            is_required: true,
            ..Field::default()
        }.show(trouble))
    };
    form_of(cx, &fields, None)
}

/// The form.
pub async fn take(cx: &Cx<'_>, form: &Form) -> Result<(), Trouble> {
    cx.setup.answer_place(cx.lang, Place::tidied(&form.line("url"), &form.line("domain"))).await
}
