//! Bodies of DAV, and other servers' answers: nothing panics, and an element that is written is read again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sterna_formats::dav::{Element, multistatus};
use sterna_formats::dav::report::Report;
use sterna_formats::dav::request::{Propfind, acl, lock, mkcol, proppatch};

fuzz_target!(|bytes: &[u8]| {
    let _ = (Report::parse(bytes), Propfind::parse(bytes), acl(bytes), lock(bytes), mkcol(bytes), proppatch(bytes));
    let (mut children, mut responses) = (0, 0);
    let long = Element::parse_long(bytes, multistatus::ANSWER_BYTES_MAX, &mut |_| children += 1);
    let read = multistatus::read(bytes, |_| responses += 1);
    assert!(responses <= children && (read.is_err() || long.is_ok()));
    if let Ok(element) = Element::parse(bytes) {
        let mut text = String::new();
        element.write(&mut text);
        assert_eq!(Element::parse(text.as_bytes()), Ok(element));
    }
});
