//! Any text is HTML: what a reader sees of it is no longer than itself, and there is less without titles.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sterna_formats::mail::html::{Titles, declared_charset, text};

fuzz_target!(|html: &[u8]| {
    let _ = declared_charset(html);
    if let Ok(html) = std::str::from_utf8(html) {
        let kept = text(html, Titles::Kept);
        assert!(kept.len() <= html.len());
        assert!(text(html, Titles::LeftOut).len() <= kept.len());
    }
});
