//! An account with an index.

use std::time::Duration;

use bytes::Bytes;
use sterna_account::search::feed::feed;
use sterna_account::search::{Allowance, DocumentReader, Filter, SearchIndex, Stepped, check, step};
use sterna_account::*;
use sterna_base::*;
use sterna_engines::sqlite::SqliteEngine;

pub const ACCOUNT: AccountId = AccountId(7);
pub const INBOX: ContainerId = ContainerId(1);
pub const TRASH: ContainerId = ContainerId(6);
const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub struct Bed {
    pub engine: SqliteEngine,
    pub store: Box<dyn Store>,
    pub index: Box<dyn SearchIndex>,
    pub folder: tempfile::TempDir,
    pub reader: Option<Box<dyn DocumentReader>>,
}

impl Bed {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = SqliteEngine::new(folder.path());
        engine.create(ACCOUNT, Epoch(1), Role::Active, NOW).unwrap();
        let store = engine.open(ACCOUNT).unwrap();
        let index = engine.search_index(ACCOUNT).unwrap().unwrap();
        let mut bed = Bed { engine, store, index, folder, reader: None };
        bed.commit(first_containers::mutations());
        bed
    }

    pub fn commit(&mut self, mutations: Vec<Mutation>) {
        let commit = Commit { operation: OperationId::random(), epoch: Epoch(1), mutations };
        self.store.commit(&[commit], NOW).unwrap().remove(0).unwrap();
    }

    pub fn append(&mut self, message: &[u8]) {
        let content = Content::Inline(Bytes::copy_from_slice(message));
        let item = NewItem {
            content,
            summary: None,
            internal_date: None,
            flags: FlagSet::default(),
            name: None,
            object_uid: None,
        };
        self.commit(vec![Mutation::Append { container: INBOX, item }]);
    }

    /// Feeds the index until there is no more.
    pub fn feed(&mut self) {
        while feed(self.store.as_ref(), self.index.as_mut(), self.reader.as_deref()).unwrap().has_more {}
        assert_eq!(check(self.store.as_ref(), self.index.as_ref()).unwrap(), Vec::<String>::new());
    }

    /// What a search finds with the index, and how many messages it had to read for that.
    pub fn indexed(&self, filter: &Filter) -> Vec<u32> {
        self.search(Some(self.index.as_ref()), filter)
    }

    /// What a search finds by reading.
    pub fn read(&self, filter: &Filter) -> Vec<u32> {
        self.search(None, filter)
    }

    fn search(&self, index: Option<&dyn SearchIndex>, filter: &Filter) -> Vec<u32> {
        let mut found = Vec::new();
        let mut open = UidSet::all();
        while !open.is_empty() {
            let allowance = Allowance { piece_bytes_max: u64::MAX, time_max: Duration::ZERO };
            let trouble = &mut |error| panic!("{error}");
            let stepped = {
                let reader = self.reader.as_deref();
                step(self.store.as_ref(), index, reader, INBOX, filter, &open, allowance, trouble).unwrap()
            };
            let Stepped::Found(step) = stepped else { panic!("{stepped:?}") };
            assert!(step.open.span() < open.span());
            found.extend(step.matching.iter().map(|uid| uid.0));
            open = step.open;
        }
        found.sort_unstable();
        found
    }
}
