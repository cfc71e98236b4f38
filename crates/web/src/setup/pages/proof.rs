//! Whether it works: a message goes out and comes back.

use std::sync::Arc;
use std::time::Duration;

use maud::{Markup, html};

use super::checks::state;
use super::fields::{Field, button};
use super::{Cx, Next, Trouble};
use crate::form::Form;
use crate::i18n::text;
use crate::qr;
use crate::setup::door::{Health, Proof, ProofEvent, Refusal};

/// How long an answer holds, in milliseconds.
const HOLDS_MS: i64 = 1_500;

/// How long a page waits for it before it is shown.
const WAIT: Duration = Duration::from_millis(1000);

/// The page, and whether something is still to come.
pub async fn show(cx: &Cx<'_>, form: &Form, trouble: &Trouble) -> (Markup, bool) {
    let (lang, made) = (cx.lang, &cx.state.made);
    if made.proof.is_some() && proof(cx).is_none() {
        let _ = tokio::time::timeout(WAIT, cx.setup.proof.heard()).await;
    }
    let kept = made.proof_to.clone().unwrap_or_default();
    let elsewhere = if form.is_empty() { kept } else { form.line("elsewhere") };
    let is_waiting = made.proof.is_some() && !proof(cx).is_some_and(|proof| proof.as_ref().as_ref().is_ok_and(is_over));
    let label = if made.proof.is_some() { text::setup_proof_again(lang) } else { text::setup_proof_send(lang) };
    let page = html! {
        form method="post" action=(cx.step.path()) class="card" {
            (cx.token())
            p { (text::setup_proof_text(lang, made.administrator.as_deref().unwrap_or_default())) }
            (Field {
                name: "elsewhere",
                label: text::setup_proof_elsewhere(lang),
                value: &elsewhere,
                kind: "email",
                autocomplete: "email",
                hint: Some(text::setup_proof_elsewhere_hint(lang)),
                ..Field::default()
            }.show(trouble))
            div class="actions" { button type="submit" name="action" value="send" { (label) } }
        }
        div data-live="/setup/live/proof" { (live(cx)) }
        div class="card" {
            h2 { (text::setup_proof_end(lang)) }
            p { (text::setup_proof_end_text(lang)) }
            div class="actions" { (button(cx, "finish", text::setup_proof_finish(lang), true)) }
        }
        (telephone(cx))
    };
    (page, is_waiting)
}

/// What became of it.
pub fn live(cx: &Cx<'_>) -> Markup {
    let lang = cx.lang;
    if cx.state.made.proof.is_none() {
        return html! {};
    }
    let Some(asked) = proof(cx) else { return html! { p class="card" { (text::setup_looking(lang)) } } };
    let proof = match &*asked {
        Ok(proof) => proof,
        Err(refusal) => {
            return html! { div class="note bad" { p { strong { (refusal.detail) } } p { (refusal.remedy) } } };
        }
    };
    html! {
        div class=(if is_over(proof) { "note good" } else { "note" }) role="status" {
            p { @if is_over(proof) { (text::setup_proof_arrived(lang, &proof.to)) } @else { (text::setup_proof_under_way(lang)) } }
        }
        (events(cx, text::setup_proof_events(lang), &proof.events))
        @if !proof.answers.is_empty() { (events(cx, text::setup_proof_answers(lang), &proof.answers)) }
    }
}

fn events(cx: &Cx<'_>, caption: &str, events: &[ProofEvent]) -> Markup {
    let lang = cx.lang;
    html! {
        table class="stacks card" {
            caption { (caption) }
            thead { tr {
                th scope="col" { (text::setup_proof_time(lang)) }
                th scope="col" { (text::setup_proof_recipient(lang)) }
                th scope="col" { (text::setup_state(lang)) }
                th scope="col" { (text::setup_checks_found(lang)) }
            } }
            tbody {
                @for event in events {
                    tr {
                        td data-column=(text::setup_proof_time(lang)) { time datetime=(event.at) { (event.at.get(11..19).unwrap_or(&event.at)) } }
                        td data-column=(text::setup_proof_recipient(lang)) { (event.recipient) }
                        td data-column=(text::setup_state(lang)) { (what(cx, &event.what)) }
                        td { (event.detail) @if !event.host.is_empty() { " " span class="soft" { (event.host) } } }
                    }
                }
            }
        }
    }
}

fn what(cx: &Cx<'_>, what: &str) -> Markup {
    let lang = cx.lang;
    let (health, word) = match what {
        "delivered" => (Health::Good, text::setup_traced_delivered(lang)),
        "sent" => (Health::Good, text::setup_traced_sent(lang)),
        "queued" => (Health::Unknown, text::setup_traced_queued(lang)),
        "deferred" => (Health::Attention, text::setup_traced_deferred(lang)),
        "failed" | "refused" => (Health::Bad, text::setup_traced_failed(lang)),
        _ => (Health::Unknown, text::setup_traced_verdict(lang)),
    };
    html! { (word) @if health != Health::Unknown { " " (state(health, lang)) } }
}

/// Whether it is in the mailbox.
fn is_over(proof: &Proof) -> bool {
    proof.events.iter().any(|event| event.what == "delivered" && event.recipient == proof.to)
}

/// A link that sets a telephone up (Apple), as a picture.
fn telephone(cx: &Cx<'_>) -> Markup {
    let (Some(place), Some(administrator)) = (&cx.state.answers.place, &cx.state.made.administrator) else {
        return html! {};
    };
    let address = format!("{}/.well-known/sterna/apple.mobileconfig?emailaddress={administrator}", place.url);
    let label = text::setup_proof_telephone(cx.lang);
    html! {
        details class="card" {
            summary { (label) }
            p { (text::setup_proof_telephone_text(cx.lang)) }
            @if let Some(picture) = qr::svg(&address, label) { (picture) }
            p { code { (address) } }
        }
    }
}

/// The forms.
pub async fn take(cx: &Cx<'_>, form: &Form) -> Result<Next, Trouble> {
    if form.get("action") == Some("finish") {
        cx.setup.finish(cx.lang).await?;
        return Ok(Next::Over);
    }
    cx.setup.answer_proof(cx.lang, form.line("elsewhere")).await?;
    Ok(Next::Stay)
}

fn proof(cx: &Cx<'_>) -> Option<Arc<Result<Proof, Refusal>>> {
    let (sent, elsewhere) = (cx.state.made.proof.clone()?, cx.state.made.proof_to.clone());
    let installation = cx.setup.installation.clone();
    let ask = move || async move { installation.proof(&sent, elsewhere.as_deref()).await };
    cx.setup.proof.look(cx.setup.now(), HOLDS_MS, ask)
}
