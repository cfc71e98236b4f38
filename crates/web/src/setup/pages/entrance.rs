//! The entrance, and what is there instead when the setup is over.

use axum::response::Response;
use http::StatusCode;
use maud::html;

use super::super::PATH;
use crate::i18n::{Lang, text};
use crate::page::Page;

/// Where a code is typed, or comes with the link.
pub fn entrance(lang: Lang, said: Option<String>, status: StatusCode) -> Response {
    let title = text::setup_entrance_title(lang);
    let content = html! {
        h1 { (title) }
        p { (text::setup_entrance_text(lang)) }
        @if let Some(said) = said {
            div class="note bad" role="alert" { p { strong { (said) } } p { (text::setup_entrance_remedy(lang)) } }
        }
        form method="post" action=(PATH) class="card" data-code="" {
            div class="field" {
                label for="code" { (text::setup_entrance_code(lang)) }
                input id="code" name="code" type="text" class="fixed" autocomplete="off" autocapitalize="characters"
                    spellcheck="false" required aria-describedby="code-hint";
                p class="hint" id="code-hint" { (text::setup_entrance_hint(lang)) }
            }
            div class="actions" { button class="primary" type="submit" { (text::setup_entrance_enter(lang)) } }
        }
    };
    Page { lang, path: PATH, title, is_waiting: false, side: None, content }.respond(status)
}

/// That it is over, and where to go.
pub fn over(lang: Lang) -> Response {
    let title = text::setup_over_title(lang);
    let content = html! {
        h1 { (title) }
        div class="note good" { p { (text::setup_over_text(lang)) } }
        p class="actions" { a class="button primary" href="/admin/" { (text::setup_over_console(lang)) } }
        p class="soft" { (text::setup_over_commands(lang)) }
    };
    Page { lang, path: PATH, title, is_waiting: false, side: None, content }.respond(StatusCode::OK)
}

/// That there is no such page.
pub fn missing(lang: Lang) -> Response {
    let title = text::web_missing_title(lang);
    let content = html! { h1 { (title) } p { a href=(PATH) { (text::setup_back(lang)) } } };
    Page { lang, path: PATH, title, is_waiting: false, side: None, content }.respond(StatusCode::NOT_FOUND)
}
