//! Copies: whatever happens on the main node and on the way, a copy at the head has the same rows, indexes and digest.

use proptest::prelude::*;
use sterna_base::{AccountId, DomainId, InstallationId, Modseq, NodeId, Timestamp};
use sterna_directory::request::{DomainPatch, NewDomain, NewGroup, NewShared, NewUser, ServerPatch, UserPatch};
use sterna_directory::{
    ApplyError, Change, Changes, ContactPatch, Core, Cursor, Member, Mode, Request, RowKind, Scope, StorageError,
};
use tempfile::TempDir;

use crate::common::{ALPHA, BETA, Main};
use crate::move_steps::{self, MoveStep};

struct Copy {
    folder: TempDir,
    core: Core,
}

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::open(&folder.path().join("directory.db"), Mode::Copy).unwrap();
        Copy { folder, core }
    }

    fn reopen(&mut self) {
        self.core = Core::open(&self.folder.path().join("directory.db"), Mode::Copy).unwrap();
    }

    /// Takes one page; gives it back for replaying.
    fn pull(&mut self, main: &Main, limit: usize) -> (Changes, bool) {
        let position = self.core.reader().head().unwrap().position;
        let page = main.core.reader().changes_since(&position, limit).unwrap();
        let applied = self.core.apply(&page).unwrap();
        (page, applied.at_head)
    }

    fn catch_up(&mut self, main: &Main, limit: usize) {
        while !self.pull(main, limit).1 {}
    }
}

fn rows(core: &Core) -> Vec<Change> {
    let mut all = Vec::new();
    let mut after = Cursor::start();
    loop {
        let page = core.reader().changes_since(&after, 3).unwrap();
        all.extend(page.rows);
        match page.next {
            Some(next) => after = next,
            None => return all,
        }
    }
}

fn assert_same(main: &Main, copy: &Copy) {
    let (ours, theirs) = (main.core.reader().head().unwrap(), copy.core.reader().head().unwrap());
    assert_eq!((ours.modseq, ours.digest, ours.installation), (theirs.modseq, theirs.digest, theirs.installation));
    assert_eq!(rows(&main.core), rows(&copy.core));
    assert_eq!(main.core.reader().check().unwrap(), [""; 0]);
    assert_eq!(copy.core.reader().check().unwrap(), [""; 0]);
}

/// A step of a history. Numbers are taken modulo what there is, so that most steps hit something.
#[derive(Clone, Debug)]
enum Step {
    Domain { name: u8, alias: u8 },
    SetDomain { id: u8, name: u8, alias: Option<u8>, suspended: bool },
    DeleteDomain { id: u8 },
    User { local: u8, domain: u8, alias: Option<u8>, login: Option<u8> },
    SetUser { id: u8, local: Option<u8>, alias: Option<u8>, login: Option<Option<u8>>, admin: bool },
    Shared { local: u8, domain: u8 },
    Group { local: u8, domain: u8 },
    Members { group: u8, add: u8, remove: u8 },
    Delete { id: u8 },
    Bin { id: u8 },
    Restore { id: u8, address: Option<u8> },
    Purge { id: u8 },
    Cleanup { id: u8 },
    Weight { server: bool, weight: u8 },
    Moves(MoveStep),
    Setting { domain: Option<u8>, value: Option<u8> },
    ReopenMain,
    Pull { limit: u8 },
    ReopenCopy,
    Replay { page: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0..4u8;
    let id = 0..24u8;
    let maybe = || proptest::option::of(0..4u8);
    prop_oneof![
        2 => (n.clone(), n.clone()).prop_map(|(name, alias)| Step::Domain { name, alias }),
        1 => (id.clone(), n.clone(), maybe(), any::<bool>())
            .prop_map(|(id, name, alias, suspended)| Step::SetDomain { id, name, alias, suspended }),
        1 => id.clone().prop_map(|id| Step::DeleteDomain { id }),
        4 => (n.clone(), n.clone(), maybe(), maybe())
            .prop_map(|(local, domain, alias, login)| Step::User { local, domain, alias, login }),
        3 => (id.clone(), maybe(), maybe(), proptest::option::of(maybe()), any::<bool>())
            .prop_map(|(id, local, alias, login, admin)| Step::SetUser { id, local, alias, login, admin }),
        2 => (n.clone(), n.clone()).prop_map(|(local, domain)| Step::Shared { local, domain }),
        2 => (n.clone(), n.clone()).prop_map(|(local, domain)| Step::Group { local, domain }),
        3 => (id.clone(), id.clone(), id.clone()).prop_map(|(group, add, remove)| Step::Members { group, add, remove }),
        3 => id.clone().prop_map(|id| Step::Delete { id }),
        2 => id.clone().prop_map(|id| Step::Bin { id }),
        2 => (id.clone(), maybe()).prop_map(|(id, address)| Step::Restore { id, address }),
        1 => id.clone().prop_map(|id| Step::Purge { id }),
        2 => id.clone().prop_map(|id| Step::Cleanup { id }),
        1 => (any::<bool>(), n.clone()).prop_map(|(server, weight)| Step::Weight { server, weight }),
        6 => move_steps::step().prop_map(Step::Moves),
        1 => (maybe(), maybe()).prop_map(|(domain, value)| Step::Setting { domain, value }),
        1 => Just(Step::ReopenMain),
        6 => (1..6u8).prop_map(|limit| Step::Pull { limit }),
        1 => Just(Step::ReopenCopy),
        2 => any::<u8>().prop_map(|page| Step::Replay { page }),
    ]
}

fn address(local: u8, domain: u8) -> String {
    format!("n{local}@d{domain}.test")
}

fn request(main: &mut Main, step: &Step) -> Option<Request> {
    let account = |id: u8| AccountId(u64::from(id) + 1);
    let server = |alpha: bool| if alpha { ALPHA } else { BETA };
    Some(match step.clone() {
        Step::Domain { name, alias } => Request::CreateDomain(NewDomain {
            name: format!("d{name}.test"),
            aliases: vec![format!("d{alias}.test"), format!("a{alias}.test")],
            ..NewDomain::default()
        }),
        Step::SetDomain { id, name, alias, suspended } => Request::SetDomain {
            id: DomainId(u64::from(id % 4) + 1),
            expect: None,
            patch: DomainPatch {
                name: Some(format!("d{name}.test")),
                aliases: alias.map(|alias| vec![format!("a{alias}.test")]),
                suspended: Some(suspended),
                ..DomainPatch::default()
            },
        },
        Step::DeleteDomain { id } => Request::DeleteDomain { id: DomainId(u64::from(id % 4) + 1), expect: None },
        Step::User { local, domain, alias, login } => Request::CreateUser {
            id: main.try_reserve(server(local % 2 == 0))?,
            new: NewUser {
                address: address(local, domain),
                aliases: alias.map(|alias| address(alias, domain)).into_iter().collect(),
                login: login.map(|login| format!("l{login}")),
                ..NewUser::default()
            },
            server: server(local % 2 == 0),
        },
        Step::SetUser { id, local, alias, login, admin } => Request::SetUser {
            id: account(id),
            expect: None,
            patch: UserPatch {
                address: local.map(|local| address(local, local)),
                aliases: alias.map(|alias| vec![address(alias, 0), address(alias, 1)]),
                login: login.map(|login| login.map(|login| format!("l{login}"))),
                admin: Some(admin),
                ..UserPatch::default()
            },
        },
        Step::Shared { local, domain } => {
            let new = NewShared { address: address(local, domain), ..NewShared::default() };
            Request::CreateShared { id: main.try_reserve(BETA)?, new, server: BETA }
        }
        Step::Group { local, domain } => {
            Request::CreateGroup(NewGroup { address: address(local, domain), ..NewGroup::default() })
        }
        Step::Members { group, add, remove } => Request::SetMembers {
            id: account(group),
            add: vec![Member::Local(account(add))],
            remove: vec![Member::Local(account(remove))],
        },
        Step::Delete { id } => {
            let kind = main.core.reader().entry(account(id)).unwrap()?.value.kind();
            Request::DeleteEntry { id: account(id), kind, expect: None }
        }
        Step::Bin { id } => {
            let kind = main.core.reader().entry(account(id)).unwrap()?.value.kind();
            Request::BinEntry { id: account(id), kind, expect: None, until: Timestamp(0), by: "root".into() }
        }
        Step::Restore { id, address: local } => {
            Request::RestoreEntry { id: account(id), address: local.map(|local| address(local, local)) }
        }
        Step::Purge { id } => Request::PurgeEntry { id: account(id) },
        Step::Cleanup { id } => {
            let account = account(id);
            let pending = main.core.reader().pending_stores_of(account).unwrap().first().copied()?;
            let server = pending.server;
            if pending.deleting { Request::StoreGone { account, server } } else { Request::GiveUpAccount { account } }
        }
        Step::Weight { server: alpha, weight } => Request::SetServer {
            id: server(alpha),
            expect: None,
            patch: ServerPatch {
                weight: Some(weight.into()),
                free_bytes: Some(weight.into()),
                ..ServerPatch::default()
            },
        },
        Step::Moves(step) => return move_steps::request(main, &step),
        Step::Setting { domain, value } => Request::PutSetting {
            expect: None,
            scope: domain.map_or(Scope::System, |id| Scope::Domain(DomainId(u64::from(id) + 1))),
            name: "x-test".into(),
            value: value.map(|value| value.to_string()),
            by: "root".into(),
        },
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_copy_at_the_head_is_the_same(steps in proptest::collection::vec(step(), 1..90)) {
        let (mut main, mut copy) = (Main::new(), Copy::new());
        let mut pages: Vec<Changes> = Vec::new();
        for step in &steps {
            match step {
                Step::ReopenMain => main.reopen(),
                Step::ReopenCopy => copy.reopen(),
                Step::Pull { limit } => pages.push(copy.pull(&main, usize::from(*limit)).0),
                Step::Replay { page } if !pages.is_empty() => {
                    let page = &pages[usize::from(*page) % pages.len()];
                    let before = rows(&copy.core);
                    // A page that was asked for earlier changes nothing that is here.
                    copy.core.apply(page).unwrap();
                    let after = rows(&copy.core);
                    prop_assert!(before.iter().all(|row| after.iter().any(|now| now.key == row.key
                        && now.kind == row.kind && now.modseq >= row.modseq)));
                }
                step => {
                    if let Some(request) = request(&mut main, step) {
                        let before = main.core.reader().head().unwrap();
                        let result = main.submit(request);
                        if !result.as_ref().is_ok_and(|done| done.changed) {
                            prop_assert_eq!(before, main.core.reader().head().unwrap());
                        }
                        prop_assert!(!matches!(result, Err(ref error) if error.code() == "storage"), "{:?}", result);
                    }
                }
            }
        }
        copy.catch_up(&main, 2);
        assert_same(&main, &copy);
    }
}

#[test]
fn a_gap_a_stranger_and_disorder_are_refused() {
    let (mut main, mut copy) = (Main::new(), Copy::new());
    main.domain("demo.test", &[]);
    let later = main.core.reader().changes_since(&Cursor::since(Modseq(2)), 100).unwrap();
    assert!(matches!(copy.core.apply(&later), Err(ApplyError::Gap(_))));
    let page = main.core.reader().changes_since(&Cursor::start(), 100).unwrap();
    let mut disorder = page.clone();
    disorder.rows.swap(0, 1);
    assert!(matches!(copy.core.apply(&disorder), Err(ApplyError::Disorder)));
    let mut left_out = page.clone();
    left_out.rows.remove(1);
    assert!(matches!(copy.core.apply(&left_out), Err(ApplyError::Diverged { .. })), "the digest tells");
    copy.core.apply(&page).unwrap();
    assert_same(&main, &copy);
    let mut stranger = page.clone();
    stranger.installation = InstallationId([9; 16]);
    assert!(matches!(copy.core.apply(&stranger), Err(ApplyError::WrongInstallation { .. })));
    assert!(matches!(main.core.apply(&page), Err(ApplyError::IsMain)));
}

#[test]
fn a_main_node_restored_from_an_older_backup_is_noticed() {
    let (mut main, mut copy) = (Main::new(), Copy::new());
    let old = main.core.reader().changes_since(&Cursor::start(), 100).unwrap();
    let demo = main.domain("demo.test", &[]);
    let new = ContactPatch { address: Some("eve@far.test".into()), ..ContactPatch::default() };
    main.submit(Request::CreateContact { domain: demo, new }).unwrap();
    copy.catch_up(&main, 100);
    let before = rows(&copy.core);
    assert!(!copy.core.apply(&old).unwrap().at_head, "a late answer to an early question");
    assert_eq!(rows(&copy.core), before);
    let position = copy.core.reader().head().unwrap().position;
    let restored = Changes { after: position, rows: vec![], ..old.clone() };
    assert!(matches!(copy.core.apply(&restored), Err(ApplyError::Behind { .. })));
    copy.core.start_again().unwrap();
    copy.core.apply(&old).unwrap();
    assert_eq!(rows(&copy.core), old.rows);
    assert_eq!(copy.core.reader().contacts_within(&["far.test"], 9).unwrap(), 0, "nor is it found by its address");
}

#[test]
fn a_copy_takes_no_requests_and_does_not_become_the_main_node_by_mistake() {
    let (mut main, mut copy) = (Main::new(), Copy::new());
    main.domain("demo.test", &[]);
    copy.catch_up(&main, 1);
    let clock = main.clock.clone();
    let refused = copy.core.submit(&Request::ReserveAccount { server: ALPHA }, &clock, false).unwrap_err();
    assert_eq!(refused.code(), "not-main");
    let installation = main.core.reader().head().unwrap().installation.unwrap();
    let path = copy.folder.path().join("directory.db");
    assert!(matches!(Core::open(&path, Mode::Main(installation)), Err(StorageError::IsCopy)));
    let path = main.folder.path().join("directory.db");
    let other = Mode::Main(InstallationId([9; 16]));
    assert!(matches!(Core::open(&path, other), Err(StorageError::OtherInstallation(_))));
}

#[test]
fn rows_and_fields_of_a_later_version_are_carried() {
    let (main, mut copy) = (Main::new(), Copy::new());
    let mut page = main.core.reader().changes_since(&Cursor::start(), 100).unwrap();
    let modseq = Modseq(page.head.0 + 1);
    let server = page.rows.iter_mut().find(|row| row.kind == RowKind::Server as u16).unwrap();
    let content = server.content.as_mut().unwrap();
    content.insert_str(1, "\"later\":{\"x\":[1]},");
    let unknown = Change { kind: 700, key: "k".into(), modseq, content: Some("not even JSON".into()) };
    page.rows.push(unknown);
    page.head = modseq;
    page.digest = sterna_account::Digest::default();
    for row in &page.rows {
        page.digest.add(row.digest());
    }
    copy.core.apply(&page).unwrap();
    assert_eq!(rows(&copy.core), page.rows);
    let _: NodeId = copy.core.reader().server_named("alpha").unwrap().unwrap().value.id;
}
