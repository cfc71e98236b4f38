//! Parts of pages that the server shows again when they change, as server-sent events (HTML standard, section 9.2).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};

use super::Setup;
use super::pages::{Cx, Step, certificate, checks, dns, proof, storage};
use crate::i18n::Lang;

/// How long one connection is kept: the browser makes another by itself, and a forgotten page lets go.
const ROUNDS_MAX: u32 = 200;

/// How often is looked, whether or not anything was heard.
const ROUND: Duration = Duration::from_secs(3);

/// The events of a part; 404 when there is none of that name.
pub fn respond(setup: Arc<Setup>, lang: Lang, part: &str, secret: &str) -> Response {
    let is_selection = part == "selection";
    let step = match part {
        "checks" => Step::Checks,
        "dns" => Step::Dns,
        "certificate" => Step::Certificate,
        "storage" | "selection" => Step::Storage,
        "proof" => Step::Proof,
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let secret = secret.to_owned();
    let events = stream::unfold((setup, String::new(), 0), move |(setup, mut last, mut round)| {
        let secret = secret.clone();
        async move {
            loop {
                // The session may have ended meanwhile.
                if round >= ROUNDS_MAX || !setup.knows(&secret) {
                    return None;
                }
                let heard = heard(&setup, step);
                let cx = Cx::new(&setup, lang, &secret, step);
                let now = if is_selection { storage::selection(&cx).into_string() } else { part_of(&cx) };
                round += 1;
                if now != last {
                    last.clone_from(&now);
                    return Some((Ok::<_, Infallible>(Event::default().data(now)), (setup, last, round)));
                }
                let _ = tokio::time::timeout(ROUND, heard).await;
            }
        }
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy in front is asked not to collect them (nginx).
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Ends when something of the part was found out.
fn heard(setup: &Setup, step: Step) -> impl Future<Output = ()> + Send + 'static {
    let mut waiting: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>> = Vec::new();
    match step {
        Step::Checks => waiting.extend(setup.checks.values().map(|check| Box::pin(check.heard()) as _)),
        Step::Dns => waiting.push(Box::pin(setup.records.heard())),
        Step::Certificate => waiting.push(Box::pin(setup.certificate.heard())),
        Step::Storage => waiting.push(Box::pin(setup.servers.heard())),
        _ => waiting.push(Box::pin(setup.proof.heard())),
    }
    async move {
        futures_util::future::select_all(waiting).await;
    }
}

fn part_of(cx: &Cx<'_>) -> String {
    let part = match cx.step {
        Step::Checks => checks::live(cx),
        Step::Dns => dns::live(cx),
        Step::Certificate => certificate::live(cx),
        Step::Storage => storage::live(cx),
        _ => proof::live(cx),
    };
    part.into_string()
}
