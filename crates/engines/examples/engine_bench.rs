//! What the engine of a single machine does in a second, on the disk of the folder given (or the system's temporary
//! one): `cargo run --release -p sterna-engines --example engine_bench [FOLDER]`.

#![allow(clippy::print_stdout)] // it is a program whose purpose is to print

use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use sterna_account::{
    Commit, Content, Engine, FlagAction, FlagSet, ItemParts, Mutation, NewItem, Read, Role, Store, StoreError,
    SystemFlag, UidSet, first_containers,
};
use sterna_base::{AccountId, Clock, ContainerId, Epoch, OperationId, SystemClock, Uid};
use sterna_engines::sqlite::SqliteEngine;

const INBOX: ContainerId = ContainerId(1);
const BODY_BYTES: usize = 4000;
const SUMMARY_BYTES: usize = 400;
const ITEMS: u64 = 100_000;

fn commit(mutation: Mutation) -> Commit {
    Commit { operation: OperationId::random(), epoch: Epoch(1), mutations: vec![mutation] }
}

fn message(number: u64) -> Commit {
    let mut body = vec![b'x'; BODY_BYTES];
    body[..8].copy_from_slice(&number.to_le_bytes());
    let (content, summary) = (Content::Inline(Bytes::from(body)), Some(Bytes::from(vec![b's'; SUMMARY_BYTES])));
    let item =
        NewItem { content, summary, internal_date: None, flags: FlagSet::default(), name: None, object_uid: None };
    commit(Mutation::Append { container: INBOX, item })
}

fn open(engine: &SqliteEngine, account: u64) -> Result<Box<dyn Store>, StoreError> {
    let (account, now) = (AccountId(account), SystemClock.now());
    engine.create(account, Epoch(1), Role::Active, now)?;
    let mut store = engine.open(account)?;
    let mutations = first_containers::mutations();
    store.commit(&[Commit { operation: OperationId::random(), epoch: Epoch(1), mutations }], now)?;
    Ok(store)
}

fn deliveries(engine: &SqliteEngine, first: u64, threads: u64, each: u64) -> Result<f64, StoreError> {
    let mut stores = (0..threads).map(|n| open(engine, first + n)).collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    std::thread::scope(|scope| {
        for store in &mut stores {
            scope.spawn(move || {
                for n in 0..each {
                    if let Err(error) = store.commit(&[message(n)], SystemClock.now()) {
                        println!("a delivery failed: {error}");
                    }
                }
            });
        }
    });
    Ok((threads * each) as f64 / began.elapsed().as_secs_f64())
}

fn timed<T>(what: &str, run: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let began = Instant::now();
    let result = run()?;
    println!("{what}: {:.1} ms", began.elapsed().as_secs_f64() * 1000.0);
    Ok(result)
}

fn reads(read: &dyn Read, heat: &str) -> Result<(), StoreError> {
    timed(&format!("item_flags of {ITEMS}, {heat}"), || read.item_flags(INBOX, Uid(0), usize::MAX >> 1))?;
    let parts = ItemParts { summary: true, body: false, ..ItemParts::default() };
    let some = UidSet::range(Uid(1), Uid(10_000));
    timed(&format!("10000 items with summary, {heat}"), || read.items(INBOX, &some, parts, 10_000))?;
    timed(&format!("10000 items without, {heat}"), || read.items(INBOX, &some, ItemParts::default(), 10_000))?;
    Ok(())
}

fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

fn main() -> Result<(), StoreError> {
    let folder = tempfile::tempdir_in(std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from));
    let folder = folder.map_err(|error| StoreError::Io(error.to_string()))?;
    let engine = SqliteEngine::new(folder.path());
    for (first, threads, each) in [(1000, 1, 500), (2000, 8, 200), (3000, 32, 60)] {
        println!("{threads} stores: {:.0} deliveries/s", deliveries(&engine, first, threads, each)?);
    }
    let before = size_of(folder.path());
    let mut store = open(&engine, 1)?;
    timed(&format!("{ITEMS} appends in batches of 500"), || {
        for first in (0..ITEMS).step_by(500) {
            let batch: Vec<Commit> = (first..first + 500).map(message).collect();
            store.commit(&batch, SystemClock.now())?;
        }
        Ok(())
    })?;
    drop(store);
    let used = (size_of(folder.path()) - before) / ITEMS;
    println!("{} bytes a message beside body and summary", used - (BODY_BYTES + SUMMARY_BYTES) as u64);
    let mut store = timed("opening", || engine.open(AccountId(1)))?;
    let reader = store.reader()?;
    reads(reader.as_ref(), "first")?;
    reads(reader.as_ref(), "again")?;
    let flags = FlagSet::default().with(SystemFlag::Seen);
    let uids = UidSet::range(Uid(1), Uid(10_000));
    let action = FlagAction::Add;
    let seen = Mutation::StoreFlags { container: INBOX, uids, action, flags, unchanged_since: None };
    timed("STORE +FLAGS (\\Seen) of 10000", || store.commit(&[commit(seen)], SystemClock.now()))?;
    Ok(())
}
