//! One command of any bytes: an answer, never a panic, and the same one in both spellings of mailbox names where the
//! bytes are plain.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mutf7 = sterna_formats::imap::command(bytes, false);
    let utf8 = sterna_formats::imap::command(bytes, true);
    if !bytes.contains(&b'&') {
        assert_eq!(mutf7, utf8);
    }
    // The URLs of CATENATE are no part of a command that is read here.
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = sterna_formats::imap::url::MessageUrl::parse(text);
    }
});
