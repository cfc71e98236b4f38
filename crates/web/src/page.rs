//! What all pages have in common: their head, their headers, the switch of languages.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, html};

use crate::assets;
use crate::i18n::{Lang, text};

/// Nothing but what this server serves itself, nothing inline, no frame around it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every page is sent with.
const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    // A page may show what nobody else is to see, and what was true a moment ago.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    // With "no-referrer" browsers say "null" where a form comes from, and forms of others could not be told from ours.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// A page.
pub struct Page<'a> {
    /// In which language.
    pub lang: Lang,
    /// Its path, to which the switch of languages leads back.
    pub path: &'a str,
    /// Its title.
    pub title: &'a str,
    /// Whether a browser without JavaScript is to load it again by itself: something on it is still being found out.
    pub is_waiting: bool,
    /// What stands beside the content.
    pub side: Option<Markup>,
    /// The content, with its `h1`.
    pub content: Markup,
}

/// Seconds after which a page that waits is loaded again where no script does better.
const RELOAD_SECONDS: u32 = 3;

impl Page<'_> {
    /// As an answer.
    pub fn respond(self, status: StatusCode) -> Response {
        let lang = self.lang;
        let markup = html! {
            (DOCTYPE)
            html lang=(lang.tag()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="robots" content="noindex";
                    title { (self.title) " · Sterna" }
                    link rel="icon" type="image/svg+xml" href=(assets::address("icon.svg"));
                    @for name in ["tokens.css", "base.css", "setup.css"] {
                        link rel="stylesheet" href=(assets::address(name));
                    }
                    @if self.is_waiting {
                        noscript { meta http-equiv="refresh" content=(RELOAD_SECONDS); }
                    }
                    script src=(assets::address("setup.js")) defer {}
                }
                body {
                    div class="page" {
                        a class="skip" href="#content" { (text::web_skip(lang)) }
                        header class="top" {
                            span class="brand" { "Sterna" }
                            (languages(lang, self.path))
                        }
                        @if let Some(side) = self.side {
                            div class="columns" {
                                (side)
                                main id="content" { (self.content) }
                            }
                        } @else {
                            main id="content" class="narrow" { (self.content) }
                        }
                    }
                }
            }
        };
        let mut response = (status, markup.into_string()).into_response();
        for (name, value) in HEADERS {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

fn languages(here: Lang, path: &str) -> Markup {
    html! {
        nav aria-label=(text::web_languages(here)) {
            ul class="languages" {
                @for lang in Lang::ALL {
                    li lang=(lang.tag()) {
                        @if lang == here { strong aria-current="true" { (lang.own_name()) } }
                        @else { a href=(format!("{path}?lang={}", lang.tag())) hreflang=(lang.tag()) { (lang.own_name()) } }
                    }
                }
            }
        }
    }
}

/// To another page, after a form was taken (RFC 9110 section 15.4.4).
pub fn see_other(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/setup"));
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::SEE_OTHER, headers).into_response()
}
