//! A machine takes another one's place: the rows, and the hand-over of the directory itself.

use sterna_base::{AccountId, NodeId, Timestamp};
use sterna_directory::row::Cursor;
use sterna_directory::{
    Core, MigrationPhase, Mode, MovePhase, Pace, Request, RequestError, Roles, RowKind, StorageError,
};

use crate::common::{ALPHA, BETA, INSTALLATION, Main};

const GAMMA: NodeId = NodeId([0xc; 16]);

/// Alpha is the main node and holds accounts; beta is to take its place.
fn begun() -> Main {
    let mut main = Main::new();
    main.domain("tern.test", &[]);
    let request = Request::PutServer { id: ALPHA, name: "alpha".into(), address: "alpha:24".into(), roles: Roles::ALL };
    main.submit(request).unwrap();
    main.user("ana@tern.test", &[]);
    main.submit(Request::BeginMigration { from: ALPHA, to: BETA, by: "root".into() }).unwrap();
    main
}

fn enter(main: &mut Main, phase: MigrationPhase) -> Result<bool, RequestError> {
    main.submit(Request::SetMigration { expect: None, phase, pace: Some(Pace::Rolling) }).map(|done| done.changed)
}

/// A copy with all that the main node's directory has.
fn copied(main: &Main, copy: &mut Core) {
    let mut after = copy.reader().head().unwrap().position;
    loop {
        let page = main.core.reader().changes_since(&after.max(Cursor::start()), 1000).unwrap();
        let applied = copy.apply(&page).unwrap();
        if applied.at_head {
            return;
        }
        after = applied.position;
    }
}

#[test]
fn there_is_one_at_a_time_and_its_phases_have_an_order() {
    let mut main = begun();
    let again = main.submit(Request::BeginMigration { from: ALPHA, to: BETA, by: String::new() }).unwrap();
    assert!(!again.changed);
    let roles = Roles { data: true, ..Roles::default() };
    main.submit(Request::PutServer { id: GAMMA, name: "gamma".into(), address: "gamma:24".into(), roles }).unwrap();
    let second = main.submit(Request::BeginMigration { from: ALPHA, to: GAMMA, by: String::new() });
    assert!(matches!(second, Err(RequestError::InUse { .. })), "{second:?}");
    for phase in [MigrationPhase::Switched, MigrationPhase::Finishing, MigrationPhase::Done] {
        assert!(enter(&mut main, phase).is_err(), "{phase:?}");
    }
    assert!(main.submit(Request::HandOverMain { to: BETA, left_behind: Vec::new() }).is_err(), "before the switch");
    main.submit(Request::FollowMigration).unwrap();
    assert_eq!(main.core.reader().placed_with_copy(ALPHA, BETA).unwrap(), 1);
    assert!(enter(&mut main, MigrationPhase::Switching).unwrap());
    assert!(enter(&mut main, MigrationPhase::Switched).is_err(), "accounts are on alpha");
    assert!(
        main.submit(Request::HandOverMain { to: GAMMA, left_behind: Vec::new() }).is_err(),
        "gamma takes nobody's place"
    );
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
}

/// A deleted person has a store and no entry until the bin's time is over, and can be brought back on the new machine.
#[test]
fn who_is_in_the_bin_goes_over_too() {
    let mut main = begun();
    let ben = main.user("ben@tern.test", &[]);
    let until = Timestamp(9_000_000);
    main.submit(Request::BinEntry { id: ben, kind: RowKind::User, expect: None, until, by: "root".into() }).unwrap();
    main.submit(Request::FollowMigration).unwrap();
    assert!(main.core.reader().copy(ben, BETA).unwrap().is_some());
    assert_eq!(main.core.reader().placed_with_copy(ALPHA, BETA).unwrap(), 2);
    assert_eq!(main.core.reader().accounts_on(ALPHA).unwrap(), 2);
    enter(&mut main, MigrationPhase::Switching).unwrap();
    main.submit(Request::PlanMigration).unwrap();
    let reader = main.core.reader();
    let job = reader.migration().unwrap().unwrap().value.job.unwrap();
    let planned = reader.moves_in_phase(job, MovePhase::Planned, AccountId(0), 10).unwrap();
    assert!(planned.len() == 2 && planned.iter().any(|row| row.account == ben && row.to == BETA), "{planned:?}");
    assert_eq!(reader.check().unwrap(), [""; 0]);
}

#[test]
fn a_directory_that_was_handed_over_takes_nothing_any_more_and_its_copy_takes_over() {
    let mut main = begun();
    enter(&mut main, MigrationPhase::Switching).unwrap();
    let at = main.folder.path().join("copy.db");
    let mut copy = Core::open(&at, Mode::Copy).unwrap();
    copied(&main, &mut copy);
    // A dry run hands nothing over.
    main.core.submit(&Request::HandOverMain { to: BETA, left_behind: Vec::new() }, &main.clock, true).unwrap();
    assert!(main.submit(Request::PlanMigration).is_ok());
    copied(&main, &mut copy);
    main.submit(Request::HandOverMain { to: BETA, left_behind: vec!["notes\n.txt".into()] }).unwrap();
    assert!(matches!(main.submit(Request::FollowMigration), Err(RequestError::NotMain)));

    // Before it has the last change, the copy is no main node's.
    drop(copy);
    assert_eq!(Core::take_over(&at, BETA).unwrap().is_main, None);
    assert!(matches!(Core::open(&at, Mode::Main(INSTALLATION)), Err(StorageError::IsCopy)));
    let mut copy = Core::open(&at, Mode::Copy).unwrap();
    copied(&main, &mut copy);
    drop(copy);
    assert_eq!(Core::take_over(&at, ALPHA).unwrap().is_main, Some(false));
    assert!(matches!(Core::open(&at, Mode::Main(INSTALLATION)), Err(StorageError::IsCopy)));
    assert_eq!(Core::take_over(&at, BETA).unwrap().is_main, Some(true));
    let mut next = Core::open(&at, Mode::Main(INSTALLATION)).unwrap();
    next.submit(&Request::PlanMigration, &main.clock, false).unwrap();
    // What stayed where the role was is known where it is.
    assert_eq!(next.reader().migration().unwrap().unwrap().value.left_behind, ["notes .txt"]);
    assert_eq!(next.reader().check().unwrap(), [""; 0]);

    // The old one's file says so too, whatever its configuration says, and follows.
    let old = main.folder.path().join("directory.db");
    assert_eq!(Core::take_over(&old, ALPHA).unwrap().is_main, Some(false));
    assert!(matches!(Core::open(&old, Mode::Main(INSTALLATION)), Err(StorageError::IsCopy)));
    let mut old = Core::open(&old, Mode::Copy).unwrap();
    let after = old.reader().head().unwrap().position;
    let page = next.reader().changes_since(&after, 1000).unwrap();
    assert!(old.apply(&page).unwrap().at_head);
    assert_eq!(old.reader().head().unwrap().digest, next.reader().head().unwrap().digest);
}

/// What a rehearsal works with is what the copy would be after the switch; accounts that are not tried stay away.
#[test]
fn a_rehearsal_is_what_the_copy_would_be_after_the_switch() {
    let mut main = begun();
    let (ana, ben) = (main.core.reader().entry_at("ana@tern.test").unwrap().unwrap(), main.user("ben@tern.test", &[]));
    let ana = ana.value.entry().id;
    main.submit(Request::FollowMigration).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.sqlite");
    let mut copy = Core::open(&path, Mode::Copy).unwrap();
    copied(&main, &mut copy);
    drop(copy);
    let nobody = AccountId(999);
    let placed = Core::rehearse(&path, BETA, &[ana, nobody], &main.clock).unwrap();
    assert_eq!(placed.iter().map(|(account, _)| *account).collect::<Vec<_>>(), [ana]);

    let standing = Core::take_over(&path, BETA).unwrap();
    assert_eq!(standing.is_main, Some(true));
    assert_eq!(standing.migration.unwrap().phase, MigrationPhase::Switched);
    let rehearsed = Core::open(&path, Mode::Main(INSTALLATION)).unwrap();
    let reader = rehearsed.reader();
    let placement = |account| reader.placement(account).unwrap().unwrap().value;
    assert_eq!((placement(ana).server, placement(ana).epoch), (BETA, placed[0].1));
    assert_eq!(placement(ben).server, ALPHA);
    assert!(reader.copy(ana, BETA).unwrap().is_none());
    assert_eq!(reader.servers().unwrap().iter().filter(|server| server.value.roles.main).count(), 1);
    assert_eq!(reader.check().unwrap(), [""; 0]);
    assert!(main.core.reader().placement(ana).unwrap().unwrap().value.epoch < placed[0].1);
}
