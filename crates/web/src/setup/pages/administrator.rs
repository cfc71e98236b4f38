//! Who administers the installation.

use maud::{Markup, html};

use super::fields::{Field, form as form_of};
use super::{Cx, Trouble};
use crate::form::Form;
use crate::i18n::text;
use crate::setup::steps::{NewPassword, PASSWORD_CHARS_MIN};

/// The page.
pub fn show(cx: &Cx<'_>, form: &Form, trouble: &Trouble) -> Markup {
    let (lang, known) = (cx.lang, cx.state.answers.administrator.as_ref());
    let value = |field: &str, kept: Option<&String>, offered: &str| match form.is_empty() {
        false => form.line(field),
        true => kept.cloned().unwrap_or_else(|| offered.to_owned()),
    };
    let name = value("name", known.map(|known| &known.name), "");
    let local_part = value("local_part", known.map(|known| &known.local_part), "admin");
    let at = cx.state.made.domain.as_ref().map_or_else(|| "@…".to_owned(), |domain| format!("@{domain}"));
    let hint = match known {
        Some(_) => text::setup_administrator_password_kept(lang).to_owned(),
        None => text::setup_administrator_password_hint(lang, PASSWORD_CHARS_MIN),
    };
    let fields = html! {
        (Field { name: "name", label: text::setup_administrator_name(lang), value: &name, autocomplete: "name", ..Field::default() }.show(trouble))
        (Field {
            name: "local_part",
            label: text::setup_administrator_address(lang),
            value: &local_part,
            autocomplete: "username",
            hint: Some(text::setup_administrator_address_hint(lang)),
            suffix: Some(&at),
            is_required: true,
            ..Field::default()
        }.show(trouble))
        (Field {
            name: "password",
            label: text::setup_administrator_password(lang),
            kind: "password",
            autocomplete: "new-password",
            hint: Some(&hint),
            is_required: known.is_none(),
            ..Field::default()
        }.show(trouble))
        (Field {
            name: "again",
            label: text::setup_administrator_again(lang),
            kind: "password",
            autocomplete: "new-password",
            is_required: known.is_none(),
            ..Field::default()
        }.show(trouble))
    };
    form_of(cx, &fields, None)
}

/// The form.
pub async fn take(cx: &Cx<'_>, form: &Form) -> Result<(), Trouble> {
    let (password, again) = (form.secret("password"), form.secret("again"));
    let stays = cx.state.answers.administrator.is_some() && password.expose().is_empty() && again.expose().is_empty();
    let password = if stays { NewPassword::Former } else { NewPassword::Typed(password, again) };
    cx.setup.answer_administrator(cx.lang, form.line("name"), form.line("local_part"), password).await
}
