//! Where copies go.

use maud::{Markup, html};

use super::fields::{Field, form as form_of};
use super::{Cx, Trouble};
use crate::form::Form;
use crate::i18n::text;
use crate::setup::answers::Backup;

/// The page.
pub fn show(cx: &Cx<'_>, form: &Form, trouble: &Trouble) -> Markup {
    let (lang, kept) = (cx.lang, cx.state.answers.backup.clone().unwrap_or_default());
    let place = if form.is_empty() { kept.place } else { form.line("place") };
    let hint = Some(text::setup_backup_place_hint(lang));
    let fields = html! {
        (Field { name: "place", label: text::setup_backup_place(lang), value: &place, hint, ..Field::default() }.show(trouble))
    };
    form_of(cx, &fields, None)
}

/// The form.
pub async fn take(cx: &Cx<'_>, form: &Form) -> Result<(), Trouble> {
    cx.setup.answer_backup(cx.lang, Backup { place: form.line("place") }).await
}
