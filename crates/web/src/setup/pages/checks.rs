//! What is looked at before mail flows: nothing of it stops anybody.

use std::time::Duration;

use maud::{Markup, html};

use super::super::reach::{self, Arrival};
use super::fields::{button, bytes};
use super::{Cx, Next};
use crate::form::Form;
use crate::i18n::{Lang, text};
use crate::qr;
use crate::setup::door::{Check, Finding, Health};

/// How long a finding holds, in milliseconds.
const HOLDS_MS: i64 = 120_000;

/// How long a page waits for the quick ones before it is shown.
const WAIT: Duration = Duration::from_millis(400);

/// The page, and whether something is still being found out.
pub async fn show(cx: &Cx<'_>) -> (Markup, bool) {
    if findings(cx).iter().any(|(_, found)| found.is_none()) {
        let heard = futures_util::future::join_all(cx.setup.checks.values().map(|check| check.heard()));
        let _ = tokio::time::timeout(WAIT, heard).await;
    }
    let is_waiting = findings(cx).iter().any(|(_, found)| found.is_none());
    let page = html! {
        div data-live="/setup/live/checks" { (live(cx)) }
        div class="actions" {
            (button(cx, "next", text::setup_checks_go_on(cx.lang), true))
            (button(cx, "again", text::setup_checks_again(cx.lang), false))
        }
        p class="hint" { (text::setup_checks_never_stop(cx.lang)) }
    };
    (page, is_waiting)
}

/// The rows, and whether somebody came from outside.
pub fn live(cx: &Cx<'_>) -> Markup {
    html! {
        (reach(cx))
        table class="stacks card" {
            caption { (text::setup_checks_caption(cx.lang)) }
            thead { tr { th scope="col" { (text::setup_checks_what(cx.lang)) } th scope="col" { (text::setup_state(cx.lang)) } th scope="col" { (text::setup_checks_found(cx.lang)) } } }
            tbody {
                @for (check, found) in findings(cx) {
                    tr {
                        th scope="row" { (name(check, cx.lang)) }
                        @match &found {
                            Some(found) => {
                                td data-column=(text::setup_state(cx.lang)) { (state(found.health(), cx.lang)) }
                                td { (said(check, found, cx.lang)) }
                            }
                            None => {
                                td data-column=(text::setup_state(cx.lang)) { span class="state" { (text::setup_looking(cx.lang)) } }
                                td {}
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The page that a telephone opens from outside, and who did.
fn reach(cx: &Cx<'_>) -> Markup {
    let lang = cx.lang;
    let Some(place) = &cx.state.answers.place else { return html! {} };
    let (code, arrival) = cx.setup.reach.shown(cx.setup.now());
    let link = format!("{}{}/{code}", place.url.trim_end_matches('/'), reach::PATH);
    html! {
        section class="card" {
            h2 { (text::setup_reach_title(lang)) }
            @match &arrival {
                Some(Arrival { address, is_outside: true }) => {
                    div class="note good" role="status" { p { (text::setup_reach_outside(lang, address)) } }
                }
                other => {
                    p { (text::setup_reach_lead(lang)) }
                    @if let Some(picture) = qr::svg(&link, text::setup_reach_picture(lang)) { p { (picture) } }
                    p { code class="copied" { (link) } }
                    @if let Some(Arrival { address, .. }) = other {
                        div class="note" role="status" { p { (text::setup_reach_inside(lang, address)) } }
                    }
                }
            }
        }
    }
}

/// The form: look again, or go on.
pub fn take(cx: &Cx<'_>, form: &Form) -> Next {
    if form.get("action") == Some("again") {
        cx.setup.checks.values().for_each(crate::setup::Asked::forget);
        return Next::Stay;
    }
    Next::Step(cx.step.next())
}

fn findings(cx: &Cx<'_>) -> Vec<(Check, Option<std::sync::Arc<Finding>>)> {
    let (now, place) = (cx.setup.now(), cx.state.answers.place.clone());
    let look = |check: Check| {
        let (installation, place) = (cx.setup.installation.clone(), place.clone());
        let ask = move || async move { installation.check(check, place.as_ref()).await };
        (check, cx.setup.checks.get(&check).and_then(|asked| asked.look(now, HOLDS_MS, ask)))
    };
    Check::ALL.into_iter().map(look).collect()
}

/// A state as a word in its colour.
pub fn state(health: Health, lang: Lang) -> Markup {
    let (class, word) = match health {
        Health::Good => ("state good", text::setup_state_good(lang)),
        Health::Attention => ("state attention", text::setup_state_attention(lang)),
        Health::Bad => ("state bad", text::setup_state_bad(lang)),
        Health::Unknown => ("state", text::setup_state_unknown(lang)),
    };
    html! { span class=(class) { (word) } }
}

/// What is looked at, for people.
pub fn name(check: Check, lang: Lang) -> &'static str {
    match check {
        Check::Ports => text::setup_check_ports(lang),
        Check::Outbound => text::setup_check_outbound(lang),
        Check::OutboundWeb => text::setup_check_outbound_web(lang),
        Check::Address => text::setup_check_address(lang),
        Check::Access => text::setup_check_access(lang),
        Check::ReverseDns => text::setup_check_reverse(lang),
        Check::Resolver => text::setup_check_resolver(lang),
        Check::BlockLists => text::setup_check_block_lists(lang),
        Check::Clock => text::setup_check_clock(lang),
        Check::Memory => text::setup_check_memory(lang),
        Check::Disk => text::setup_check_disk(lang),
    }
}

fn said(check: Check, finding: &Finding, lang: Lang) -> Markup {
    let (found, remedy) = words(check, finding, lang);
    html! { (found) @if let Some(remedy) = remedy { br; strong { (text::setup_do(lang)) } " " (remedy) } }
}

/// What was found, and what to do about it.
pub fn words(check: Check, finding: &Finding, lang: Lang) -> (String, Option<String>) {
    let list = |items: &[String]| items.join(", ");
    let addresses = |found: &[std::net::IpAddr]| found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let seconds = |ms: i64| format!("{}.{}", ms.abs() / 1000, ms.abs() % 1000 / 100);
    match finding {
        Finding::AllListen => (text::setup_found_all_listen(lang).into(), None),
        Finding::Closed { services } => {
            (text::setup_found_closed(lang, list(services)), Some(text::setup_remedy_closed(lang).into()))
        }
        Finding::OutboundOpen { host } => (text::setup_found_outbound_open(lang, host), None),
        Finding::OutboundClosed { tried } if check == Check::OutboundWeb => {
            let found = text::setup_found_outbound_web_closed(lang, list(tried));
            (found, Some(text::setup_remedy_outbound_web(lang).into()))
        }
        Finding::OutboundClosed { tried } => {
            (text::setup_found_outbound_closed(lang, list(tried)), Some(text::setup_remedy_outbound(lang).into()))
        }
        Finding::AddressFound { host, addresses: found } => {
            (text::setup_found_address(lang, host, addresses(found)), None)
        }
        Finding::AddressMissing { host } => {
            (text::setup_found_address_missing(lang, host), Some(text::setup_remedy_address_missing(lang, host)))
        }
        Finding::AddressElsewhere { host, addresses: found, own } => {
            let found = text::setup_found_address_elsewhere(lang, host, addresses(own), addresses(found));
            (found, Some(text::setup_remedy_address_elsewhere(lang).into()))
        }
        Finding::Reached { places } => (text::setup_found_reached(lang, list(places)), None),
        Finding::NotReached { tried } => {
            (text::setup_found_not_reached(lang, list(tried)), Some(text::setup_remedy_not_reached(lang).into()))
        }
        Finding::NotReachedAround { tried } => {
            (text::setup_found_not_reached(lang, list(tried)), Some(text::setup_remedy_around(lang).into()))
        }
        Finding::ReverseGood { host } => (text::setup_found_reverse(lang, host), None),
        Finding::ReverseWrong { address, names, host } => {
            let names = if names.is_empty() { text::setup_none(lang).to_owned() } else { list(names) };
            (
                text::setup_found_reverse_wrong(lang, address, names),
                Some(text::setup_remedy_reverse(lang, address, host)),
            )
        }
        Finding::Validates => (text::setup_found_validates(lang).into(), None),
        Finding::NoValidation { cause } => {
            (text::setup_found_no_validation(lang, cause), Some(text::setup_remedy_no_validation(lang).into()))
        }
        Finding::NoResolver { cause } => {
            (text::setup_found_no_resolver(lang, cause), Some(text::setup_remedy_no_resolver(lang).into()))
        }
        Finding::NotListed { lists } => (text::setup_found_not_listed(lang, lists), None),
        Finding::Listed { lists } => {
            (text::setup_found_listed(lang, list(lists)), Some(text::setup_remedy_listed(lang).into()))
        }
        Finding::ClockRight { offset_ms } => (text::setup_found_clock_right(lang, seconds(*offset_ms)), None),
        Finding::ClockWrong { offset_ms } => {
            (text::setup_found_clock_wrong(lang, seconds(*offset_ms)), Some(text::setup_remedy_clock(lang).into()))
        }
        Finding::Amount { bytes: amount, wanted_bytes } => {
            let remedy = (amount < wanted_bytes).then(|| text::setup_remedy_amount(lang, bytes(*wanted_bytes)));
            let found = match check {
                Check::Disk => text::setup_found_free(lang, bytes(*amount)),
                _ => text::setup_found_amount(lang, bytes(*amount)),
            };
            (found, remedy)
        }
        Finding::NotKnown { cause } => (text::setup_found_unknown(lang, cause), None),
    }
}
