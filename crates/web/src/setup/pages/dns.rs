//! The records that DNS should have, beside those it has.

use std::sync::Arc;
use std::time::Duration;

use maud::{Markup, html};

use super::checks::state;
use super::fields::{button, copied};
use super::{Cx, Next};
use crate::form::Form;
use crate::i18n::text;
use crate::setup::door::{Found, Health, RecordRow, Records, Refusal};

/// How long an answer holds, in milliseconds: people change records with this page open.
const HOLDS_MS: i64 = 30_000;

/// How long a page waits for it before it is shown.
const WAIT: Duration = Duration::from_millis(800);

/// The page, and whether something is still being found out.
pub async fn show(cx: &Cx<'_>) -> (Markup, bool) {
    if records(cx).is_none() {
        let _ = tokio::time::timeout(WAIT, cx.setup.records.heard()).await;
    }
    let page = html! {
        div data-live="/setup/live/dns" { (live(cx)) }
        div class="actions" {
            (button(cx, "next", text::setup_next(cx.lang), true))
            (button(cx, "again", text::setup_checks_again(cx.lang), false))
            a class="button" href="/setup/zone" { (text::setup_dns_zone(cx.lang)) }
        }
        p class="hint" { (text::setup_dns_at_once(cx.lang)) }
    };
    (page, records(cx).is_none())
}

/// The rows.
pub fn live(cx: &Cx<'_>) -> Markup {
    let lang = cx.lang;
    let Some(asked) = records(cx) else { return html! { p class="card" { (text::setup_looking(lang)) } } };
    let records = match &*asked {
        Ok(records) => records,
        Err(refusal) => {
            return html! { div class="note bad" { p { strong { (refusal.detail) } } p { (refusal.remedy) } } };
        }
    };
    let right = records.rows.iter().filter(|row| row.found == Found::Right).count();
    html! {
        @for problem in &records.problems { div class="note attention" { p { (problem) } } }
        p role="status" { (text::setup_dns_count(lang, right, records.rows.len())) }
        @for (need, title) in [("mail", text::setup_dns_mail(lang)), ("clients", text::setup_dns_clients(lang)), ("advised", text::setup_dns_advised(lang))] {
            @if records.rows.iter().any(|row| row.need == need) {
                h2 { (title) }
                table class="stacks records card" {
                    caption class="hidden-but-read" { (title) }
                    thead { tr {
                        th scope="col" { (text::setup_dns_record(lang)) }
                        th scope="col" { (text::setup_dns_expected(lang)) }
                        th scope="col" { (text::setup_state(lang)) }
                    } }
                    tbody { @for row in records.rows.iter().filter(|row| row.need == need) { (record(cx, row)) } }
                }
            }
        }
    }
}

fn record(cx: &Cx<'_>, row: &RecordRow) -> Markup {
    let lang = cx.lang;
    let (health, said) = match &row.found {
        Found::Right => (Health::Good, None),
        // That a client need not look is better said, and nothing breaks without it.
        Found::Missing if row.need == "advised" => (Health::Attention, Some(text::setup_dns_missing(lang).to_owned())),
        Found::Missing => (Health::Bad, Some(text::setup_dns_missing(lang).to_owned())),
        Found::Other(values) => (Health::Bad, Some(text::setup_dns_other(lang, values.join(" · ")))),
        Found::Unknown(cause) => (Health::Unknown, Some(cause.clone())),
    };
    html! {
        tr {
            th scope="row" { (row.kind) " " code { (row.name) } br; span class="soft" { (row.purpose) } }
            td data-column=(text::setup_dns_expected(lang)) { (copied(cx, &row.value)) }
            td data-column=(text::setup_state(lang)) { (state(health, lang)) @if let Some(said) = said { br; (said) } }
        }
    }
}

/// The form: look again, or go on.
pub fn take(cx: &Cx<'_>, form: &Form) -> Next {
    if form.get("action") == Some("again") {
        cx.setup.records.forget();
        return Next::Stay;
    }
    Next::Step(cx.step.next())
}

fn records(cx: &Cx<'_>) -> Option<Arc<Result<Records, Refusal>>> {
    let domain = cx.state.made.domain.clone()?;
    let installation = cx.setup.installation.clone();
    let ask = move || async move { installation.records(&domain).await };
    cx.setup.records.look(cx.setup.now(), HOLDS_MS, ask)
}
