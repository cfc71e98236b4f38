//! The administration API: HTTP and JSON, on a unix socket, for the command line now and for the console later.
//!
//! [`endpoints`] has every route on one page, and what it needs; [`policy`] sees to it that who asks has it. [`doors`]
//! has what the API needs from the rest of the node. [`socket`] lets in who may be there, `crate::web` those who signed
//! in or have a token. Errors are problems ([`problem`], RFC 9457) with a code, a text and a remedy.
//!
//! - Reading answers from this node's copy of the directory; changes are taken by the main node only.
//! - `ETag` is the row's modseq. `If-Match` on PATCH and DELETE refuses to change what somebody else changed meanwhile.
//! - `?dry_run=true` on every write checks all and does nothing.
//! - POST is not repeated by the server: a second one for the same name is answered 409 `taken` with the resource that
//!   has it in `existing`, so that a client whose answer was lost finds what it made.
//! - A write that changes nothing is answered 200 with `Sterna-Changed: false`.

mod accounts;
mod acl;
mod answer;
pub mod api_tokens;
mod app_passwords;
mod archive;
mod audit;
mod auto_failover;
mod bin;
mod certificates;
mod connections;
mod contacts;
mod copies;
mod create;
mod dav_objects;
mod described;
pub mod dkim;
mod dns;
mod doctor;
mod domains;
pub mod doors;
mod drain;
mod edges;
pub mod endpoints;
mod events;
mod external;
mod failover;
mod files;
mod findings;
mod firewall;
mod graphs;
mod greylist;
mod groups;
mod idempotency;
mod imports;
mod input;
mod job_events;
mod job_log;
mod job_view;
mod jobs;
mod links;
mod listing;
pub mod maintenance;
mod memory;
mod meter;
mod migration;
mod morning;
mod objects;
mod openapi;
mod orphans;
mod passkeys;
mod people_import;
mod plan;
mod policy;
pub mod principal;
pub mod problem;
mod queue;
pub mod records;
mod replication;
mod resolve;
mod resources;
mod roles;
pub mod scim;
mod search;
mod second_factor;
mod select;
mod servers;
pub mod sessions;
mod settings;
mod sieve;
pub mod socket;
mod sources;
mod spread;
mod status;
mod sudo;
mod sweep;
#[cfg(test)]
mod tests;
mod tokens;
mod totp;
pub(crate) mod trace;
mod updates;
mod users;
mod view;
pub mod vitals;
pub(crate) mod ways_in;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

pub use auto_failover::watch_forever;
pub use doors::{
    AdminState, JoinToken, NodeInfo, Provision, ProvisionError, StoreReport, TokenError, TokenRequest, Tokens,
};
pub(crate) use job_view::address_of;
pub use memory::Memory;
pub use morning::Morning;
pub use sweep::sweep_forever;
pub use updates::roll_forever;
pub(crate) use view::time;

/// Largest request body, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The API. Whoever serves it says with each request who asks ([`Principal`]); without that it does nothing.
pub fn router(state: AdminState) -> Router {
    endpoints::routes(&state)
        .route("/api/v1/session", post(sessions::sign_in))
        .route("/api/v1/session/passkey-challenge", post(passkeys::challenge))
        .route("/api", get(openapi::describe))
        .merge(scim::router())
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(state.clone(), idempotency::once))
        .layer(from_fn_with_state(state.clone(), audit::record))
        .with_state(state)
}
