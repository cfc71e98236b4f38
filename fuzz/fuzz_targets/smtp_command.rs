//! Command lines: no panic, and an address that was taken is read again as the same one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sterna_formats::smtp::{Command, Mailbox};

fuzz_target!(|line: &[u8]| {
    let mailbox = match Command::parse(line) {
        Ok(Command::Mail { reverse_path: Some(mailbox), .. }) => mailbox,
        Ok(Command::Rcpt { forward_path, .. }) => forward_path,
        _ => return,
    };
    let shown = mailbox.to_string();
    assert!(!shown.contains(['\r', '\n', '\0']));
    assert_eq!(Mailbox::parse(&shown).as_ref(), Ok(&mailbox));
});
