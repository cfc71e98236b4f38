//! The administration API: HTTP and JSON, on a unix socket, for the command line now and for the console later.
//!
//! [`router`] has every route on one page. [`doors`] has what it needs from the rest of the node.

pub mod doors;

pub use doors::{AdminState, JoinToken, NodeInfo, Provision, ProvisionError, TokenError, TokenRequest, Tokens};

/// Every route of the API.
pub fn router(_state: AdminState) -> axum::Router {
    axum::Router::new()
}
