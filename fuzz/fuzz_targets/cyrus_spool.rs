//! Files of a Cyrus spool: nothing panics and everything ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sterna_migration::spool::{database, header, index::Index};

fuzz_target!(|bytes: &[u8]| {
    let _ = database::pairs(bytes, &mut |_, _| {});
    let _ = header::read(bytes);
    if let Ok(index) = Index::read(bytes.to_vec()) {
        for entry in index.entries().flatten() {
            let _ = entry.flag_names(&[]);
        }
    }
});
