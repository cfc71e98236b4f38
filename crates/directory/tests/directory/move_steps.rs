//! Random steps of moves, copies and jobs, and what must hold after each of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sterna_base::{AccountId, Clock, Epoch, JobId, NodeId};
use sterna_directory::request::{JobChange, NewJob, NewUser, ServerPatch};
use sterna_directory::{
    CopyPurpose, Created, Durability, Job, JobKind, Placement, Request, Roles, RowKind, Scope, ServerStandby, settings,
};

use crate::common::{ALPHA, BETA, Main};

pub const GAMMA: NodeId = NodeId([0xc; 16]);
const SERVERS: [NodeId; 3] = [ALPHA, BETA, GAMMA];
/// Accounts that steps are about: the first ones.
const ACCOUNTS: u8 = 6;

/// A step. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
pub enum MoveStep {
    Begin {
        job: Option<u8>,
        kind: u8,
        moves: Vec<(u8, u8)>,
    },
    Back {
        account: u8,
    },
    SetJob {
        job: u8,
        change: JobChange,
    },
    Start {
        account: u8,
    },
    CutOver {
        account: u8,
    },
    /// With the epoch of the cut-over, moved by this.
    Commit {
        account: u8,
        off: i8,
    },
    Abort {
        account: u8,
        retry: bool,
    },
    Fail {
        account: u8,
    },
    Standby {
        account: u8,
        server: u8,
        two: bool,
    },
    Drop {
        account: u8,
        server: u8,
    },
    Expire {
        hours: u8,
    },
    FailOver {
        account: u8,
        server: u8,
        off: i8,
    },
    Gone {
        account: u8,
        server: u8,
    },
    Delete {
        account: u8,
    },
    Server {
        server: u8,
        draining: bool,
        data: bool,
    },
    DeleteServer {
        server: u8,
    },
    Rollback {
        hours: u8,
    },
    ServerStandby {
        server: u8,
        by: Option<u8>,
    },
    User {
        server: u8,
    },
}

pub fn step() -> impl Strategy<Value = MoveStep> {
    // Few, so that steps meet; the others are there to be in the way.
    let account = || prop_oneof![4 => 0..2u8, 1 => 0..ACCOUNTS];
    let server = || 0..3u8;
    let off = || prop_oneof![2 => Just(0i8), 1 => Just(1), 1 => Just(-1)];
    let change = prop_oneof![2 => Just(JobChange::Pause), 3 => Just(JobChange::Resume), 1 => Just(JobChange::Abort)];
    let moves = proptest::collection::vec((account(), server()), 1..3);
    prop_oneof![
        8 => (proptest::option::weighted(0.3, 0..4u8), 0..6u8, moves)
            .prop_map(|(job, kind, moves)| MoveStep::Begin { job, kind, moves }),
        1 => account().prop_map(|account| MoveStep::Back { account }),
        2 => (0..4u8, change).prop_map(|(job, change)| MoveStep::SetJob { job, change }),
        8 => account().prop_map(|account| MoveStep::Start { account }),
        8 => account().prop_map(|account| MoveStep::CutOver { account }),
        8 => (account(), off()).prop_map(|(account, off)| MoveStep::Commit { account, off }),
        4 => (account(), any::<bool>()).prop_map(|(account, retry)| MoveStep::Abort { account, retry }),
        2 => account().prop_map(|account| MoveStep::Fail { account }),
        4 => (account(), server(), any::<bool>())
            .prop_map(|(account, server, two)| MoveStep::Standby { account, server, two }),
        1 => (account(), server()).prop_map(|(account, server)| MoveStep::Drop { account, server }),
        1 => (0..40u8).prop_map(|hours| MoveStep::Expire { hours }),
        4 => (account(), server(), off())
            .prop_map(|(account, server, off)| MoveStep::FailOver { account, server, off }),
        4 => (account(), server()).prop_map(|(account, server)| MoveStep::Gone { account, server }),
        1 => account().prop_map(|account| MoveStep::Delete { account }),
        1 => (server(), proptest::bool::weighted(0.2), proptest::bool::weighted(0.7))
            .prop_map(|(server, draining, data)| MoveStep::Server { server, draining, data }),
        1 => server().prop_map(|server| MoveStep::DeleteServer { server }),
        1 => (0..30u8).prop_map(|hours| MoveStep::Rollback { hours }),
        1 => (server(), proptest::option::of(server()))
            .prop_map(|(server, by)| MoveStep::ServerStandby { server, by }),
        1 => server().prop_map(|server| MoveStep::User { server }),
    ]
}

/// The request of a step; `None` when there is nothing that it could be about.
pub fn request(main: &mut Main, step: &MoveStep) -> Option<Request> {
    let id = |account: u8| AccountId(u64::from(account) + 1);
    let at = |server: u8| SERVERS[usize::from(server) % SERVERS.len()];
    let shifted = |epoch: Epoch, off: i8| Epoch(epoch.0.saturating_add_signed(off.into()));
    Some(match step.clone() {
        MoveStep::Begin { job, kind, moves } => Request::BeginJob(NewJob {
            id: job.map(|job| JobId(u64::from(job) + 1)),
            kind: match kind {
                0 => JobKind::Failover,
                1 => JobKind::Drain,
                _ => JobKind::Move,
            },
            what: format!("{moves:?}"),
            moves: moves.into_iter().map(|(account, to)| (id(account), at(to))).collect(),
            by: "a test".into(),
        }),
        MoveStep::Back { account } => {
            Request::MoveBack { accounts: vec![id(account)], what: "back".into(), by: String::new() }
        }
        MoveStep::SetJob { job, change } => Request::SetJob { id: JobId(u64::from(job) + 1), change },
        MoveStep::Start { account } => Request::StartMove { account: id(account) },
        MoveStep::CutOver { account } => {
            Request::CutOver { account: id(account), deadline: main.clock.now().plus_ms(2000) }
        }
        MoveStep::Commit { account, off } => {
            let row = main.core.reader().move_of(id(account)).unwrap()?.value;
            Request::CommitMove { account: id(account), epoch: shifted(row.epoch.unwrap_or(Epoch(1)), off) }
        }
        MoveStep::Abort { account, retry } => {
            Request::AbortMove { account: id(account), retry, reason: "it took\ntoo long".into() }
        }
        MoveStep::Fail { account } => Request::FailMove { account: id(account), reason: "no space".into() },
        MoveStep::Standby { account, server, two } => {
            let durability = if two { Durability::Two } else { Durability::One };
            Request::PutStandby { accounts: vec![id(account)], server: at(server), durability }
        }
        MoveStep::Drop { account, server } => Request::DropCopy { account: id(account), server: at(server) },
        MoveStep::Expire { hours } => {
            main.clock.advance_ms(i64::from(hours) * 3_600_000);
            Request::ExpireCopies { before: main.clock.now().plus_ms(1_000_000) }
        }
        MoveStep::FailOver { account, server, off } => {
            let placement = main.core.reader().placement(id(account)).unwrap()?.value;
            Request::FailOver { account: id(account), to: at(server), expect: shifted(placement.epoch, off) }
        }
        MoveStep::Gone { account, server } => Request::StoreGone { account: id(account), server: at(server) },
        MoveStep::Delete { account } => Request::DeleteEntry { id: id(account), kind: RowKind::User, expect: None },
        MoveStep::Server { server, draining, data } => {
            let roles = Some(Roles { data, edge: true, main: false });
            let patch = ServerPatch { draining: Some(draining), roles, ..ServerPatch::default() };
            Request::SetServer { id: at(server), expect: None, patch }
        }
        MoveStep::DeleteServer { server } => Request::DeleteServer { id: at(server), expect: None },
        MoveStep::Rollback { hours } => Request::PutSetting {
            expect: None,
            scope: Scope::System,
            name: settings::MOVE_ROLLBACK_HOURS.into(),
            value: Some(hours.to_string()),
            by: "root".into(),
        },
        MoveStep::ServerStandby { server, by } => {
            let standby = by.map(|by| ServerStandby { server: at(by), durability: Durability::One });
            let patch = ServerPatch { standby: Some(standby), ..ServerPatch::default() };
            Request::SetServer { id: at(server), expect: None, patch }
        }
        MoveStep::User { server } => {
            let server = at(server);
            let id = main.try_reserve(server)?;
            let new = NewUser { address: format!("late{id}@demo.test"), ..NewUser::default() };
            Request::CreateUser { id, new, server }
        }
    })
}

/// What was handed out and allowed so far.
#[derive(Default)]
pub struct Oracle {
    /// The largest epoch of each account that anybody was ever given.
    handed_out: BTreeMap<AccountId, Epoch>,
    /// Which server may be active at an epoch.
    active: BTreeMap<(AccountId, Epoch), NodeId>,
    /// Cut-overs that are under way: their epoch and target.
    open: BTreeMap<AccountId, (Epoch, NodeId)>,
    /// Every server that a store may be on.
    stores: BTreeSet<(AccountId, NodeId)>,
}

impl Oracle {
    /// Does a request and checks what it came to.
    pub fn submit(&mut self, main: &mut Main, request: &Request) {
        let before = main.core.reader().head().unwrap();
        let result = main.submit(request.clone());
        let head = main.core.reader().head().unwrap();
        match &result {
            Ok(done) if done.changed => {
                if let (Some(Created::Epoch(epoch)), Some(account)) = (done.created, moving(request)) {
                    let last = self.handed_out.get(&account).copied().unwrap_or_default();
                    assert!(epoch > last, "{epoch:?} was handed out after {last:?}: {request:?}");
                    self.handed_out.insert(account, epoch);
                }
            }
            _ => assert_eq!(before, head, "{request:?} was refused or changed nothing: {result:?}"),
        }
        self.look(main, request);
    }

    fn look(&mut self, main: &Main, request: &Request) {
        let reader = main.core.reader();
        for account in (1..=u64::from(ACCOUNTS)).map(AccountId) {
            let mut stores = BTreeSet::new();
            if let Some(placement) = reader.placement(account).unwrap().map(|found| found.value) {
                stores.insert((account, placement.server));
                let last = self.handed_out.entry(account).or_default();
                *last = placement.epoch.max(*last);
                let active = *self.active.entry((account, placement.epoch)).or_insert(placement.server);
                assert_eq!(active, placement.server, "two servers at one epoch: {request:?}");
                let newest = self.active.range((account, Epoch(0))..=(account, Epoch(u64::MAX))).next_back().unwrap();
                assert_eq!(newest.0.1, placement.epoch, "an epoch came back: {request:?}");
                self.look_at_cut_over(main, request, &placement);
            }
            let copies = reader.copies_of(account).unwrap();
            let moving = copies.iter().filter(|copy| copy.purpose == CopyPurpose::Moving).count();
            assert!(moving <= 1, "{copies:?}");
            stores.extend(copies.iter().map(|copy| (account, copy.server)));
            stores.extend(reader.pending_stores_of(account).unwrap().iter().map(|store| (account, store.server)));
            // No store is forgotten before somebody says that it is gone.
            for store in self.stores.iter().filter(|(of, _)| *of == account) {
                let is_gone =
                    matches!(request, Request::StoreGone { account, server } if (*account, *server) == *store);
                assert!(stores.contains(store) || is_gone, "{store:?} was forgotten: {request:?}");
            }
            self.stores.retain(|(of, _)| *of != account);
            self.stores.extend(stores);
        }
    }
}

impl Oracle {
    /// A cut-over ends in a commit of exactly its epoch and target, or far behind a placement that nobody else has.
    fn look_at_cut_over(&mut self, main: &Main, request: &Request, placement: &Placement) {
        let row = main.core.reader().move_of(placement.account).unwrap().map(|found| found.value);
        let now = row.and_then(|row| row.epoch.map(|epoch| (epoch, row.to)));
        if let Some(open) = self.open.remove(&placement.account)
            && now != Some(open)
        {
            let is_committed = (placement.epoch, placement.server) == open;
            let is_beyond = placement.epoch > open.0;
            let is_commit = matches!(request, Request::CommitMove { .. });
            assert!(is_committed || is_beyond, "{open:?} is still to be had: {request:?} {placement:?}");
            assert_eq!(is_committed, is_commit, "{open:?} {request:?} {placement:?}");
        }
        self.open.extend(now.map(|now| (placement.account, now)));
    }
}

fn moving(request: &Request) -> Option<AccountId> {
    match request {
        Request::CutOver { account, .. }
        | Request::AbortMove { account, .. }
        | Request::FailMove { account, .. }
        | Request::FailOver { account, .. } => Some(*account),
        _ => None,
    }
}

/// A main node's directory with three servers, some accounts, and nothing moving.
pub fn main_with_accounts() -> Main {
    let mut main = Main::new();
    let roles = Roles { data: true, ..Roles::default() };
    main.submit(Request::PutServer { id: GAMMA, name: "gamma".into(), address: "gamma:24".into(), roles }).unwrap();
    main.domain("demo.test", &[]);
    for account in 0..ACCOUNTS {
        main.user(&format!("user{account}@demo.test"), &[]);
    }
    main
}

/// Whether every phase and state was reached: a test that never cuts over proves nothing.
pub fn seen(main: &Main) -> BTreeSet<String> {
    let reader = main.core.reader();
    let mut seen = BTreeSet::new();
    for row in reader.moves(AccountId(0), 100).unwrap() {
        seen.insert(row.phase.name().to_owned());
    }
    let jobs: Vec<Job> = reader.jobs(None, 100).unwrap();
    seen.extend(jobs.iter().map(|job| job.state.name().to_owned()));
    for account in (1..=u64::from(ACCOUNTS)).map(AccountId) {
        seen.extend(reader.copies_of(account).unwrap().iter().map(|copy| copy.purpose.name().to_owned()));
    }
    seen
}

/// Takes a planned move to its end.
pub fn finish(main: &mut Main, account: AccountId) {
    main.submit(Request::StartMove { account }).unwrap();
    let deadline = main.clock.now().plus_ms(1000);
    match main.submit(Request::CutOver { account, deadline }).unwrap().created {
        Some(Created::Epoch(epoch)) => main.submit(Request::CommitMove { account, epoch }).unwrap(),
        other => panic!("{other:?}"),
    };
}
