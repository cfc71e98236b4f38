//! With ten thousand users: a lookup touches a handful of rows.

use std::time::Instant;

use sterna_account::Digest;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, DomainId, Epoch, Modseq, NodeId, Timestamp};
use sterna_directory::{
    Address, AddressPattern, Change, Changes, Core, Cursor, Domain, Entry, Group, Member, Membership, Mode, Placement,
    Roles, RowKind, Server, User, routing,
};

use crate::common::{ALPHA, BETA, INSTALLATION};

const USERS: u64 = 10_000;
const DOMAIN: DomainId = DomainId(1);
const GROUP: AccountId = AccountId(USERS + 1);

fn row(kind: RowKind, key: String, value: &impl serde::Serialize) -> Change {
    Change { kind: kind as u16, key, modseq: Modseq(1), content: Some(serde_json::to_string(value).unwrap()) }
}

fn entry(id: u64, local: &str, alias: &str) -> Entry {
    let address = |local: &str| Address { local: local.into(), domain: DOMAIN };
    Entry {
        id: AccountId(id),
        address: address(local),
        aliases: vec![address(alias)],
        display_name: String::new(),
        suspended: false,
        unit: String::new(),
        hidden: false,
        forward_to: vec![],
        senders: vec![],
        forward_only: false,
        created_at: Timestamp(0),
    }
}

fn server(id: NodeId, name: &str) -> Change {
    let server = Server {
        id,
        name: name.into(),
        address: format!("{name}:1"),
        roles: Roles::ALL,
        weight: 1,
        accepts_new_accounts: true,
        free_bytes: None,
        free_bytes_at: None,
        draining: false,
        capacity_bytes: None,
        used_bytes: None,
        version: None,
        standby: None,
        created_at: Timestamp(0),
    };
    row(RowKind::Server, id.to_string(), &server)
}

/// The rows of such a directory, as a main node would send them.
fn rows() -> Vec<Change> {
    let domain = Domain {
        id: DOMAIN,
        name: "demo.test".into(),
        aliases: vec!["demo.example".into()],
        description: String::new(),
        servers: vec![],
        suspended: false,
        created_at: Timestamp(0),
    };
    let mut rows = vec![
        server(ALPHA, "alpha"),
        server(BETA, "beta"),
        row(RowKind::Domain, format!("{:016x}", DOMAIN.0), &domain),
        row(
            RowKind::Group,
            format!("{:016x}", GROUP.0),
            &Group { entry: entry(GROUP.0, "all", "everybody"), external_members: false, internal_senders_only: false },
        ),
    ];
    for id in 1..=USERS {
        let entry = entry(id, &format!("user{id}"), &format!("alias{id}"));
        let user = User {
            entry,
            login: Some(format!("u{id}")),
            password_hash: None,
            scram: None,
            password_at: None,
            admin: false,
            quota_bytes: None,
        };
        let server = if id % 4 == 0 { ALPHA } else { BETA };
        let member = Membership { group: GROUP, member: Member::Local(AccountId(id)) };
        rows.push(row(RowKind::User, format!("{id:016x}"), &user));
        let placement = Placement { account: AccountId(id), server, epoch: Epoch(1) };
        rows.push(row(RowKind::Placement, format!("{id:016x}"), &placement));
        rows.push(row(RowKind::Member, format!("{:016x}/a{id:016x}", GROUP.0), &member));
    }
    rows.sort_by_key(Change::cursor);
    rows
}

#[test]
fn lookups_among_ten_thousand_users() {
    let folder = tempfile::tempdir().unwrap();
    let mut copy = Core::open(&folder.path().join("directory.db"), Mode::Copy).unwrap();
    let rows = rows();
    let mut digest = Digest::default();
    rows.iter().for_each(|row| digest.add(row.digest()));
    let mut after = Cursor::start();
    for page in rows.chunks(PAGE_ITEMS_MAX) {
        let last = page.last().unwrap().cursor();
        let next = (Some(&last) != rows.last().map(Change::cursor).as_ref()).then(|| last.clone());
        let page = Changes { installation: INSTALLATION, after, rows: page.to_vec(), head: Modseq(1), digest, next };
        copy.apply(&page).unwrap();
        after = last;
    }
    let reader = copy.reader();
    assert_eq!(reader.entry_count(RowKind::User).unwrap(), USERS);
    assert_eq!((reader.accounts_on(ALPHA).unwrap(), reader.accounts_on(BETA).unwrap()), (2500, 7500));
    let begun = Instant::now();
    for id in 1..=USERS {
        let found = routing::resolve(&reader, &format!("Alias{id}@demo.example")).unwrap();
        assert_eq!(found.accounts, [AccountId(id)]);
        assert_eq!(reader.user_by_login(&format!("u{id}")).unwrap().unwrap().value.entry.id, AccountId(id));
        assert!(reader.placement(AccountId(id)).unwrap().is_some());
    }
    let each_us = begun.elapsed().as_micros() / u128::from(3 * USERS);
    // Looking at ten thousand rows would take milliseconds; the margin is for slow machines and debug builds.
    assert!(each_us < 1000, "{each_us} µs a lookup");
    let pattern = AddressPattern::parse("*99@*.example").unwrap();
    let (mut accounts, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = reader.accounts_matching(&pattern, after.as_ref(), 3000).unwrap();
        accounts.extend(page.accounts.into_iter().map(|selected| selected.account.0));
        pages += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    accounts.sort_unstable();
    assert_eq!((accounts, pages), ((1..=USERS).filter(|id| id % 100 == 99).collect::<Vec<_>>(), 4));
    let all = routing::resolve(&reader, "everybody@demo.test").unwrap().accounts;
    assert_eq!(all.len() as u64, USERS);
    assert_eq!(reader.check().unwrap(), [""; 0]);
}
