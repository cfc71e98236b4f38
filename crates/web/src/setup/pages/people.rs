//! Who gets accounts now.

use maud::{Markup, html};

use super::fields::form as form_of;
use super::{Cx, Trouble};
use crate::form::Form;
use crate::i18n::text;
use crate::setup::answers::Mistakes;
use crate::setup::steps::{has_named_columns, people_of};

/// The page.
pub fn show(cx: &Cx<'_>, form: &Form, trouble: &Trouble) -> Markup {
    let lang = cx.lang;
    let wrong = trouble.mistakes.of("people");
    let created = cx.state.answers.people.as_ref().map_or(0, |people| people.created);
    let fields = html! {
        @if created > 0 { div class="note good" { p { (text::setup_people_created(lang, created)) } } }
        div class="field" {
            label for="people" { (text::setup_people_list(lang)) }
            textarea id="people" name="people" rows="10" spellcheck="false" autocapitalize="none"
                aria-invalid=[wrong.map(|_| "true")] aria-describedby="people-hint" { (form.get("people").unwrap_or_default()) }
            // A script reads the file into the field; without one the list is pasted.
            p hidden data-file="people" {
                label for="people-file" { (text::setup_people_file(lang)) } " "
                input id="people-file" type="file" accept=".csv,.txt,text/csv,text/plain";
            }
            p class="hint" id="people-hint" { (text::setup_people_list_hint(lang)) }
            @if let Some(wrong) = wrong { p class="error" { (wrong) } }
        }
    };
    form_of(cx, &fields, None)
}

/// The form.
pub async fn take(cx: &Cx<'_>, form: &Form) -> Result<(), Trouble> {
    let list = form.get("people").unwrap_or_default();
    if has_named_columns(list) {
        return cx.setup.answer_people_list(cx.lang, list).await;
    }
    let domain = cx.setup.domain(cx.lang)?;
    let people = people_of(list, &domain).map_err(|line| {
        let mut mistakes = Mistakes::default();
        mistakes.add("people", text::setup_mistake_line(cx.lang, line));
        Trouble::from(mistakes)
    })?;
    cx.setup.answer_people(cx.lang, &people).await
}
