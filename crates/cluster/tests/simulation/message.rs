//! What nodes say to each other, and what happens on a node.

use std::ops::Range;

use bytes::Bytes;
use sterna_account::follow::{ContainerPage, CopiedBlob, Page, Progress};
use sterna_account::{Commit, Committed, Container};
use sterna_base::{AccountId, BlobHash, ContainerId, Epoch, Modseq, Uid};
use sterna_cluster::moving::core::answers::Said;
use sterna_cluster::moving::core::step::End;

use crate::directory::{DirectoryRequest, Row};

/// A node by its place in the world: the main node is zero.
pub type NodeIx = usize;
/// Names a call and its answer.
pub type CallId = u64;

#[derive(Clone, Debug)]
pub enum Message {
    Request(CallId, AccountId, Request),
    Reply(CallId, Reply),
}

#[derive(Clone, Debug)]
pub enum Request {
    /// From an edge.
    Commit(Commit),
    Read {
        epoch: Epoch,
        container: Option<ContainerId>,
    },
    /// From a copy.
    Page(Progress),
    ContainerPage(ContainerId, Uid),
    Containers,
    Blobs(Vec<BlobHash>),
    Range(BlobHash, Range<u64>),
    /// From the main node.
    State,
    Seal(Epoch),
    MakeReady(End, Epoch),
    /// Look at the directory now; carries no authority.
    Told,
    /// What only a mutant says.
    DeleteNow,
    /// Rows after this: to the main node, as soon as there are some; to a data server, what it has.
    DirectorySince(u64),
    /// To the main node: a pending deletion is done.
    Deleted,
}

#[derive(Clone, Debug)]
pub enum Reply {
    Commit(Result<Committed, Fault>),
    Read(Result<Seen, Fault>),
    Page(Option<Page>),
    ContainerPage(Option<ContainerPage>),
    Containers(Option<Vec<Container>>),
    Blobs(Option<Vec<CopiedBlob>>),
    Range(Option<Bytes>),
    State(Option<Said>),
    Directory { rows: Vec<(AccountId, Row)>, modseq: u64 },
    Refused,
}

/// Why a data server did not do what an edge asked.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It doesn't serve the account (now, under this epoch), or its store is in trouble: look again.
    NotNow,
    /// The account refused it for good.
    Refused,
}

/// What a reader saw.
#[derive(Clone, Debug)]
pub struct Seen {
    pub modseq: Modseq,
    pub containers: Vec<Container>,
    pub container: Option<ContainerId>,
    pub items: Vec<(Uid, BlobHash)>,
}

/// Something that happens.
#[derive(Debug)]
pub enum Event {
    /// A message arrives.
    Deliver { from: NodeIx, to: NodeIx, message: Message },
    /// A timer of a node ends; not if the node was restarted since.
    Timer { node: NodeIx, life: u64, timer: Timer },
    /// A client does something.
    Client { client: usize, turn: u64 },
    /// Something breaks.
    Fault,
    /// Something breaks at the worst moment: in the middle of this account's move.
    Strike(AccountId),
    /// The power of a data server goes.
    PowerCut(NodeIx),
    /// A node comes up again.
    Restart(NodeIx),
    /// An administrator does something.
    Admin,
    /// Faults and administrators stop.
    Heal,
}

#[derive(Debug)]
pub enum Timer {
    /// A call was not answered in time.
    CallTimeout(CallId),
    /// What the store was doing has reached the disk.
    StoreDone(AccountId),
    /// A store that stopped is opened again.
    Reopen(AccountId),
    /// The pause of a copy is over.
    Follow(AccountId),
    /// A data server's look at all its stores.
    Duties,
    /// The main node looks at a move.
    Drive(AccountId),
    /// The main node's request has reached the disk.
    DirectoryDone,
    /// The main node looks for copies that were kept long enough.
    Housekeeping,
    /// Ask the main node for changes of the directory.
    FollowDirectory,
    /// An edge tries again what it holds.
    Attempt(u64),
    /// What a mutant does by itself.
    Unseal(AccountId, Epoch),
}

/// What a node does with an answer.
#[derive(Debug)]
pub enum Waiting {
    /// The edge's operation.
    Edge(u64),
    /// The copy of this account.
    Follow(AccountId),
    /// The main node's question to an end of a move.
    Source(AccountId),
    Target(AccountId),
    /// The directory's changes, from this node.
    Directory(NodeIx),
    Nothing,
    /// A mutant's deletion, and what the main node does after it.
    ThenRequest(DirectoryRequest),
}
