//! Limits of the protocol: large bodies, strange requests, slow readers, and what a call costs.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use sterna_base::{AccountId, Epoch, OperationId};
use sterna_cluster::limits::CONTROL_BODY_BYTES_MAX;
use sterna_cluster::rpc::body::{Payload, Piece};
use sterna_cluster::rpc::peer::Call;
use sterna_cluster::rpc::{CallError, FaultKind};
use tokio::time::timeout;

use crate::accounts::append;
use crate::support::*;

async fn fault(node: &TestNode, to: &TestNode, call: Call, body: Bytes) -> FaultKind {
    match node.peers.peer(to.id()).call(&call, body).await {
        Err(CallError::Refused { fault, .. }) => fault.kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn strange_requests_are_refused_with_their_own_fault() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    installation.add_account(AccountId(1), &node).await;
    let main = &installation.main;
    let large = Bytes::from(vec![b' '; CONTROL_BODY_BYTES_MAX + 1]);
    let refused = fault(main, &node, Call::control(Method::PUT, "/v1/stores/9"), large).await;
    assert_eq!(refused, FaultKind::TooLarge { bytes_max: CONTROL_BODY_BYTES_MAX as u64 });
    let call = |method: &str| Call::account(format!("/v1/accounts/1/{method}"), Epoch(1));
    assert_eq!(fault(main, &node, call("nothing"), Bytes::new()).await, FaultKind::NoRoute);
    assert_eq!(fault(main, &node, Call::control(Method::GET, "/"), Bytes::new()).await, FaultKind::NoRoute);
    let garbage = Bytes::from_static(&[0xc1, 0xff]);
    assert!(matches!(fault(main, &node, call("commit"), garbage).await, FaultKind::Malformed(_)));
    let without = Call { epoch: None, ..call("head") };
    assert!(matches!(fault(main, &node, without, Bytes::new()).await, FaultKind::Malformed(_)));
    let number = Call::account("/v1/accounts/one/head".to_owned(), Epoch(1));
    assert!(matches!(fault(main, &node, number, Bytes::new()).await, FaultKind::Malformed(_)));
    assert_eq!(fault(main, &node, Call::control(Method::POST, "/v1/join"), Bytes::new()).await, FaultKind::NoRoute);
}

#[tokio::test]
async fn a_peer_that_reads_nothing_stops_an_upload_instead_of_filling_memory() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    let wire = Wire::to(node.address).await;
    installation.world.set_address(node.id(), "alpha", wire.address);
    installation.add_account(AccountId(1), &node).await;
    let remote = installation.main.open(&installation.world, AccountId(1)).await;
    remote.head().await.unwrap();
    wire.freeze();
    let mut upload = remote.stage_blob().await.unwrap();
    let chunk = Bytes::from(vec![1; 256 * 1024]);
    let mut taken_bytes = 0;
    while taken_bytes < 64 << 20 {
        match timeout(Duration::from_millis(500), upload.write(chunk.clone())).await {
            Ok(Ok(())) => taken_bytes += chunk.len(),
            _ => break,
        }
    }
    assert!(taken_bytes <= 8 << 20, "{taken_bytes} bytes were taken in");
}

#[tokio::test]
async fn calls_side_by_side_share_one_connection_and_are_cheap() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    installation.add_account(AccountId(1), &node).await;
    let remote = installation.main.open(&installation.world, AccountId(1)).await;
    remote.commit(OperationId::random(), append("x")).await.unwrap();
    let began = Instant::now();
    let calls: Vec<_> = (0..600)
        .map(|_| {
            let remote = remote.clone();
            tokio::spawn(async move { remote.head().await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn silence_is_hung_up_on() {
    use tokio::io::AsyncReadExt;
    let installation = Installation::new().await;
    let mut silent = tokio::net::TcpStream::connect(installation.main.address).await.unwrap();
    let limit = Duration::from_millis(sterna_cluster::limits::HANDSHAKE_TIMEOUT_MS + 5_000);
    let mut byte = [0];
    let read = timeout(limit, silent.read(&mut byte)).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_request_that_stands_still_is_given_up_and_the_connection_goes_on() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    installation.add_account(AccountId(1), &node).await;
    let peer = installation.main.peers.peer(node.id());
    let (pieces, queue) = tokio::sync::mpsc::channel(1);
    pieces.send(Piece::Data(Bytes::from_static(b"half"))).await.unwrap();
    let call = Call::account("/v1/accounts/1/commit".to_owned(), Epoch(1));
    let error = peer.open(&call, Payload::Pieces(queue)).await.unwrap_err();
    let CallError::Refused { fault, .. } = error else { panic!("{error:?}") };
    assert_eq!(fault.kind, FaultKind::Stalled);
    drop(pieces);
    let remote = installation.main.open(&installation.world, AccountId(1)).await;
    remote.head().await.unwrap();
}
