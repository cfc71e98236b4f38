//! Every copy is checked where it is, beside the node that writes it.

use std::path::Path;

use sterna_account::check::Depth;
use sterna_engines::sqlite::SqliteEngine;

use super::{Damage, Followed};
use crate::node::{accounts_folder, check};

/// What is not as it must be. Contents are held against their hashes, too. Blocking.
pub fn check_all(folder: &Path, followed: &[Followed]) -> Vec<Damage> {
    let engine = SqliteEngine::new(accounts_folder(folder));
    let look = |one: &Followed| {
        let found = check::check_account(&engine, one.account, Depth { contents: true });
        found.into_iter().map(|what| Damage { account: one.address.clone(), what }).collect::<Vec<_>>()
    };
    followed.iter().flat_map(look).collect()
}
