//! What a node serves over HTTP besides DAV: the administration API for those who signed in or have a token, the
//! console, the first set-up, and how the node is for whoever watches it.
//!
//! Everything that a page does goes through the API. Here is who asks ([`door`]), and which path belongs to whom.

mod challenge;
mod console;
mod door;
pub(crate) mod health;

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use http_body_util::BodyExt;
use sterna_protocols::dav::pages::{PageBody, Pages, PatientBody, Visitor};
use sterna_web::Client;
use sterna_web::setup::{self, Setup};
use tower::ServiceExt;

use crate::admin::sessions::From;
use crate::admin::{self, AdminState};

/// What users ask for with the log-in of DAV: it has a door of its own.
const OF_USERS: &str = "/api/v1/own/";

/// Serves them.
#[derive(Clone)]
pub struct Web {
    router: Router,
    has_setup: bool,
}

impl Web {
    /// Over the same API as the administration socket; the main node has the pages of the setup.
    pub fn new(state: AdminState, setup: Option<Arc<Setup>>) -> Arc<Self> {
        let api = admin::router(state.clone()).layer(from_fn_with_state(state.clone(), door::admit));
        let (first, has_setup) = (setup.clone(), setup.is_some());
        let begin = move || async move {
            let waits = first.is_some_and(|setup| setup.is_open());
            redirect(if waits { setup::PATH } else { "/admin/" })
        };
        let router = Router::new()
            .route("/", get(begin))
            .route("/admin", get(|| async { redirect("/admin/") }))
            .route("/admin/", get(console::file))
            .route("/admin/{*path}", get(console::file))
            .route(&format!("{}{{token}}", challenge::PATH), get(challenge::answer))
            .route("/healthz", get(health::alive))
            .route("/readyz", get(health::ready))
            .route("/metrics", get(health::metrics))
            .with_state(state.clone())
            .merge(crate::openid::sign_in::router(state))
            .fallback_service(api);
        let router = match setup {
            Some(setup) => router.merge(crate::setup::http::router(setup.clone())).merge(setup::router(setup)),
            None => router,
        };
        Arc::new(Web { router, has_setup })
    }
}

/// Whether a path is this one or below it.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn redirect(to: &'static str) -> impl IntoResponse {
    (StatusCode::SEE_OTHER, [(header::LOCATION, HeaderValue::from_static(to))])
}

#[async_trait]
impl Pages for Web {
    fn owns(&self, method: &Method, path: &str) -> bool {
        match path {
            "/" => matches!(*method, Method::GET | Method::HEAD),
            "/healthz" | "/readyz" | "/metrics" => true,
            path if path.starts_with(challenge::PATH) => true,
            path if is_below(path, setup::PATH) => self.has_setup,
            path if is_below(path, admin::scim::PATH) => true,
            path => is_below(path, "/admin") || is_below(path, "/api") && !path.starts_with(OF_USERS),
        }
    }

    async fn answer(&self, request: http::Request<PatientBody>, visitor: Visitor) -> Response<PageBody> {
        if is_below(request.uri().path(), setup::PATH)
            && !visitor.encrypted
            && !visitor.peer.to_canonical().is_loopback()
        {
            let text = (StatusCode::FORBIDDEN, "The setup is served over https only.\n").into_response();
            return text.map(|body| body.map_err(std::io::Error::other).boxed_unsync());
        }
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(Client { address: visitor.peer });
        request.extensions_mut().insert(From { peer: visitor.peer, encrypted: visitor.encrypted });
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        response.map(|body| body.map_err(std::io::Error::other).boxed_unsync())
    }
}
