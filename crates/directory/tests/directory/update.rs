//! How updates stand: one row that changes only as it was read, and phases with an order.

use sterna_base::Modseq;
use sterna_directory::{MigrationPhase, Request, RequestError, Update, UpdateEvent, UpdatePhase, UpdatePlan};

use crate::common::{ALPHA, BETA, Main};

fn plan(number: u64) -> Update {
    let plan = UpdatePlan {
        number,
        fingerprint: format!("{number:02x}"),
        content: "{}".to_owned(),
        made_at: Default::default(),
        by: "root".to_owned(),
    };
    Update { number, plan: Some(plan), phase: UpdatePhase::Prepared, ..Update::default() }
}

fn event(what: &str) -> UpdateEvent {
    UpdateEvent {
        number: 0,
        at: Default::default(),
        plan: 0,
        what: what.to_owned(),
        says: String::new(),
        by: String::new(),
    }
}

fn put(main: &mut Main, update: &Update) -> Result<bool, RequestError> {
    let request = Request::PutUpdate { expect: None, update: Box::new(update.clone()), event: None };
    main.submit(request).map(|done| done.changed)
}

fn in_phase(phase: UpdatePhase) -> Update {
    Update { phase, ..plan(1) }
}

#[test]
fn who_read_an_older_row_changes_nothing() {
    let mut main = Main::new();
    let request =
        |expect, number| Request::PutUpdate { expect: Some(expect), update: Box::new(plan(number)), event: None };
    assert!(main.submit(request(Modseq(1), 1)).is_err(), "there is none");
    main.submit(request(Modseq::ZERO, 1)).unwrap();
    let read = main.core.reader().update().unwrap().unwrap().modseq;
    main.submit(request(read, 2)).unwrap();
    let second = main.submit(request(read, 3));
    assert!(matches!(second, Err(RequestError::Changed { expected, .. }) if expected == read), "{second:?}");
    assert_eq!(main.core.reader().update().unwrap().unwrap().value.number, 2);
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}

#[test]
fn phases_have_an_order_and_plans_are_never_changed() {
    let mut main = Main::new();
    assert!(put(&mut main, &in_phase(UpdatePhase::Rolling)).is_err(), "nothing was prepared");
    put(&mut main, &plan(1)).unwrap();
    let mut other = plan(1);
    other.plan.as_mut().unwrap().content = "[]".to_owned();
    assert!(put(&mut main, &other).is_err(), "the plan of a number stays");
    assert!(put(&mut main, &in_phase(UpdatePhase::Finished)).is_err(), "nothing was done");
    put(&mut main, &in_phase(UpdatePhase::Rolling)).unwrap();
    for other in [Update { phase: UpdatePhase::Rolling, ..plan(2) }, plan(2)] {
        assert!(put(&mut main, &other).is_err(), "no other plan while servers run two versions");
    }
    put(&mut main, &in_phase(UpdatePhase::RolledBack)).unwrap();
    put(&mut main, &plan(2)).unwrap();
    assert!(put(&mut main, &plan(1)).is_err(), "an older plan");
}

#[test]
fn one_that_is_stopped_gives_way_to_another_plan_or_is_finished() {
    let mut main = Main::new();
    put(&mut main, &plan(1)).unwrap();
    put(&mut main, &in_phase(UpdatePhase::Rolling)).unwrap();
    put(&mut main, &in_phase(UpdatePhase::Paused)).unwrap();
    assert!(put(&mut main, &plan(2)).is_err(), "one that is paused goes on some time");
    put(&mut main, &in_phase(UpdatePhase::Rolling)).unwrap();
    put(&mut main, &in_phase(UpdatePhase::Stopped)).unwrap();
    assert!(put(&mut main, &Update { phase: UpdatePhase::Rolling, ..plan(2) }).is_err(), "nobody looked at it");
    put(&mut main, &plan(2)).unwrap();
    let second = |phase| Update { phase, ..plan(2) };
    for phase in [UpdatePhase::Rolling, UpdatePhase::Stopped, UpdatePhase::Finished] {
        put(&mut main, &second(phase)).unwrap();
    }
}

#[test]
fn only_so_many_events_are_remembered_and_the_latest_come_first() {
    let mut main = Main::new();
    for number in 1..=300 {
        let request = Request::PutUpdate {
            expect: None,
            update: Box::new(plan(number)),
            event: Some(event(&number.to_string())),
        };
        main.submit(request).unwrap();
    }
    let events = main.core.reader().update_events().unwrap();
    assert_eq!((events.len(), events[0].what.as_str(), events[0].plan), (256, "300", 300));
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}

#[test]
fn an_update_and_a_migration_keep_out_of_each_others_way() {
    let migration = || Request::BeginMigration { from: ALPHA, to: BETA, by: String::new() };
    let mut main = Main::new();
    put(&mut main, &plan(1)).unwrap();
    main.submit(migration()).unwrap();
    let refused = put(&mut main, &in_phase(UpdatePhase::Rolling));
    assert!(matches!(refused, Err(RequestError::InUse { .. })), "{refused:?}");
    for phase in [MigrationPhase::Aborting, MigrationPhase::Aborted] {
        main.submit(Request::SetMigration { expect: None, phase, pace: None }).unwrap();
    }
    put(&mut main, &in_phase(UpdatePhase::Rolling)).unwrap();
    for phase in [UpdatePhase::Paused, UpdatePhase::Rolling, UpdatePhase::Stopped] {
        put(&mut main, &in_phase(phase)).unwrap();
        let refused = main.submit(migration());
        assert!(matches!(refused, Err(RequestError::InUse { .. })), "{phase:?} {refused:?}");
    }
}
