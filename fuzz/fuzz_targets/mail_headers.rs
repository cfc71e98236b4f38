//! A header of any bytes: fields are pieces of it, lists of addresses keep to their limit and close their groups, and
//! values are decoded to something.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sterna_formats::mail::address_list::{ADDRESSES_MAX, address_list};
use sterna_formats::mail::{charset, fields, media_type, text, transfer};

fuzz_target!(|header: &[u8]| {
    let mut end = 0;
    for field in fields(header) {
        let start = field.raw.as_ptr() as usize - header.as_ptr() as usize;
        assert!(end <= start, "fields overlap");
        end = start + field.raw.len();
        value(field.value);
    }
    value(header);
});

fn value(value: &[u8]) {
    let list = address_list(value);
    assert!(list.len() <= ADDRESSES_MAX + 3);
    let starts = list.iter().filter(|address| address.mailbox.is_some() && address.host.is_none()).count();
    let ends = list.iter().filter(|address| address.mailbox.is_none()).count();
    assert_eq!(starts, ends, "groups");
    if let Some(found) = media_type::content_type(value) {
        charset::decode(found.parameter("charset"), value);
    }
    (media_type::disposition(value), media_type::token_list(value));
    (text::header_text(value), text::sent_day(value));
    assert!(transfer::base64(value).len() <= value.len() && transfer::quoted_printable(value).len() <= value.len());
}
