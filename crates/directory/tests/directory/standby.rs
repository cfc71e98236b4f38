//! Standby copies, and what takes over when a server is lost.

use sterna_base::{AccountId, Epoch, NodeId};
use sterna_directory::request::{NewJob, ServerPatch, StageReport};
use sterna_directory::{CopyPurpose, Durability, JobKind, JobState, MovePhase, Request, ServerStandby, StandbyStage};

use crate::common::{ALPHA, BETA, Main};
use crate::move_calls::*;
use crate::move_steps::{self, GAMMA};

#[test]
fn a_standby_copy_takes_over_and_the_lost_server_stands_by() {
    let mut main = move_steps::main_with_accounts();
    assert_eq!(code(standby(&mut main, ANA, ALPHA)), "invalid");
    standby(&mut main, ANA, BETA).unwrap();
    assert!(!standby(&mut main, ANA, BETA).unwrap().changed);
    let fail_over = |main: &mut Main, to, expect| {
        main.submit(Request::FailOver { account: ANA, to, expect: Epoch(expect) }).map(epoch)
    };
    assert_eq!(code(fail_over(&mut main, GAMMA, 1)), "no-such");
    assert_eq!(code(fail_over(&mut main, BETA, 7)), "moved");
    // A cut-over is under way when the source is lost: its epoch is never to be seen again.
    begin(&mut main, &[(ANA, GAMMA)]);
    start(&mut main, ANA).unwrap();
    assert_eq!(cut_over(&mut main, ANA).unwrap(), Epoch(2));
    assert_eq!(fail_over(&mut main, BETA, 1).unwrap(), Epoch(3));
    assert_eq!(fail_over(&mut main, BETA, 1).unwrap(), Epoch(3), "the answer was lost");
    assert_eq!((placement(&main, ANA), code(commit(&mut main, ANA, Epoch(2)))), ((BETA, Epoch(3)), "moved"));
    assert_eq!(copies(&main, ANA), [(ALPHA, "standby"), (GAMMA, "moving")]);
    let on = row(&main, ANA);
    assert_eq!((on.from, on.phase, on.epoch), (BETA, MovePhase::Copying, None));
    let purpose = main.core.reader().copy(ANA, ALPHA).unwrap().unwrap().value.purpose;
    assert_eq!(purpose, CopyPurpose::Standby { durability: Durability::Two });
    assert_well(&main);
    move_steps::finish(&mut main, ANA);
    assert_eq!(copies(&main, ANA), [(ALPHA, "standby"), (BETA, "kept")]);
    // What is kept for the way back can be kept for good.
    standby(&mut main, ANA, BETA).unwrap();
    assert_eq!(copies(&main, ANA), [(ALPHA, "standby"), (BETA, "standby")]);
    main.submit(Request::DropCopy { account: ANA, server: BETA }).unwrap();
    assert_eq!(code(main.submit(Request::DropCopy { account: ANA, server: GAMMA })), "in-use");
    assert_eq!(pending(&main), [(ANA, BETA)]);
    assert_eq!(code(standby(&mut main, ANA, BETA)), "store-leaving");
    assert_well(&main);
}

#[test]
fn a_server_is_failed_over_as_a_job() {
    let mut main = move_steps::main_with_accounts();
    let failover = |moves: &[(AccountId, NodeId)]| NewJob { kind: JobKind::Failover, ..new_job(moves) };
    standby(&mut main, ANA, BETA).unwrap();
    assert_eq!(code(main.submit(Request::BeginJob(failover(&[(ANA, BETA), (BEN, BETA)])))), "no-such");
    standby(&mut main, BEN, BETA).unwrap();
    let id = job_id(main.submit(Request::BeginJob(failover(&[(ANA, BETA), (BEN, BETA)]))).unwrap());
    assert_eq!(code(start(&mut main, ANA)), "invalid");
    for account in [ANA, BEN] {
        main.submit(Request::FailOver { account, to: BETA, expect: Epoch(1) }).unwrap();
    }
    assert_eq!((job(&main, id).done, job(&main, id).state), (2, JobState::Done));
    assert_well(&main);
}

#[test]
fn a_failover_does_not_wait_for_moves_from_the_lost_server() {
    let mut main = move_steps::main_with_accounts();
    let drain = begin(&mut main, &[(ANA, GAMMA), (BEN, BETA)]);
    for account in [ANA, BEN] {
        standby(&mut main, account, BETA).unwrap();
        start(&mut main, account).unwrap();
        assert_eq!(cut_over(&mut main, account).unwrap(), Epoch(2));
    }
    let failover = NewJob { kind: JobKind::Failover, ..new_job(&[(ANA, BETA), (BEN, BETA)]) };
    main.submit(Request::BeginJob(failover.clone())).unwrap();
    assert!(!main.submit(Request::BeginJob(failover)).unwrap().changed);
    assert_eq!((job(&main, drain).aborted, job(&main, drain).state), (2, JobState::Done));
    assert_eq!((copies(&main, ANA), copies(&main, BEN)), (vec![(BETA, "standby")], vec![(BETA, "standby")]));
    assert_eq!(pending(&main), [(ANA, GAMMA)]);
    assert_well(&main);
    for account in [ANA, BEN] {
        assert_eq!(placement(&main, account), (ALPHA, Epoch(3)), "beyond what the targets may have");
        assert_eq!(code(commit(&mut main, account, Epoch(2))), "moved");
        main.submit(Request::FailOver { account, to: BETA, expect: Epoch(3) }).unwrap();
        assert_eq!(placement(&main, account), (BETA, Epoch(4)));
    }
    assert_well(&main);
}

#[test]
fn what_comes_to_a_server_gets_the_standby_copy_of_its_accounts() {
    let mut main = move_steps::main_with_accounts();
    let stand_by = |main: &mut Main, id, server: Option<NodeId>| {
        let standby = server.map(|server| ServerStandby { server, durability: Durability::Two });
        let patch = ServerPatch { standby: Some(standby), ..ServerPatch::default() };
        main.submit(Request::SetServer { id, expect: None, patch })
    };
    assert_eq!(code(stand_by(&mut main, BETA, Some(BETA))), "invalid");
    assert_eq!(code(stand_by(&mut main, BETA, Some(NodeId([9; 16])))), "no-such");
    stand_by(&mut main, BETA, Some(GAMMA)).unwrap();
    move_to(&mut main, ANA, BETA);
    assert_eq!(copies(&main, ANA), [(ALPHA, "kept"), (GAMMA, "standby")]);
    let info = main.shared("info@demo.test");
    assert_eq!(copies(&main, info), [(GAMMA, "standby")]);
    // The server that it comes from is the one that stands by: the copy there stays for good.
    stand_by(&mut main, BETA, Some(ALPHA)).unwrap();
    move_to(&mut main, BEN, BETA);
    assert_eq!(copies(&main, BEN), [(ALPHA, "standby")]);
    assert_well(&main);
    let delete = Request::DeleteServer { id: GAMMA, expect: None };
    assert_eq!(code(main.submit(delete.clone())), "in-use", "copies are there");
    stand_by(&mut main, ALPHA, Some(GAMMA)).unwrap();
    for account in [ANA, info] {
        main.submit(Request::DropCopy { account, server: GAMMA }).unwrap();
    }
    assert_eq!(main.submit(delete.clone()).unwrap_err().to_string(), "it is in use: gamma stands by for alpha");
    stand_by(&mut main, ALPHA, None).unwrap();
    main.submit(delete).unwrap();
    assert_well(&main);
}

/// What alpha says of ana's copy on beta, of the row that it sees now.
fn report(main: &Main, stage: StandbyStage) -> StageReport {
    let expect = main.core.reader().copy(ANA, BETA).unwrap().unwrap().modseq;
    StageReport { account: ANA, copy: BETA, by: ALPHA, epoch: Epoch(1), expect, stage }
}

fn stage(main: &Main, server: NodeId) -> StandbyStage {
    main.core.reader().copy(ANA, server).unwrap().unwrap().value.stage
}

#[test]
fn a_copy_is_promised_in_two_steps_and_by_its_own_row_only() {
    use StandbyStage::{Awaited, Joining, Seeding};
    let mut main = move_steps::main_with_accounts();
    standby(&mut main, ANA, BETA).unwrap();
    let seeding = report(&main, Joining);
    let told = |main: &mut Main, report: StageReport| main.submit(Request::SetStandbyStage(report));
    let early = report(&main, Awaited);
    assert_eq!(code(told(&mut main, early)), "invalid", "nobody has waited for it yet");
    assert!(told(&mut main, seeding).unwrap().changed);
    assert!(!told(&mut main, seeding).unwrap().changed, "the answer was lost");
    let joining = report(&main, Awaited);
    assert!(told(&mut main, joining).unwrap().changed);
    assert_eq!(code(told(&mut main, seeding)), "changed", "a report that comes late");
    assert_eq!(stage(&main, BETA), Awaited);

    // Whoever changes what is waited for begins again; what was reported before says nothing of it.
    let durability = Durability::One;
    main.submit(Request::PutStandby { accounts: vec![ANA], server: BETA, durability }).unwrap();
    assert_eq!(code(told(&mut main, joining)), "no-such");
    standby(&mut main, ANA, BETA).unwrap();
    assert_eq!(stage(&main, BETA), Seeding);
    let again = report(&main, Joining);
    told(&mut main, again).unwrap();
    assert_eq!(code(told(&mut main, joining)), "changed");

    // The copy's own server takes a promise back, whatever it knows of the row; nobody else does.
    let again = report(&main, Awaited);
    told(&mut main, again).unwrap();
    let lost = StageReport { stage: Seeding, ..again };
    assert_eq!(code(told(&mut main, lost)), "changed");
    let fresh = report(&main, Seeding);
    assert_eq!(code(told(&mut main, fresh)), "invalid");
    assert!(told(&mut main, StageReport { by: BETA, ..lost }).unwrap().changed);
    assert_eq!(stage(&main, BETA), Seeding);
    assert_well(&main);
}

#[test]
fn a_server_that_lost_an_account_promises_nothing_of_it() {
    let mut main = move_steps::main_with_accounts();
    standby(&mut main, ANA, BETA).unwrap();
    for stage in [StandbyStage::Joining, StandbyStage::Awaited] {
        let report = report(&main, stage);
        main.submit(Request::SetStandbyStage(report)).unwrap();
    }
    let late = report(&main, StandbyStage::Joining);
    main.submit(Request::FailOver { account: ANA, to: BETA, expect: Epoch(1) }).unwrap();
    assert_eq!(stage(&main, ALPHA), StandbyStage::Seeding);
    let expect = main.core.reader().copy(ANA, ALPHA).unwrap().unwrap().modseq;
    let by_the_lost = StageReport { copy: ALPHA, expect, ..late };
    assert_eq!(code(main.submit(Request::SetStandbyStage(by_the_lost))), "moved");
    let by_the_new = StageReport { by: BETA, epoch: Epoch(2), ..by_the_lost };
    assert!(main.submit(Request::SetStandbyStage(by_the_new)).unwrap().changed);
    assert_well(&main);
}
