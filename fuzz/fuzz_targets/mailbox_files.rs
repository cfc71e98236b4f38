//! Mailboxes in one file and names in Maildirs: nothing panics, and what is sent is a tar stream that is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sterna_migration::archive::{maildir, mbox};

fuzz_target!(|bytes: &[u8]| {
    let mut sent = Vec::new();
    let count = mbox::send_mbox(bytes, vec!["INBOX".to_owned()], &mut sent);
    if let Ok(count) = count {
        // The manifest, and each message.
        let entries = tar::Archive::new(sent.as_slice()).entries().unwrap().map(|entry| entry.unwrap()).count();
        assert_eq!(entries as u64, count + 1);
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = maildir::named(&text, &["a".to_owned()]);
    let path = maildir::path_of(&text);
    assert!(!path.is_empty());
    let _ = maildir::dir_of(&path);
});
