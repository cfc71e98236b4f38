//! All peers of a node.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sterna_base::{Clock, NodeId};

use super::peer::{Peer, PeerContext};
use crate::handle::watches::PeerWatches;
use crate::identity::Identity;
use crate::nodes::Nodes;

/// The pool: one connection and one stream of watches for each node that was ever asked for.
pub struct Peers {
    context: Arc<PeerContext>,
    entries: Mutex<HashMap<NodeId, (Arc<Peer>, Arc<PeerWatches>)>>,
}

impl Peers {
    /// A pool that calls as `identity` the nodes that `nodes` knows. Connections are made when they are needed.
    pub fn new(identity: Arc<Identity>, nodes: Arc<dyn Nodes>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let context = Arc::new(PeerContext { identity, nodes, clock });
        Arc::new(Peers { context, entries: Mutex::default() })
    }

    /// Who this node is.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.context.identity
    }

    /// The node that owns the directory.
    pub fn main(&self) -> Arc<Peer> {
        let main = self.context.nodes.main().unwrap_or(self.context.identity.facts().main);
        self.peer(main)
    }

    /// The other nodes that hold accounts, and are not the main node.
    pub(crate) fn data_nodes(&self) -> Vec<NodeId> {
        let (this, main) = (self.context.identity.node(), self.main().node());
        let mut nodes = self.context.nodes.data_nodes();
        nodes.retain(|node| *node != this && *node != main);
        nodes
    }

    /// The peer of this id; whether it exists and answers is found out by calling it.
    pub fn peer(&self, node: NodeId) -> Arc<Peer> {
        self.entry(node).0
    }

    /// The watches on this peer.
    pub(crate) fn watches(&self, node: NodeId) -> Arc<PeerWatches> {
        self.entry(node).1
    }

    fn entry(&self, node: NodeId) -> (Arc<Peer>, Arc<PeerWatches>) {
        let mut entries = self.entries.lock();
        // Nodes that were removed from the directory give their place back; there are never many nodes.
        if !entries.contains_key(&node) {
            let main = self.context.identity.facts().main;
            entries.retain(|known, _| *known == main || self.context.nodes.node(*known).is_some());
        }
        let make = || {
            let peer = Peer::new(node, self.context.clone());
            (peer.clone(), PeerWatches::new(peer))
        };
        entries.entry(node).or_insert_with(make).clone()
    }
}
