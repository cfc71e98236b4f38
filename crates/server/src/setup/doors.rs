//! What a node listens on while it is set up. A port that somebody else has is no reason not to start then: the setup
//! says so, with what to do. Once it is over, it is.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use sterna_account::service::Reception;

/// Ports for the pages where the one that was meant is not to be had; then any.
pub const HTTPS_PORTS: [u16; 3] = [8443, 9443, 0];

/// What listens, and what doesn't.
#[derive(Default)]
pub struct Doors {
    /// Whether the node is being set up.
    pub is_lenient: bool,
    closed: Mutex<Vec<String>>,
    open: Mutex<Vec<(&'static str, SocketAddr)>>,
    /// Who takes mail, once somebody does.
    pub reception: OnceLock<Arc<dyn Reception>>,
}

impl Doors {
    /// Of a node that is being set up, or not.
    pub fn new(is_lenient: bool) -> Arc<Self> {
        Arc::new(Doors { is_lenient, ..Doors::default() })
    }

    /// It listens there.
    pub fn opened(&self, service: &'static str, address: SocketAddr) {
        self.open.lock().push((service, address));
    }

    /// It can't listen there.
    pub fn failed(&self, service: &str, address: SocketAddr, cause: &str) {
        self.closed.lock().push(format!("{service} {address}: {cause}"));
    }

    /// What can't listen.
    pub fn closed(&self) -> Vec<String> {
        self.closed.lock().clone()
    }

    /// Where a service listens.
    pub fn of(&self, service: &str) -> Option<SocketAddr> {
        self.open.lock().iter().find(|(known, _)| *known == service).map(|(_, address)| *address)
    }

    /// The addresses that were meant for listening, without those that stand for all.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> = self.open.lock().iter().map(|(_, address)| address.ip()).collect();
        addresses.retain(|address| !address.is_unspecified() && *address != IpAddr::from([127, 0, 0, 1]));
        addresses.sort();
        addresses.dedup();
        addresses
    }
}
