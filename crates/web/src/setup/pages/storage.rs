//! Where accounts live: on this machine, and on any number of data servers, each by one command.

use std::sync::Arc;
use std::time::Duration;

use maud::{Markup, html};

use super::checks::state;
use super::fields::{Field, bytes, copied};
use super::{Cx, Next, Trouble};
use crate::form::Form;
use crate::i18n::text;
use crate::setup::answers::Storage;
use crate::setup::door::{Health, Refusal, ServerRow};

/// How long an answer holds, in milliseconds.
const HOLDS_MS: i64 = 2_000;

/// How long a page waits for it before it is shown.
const WAIT: Duration = Duration::from_millis(1500);

/// From which difference of clocks on something must be done, in milliseconds: joining refuses more.
const CLOCK_MS_MAX: i64 = 5_000;

/// The page, and whether something is still being found out.
pub async fn show(cx: &Cx<'_>, form: &Form, trouble: &Trouble) -> (Markup, bool) {
    let lang = cx.lang;
    if servers(cx).is_none() {
        let _ = tokio::time::timeout(WAIT, cx.setup.servers.heard()).await;
    }
    let is_waiting = servers(cx).is_none();
    let name = if form.line("action") == "invite" { form.line("server_name") } else { String::new() };
    let page = html! {
        div data-live="/setup/live/storage" { (live(cx)) }
        p class="again" { a class="button" href=(cx.step.path()) { (text::setup_checks_again(lang)) } }
        form method="post" action=(cx.step.path()) class="card" {
            (cx.token())
            h2 { (text::setup_storage_add(lang)) }
            p { (text::setup_storage_add_text(lang)) }
            div class="row" {
                (Field { name: "server_name", label: text::setup_storage_name(lang), value: &name, hint: Some(text::setup_storage_name_hint(lang)), ..Field::default() }.show(trouble))
                button type="submit" name="action" value="invite" { (text::setup_storage_invite(lang)) }
            }
        }
        div data-live="/setup/live/selection" { (selection(cx)) }
    };
    // Once they are known it is not loaded again by itself: somebody may be typing a name.
    (page, is_waiting)
}

/// What the servers that are there are called, and which of them take new accounts. It changes when one joins.
pub fn selection(cx: &Cx<'_>) -> Markup {
    let (lang, asked) = (cx.lang, servers(cx));
    let holding = holding(asked.as_deref());
    let selected = cx.state.answers.storage.clone().unwrap_or_default().selected;
    let is_selected = |row: &ServerRow| selected.is_empty() || selected.contains(&row.name);
    html! {
        @if !holding.is_empty() {
            form method="post" action=(cx.step.path()) class="card" {
                (cx.token())
                h2 { (text::setup_storage_names(lang)) }
                @for row in &holding {
                    div class="row" {
                        div class="field" {
                            label for=(format!("name-{}", row.id)) { (text::setup_storage_new_name(lang, &row.name)) }
                            input type="text" id=(format!("name-{}", row.id)) name=(format!("name-{}", row.id)) value=(row.name)
                                autocomplete="off" autocapitalize="none" spellcheck="false";
                        }
                        button type="submit" name="action" value=(format!("rename-{}", row.id)) { (text::setup_storage_rename(lang)) }
                    }
                }
            }
        }
        form method="post" action=(cx.step.path()) class="card" {
            (cx.token())
            fieldset {
                @for row in &holding { input type="hidden" name="offered" value=(row.id); }
                legend { (text::setup_storage_selected(lang, cx.state.made.domain.as_deref().unwrap_or_default())) }
                @for row in &holding {
                    div class="choice" {
                        input type="checkbox" id=(format!("use-{}", row.id)) name="selected" value=(row.name) checked[is_selected(row)];
                        label for=(format!("use-{}", row.id)) { (row.name) }
                    }
                }
                p class="hint" { (text::setup_storage_selected_hint(lang)) }
            }
            div class="actions" { button class="primary" type="submit" name="action" value="select" { (text::setup_next(lang)) } }
        }
    }
}

/// Those that hold accounts.
fn holding(asked: Option<&Result<Vec<ServerRow>, Refusal>>) -> Vec<&ServerRow> {
    let rows = asked.and_then(|asked| asked.as_ref().ok()).map_or(&[][..], Vec::as_slice);
    rows.iter().filter(|row| row.roles.iter().any(|role| role == "data")).collect()
}

/// The servers that are there, and the commands for those that are to come.
pub fn live(cx: &Cx<'_>) -> Markup {
    let (lang, now) = (cx.lang, cx.setup.now());
    let asked = servers(cx);
    let invitations: Vec<_> = {
        let known = cx.setup.invitations.lock();
        known.iter().filter(|(_, one)| one.expires_at > now).map(|(name, one)| (name.clone(), one.clone())).collect()
    };
    let here = |name: &str| match asked.as_deref() {
        Some(Ok(rows)) => rows.iter().any(|row| row.name == name),
        _ => false,
    };
    html! {
        @match asked.as_deref() {
            None => p class="card" { (text::setup_looking(lang)) },
            Some(Err(refusal)) => div class="note bad" { p { strong { (refusal.detail) } } p { (refusal.remedy) } },
            Some(Ok(rows)) => table class="stacks card" {
                caption { (text::setup_storage_servers(lang)) }
                thead { tr {
                    th scope="col" { (text::setup_storage_server(lang)) }
                    th scope="col" { (text::setup_state(lang)) }
                    th scope="col" { (text::setup_storage_version(lang)) }
                    th scope="col" { (text::setup_storage_disk(lang)) }
                    th scope="col" { (text::setup_storage_clock(lang)) }
                } }
                tbody { @for row in rows { (server(cx, row)) } }
            },
        }
        @for (name, invitation) in invitations.iter().filter(|(name, _)| name.is_empty() || !here(name)) {
            div class="note" {
                p { @if name.is_empty() { (text::setup_storage_paste(lang)) } @else { (text::setup_storage_paste_for(lang, name)) } }
                p { (copied(cx, invitation.command.expose())) }
                p class="soft" { (text::setup_storage_minutes(lang, (invitation.expires_at.0 - now.0) / 60_000)) }
            }
        }
    }
}

fn server(cx: &Cx<'_>, row: &ServerRow) -> Markup {
    let lang = cx.lang;
    let is_same = row.version.as_ref().is_none_or(|version| *version == cx.setup.installation.machine().version);
    let offset = row.clock_offset_ms.unwrap_or(0).abs();
    let health = match row.answers {
        false => Health::Bad,
        true if !is_same || offset > CLOCK_MS_MAX => Health::Attention,
        true => Health::Good,
    };
    html! {
        tr {
            th scope="row" { (row.name) br; span class="soft" { (row.address) " · " (row.roles.join(", ")) } }
            td data-column=(text::setup_state(lang)) { (state(health, lang)) @if let Some(cause) = &row.cause { br; (cause) } }
            td data-column=(text::setup_storage_version(lang)) {
                (row.version.as_deref().unwrap_or("–"))
                @if !is_same { br; (text::setup_storage_other_version(lang)) }
            }
            td data-column=(text::setup_storage_disk(lang)) {
                @match (row.free_bytes, row.disk_bytes) {
                    (Some(free), Some(all)) => { (text::setup_storage_free(lang, bytes(all), bytes(free))) }
                    _ => "–",
                }
            }
            td data-column=(text::setup_storage_clock(lang)) {
                @match row.clock_offset_ms {
                    Some(_) if offset <= CLOCK_MS_MAX => (text::setup_storage_clock_same(lang)),
                    Some(_) => (text::setup_storage_clock_off(lang, offset / 1000)),
                    None => "–",
                }
            }
        }
    }
}

/// The forms.
pub async fn take(cx: &Cx<'_>, form: &Form) -> Result<Next, Trouble> {
    let action = form.line("action");
    if action == "invite" {
        cx.setup.invite(form.line("server_name")).await?;
        return Ok(Next::Stay);
    }
    if let Some(id) = action.strip_prefix("rename-") {
        cx.setup.rename_server(cx.lang, id, &form.line(&format!("name-{id}"))).await?;
        return Ok(Next::Stay);
    }
    let mut selected = form.all("selected");
    selected.sort();
    selected.dedup();
    let (asked, offered) = (servers(cx), form.all("offered"));
    let holding = holding(asked.as_deref());
    // Who joined after the page was shown could not be left out on it.
    let unseen = holding.iter().filter(|row| !offered.is_empty() && !offered.contains(&row.id));
    let unseen: Vec<String> = unseen.map(|row| row.name.clone()).filter(|name| !selected.contains(name)).collect();
    selected.extend(unseen);
    // All that are there is the same as no selection: those that join later are taken, too.
    if !holding.is_empty() && holding.iter().all(|row| selected.contains(&row.name)) {
        selected.clear();
    }
    cx.setup.answer_storage(cx.lang, Storage { selected }).await?;
    Ok(Next::Step(cx.step.next()))
}

fn servers(cx: &Cx<'_>) -> Option<Arc<Result<Vec<ServerRow>, Refusal>>> {
    let installation = cx.setup.installation.clone();
    cx.setup.servers.look(cx.setup.now(), HOLDS_MS, move || async move { installation.servers().await })
}
