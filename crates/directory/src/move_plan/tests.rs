//! Tables, and that no plan ever breaks a rule.

use proptest::prelude::*;
use sterna_base::Timestamp;

use super::*;
use crate::model::Roles;

const GIB: u64 = 1024 * 1024 * 1024;

fn id(n: u8) -> NodeId {
    NodeId([n; 16])
}

/// Weight, used GiB, free GiB (None: unknown), flags: "c" closed, "x" draining, "e" no data role.
fn load(n: u8, weight: u32, used_gib: u64, free_gib: Option<u64>, flags: &str) -> Load {
    let server = Server {
        id: id(n),
        name: format!("s{n}"),
        address: format!("s{n}:1"),
        roles: Roles { data: !flags.contains('e'), ..Roles::default() },
        weight,
        accepts_new_accounts: !flags.contains('c'),
        free_bytes: free_gib.map(|gib| gib * GIB),
        free_bytes_at: None,
        draining: flags.contains('x'),
        capacity_bytes: None,
        used_bytes: None,
        version: None,
        standby: None,
        created_at: Timestamp(0),
    };
    Load { server, used_bytes: used_gib * GIB }
}

/// Accounts of one server with so many GiB each, in domain 1.
fn accounts(server: u8, gib: &[u64]) -> Vec<Account> {
    let account = |(at, gib): (usize, &u64)| Account {
        id: AccountId(u64::from(server) * 100 + at as u64),
        server: id(server),
        domain: DomainId(1),
        bytes: gib * GIB,
    };
    gib.iter().enumerate().map(account).collect()
}

/// A plan as a text: account, target, GiB.
fn text(plan: &Plan) -> Vec<String> {
    let moves = plan.moves.iter().map(|m| format!("{} to {}: {}", m.account, m.to.0[0], m.bytes / GIB));
    moves.chain(plan.stay.iter().map(|(account, why)| format!("{account} stays: {why}"))).collect()
}

#[test]
fn draining_as_a_table() {
    let no = Allowed::new();
    let only_2 = Allowed::from([(DomainId(1), vec![id(2)])]);
    let l = load;
    type Row<'a> = (&'a str, Vec<Load>, &'a Allowed, &'a [u64], &'a [&'a str]);
    let table: Vec<Row> = vec![
        (
            "the largest first, where least is",
            vec![l(1, 1, 9, None, "x"), l(2, 1, 4, None, ""), l(3, 1, 0, None, "")],
            &no,
            &[1, 5, 3],
            &["101 to 3: 5", "102 to 2: 3", "100 to 3: 1"],
        ),
        (
            "by weight",
            vec![l(1, 1, 9, None, "x"), l(2, 1, 0, None, ""), l(3, 3, 0, None, "")],
            &no,
            &[2, 2, 2, 2],
            &["100 to 3: 2", "101 to 3: 2", "102 to 2: 2", "103 to 3: 2"],
        ),
        (
            "never beyond the space",
            vec![l(1, 1, 9, None, "x"), l(2, 1, 0, Some(4), ""), l(3, 1, 9, None, "")],
            &no,
            &[2, 2],
            &["100 to 2: 2", "101 to 3: 2"],
        ),
        (
            "allowed",
            vec![l(1, 1, 9, None, "x"), l(2, 1, 8, None, ""), l(3, 1, 0, None, "")],
            &only_2,
            &[1],
            &["100 to 2: 1"],
        ),
        (
            "closed",
            vec![l(1, 1, 9, None, "x"), l(2, 1, 8, None, ""), l(3, 1, 0, None, "c")],
            &no,
            &[1],
            &["100 to 2: 1"],
        ),
        (
            "nowhere",
            vec![l(1, 1, 9, None, ""), l(2, 0, 0, None, ""), l(3, 1, 0, Some(1), ""), l(4, 1, 0, None, "e")],
            &no,
            &[1],
            &["100 stays: no server takes new accounts of this domain: server s2 has weight 0; \
                server s3 has no space for it; server s4 has no data role"],
        ),
        ("empty", vec![l(1, 1, 0, None, "x"), l(2, 1, 0, None, "")], &no, &[], &[]),
    ];
    for (what, loads, allowed, gib, expected) in table {
        assert_eq!(text(&drain(&loads, allowed, id(1), &accounts(1, gib))), expected, "{what}");
    }
}

#[test]
fn rebalancing_as_a_table() {
    let no = Allowed::new();
    let only_1 = Allowed::from([(DomainId(1), vec![id(1)])]);
    let l = load;
    type Row<'a> = (&'a str, Vec<Load>, &'a Allowed, &'a [u64], &'a [&'a str], &'a [u8]);
    let table: Vec<Row> = vec![
        ("even", vec![l(1, 1, 10, None, ""), l(2, 1, 10, None, "")], &no, &[5, 5], &[], &[]),
        ("within the tolerance", vec![l(1, 1, 21, None, ""), l(2, 1, 19, None, "")], &no, &[1, 20], &[], &[]),
        (
            "one that is enough, and no more",
            vec![l(1, 1, 30, None, ""), l(2, 1, 10, None, "")],
            &no,
            &[1, 4, 8, 9, 8],
            &["102 to 2: 8"],
            &[],
        ),
        (
            "several",
            vec![l(1, 1, 20, None, ""), l(2, 1, 0, None, "")],
            &no,
            &[4, 4, 4, 4, 4],
            &["104 to 2: 4", "103 to 2: 4"],
            &[1, 2],
        ),
        ("by weight", vec![l(1, 1, 20, None, ""), l(2, 3, 20, None, "")], &no, &[10, 10], &["100 to 2: 10"], &[]),
        ("too large to help", vec![l(1, 1, 20, None, ""), l(2, 1, 0, None, "")], &no, &[20], &[], &[1, 2]),
        (
            "beyond the share by less",
            vec![l(1, 1, 12, None, ""), l(2, 1, 1, None, "")],
            &no,
            &[6, 6],
            &["100 to 2: 6"],
            &[],
        ),
        ("not allowed", vec![l(1, 1, 20, None, ""), l(2, 1, 0, None, "")], &only_1, &[5, 5, 10], &[], &[1, 2]),
        (
            "no space",
            vec![l(1, 1, 20, None, ""), l(2, 1, 0, Some(5), "")],
            &no,
            &[10, 5, 4, 1],
            &["102 to 2: 4"],
            &[1, 2],
        ),
        (
            "closed ones take no part",
            vec![l(1, 1, 20, None, ""), l(2, 1, 0, None, "c"), l(3, 1, 0, None, "x")],
            &no,
            &[10, 10],
            &[],
            &[],
        ),
    ];
    for (what, loads, allowed, gib, expected, uneven) in table {
        let plan = rebalance(&loads, allowed, &accounts(1, gib), 10);
        assert_eq!(text(&plan), expected, "{what}");
        assert_eq!(plan.uneven, uneven.iter().copied().map(id).collect::<Vec<_>>(), "{what}");
    }
}

#[test]
fn a_new_server_gets_its_share_of_ten_thousand_accounts() {
    let mut loads: Vec<Load> = (1..=4).map(|n| load(n, 1, 0, None, "")).collect();
    let account = |n: u64| Account {
        id: AccountId(n),
        server: id((n % 3) as u8 + 1),
        domain: DomainId(1),
        bytes: (n * 7919 % 997 + 1) * GIB / 100,
    };
    let accounts: Vec<Account> = (0..10_000).map(account).collect();
    for account in &accounts {
        loads[usize::from(account.server.0[0]) - 1].used_bytes += account.bytes;
    }
    let total: u64 = accounts.iter().map(|account| account.bytes).sum();
    let plan = rebalance(&loads, &Allowed::new(), &accounts, 5);
    assert_eq!(plan.uneven, []);
    // No more is moved than the new server lacks.
    assert!(plan.bytes() <= total / 4, "{} of {total}", plan.bytes());
    assert!(plan.bytes() >= total / 4 * 90 / 100, "{} of {total}", plan.bytes());
}

fn any_load(n: u8) -> impl Strategy<Value = Load> {
    let flags = prop_oneof![6 => Just(""), 1 => Just("c"), 1 => Just("x"), 1 => Just("e")];
    (0..4u32, proptest::option::of(0..40u64), flags)
        .prop_map(move |(weight, free, flags)| load(n, weight, 0, free, flags))
}

prop_compose! {
    fn any_world()(
        mut loads in (any_load(1), any_load(2), any_load(3), any_load(4)).prop_map(|(a, b, c, d)| vec![a, b, c, d]),
        accounts in proptest::collection::vec((1..5u8, 1..4u64, 0..12 * GIB), 0..40),
        allowed in proptest::collection::btree_map(
            (1..4u64).prop_map(DomainId), proptest::collection::vec((1..5u8).prop_map(id), 0..3), 0..3),
    ) -> (Vec<Load>, Vec<Account>, Allowed) {
        let account = |(at, (server, domain, bytes)): (usize, (u8, u64, u64))| {
            Account { id: AccountId(at as u64), server: id(server), domain: DomainId(domain), bytes }
        };
        let accounts: Vec<Account> = accounts.into_iter().enumerate().map(account).collect();
        for account in &accounts {
            loads[usize::from(account.server.0[0]) - 1].used_bytes += account.bytes;
        }
        (loads, accounts, allowed)
    }
}

/// What the servers have after a plan, when every move in it follows the rules.
fn follow(loads: &[Load], accounts: &[Account], allowed: &Allowed, plan: &Plan) -> Vec<Load> {
    let mut after = loads.to_vec();
    let mut taken = vec![0; loads.len()];
    let mut given = vec![0; loads.len()];
    let mut moved = std::collections::BTreeSet::new();
    for planned in &plan.moves {
        let account = accounts.iter().find(|account| account.id == planned.account).unwrap();
        assert!(moved.insert(account.id), "moved twice");
        assert_eq!((account.server, account.bytes), (planned.from, planned.bytes));
        assert_ne!(planned.from, planned.to);
        let to = loads.iter().position(|load| load.server.id == planned.to).unwrap();
        let from = loads.iter().position(|load| load.server.id == planned.from).unwrap();
        let domain = allowed.get(&account.domain).cloned().unwrap_or_default();
        assert_eq!(check_target(&loads[to].server, &domain), Ok(()));
        assert!(loads[to].server.weight > 0);
        taken[to] += planned.bytes;
        given[from] += planned.bytes;
        after[to].used_bytes += planned.bytes;
        after[from].used_bytes -= planned.bytes;
        if let Some(free) = loads[to].server.free_bytes {
            assert!(taken[to] + FREE_BYTES_MIN <= free + given[to], "beyond the space");
        }
    }
    after
}

proptest! {
    #[test]
    fn a_drained_server_is_empty_or_says_why((loads, accounts, allowed) in any_world()) {
        let plan = drain(&loads, &allowed, id(1), &accounts);
        let after = follow(&loads, &accounts, &allowed, &plan);
        let there = accounts.iter().filter(|account| account.server == id(1)).count();
        prop_assert_eq!(plan.moves.len() + plan.stay.len(), there);
        prop_assert!(plan.moves.iter().all(|planned| planned.from == id(1)));
        for (account, why) in &plan.stay {
            let NoServer::None(reasons) = why else { panic!("{why:?}") };
            prop_assert_eq!(reasons.len(), 3, "a reason for each other server: {} {:?}", account, reasons);
        }
        if plan.stay.is_empty() {
            prop_assert_eq!(after[0].used_bytes, 0);
        }
    }

    #[test]
    fn rebalancing_never_makes_it_worse((loads, accounts, allowed) in any_world(), tolerance in 0..30u32) {
        let plan = rebalance(&loads, &allowed, &accounts, tolerance);
        let after = follow(&loads, &accounts, &allowed, &plan);
        let (was, is) = (unevenness(&loads), unevenness(&after));
        prop_assert!(if plan.moves.is_empty() { is == was } else { is < was }, "{was} became {is}");
        for (old, new) in loads.iter().zip(&after) {
            let part = check_target(&old.server, &[]).is_ok() && old.server.weight > 0;
            prop_assert!(part || old.used_bytes == new.used_bytes, "{} takes no part", old.server.name);
        }
        // Once more: what was reached is kept.
        let moved: Vec<Account> = accounts.iter().map(|account| {
            let planned = plan.moves.iter().find(|planned| planned.account == account.id);
            Account { server: planned.map_or(account.server, |planned| planned.to), ..*account }
        }).collect();
        if plan.uneven.is_empty() {
            prop_assert_eq!(rebalance(&after, &allowed, &moved, tolerance).moves, vec![]);
        }
    }
}
