//! Moves, copies and jobs, request by request, and in any order.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use sterna_base::session_limits::SessionLimits;
use sterna_base::{AccountId, Clock, Epoch, JobId, NodeId, Timestamp};
use sterna_directory::request::{DomainPatch, JobChange, NewJob, ServerPatch};
use sterna_directory::{
    AddressPattern, CopyPurpose, JobState, MovePhase, Request, RequestError, RowKind, Scope, settings,
};

use crate::common::{ALPHA, BETA, Main};
use crate::move_calls::*;
use crate::move_steps::{self, GAMMA, Oracle};

#[test]
fn a_move_from_its_plan_to_the_end_of_its_rollback_window() {
    let mut main = move_steps::main_with_accounts();
    let id = begin(&mut main, &[(ANA, BETA), (BEN, GAMMA)]);
    assert!(!main.submit(Request::BeginJob(new_job(&[(ANA, BETA), (BEN, GAMMA)]))).unwrap().changed);
    assert_eq!((job(&main, id).total, job(&main, id).state), (2, JobState::Running));
    assert_eq!((row(&main, ANA).phase, row(&main, ANA).from, row(&main, ANA).to), (MovePhase::Planned, ALPHA, BETA));
    assert_eq!(copies(&main, ANA), []);
    start(&mut main, ANA).unwrap();
    assert!(!start(&mut main, ANA).unwrap().changed);
    assert_eq!(copies(&main, ANA), [(BETA, "moving")]);
    assert_eq!(placement(&main, ANA), (ALPHA, Epoch(1)));
    assert_eq!(cut_over(&mut main, ANA).unwrap(), Epoch(2));
    assert_eq!(cut_over(&mut main, ANA).unwrap(), Epoch(2), "the same again");
    assert_eq!(placement(&main, ANA), (ALPHA, Epoch(1)), "until it is committed");
    assert_eq!(code(commit(&mut main, ANA, Epoch(3))), "moved");
    commit(&mut main, ANA, Epoch(2)).unwrap();
    assert!(!commit(&mut main, ANA, Epoch(2)).unwrap().changed);
    assert_eq!(placement(&main, ANA), (BETA, Epoch(2)));
    assert_eq!(copies(&main, ANA), [(ALPHA, "kept")]);
    assert_eq!((job(&main, id).done, job(&main, id).state), (1, JobState::Running));
    assert_eq!(main.core.reader().moves(AccountId(0), 10).unwrap().len(), 1);
    start(&mut main, BEN).unwrap();
    let epoch = cut_over(&mut main, BEN).unwrap();
    commit(&mut main, BEN, epoch).unwrap();
    assert_eq!((job(&main, id).done, job(&main, id).state), (2, JobState::Done));
    assert!(job(&main, id).ended_at.is_some());
    assert_well(&main);
    // The copies are kept for a day, and deleted when somebody asks for it.
    let far = Timestamp(i64::MAX);
    main.submit(Request::ExpireCopies { before: far }).unwrap();
    assert_eq!(copies(&main, ANA), [(ALPHA, "kept")]);
    main.clock.advance_ms(24 * HOUR_MS);
    assert_eq!(main.core.reader().expired_copies(main.clock.now(), 10).unwrap().len(), 2);
    main.submit(Request::ExpireCopies { before: far }).unwrap();
    assert_eq!(copies(&main, ANA), []);
    assert_eq!(pending(&main), [(ANA, ALPHA), (BEN, ALPHA)]);
    assert_well(&main);
}

#[test]
fn limits_of_sessions_are_settings_within_bounds() {
    let mut main = Main::new();
    let set = |main: &mut Main, name: &str, value: Option<&str>| {
        let value = value.map(str::to_owned);
        main.submit(Request::PutSetting {
            expect: None,
            scope: Scope::System,
            name: name.into(),
            value,
            by: "root".into(),
        })
    };
    assert_eq!(main.core.reader().session_limits().unwrap(), SessionLimits::DEFAULT);
    for (name, bad) in [("imap.nesting", "129"), ("imap.idle-seconds", "1799"), ("session.per-account", "many")] {
        assert_eq!(code(set(&mut main, name, Some(bad))), "invalid", "{name}");
        assert!(settings::all().iter().any(|(known, default)| *known == name && default.is_some()));
    }
    set(&mut main, "session.per-account", Some(" 7 ")).unwrap();
    let expected = SessionLimits { per_account: 7, ..SessionLimits::DEFAULT };
    assert_eq!(main.core.reader().session_limits().unwrap(), expected);
    set(&mut main, "session.per-account", None).unwrap();
    assert_eq!(main.core.reader().session_limits().unwrap(), SessionLimits::DEFAULT);
}

#[test]
fn how_long_copies_are_kept_is_a_setting() {
    let mut main = move_steps::main_with_accounts();
    let set = |main: &mut Main, name: &str, value: &str| {
        main.submit(Request::PutSetting {
            expect: None,
            scope: Scope::System,
            name: name.into(),
            value: Some(value.into()),
            by: "root".into(),
        })
    };
    for (name, good, bad) in [
        (settings::MOVE_ROLLBACK_HOURS, " 2 ", "a day"),
        (settings::MOVE_PARALLEL, "64", "0"),
        (settings::MOVE_CUT_OVER_MS, "100", "99"),
        (settings::MOVE_BYTES_PER_SECOND, "0", "-1"),
    ] {
        let default = main.core.reader().number_setting(name).unwrap();
        let told = settings::KNOWN.iter().find(|(known, _)| *known == name).unwrap().1;
        assert_eq!(told, Some(default.to_string().as_str()), "{name}");
        assert_eq!(code(set(&mut main, name, bad)), "invalid", "{name}");
        set(&mut main, name, good).unwrap();
        assert_eq!(main.core.reader().number_setting(name).unwrap(), good.trim().parse::<u64>().unwrap(), "{name}");
    }
    let begun = main.clock.now();
    move_to(&mut main, ANA, BETA);
    let CopyPurpose::Kept { until } = main.core.reader().copy(ANA, ALPHA).unwrap().unwrap().value.purpose else {
        panic!()
    };
    assert!(until >= begun.plus_ms(2 * HOUR_MS) && until <= main.clock.now().plus_ms(2 * HOUR_MS), "{until:?}");
}

#[test]
fn a_plan_is_refused_whole_and_says_why() {
    let mut main = move_steps::main_with_accounts();
    let nowhere = NodeId([9; 16]);
    let plan = |main: &mut Main, to: NodeId| code(main.submit(Request::BeginJob(new_job(&[(BEN, GAMMA), (ANA, to)]))));
    assert_eq!(plan(&mut main, nowhere), "no-such");
    assert_eq!(plan(&mut main, ALPHA), "invalid");
    assert_eq!(code(main.submit(Request::BeginJob(new_job(&[(AccountId(99), BETA)])))), "no-such");
    let set = |main: &mut Main, patch: ServerPatch| {
        main.submit(Request::SetServer { id: BETA, expect: None, patch }).unwrap();
    };
    set(&mut main, ServerPatch { draining: Some(true), ..ServerPatch::default() });
    assert_eq!(plan(&mut main, BETA), "no-server");
    set(&mut main, ServerPatch { draining: Some(false), accepts_new_accounts: Some(false), ..ServerPatch::default() });
    assert_eq!(plan(&mut main, BETA), "no-server");
    set(&mut main, ServerPatch { accepts_new_accounts: Some(true), ..ServerPatch::default() });
    let domain = main.core.reader().domain_named("demo.test").unwrap().unwrap().value.id;
    let patch = DomainPatch { servers: Some(vec![ALPHA, GAMMA]), ..DomainPatch::default() };
    main.submit(Request::SetDomain { id: domain, expect: None, patch }).unwrap();
    assert_eq!(plan(&mut main, BETA), "no-server");
    let first = begin(&mut main, &[(ANA, GAMMA)]);
    let Err(RequestError::Moving { account, job }) =
        main.submit(Request::BeginJob(new_job(&[(BEN, GAMMA), (ANA, GAMMA)])))
    else {
        panic!()
    };
    assert_eq!((account, job), (ANA, first));
    assert_eq!(main.core.reader().moves(AccountId(0), 10).unwrap().len(), 1, "nothing of what was refused");
    let many = vec![(BEN, GAMMA); sterna_directory::MOVES_PER_REQUEST_MAX + 1];
    assert_eq!(code(main.submit(Request::BeginJob(new_job(&many)))), "limit");
    assert_well(&main);
}

#[test]
fn an_aborted_cut_over_takes_its_epoch_with_it() {
    let mut main = move_steps::main_with_accounts();
    begin(&mut main, &[(ANA, BETA)]);
    start(&mut main, ANA).unwrap();
    assert_eq!(cut_over(&mut main, ANA).unwrap(), Epoch(2));
    assert_eq!(epoch(abort(&mut main, ANA, true)), Epoch(3));
    assert_eq!(placement(&main, ANA), (ALPHA, Epoch(3)), "the word that lets the source go on");
    assert_eq!(code(commit(&mut main, ANA, Epoch(2))), "moved");
    let again = row(&main, ANA);
    assert_eq!((again.phase, again.epoch, again.attempts), (MovePhase::Copying, None, 1));
    assert_eq!(again.failed.as_deref(), Some("the deadline passed"));
    assert_eq!(copies(&main, ANA), [(BETA, "moving")]);
    assert_eq!(cut_over(&mut main, ANA).unwrap(), Epoch(4));
    assert_eq!(epoch(abort(&mut main, ANA, false)), Epoch(5));
    assert_eq!((copies(&main, ANA), pending(&main)), (vec![], vec![(ANA, BETA)]));
    assert!(!abort(&mut main, ANA, false).changed);
    // The store must be gone before another one is made there.
    begin(&mut main, &[(ANA, BETA)]);
    assert_eq!(code(start(&mut main, ANA)), "store-leaving");
    main.submit(Request::StoreGone { account: ANA, server: BETA }).unwrap();
    start(&mut main, ANA).unwrap();
    assert_eq!(cut_over(&mut main, ANA).unwrap(), Epoch(6));
    assert_well(&main);
}

#[test]
fn a_failed_move_is_told_and_can_be_tried_again() {
    let mut main = move_steps::main_with_accounts();
    let id = begin(&mut main, &[(ANA, BETA), (BEN, BETA)]);
    start(&mut main, ANA).unwrap();
    cut_over(&mut main, ANA).unwrap();
    let fail =
        |main: &mut Main| main.submit(Request::FailMove { account: ANA, reason: "digests\ndiffer".into() }).unwrap();
    assert_eq!(epoch(fail(&mut main)), Epoch(3));
    assert!(!fail(&mut main).changed);
    assert_eq!((row(&main, ANA).phase, row(&main, ANA).failed.as_deref()), (MovePhase::Failed, Some("digests differ")));
    assert_eq!((placement(&main, ANA), pending(&main)), ((ALPHA, Epoch(3)), vec![(ANA, BETA)]));
    assert_eq!(code(start(&mut main, ANA)), "wrong-phase");
    abort(&mut main, BEN, false);
    let over = job(&main, id);
    assert_eq!((over.failed, over.aborted, over.left(), over.state), (1, 1, 0, JobState::Done));
    abort(&mut main, ANA, true);
    assert_eq!(
        (job(&main, id).state, job(&main, id).failed, row(&main, ANA).phase),
        (JobState::Running, 0, MovePhase::Planned)
    );
    assert_well(&main);
    fail(&mut main);
    // A new plan takes the place of what failed.
    let next = begin(&mut main, &[(ANA, GAMMA)]);
    assert_eq!((row(&main, ANA).job, row(&main, ANA).to, job(&main, id).failed), (next, GAMMA, 1));
    assert_well(&main);
}

#[test]
fn jobs_are_paused_resumed_and_aborted() {
    let mut main = move_steps::main_with_accounts();
    let id = begin(&mut main, &[(ANA, BETA), (BEN, BETA)]);
    let set = |main: &mut Main, change| main.submit(Request::SetJob { id, change });
    start(&mut main, ANA).unwrap();
    set(&mut main, JobChange::Pause).unwrap();
    assert_eq!(code(start(&mut main, BEN)), "job-state");
    assert_eq!(code(cut_over(&mut main, ANA)), "job-state");
    assert_eq!(copies(&main, ANA), [(BETA, "moving")], "what was begun goes on following");
    set(&mut main, JobChange::Resume).unwrap();
    let epoch = cut_over(&mut main, ANA).unwrap();
    set(&mut main, JobChange::Abort).unwrap();
    assert_eq!(code(set(&mut main, JobChange::Resume)), "job-state");
    let more = NewJob { id: Some(id), ..new_job(&[(AccountId(3), BETA)]) };
    assert_eq!(code(main.submit(Request::BeginJob(more))), "job-state");
    commit(&mut main, ANA, epoch).unwrap();
    abort(&mut main, BEN, true);
    let over = job(&main, id);
    assert_eq!((over.done, over.aborted, over.state), (1, 1, JobState::Aborted), "nothing is tried again");
    assert!(!set(&mut main, JobChange::Abort).unwrap().changed);
    assert_well(&main);
}

#[test]
fn a_job_that_one_request_can_not_hold_is_added_to() {
    let mut main = move_steps::main_with_accounts();
    let id = begin(&mut main, &[(ANA, BETA)]);
    move_steps::finish(&mut main, ANA);
    assert_eq!(job(&main, id).state, JobState::Done);
    let more = NewJob { id: Some(id), what: String::new(), ..new_job(&[(BEN, BETA), (AccountId(3), BETA)]) };
    assert_eq!(job_id(main.submit(Request::BeginJob(more.clone())).unwrap()), id);
    assert!(!main.submit(Request::BeginJob(more)).unwrap().changed);
    let job = job(&main, id);
    assert_eq!((job.total, job.done, job.state, job.what.as_str()), (3, 1, JobState::Running, "move some"));
    let reader = main.core.reader();
    assert_eq!(reader.moves_of_job(id, BEN, 10).unwrap().len(), 1);
    assert_eq!(reader.moves_in_phase(id, MovePhase::Planned, AccountId(0), 10).unwrap().len(), 2);
    assert_eq!(reader.active_jobs(JobId(0), 10).unwrap().len(), 1);
    assert_eq!(reader.jobs(Some(id), 10).unwrap(), []);
    assert_well(&main);
}

#[test]
fn accounts_are_moved_back_to_what_was_kept() {
    let mut main = move_steps::main_with_accounts();
    move_to(&mut main, ANA, BETA);
    let patch = ServerPatch { draining: Some(true), ..ServerPatch::default() };
    main.submit(Request::SetServer { id: ALPHA, expect: None, patch }).unwrap();
    let back = |account| Request::MoveBack { accounts: vec![account], what: "back".into(), by: String::new() };
    assert_eq!(code(main.submit(back(BEN))), "no-such");
    main.submit(back(ANA)).unwrap();
    // On its way back the copy is needed, however late it is.
    main.clock.advance_ms(48 * HOUR_MS);
    let expire = Request::ExpireCopies { before: main.clock.now() };
    assert!(!main.submit(expire).unwrap().changed);
    assert_eq!(code(main.submit(Request::DropCopy { account: ANA, server: ALPHA })), "moving");
    start(&mut main, ANA).unwrap();
    assert_eq!(copies(&main, ANA), [(ALPHA, "kept")]);
    abort(&mut main, ANA, false);
    assert_eq!(copies(&main, ANA), [(ALPHA, "kept")], "it was there before the move");
    main.submit(back(ANA)).unwrap();
    move_steps::finish(&mut main, ANA);
    assert_eq!((placement(&main, ANA), copies(&main, ANA)), ((ALPHA, Epoch(3)), vec![(BETA, "kept")]));
    assert_well(&main);
}

#[test]
fn a_deleted_account_leaves_a_note_for_each_of_its_stores() {
    let mut main = move_steps::main_with_accounts();
    move_to(&mut main, ANA, BETA);
    let id = begin(&mut main, &[(ANA, GAMMA), (BEN, GAMMA)]);
    start(&mut main, ANA).unwrap();
    cut_over(&mut main, ANA).unwrap();
    main.submit(Request::DeleteEntry { id: ANA, kind: RowKind::User, expect: None }).unwrap();
    assert_eq!(pending(&main), [(ANA, ALPHA), (ANA, BETA), (ANA, GAMMA)]);
    assert_eq!((job(&main, id).aborted, job(&main, id).left()), (1, 1));
    assert_well(&main);
    main.submit(Request::StoreGone { account: ANA, server: BETA }).unwrap();
    assert_eq!(pending(&main), [(ANA, ALPHA), (ANA, GAMMA)]);
}

#[test]
fn a_server_is_deleted_when_nothing_is_left_of_it() {
    let mut main = move_steps::main_with_accounts();
    let delete = |main: &mut Main, id| main.submit(Request::DeleteServer { id, expect: None });
    move_to(&mut main, ANA, BETA);
    move_to(&mut main, BEN, BETA);
    begin(&mut main, &[(ANA, GAMMA)]);
    let Err(RequestError::ServerInUse { accounts, copies, moves, .. }) = delete(&mut main, BETA) else { panic!() };
    assert_eq!((accounts, copies, moves), (2, 0, 0));
    let error = delete(&mut main, ALPHA).unwrap_err();
    assert_eq!(error.to_string(), "alpha is in use: 4 accounts live there, 2 copies are there");
    assert_eq!(delete(&mut main, GAMMA).unwrap_err().to_string(), "gamma is in use: 1 moves go there");
    let patch = ServerPatch { roles: Some(sterna_directory::Roles::default()), ..ServerPatch::default() };
    assert_eq!(code(main.submit(Request::SetServer { id: GAMMA, expect: None, patch })), "in-use");
    abort(&mut main, ANA, false);
    delete(&mut main, GAMMA).unwrap();
    assert_well(&main);
}

#[test]
fn accounts_are_found_by_domain_and_by_pattern() {
    let mut main = move_steps::main_with_accounts();
    let other = main.domain("other.test", &["autre.example"]);
    let (eve, info) = (main.user("eve@other.test", &["user9@demo.test"]), main.shared("info@other.test"));
    main.group("team@other.test", &[]);
    let find = |pattern: &str| {
        let pattern = AddressPattern::parse(pattern).unwrap();
        let page = main.core.reader().accounts_matching(&pattern, None, 100).unwrap();
        assert_eq!(page.next, None);
        page.accounts.into_iter().map(|selected| selected.account).collect::<Vec<_>>()
    };
    assert_eq!(find("*@other.test"), [eve, info]);
    assert_eq!(find("*e*@autre.example"), [eve]);
    assert_eq!(find("user1@demo.test"), [BEN]);
    assert_eq!(find("user9@demo.test"), [], "main addresses only");
    assert_eq!(find("*").len(), 8);
    assert_eq!(find("*@nowhere.test"), []);
    let first = main.core.reader().accounts_of_domain(other, None, 1).unwrap();
    let second = main.core.reader().accounts_of_domain(other, first.next.as_ref(), 1).unwrap();
    assert_eq!((first.accounts[0].account, second.accounts[0].account), (eve, info));
    assert_eq!(main.core.reader().placed_with_domain(BETA, AccountId(0), 10).unwrap(), [(info, other)]);
    let patch = DomainPatch { servers: Some(vec![BETA]), ..DomainPatch::default() };
    main.submit(Request::SetDomain { id: other, expect: None, patch }).unwrap();
    assert_eq!(main.core.reader().allowed_servers().unwrap().into_iter().collect::<Vec<_>>(), [(other, vec![BETA])]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_requests_hands_out_an_epoch_twice(
        steps in proptest::collection::vec(move_steps::step(), 1..80)
    ) {
        let (mut main, mut oracle) = (move_steps::main_with_accounts(), Oracle::default());
        for step in &steps {
            let Some(request) = move_steps::request(&mut main, step) else { continue };
            oracle.submit(&mut main, &request);
            // The answer was lost: whatever comes of asking again, it must hold as well.
            oracle.submit(&mut main, &request);
            assert_well(&main);
        }
    }
}

#[test]
fn the_steps_reach_everything() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = proptest::collection::vec(move_steps::step(), 100);
    let mut seen = BTreeSet::new();
    for _ in 0..12 {
        let steps = strategy.new_tree(&mut runner).unwrap().current();
        let mut main = move_steps::main_with_accounts();
        for step in steps {
            if let Some(request) = move_steps::request(&mut main, &step) {
                let _ = main.submit(request);
                seen.extend(move_steps::seen(&main));
            }
        }
    }
    let all = ["aborted", "aborting", "copying", "cut-over", "done", "failed", "kept", "moving", "paused", "planned"];
    let all = all.into_iter().chain(["running", "standby"]).map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(seen, all);
}
