//! The administration API: HTTP and JSON, on a unix socket, for the command line now and for the console later.
//!
//! [`router`] has every route on one page. [`doors`] has what it needs from the rest of the node, [`socket`] lets in
//! who may be there. Errors are problems ([`problem`], RFC 9457) with a code, a text and a remedy.
//!
//! - Reading answers from this node's copy of the directory; changes are taken by the main node only.
//! - `ETag` is the row's modseq. `If-Match` on PATCH and DELETE refuses to change what somebody else changed meanwhile.
//! - `?dry_run=true` on every write checks all and does nothing.
//! - POST is not repeated by the server: a second one for the same name is answered 409 `taken` with the resource that
//!   has it in `existing`, so that a client whose answer was lost finds what it made.
//! - A write that changes nothing is answered 200 with `Sterna-Changed: false`.

mod accounts;
mod acl;
mod auto_failover;
mod copies;
mod create;
pub mod dkim;
mod dns;
mod domains;
pub mod doors;
mod drain;
mod external;
mod failover;
mod files;
mod findings;
mod groups;
mod input;
mod job_view;
mod jobs;
mod links;
pub mod maintenance;
mod memory;
mod meter;
mod objects;
mod orphans;
mod plan;
pub mod problem;
mod queue;
mod resolve;
mod resources;
mod search;
mod select;
mod servers;
mod settings;
mod sieve;
pub mod socket;
mod spread;
mod status;
mod sweep;
#[cfg(test)]
mod tests;
mod tokens;
pub(crate) mod trace;
mod users;
mod view;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post, put};

pub use auto_failover::watch_forever;
pub use doors::{
    AdminState, JoinToken, NodeInfo, Provision, ProvisionError, StoreReport, TokenError, TokenRequest, Tokens,
};
pub(crate) use job_view::address_of;
pub use memory::Memory;
pub use sweep::sweep_forever;
pub(crate) use view::time;

/// Largest request body, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Every route of the API. It asks nobody who they are: [`socket::serve`] does.
pub fn router(state: AdminState) -> Router {
    Router::new()
        .route("/api/v1/status", get(status::get))
        .route("/api/v1/domains", get(domains::list).post(domains::create))
        .route("/api/v1/domains/{domain}", get(domains::get).patch(domains::set).delete(domains::delete))
        .route("/api/v1/domains/{domain}/dkim", get(dkim::list).post(dkim::create))
        .route("/api/v1/domains/{domain}/dkim/{selector}", get(dkim::get).patch(dkim::set).delete(dkim::delete))
        .route("/api/v1/domains/{domain}/dns", get(dns::list))
        .route("/api/v1/users", get(users::list).post(users::create))
        .route("/api/v1/users/{user}", get(users::get).patch(users::set).delete(users::delete))
        .route("/api/v1/groups", get(groups::list).post(groups::create))
        .route("/api/v1/groups/{group}", get(groups::get).patch(groups::set).delete(groups::delete))
        .route("/api/v1/groups/{group}/members", get(groups::members).patch(groups::set_members))
        .route("/api/v1/accounts", get(accounts::list).post(accounts::create))
        .route("/api/v1/accounts/{account}", get(accounts::get).patch(accounts::set).delete(accounts::delete))
        .route("/api/v1/resources", get(resources::list).post(resources::create))
        .route("/api/v1/resources/{account}", get(accounts::get).patch(accounts::set).delete(accounts::delete))
        .route("/api/v1/accounts/{account}/acl", get(acl::list).patch(acl::set))
        .route("/api/v1/accounts/{account}/files/versions", get(files::versions).post(files::restore))
        .route("/api/v1/accounts/{account}/files/links", get(files::list_links).post(files::create_link))
        .route("/api/v1/accounts/{account}/files/links/{token}", delete(files::revoke_link))
        .route("/api/v1/accounts/{account}/birthdays", get(external::birthdays).put(external::set_birthdays))
        .route("/api/v1/accounts/{account}/external-calendars", get(external::list).post(external::create))
        .route("/api/v1/accounts/{account}/external-calendars/{calendar}", delete(external::delete))
        .route("/api/v1/accounts/{account}/external-calendars/{calendar}/refresh", post(external::refresh))
        .route("/api/v1/accounts/{account}/links", get(links::list).post(links::create))
        .route("/api/v1/accounts/{account}/links/{link}", delete(links::delete))
        .route(
            "/api/v1/accounts/{account}/objects",
            get(objects::list).post(objects::put).layer(DefaultBodyLimit::max(objects::BODY_BYTES_MAX)),
        )
        .route("/api/v1/accounts/{account}/where", get(accounts::place))
        .route("/api/v1/accounts/{account}/copies", get(copies::list))
        .route("/api/v1/accounts/{account}/copies/{server}", put(copies::put).delete(copies::delete))
        .route("/api/v1/accounts/{account}/sieve", get(sieve::list).patch(sieve::activate))
        .route("/api/v1/accounts/{account}/sieve/{script}", get(sieve::get).put(sieve::put).delete(sieve::delete))
        .route("/api/v1/sieve/{when}", get(sieve::get_of_domain).patch(sieve::put_of_domain))
        .route("/api/v1/jobs", get(jobs::list).post(jobs::create))
        .route("/api/v1/jobs/{job}", get(jobs::get).patch(jobs::set))
        .route("/api/v1/jobs/{job}/moves", get(jobs::moves))
        .route("/api/v1/mail/maintenance", post(maintenance::run))
        .route("/api/v1/mail/tables/{table}", get(maintenance::table))
        .route("/api/v1/queue", get(queue::list).post(queue::act))
        .route("/api/v1/queue/{message}", get(queue::get))
        .route("/api/v1/search", get(search::list))
        .route("/api/v1/search/{account}", get(search::get).delete(search::delete))
        .route("/api/v1/servers", get(servers::list))
        .route("/api/v1/servers/{server}", get(servers::get).patch(servers::set).delete(servers::delete))
        .route("/api/v1/servers/{server}/drain", delete(drain::undo))
        .route("/api/v1/servers/{server}/orphans", get(orphans::list).delete(orphans::delete))
        .route(
            "/api/v1/servers/{server}/standby",
            get(copies::list_standby).put(copies::put_all).delete(copies::delete_all),
        )
        .route("/api/v1/settings", get(settings::list))
        .route("/api/v1/setting-changes", get(settings::history).post(settings::revert))
        .route("/api/v1/settings/{setting}", get(settings::get).patch(settings::set))
        .route("/api/v1/trace", get(trace::get))
        .route("/api/v1/tokens", get(tokens::list).post(tokens::issue))
        .route("/api/v1/tokens/{token}", delete(tokens::revoke))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state)
}
