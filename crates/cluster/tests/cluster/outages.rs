//! Lost answers, dead peers, watches across reconnections, and a main node that is away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sterna_account::{Account, AccountError};
use sterna_base::{AccountId, Modseq, OperationId, Uid};
use sterna_cluster::follow::{ApplyFailed, DirectoryLog, Follower, LogFollower};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::accounts::append;
use crate::support::*;

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_done_once() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    let wire = Wire::to(node.address).await;
    installation.world.set_address(node.id(), "alpha", wire.address);
    let account = AccountId(1);
    installation.add_account(account, &node).await;
    let stored = node.local.get(account).await.unwrap();
    let remote = installation.main.open(&installation.world, account).await;
    remote.head().await.unwrap();
    for n in 1..=6_u32 {
        let mut modseq = stored.watch();
        modseq.mark_unchanged();
        wire.swallow_answers();
        let committing = {
            let remote = remote.clone();
            tokio::spawn(async move { remote.commit(OperationId::random(), append(&format!("message {n}"))).await })
        };
        modseq.changed().await.unwrap();
        wire.cut();
        let committed = committing.await.unwrap().unwrap();
        assert!(committed.repeated);
        assert_eq!(stored.item_flags(INBOX, Uid(0), 100).await.unwrap().len(), n as usize);
    }
}

#[tokio::test]
async fn a_dead_node_fails_fast_and_slows_nobody_else() {
    let installation = Installation::new().await;
    let (alpha, beta) = (installation.add_node("alpha").await, installation.add_node("beta").await);
    let wire = Wire::to(alpha.address).await;
    installation.world.set_address(alpha.id(), "alpha", wire.address);
    let (dead, alive) = (AccountId(1), AccountId(2));
    installation.add_account(dead, &alpha).await;
    installation.add_account(alive, &beta).await;
    let on_alpha = installation.main.open(&installation.world, dead).await;
    let on_beta = installation.main.open(&installation.world, alive).await;
    on_alpha.head().await.unwrap();
    on_beta.head().await.unwrap();

    wire.freeze();
    let began = Instant::now();
    let asking = {
        let on_alpha = on_alpha.clone();
        tokio::spawn(async move { on_alpha.head().await })
    };
    while !asking.is_finished() {
        let one = Instant::now();
        on_beta.commit(OperationId::random(), append("x")).await.unwrap();
        assert!(one.elapsed() < Duration::from_secs(2));
    }
    let error = asking.await.unwrap().unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(matches!(&error, AccountError::Unavailable(text) if text.contains("alpha")), "{error}");
    assert!(error.is_temporary());

    let began = Instant::now();
    for _ in 0..50 {
        on_alpha.head().await.unwrap_err();
    }
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());

    wire.cut();
    installation.main.peers.peer(alpha.id()).wait_up().await;
    on_alpha.head().await.unwrap();
}

#[tokio::test]
async fn watches_share_a_stream_and_survive_reconnections() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    let wire = Wire::to(node.address).await;
    installation.world.set_address(node.id(), "alpha", wire.address);
    let mut watched = Vec::new();
    for n in 1..=20 {
        installation.add_account(AccountId(n), &node).await;
        let handle = installation.main.open(&installation.world, AccountId(n)).await;
        watched.push((node.local.get(AccountId(n)).await.unwrap(), handle.watch(), handle));
    }
    for (stored, modseq, _) in &mut watched {
        let head = stored.head().await.unwrap().modseq;
        modseq.wait_for(|known| *known == head).await.unwrap();
        let next = stored.commit(OperationId::random(), append("x")).await.unwrap().modseq;
        modseq.wait_for(|known| *known == next).await.unwrap();
    }
    wire.swallow_answers();
    let mut missed: Vec<Modseq> = Vec::new();
    for (stored, ..) in &watched {
        missed.push(stored.commit(OperationId::random(), append("missed")).await.unwrap().modseq);
    }
    wire.cut();
    for ((_, modseq, _), missed) in watched.iter_mut().zip(missed) {
        modseq.wait_for(|known| *known == missed).await.unwrap();
    }
}

/// A log of numbers, and a copy of it.
struct Log {
    rows: Mutex<Vec<u64>>,
    head: watch::Sender<u64>,
    asked: watch::Sender<usize>,
}

impl Log {
    fn new() -> Arc<Self> {
        Arc::new(Log { rows: Mutex::default(), head: watch::Sender::new(0), asked: watch::Sender::new(0) })
    }

    /// Waits until it was asked so many times more.
    async fn is_asked(&self, more: usize) {
        let mut asked = self.asked.subscribe();
        let from = *asked.borrow();
        asked.wait_for(|asked| *asked >= from + more).await.unwrap();
    }

    fn push(&self, row: u64) {
        self.rows.lock().push(row);
        self.head.send_modify(|head| *head += 1);
    }
}

#[async_trait]
impl DirectoryLog for Log {
    async fn changes(&self, after: Value, limit: usize) -> Result<Value, String> {
        let after = after.as_u64().ok_or("not a cursor")? as usize;
        let rows = self.rows.lock();
        let page: Vec<u64> = rows.iter().skip(after).take(limit.min(3)).copied().collect();
        Ok(json!({ "after": after, "rows": page, "head": rows.len() }))
    }

    fn is_main(&self) -> bool {
        true
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.asked.send_modify(|asked| *asked += 1);
        self.head.subscribe()
    }
}

#[derive(Default)]
struct Copy {
    rows: Mutex<Vec<u64>>,
    started_again: Mutex<bool>,
}

#[async_trait]
impl LogFollower for Copy {
    async fn position(&self) -> Result<(Value, u64), String> {
        let rows = self.rows.lock().len() as u64;
        Ok((json!(rows), rows))
    }

    async fn apply(&self, page: Value) -> Result<bool, ApplyFailed> {
        let mut rows = self.rows.lock();
        let head = page["head"].as_u64().unwrap() as usize;
        if page["after"] != json!(rows.len()) || head < rows.len() {
            return Err(ApplyFailed { text: "behind".into(), diverged: true });
        }
        rows.extend(page["rows"].as_array().unwrap().iter().map(|row| row.as_u64().unwrap()));
        Ok(rows.len() == head)
    }

    async fn start_again(&self) -> Result<(), String> {
        *self.started_again.lock() = true;
        self.rows.lock().clear();
        Ok(())
    }
}

#[tokio::test]
async fn the_directory_is_followed_across_outages_and_histories() {
    let log = Log::new();
    let installation = Installation::with_log(Some(log.clone())).await;
    (0..10).for_each(|row| log.push(row));
    let node = installation.add_node("alpha").await;
    let wire = Wire::to(installation.main.address).await;
    installation.world.set_address(installation.main.id(), "main", wire.address);
    let copy = Arc::new(Copy::default());
    let follower = Follower::new(node.peers.clone(), copy.clone(), Arc::new(installation.clock.clone()));
    let mut status = follower.status();
    let stop = CancellationToken::new();
    let running = tokio::spawn(follower.run(stop.clone()));
    status.wait_for(|status| status.modseq == 10 && status.complete_at.is_some()).await.unwrap();
    log.push(10);
    status.wait_for(|status| status.modseq == 11).await.unwrap();
    wire.cut();
    log.push(11);
    status.wait_for(|status| status.modseq == 12).await.unwrap();
    assert_eq!(*copy.rows.lock(), *log.rows.lock());
    // The main node comes back from an older backup.
    log.rows.lock().truncate(4);
    log.head.send_replace(4);
    status.wait_for(|status| status.modseq == 4 && status.head == 4).await.unwrap();
    assert!(*copy.started_again.lock());
    assert_eq!(*copy.rows.lock(), *log.rows.lock());
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn who_cannot_reach_the_main_node_hears_of_its_changes_from_data_servers() {
    let (log, heard) = (Log::new(), Log::new());
    let installation = Installation::with_log(Some(log.clone())).await;
    let _mute = installation.add_node("mute").await;
    let _alpha = installation.add_node_with_log("alpha", Some(heard.clone())).await;
    let node = installation.add_node("beta").await;
    let nobody = std::net::TcpListener::bind(ANYWHERE).unwrap().local_addr().unwrap();
    installation.world.set_address(installation.main.id(), "main", nobody);
    (0..5).for_each(|row| [&log, &heard].iter().for_each(|log| log.push(row)));
    let copy = Arc::new(Copy::default());
    let follower = Follower::new(node.peers.clone(), copy.clone(), Arc::new(installation.clock.clone()));
    let mut status = follower.status();
    let stop = CancellationToken::new();
    let running = tokio::spawn(follower.run(stop.clone()));
    let told = status.wait_for(|status| status.modseq == 5).await.unwrap().clone();
    // It is not said to be complete: only the main node knows that.
    assert!(told.error.is_some() && told.complete_at.is_none(), "{told:?}");
    // A neighbour that begins anew takes nothing away.
    heard.rows.lock().clear();
    heard.head.send_replace(0);
    heard.is_asked(2).await;
    assert_eq!(*copy.rows.lock(), *log.rows.lock());
    assert!(!*copy.started_again.lock());
    log.push(5);
    installation.world.set_address(installation.main.id(), "main", installation.main.address);
    let status = status.wait_for(|status| status.modseq == 6).await.unwrap().clone();
    assert!(status.error.is_none() && status.complete_at.is_some(), "{status:?}");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_call_that_finds_a_node_gone_waits_for_its_return() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    let account = AccountId(1);
    installation.add_account(account, &node).await;
    let nobody = std::net::TcpListener::bind(ANYWHERE).unwrap().local_addr().unwrap();
    installation.world.set_address(node.id(), "alpha", nobody);
    let remote = installation.main.open(&installation.world, account).await;
    let peer = installation.main.peers.peer(node.id());
    let calling = tokio::spawn(async move { (remote.head().await, remote) });
    while !peer.is_down() {
        tokio::task::yield_now().await;
    }
    installation.world.set_address(node.id(), "alpha", node.address);
    let (answer, remote) = calling.await.unwrap();
    assert_eq!(answer.unwrap().account, account);
    remote.commit(OperationId::random(), append("x")).await.unwrap();
}

#[tokio::test]
async fn a_listener_closes_at_once_although_others_watch_and_follow() {
    let log = Log::new();
    let mut installation = Installation::with_log(Some(log.clone())).await;
    let node = installation.add_node("alpha").await;
    let account = AccountId(1);
    installation.add_account(account, &installation.main).await;
    let remote = node.open(&installation.world, account).await;
    let head = remote.head().await.unwrap().modseq;
    remote.watch().wait_for(|modseq| *modseq == head).await.unwrap();
    let follower = Follower::new(node.peers.clone(), Arc::new(Copy::default()), Arc::new(installation.clock.clone()));
    let mut status = follower.status();
    log.push(1);
    tokio::spawn(follower.run(CancellationToken::new()));
    status.wait_for(|status| status.complete_at.is_some()).await.unwrap();
    let began = Instant::now();
    installation.main.listener.take().unwrap().shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let failed = status.wait_for(|status| status.error.is_some()).await.unwrap();
    assert_eq!(failed.modseq, 1);
}
