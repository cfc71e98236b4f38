//! A message of any bytes in pieces of any length: the same summary however it is cut, every part inside the one above
//! it, and texts for a search without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sterna_formats::mail::{Part, PartBody, Scanner, Summary, text};

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (lengths, message) = input;
    let whole = scan(&[], &message);
    assert_eq!(scan(&lengths, &message), whole);
    assert_eq!((whole.size, whole.root.end), (message.len() as u64, message.len() as u64));
    check(&whole.root, 0, whole.size);
    let stored = whole.encode();
    assert_eq!(Summary::decode(&stored), Ok(whole));
    text::body_texts(&message);
});

/// Pieces of these lengths, over and over; all at once without any.
fn scan(lengths: &[u8], message: &[u8]) -> Summary {
    let (mut scanner, mut rest) = (Scanner::new(), message);
    for length in lengths.iter().cycle().map(|&length| usize::from(length) + 1) {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(length.min(rest.len()));
        scanner.push(piece);
        rest = after;
    }
    scanner.push(rest);
    scanner.finish()
}

fn check(part: &Part, from: u64, to: u64) {
    assert!(from <= part.header_start && part.header_start <= part.body_start);
    assert!(part.body_start <= part.end && part.end <= to);
    match &part.body {
        PartBody::Single => {}
        PartBody::Multipart(parts) => {
            let mut from = part.body_start;
            for child in parts {
                check(child, from, part.end);
                from = child.end;
            }
        }
        PartBody::Message(inner) => check(&inner.1, part.body_start, part.end),
    }
}
