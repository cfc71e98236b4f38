//! Calendars and cards: nothing panics, what is read is written so that it is read again, and rules end.
#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use sterna_formats::calendar::occurrences::Series;
use sterna_formats::calendar::{Calendar, Facts, Zone};
use sterna_formats::content_line::{parse, write};
use sterna_formats::card;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(components) = parse(bytes) {
        let mut text = String::new();
        components.iter().for_each(|component| write(component, &mut text));
        assert_eq!(parse(text.as_bytes()), Ok(components));
    }
    if let Ok(calendar) = Calendar::parse(bytes) {
        let range = (1_735_689_600, 1_767_225_600);
        Series::of(&calendar, &Zone::Utc).visit(range, &mut |_| ControlFlow::Continue(()));
        let _ = Facts::of(&calendar);
    }
    if let Ok(card) = card::parse(bytes) {
        let _ = card::Facts::of(&card);
    }
});
