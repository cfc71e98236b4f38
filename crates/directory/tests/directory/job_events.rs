//! The log of jobs.

use sterna_base::{Clock, JobId};
use sterna_directory::request::JobChange;
use sterna_directory::{JobEvent, Request};

use crate::common::{BETA, Main};
use crate::move_calls::*;
use crate::move_steps;

fn log(main: &Main, job: JobId) -> Vec<JobEvent> {
    let mut events = main.core.reader().job_events(job, None, usize::MAX).unwrap();
    events.reverse();
    events
}

fn words(events: &[JobEvent]) -> Vec<String> {
    let word = |event: &JobEvent| match &event.moved {
        Some(moved) => format!("{} {} {}>{} {}", event.what.name(), moved.address, moved.from, moved.to, event.says),
        None => format!("{} {}", event.what.name(), event.says),
    };
    events.iter().map(|event| word(event).trim_end().to_owned()).collect()
}

#[test]
fn what_became_of_each_move_stays_when_its_row_is_gone() {
    let mut main = move_steps::main_with_accounts();
    let id = begin(&mut main, &[(ANA, BETA), (BEN, BETA)]);
    let set = |main: &mut Main, change| main.submit(Request::SetJob { id, change }).unwrap();
    set(&mut main, JobChange::Pause);
    assert!(!set(&mut main, JobChange::Pause).changed);
    set(&mut main, JobChange::Resume);
    let began = main.clock.now();
    start(&mut main, ANA).unwrap();
    main.clock.advance_ms(60_000);
    cut_over(&mut main, ANA).unwrap();
    abort(&mut main, ANA, true);
    main.clock.advance_ms(1000);
    let epoch = cut_over(&mut main, ANA).unwrap();
    main.clock.advance_ms(35);
    commit(&mut main, ANA, epoch).unwrap();
    main.submit(Request::FailMove { account: BEN, reason: "digests\ndiffer".into() }).unwrap();
    abort(&mut main, BEN, true);
    set(&mut main, JobChange::Abort);
    abort(&mut main, BEN, true);
    assert_eq!(main.core.reader().moves_of_job(id, ANA, 9).unwrap(), []);
    let events = log(&main, id);
    let expected = [
        "begun move some",
        "paused",
        "resumed",
        "retried user0@demo.test alpha>beta the deadline passed",
        "moved user0@demo.test alpha>beta",
        "failed user1@demo.test alpha>beta digests differ",
        "ended",
        "planned-again user1@demo.test alpha>beta",
        "aborting",
        "put-away user1@demo.test alpha>beta the deadline passed",
        "ended",
    ];
    assert_eq!(words(&events), expected);
    let (moved, ana) = (&events[4], events[4].moved.as_ref().unwrap());
    // Each request takes a millisecond.
    assert_eq!(ana.started_at, Some(began.plus_ms(1)));
    assert_eq!((ana.cut_over_at, moved.at), (Some(began.plus_ms(61_004)), began.plus_ms(61_040)));
    // By pages, the latest first.
    let reader = main.core.reader();
    let page = reader.job_events(id, None, 2).unwrap();
    assert_eq!(words(&page), ["ended", expected[9]]);
    assert_eq!(words(&reader.job_events(id, Some(page[1].number), 1).unwrap()), ["aborting"]);
    assert_well(&main);
}
