//! Any bytes are commands of replication or refused, however they are cut.

#![no_main]

use bytes::{Buf, BytesMut};
use libfuzzer_sys::fuzz_target;
use sterna_migration::cyrus::dlist::{Step, Tokens};
use sterna_migration::cyrus::mailbox::{Mailbox, Record};

fuzz_target!(|data: (u8, &[u8])| {
    let (chunk, bytes) = (usize::from(data.0).max(1), data.1);
    let (mut tokens, mut input, mut rest) = (Tokens::default(), BytesMut::new(), bytes.chunks(chunk));
    loop {
        match tokens.next(&mut input) {
            Err(_) => return,
            Ok(Step::More) => match rest.next() {
                Some(more) => input.extend_from_slice(more),
                None => return,
            },
            Ok(Step::Continue) => {}
            Ok(Step::File(guid, size)) => {
                let taken = input.len().min(usize::try_from(size).unwrap_or(usize::MAX));
                input.advance(taken);
                tokens.file_done(guid, size);
            }
            Ok(Step::Command(values)) => {
                for value in &values {
                    let _ = (Mailbox::read(value).map(|mailbox| mailbox.write(None)), Record::read(value));
                }
            }
        }
    }
});
