//! How fast a copy is made of an account of 15 KB messages, without a network in between, on the disk of the folder
//! given (or the system's temporary one):
//! `cargo run --release -p sterna-engines --example follow_bench [FOLDER] [COUNT]`.

#![allow(clippy::print_stdout)] // it is a program whose purpose is to print

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sterna_account::follow::{FollowError, PAGE_OPERATIONS_MAX, PAGE_ROWS_MAX};
use sterna_account::{
    Commit, Content, Engine, FlagSet, Mutation, NewItem, Read, Role, Store, StoreError, first_containers,
};
use sterna_base::{AccountId, Clock, ContainerId, Epoch, OperationId, SystemClock};
use sterna_engines::sqlite::SqliteEngine;

const ACCOUNT: AccountId = AccountId(1);
const BODY_BYTES: usize = 15_000;
const SUMMARY_BYTES: usize = 400;

fn message(number: u64) -> Commit {
    let mut body = vec![b'x'; BODY_BYTES];
    body[..8].copy_from_slice(&number.to_le_bytes());
    let (content, summary) = (Content::Inline(Bytes::from(body)), Some(Bytes::from(vec![b's'; SUMMARY_BYTES])));
    let item =
        NewItem { content, summary, internal_date: None, flags: FlagSet::default(), name: None, object_uid: None };
    let mutations = vec![Mutation::Append { container: ContainerId(1), item }];
    Commit { operation: OperationId::random(), epoch: Epoch(1), mutations }
}

fn fill(engine: &SqliteEngine, count: u64) -> Result<Box<dyn Store>, StoreError> {
    engine.create(ACCOUNT, Epoch(1), Role::Active, SystemClock.now())?;
    let mut store = engine.open(ACCOUNT)?;
    let (operation, mutations) = (OperationId::random(), first_containers::mutations());
    store.commit(&[Commit { operation, epoch: Epoch(1), mutations }], SystemClock.now())?;
    for first in (0..count).step_by(200) {
        let batch: Vec<Commit> = (first..count.min(first + 200)).map(message).collect();
        store.commit(&batch, SystemClock.now())?;
    }
    Ok(store)
}

/// Follows to the end; how long reading took, and applying.
fn follow(source: &dyn Read, copy: &mut dyn Store) -> Result<(u64, Duration, Duration), FollowError> {
    let (mut pages, mut reading, mut applying) = (0, Duration::ZERO, Duration::ZERO);
    loop {
        let began = Instant::now();
        let page = source.page(&copy.progress()?, PAGE_ROWS_MAX, PAGE_OPERATIONS_MAX)?;
        let lacking = copy.lacking(&page.blobs())?;
        let blobs = source.copied_blobs(&lacking, u64::MAX)?;
        reading += began.elapsed();
        let began = Instant::now();
        let applied = copy.follow(&page, blobs, SystemClock.now())?;
        applying += began.elapsed();
        pages += 1;
        if applied.is_equal {
            return Ok((pages, reading, applying));
        }
    }
}

fn main() -> Result<(), FollowError> {
    let mut arguments = std::env::args().skip(1);
    let folder = tempfile::tempdir_in(arguments.next().map_or_else(std::env::temp_dir, PathBuf::from));
    let folder = folder.map_err(|error| StoreError::Io(error.to_string()))?;
    let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(20_000);
    let [there, here] = ["there", "here"].map(|name| SqliteEngine::new(folder.path().join(name)));
    let source = fill(&there, count)?;
    here.create(ACCOUNT, Epoch(1), Role::Follower, SystemClock.now())?;
    let mut copy = here.open(ACCOUNT)?;
    let (pages, reading, applying) = follow(source.as_ref(), copy.as_mut())?;
    let rate = count as f64 / (reading + applying).as_secs_f64();
    println!("{count} messages in {pages} pages: {rate:.0} messages/s; reading {reading:.1?}, applying {applying:.1?}");
    Ok(())
}
