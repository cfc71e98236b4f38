//! Short names for what the tests of moves ask of a directory.

use sterna_base::{AccountId, Clock, Epoch, JobId, NodeId};
use sterna_directory::request::NewJob;
use sterna_directory::{
    Copy, Created, Done, Durability, Job, JobKind, Move, PendingStore, Placement, Request, RequestError,
};

use crate::common::Main;

pub const HOUR_MS: i64 = 3_600_000;

pub fn code<T: std::fmt::Debug>(result: Result<T, RequestError>) -> &'static str {
    let error = result.unwrap_err();
    assert!(!error.remedy().is_empty());
    error.code()
}

pub fn new_job(moves: &[(AccountId, NodeId)]) -> NewJob {
    NewJob { id: None, kind: JobKind::Move, what: "move some".into(), moves: moves.to_vec(), by: "ana".into() }
}

pub fn begin(main: &mut Main, moves: &[(AccountId, NodeId)]) -> JobId {
    job_id(main.submit(Request::BeginJob(new_job(moves))).unwrap())
}

pub fn job_id(done: Done) -> JobId {
    match done.created {
        Some(Created::Job(id)) => id,
        other => panic!("{other:?}"),
    }
}

pub fn epoch(done: Done) -> Epoch {
    match done.created {
        Some(Created::Epoch(epoch)) => epoch,
        other => panic!("{other:?}"),
    }
}

pub fn start(main: &mut Main, account: AccountId) -> Result<Done, RequestError> {
    main.submit(Request::StartMove { account })
}

pub fn cut_over(main: &mut Main, account: AccountId) -> Result<Epoch, RequestError> {
    let deadline = main.clock.now().plus_ms(1000);
    main.submit(Request::CutOver { account, deadline }).map(epoch)
}

pub fn commit(main: &mut Main, account: AccountId, epoch: Epoch) -> Result<Done, RequestError> {
    main.submit(Request::CommitMove { account, epoch })
}

pub fn abort(main: &mut Main, account: AccountId, retry: bool) -> Done {
    main.submit(Request::AbortMove { account, retry, reason: "the deadline passed".into() }).unwrap()
}

/// All the way: planned, copied, cut over, committed.
pub fn move_to(main: &mut Main, account: AccountId, to: NodeId) {
    begin(main, &[(account, to)]);
    start(main, account).unwrap();
    let epoch = cut_over(main, account).unwrap();
    commit(main, account, epoch).unwrap();
}

pub fn placement(main: &Main, account: AccountId) -> (NodeId, Epoch) {
    let Placement { server, epoch, .. } = main.core.reader().placement(account).unwrap().unwrap().value;
    (server, epoch)
}

pub fn copies(main: &Main, account: AccountId) -> Vec<(NodeId, &'static str)> {
    let copies: Vec<Copy> = main.core.reader().copies_of(account).unwrap();
    copies.into_iter().map(|copy| (copy.server, copy.purpose.name())).collect()
}

pub fn row(main: &Main, account: AccountId) -> Move {
    main.core.reader().move_of(account).unwrap().unwrap().value
}

pub fn job(main: &Main, id: JobId) -> Job {
    main.core.reader().job(id).unwrap().unwrap().value
}

pub fn pending(main: &Main) -> Vec<(AccountId, NodeId)> {
    let stores: Vec<PendingStore> = main.core.reader().pending_stores(None, 100).unwrap();
    assert!(stores.iter().all(|store| store.deleting));
    stores.into_iter().map(|store| (store.account, store.server)).collect()
}

pub fn standby(main: &mut Main, account: AccountId, server: NodeId) -> Result<Done, RequestError> {
    let durability = Durability::Two;
    main.submit(Request::PutStandby { accounts: vec![account], server, durability })
}

pub fn assert_well(main: &Main) {
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}

pub const ANA: AccountId = AccountId(1);
pub const BEN: AccountId = AccountId(2);
