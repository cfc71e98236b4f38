//! Names of mailboxes: one form in modified UTF-7 for each name, and the other way round.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sterna_formats::mutf7;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(name) = mutf7::decode(bytes) {
        assert_eq!(mutf7::encode(&name).as_bytes(), bytes);
    }
    if let Ok(name) = std::str::from_utf8(bytes) {
        assert_eq!(mutf7::decode(mutf7::encode(name).as_bytes()).as_deref(), Ok(name));
    }
});
