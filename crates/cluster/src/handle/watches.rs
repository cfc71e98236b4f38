//! Watches, the asking side: all watched accounts of one peer share one stream. When the connection breaks, the stream
//! is made again and every account asked for again; the answer to that brings the modseqs up to date.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;
use sterna_base::{AccountId, Epoch, Modseq};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;

use crate::limits::{RECONNECT_MAX_MS, RECONNECT_MIN_MS, WATCH_QUEUE_MAX, WATCH_SWEEP_MS};
use crate::rpc::body::{Payload, Piece};
use crate::rpc::calls::{WatchAsk, WatchTell};
use crate::rpc::peer::{Call, Peer};
use crate::rpc::watches::{Records, frame};
use crate::rpc::wire;

/// How long after a refusal the account is asked for again: its node's copy of the directory may lag behind ours.
const ASK_AGAIN_MS: u64 = 500;

struct Entry {
    modseq: watch::Sender<Modseq>,
    epoch: Epoch,
    /// Whether the node answered that it can't.
    refused: bool,
}

#[derive(Default)]
struct Shared {
    entries: HashMap<AccountId, Entry>,
    /// What the stream must be told: watched now, if there is an entry, or ended.
    pending: VecDeque<AccountId>,
    running: bool,
}

/// The watches on one peer.
pub struct PeerWatches {
    peer: Arc<Peer>,
    shared: Mutex<Shared>,
    news: Notify,
}

impl PeerWatches {
    pub(crate) fn new(peer: Arc<Peer>) -> Arc<Self> {
        Arc::new(PeerWatches { peer, shared: Mutex::default(), news: Notify::new() })
    }

    /// The modseq of an account there. Begins with zero, or with what is known from an earlier watch, and is brought up
    /// to date as soon as the peer answers.
    pub(crate) fn watch(self: &Arc<Self>, account: AccountId, epoch: Epoch) -> watch::Receiver<Modseq> {
        let mut shared = self.shared.lock();
        let mut changed = !shared.entries.contains_key(&account);
        let entry = shared.entries.entry(account).or_insert_with(|| Entry {
            modseq: watch::Sender::new(Modseq::ZERO),
            epoch,
            refused: false,
        });
        changed |= std::mem::replace(&mut entry.epoch, epoch) != epoch;
        let receiver = entry.modseq.subscribe();
        if changed {
            shared.pending.push_back(account);
        }
        if !std::mem::replace(&mut shared.running, true) {
            tokio::spawn(run(Arc::downgrade(self)));
        }
        drop(shared);
        self.news.notify_one();
        receiver
    }

    /// The next thing that the stream must be told.
    fn next_ask(&self) -> Option<WatchAsk> {
        let mut shared = self.shared.lock();
        let account = shared.pending.pop_front()?;
        let entry = shared.entries.get_mut(&account);
        let epoch = entry.map(|entry| {
            entry.refused = false;
            entry.epoch
        });
        Some(WatchAsk { account, epoch })
    }

    fn take(&self, tell: &WatchTell) {
        let mut shared = self.shared.lock();
        let Some(entry) = shared.entries.get_mut(&tell.account) else { return };
        match tell.modseq {
            Some(modseq) => {
                entry.modseq.send_if_modified(|known| {
                    let newer = modseq > *known;
                    *known = modseq.max(*known);
                    newer
                });
            }
            None => entry.refused = true,
        }
    }

    /// A new stream knows nothing: everything is to be asked for.
    fn begin_stream(&self) {
        let mut shared = self.shared.lock();
        shared.pending = shared.entries.keys().copied().collect();
    }

    fn ask_refused_again(&self) {
        let mut guard = self.shared.lock();
        let shared = &mut *guard;
        for (account, entry) in shared.entries.iter_mut().filter(|(_, entry)| entry.refused) {
            entry.refused = false;
            shared.pending.push_back(*account);
        }
    }

    /// Forgets accounts that nobody watches; says whether any are left.
    fn sweep(&self) -> bool {
        let mut guard = self.shared.lock();
        let shared = &mut *guard;
        shared.entries.retain(|account, entry| {
            let read = entry.modseq.receiver_count() > 0;
            if !read {
                shared.pending.push_back(*account);
            }
            read
        });
        shared.running = !shared.entries.is_empty();
        shared.running
    }
}

/// Keeps the stream of a peer's watches for as long as there are any.
async fn run(weak: Weak<PeerWatches>) {
    let mut pause_ms = RECONNECT_MIN_MS;
    loop {
        let Some(watches) = weak.upgrade() else { return };
        let up = timeout(Duration::from_millis(WATCH_SWEEP_MS), watches.peer.wait_up()).await;
        if up.is_err() {
            if !watches.sweep() {
                return;
            }
            continue;
        }
        watches.begin_stream();
        match stream(&watches).await {
            Ok(()) => {
                if !watches.sweep() {
                    return;
                }
                pause_ms = RECONNECT_MIN_MS;
            }
            Err(error) => {
                tracing::debug!(peer = %watches.peer.name(), error, "no stream of watches");
                if !watches.sweep() {
                    return;
                }
                pause_ms = (pause_ms * 2).min(RECONNECT_MAX_MS);
            }
        }
        drop(watches);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
}

/// One stream, until it ends or nobody watches any more.
async fn stream(watches: &Arc<PeerWatches>) -> Result<(), String> {
    let (asks, queue) = mpsc::channel(WATCH_QUEUE_MAX);
    let call = Call { content_type: wire::MESSAGE_PACK, ..Call::control(Method::POST, "/v1/watch") };
    let answer = watches.peer.open(&call, Payload::Pieces(queue)).await.map_err(|error| error.to_string())?;
    let mut tells = answer.into_body();
    let mut records = Records::default();
    let mut sweep = tokio::time::interval(Duration::from_millis(WATCH_SWEEP_MS));
    let mut again = tokio::time::interval(Duration::from_millis(ASK_AGAIN_MS));
    loop {
        // Asking and reading go on side by side: were asking waited for alone, two full queues could wait for each
        // other.
        tokio::select! {
            sent = send_asks(watches, &asks) => sent?,
            ended = read(watches, &mut tells, &mut records) => return ended,
            _ = again.tick() => watches.ask_refused_again(),
            _ = sweep.tick() => if !watches.sweep() {
                return Ok(());
            },
        }
    }
}

/// Sends what is to be asked, for ever. May be cancelled anywhere: an ask leaves the list when it has its place.
async fn send_asks(watches: &PeerWatches, asks: &mpsc::Sender<Piece>) -> Result<(), String> {
    loop {
        let place = asks.reserve().await.map_err(|error| error.to_string())?;
        match watches.next_ask() {
            Some(ask) => place.send(Piece::Data(frame(&ask).map_err(|error| error.to_string())?)),
            None => {
                drop(place);
                watches.news.notified().await;
            }
        }
    }
}

async fn read(watches: &PeerWatches, tells: &mut Incoming, records: &mut Records) -> Result<(), String> {
    while let Some(frame) = tells.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Ok(bytes) = frame.into_data() {
            records.feed(&bytes);
            while let Some(tell) = records.next::<WatchTell>().map_err(|error| error.to_string())? {
                watches.take(&tell);
            }
        }
    }
    Ok(())
}
