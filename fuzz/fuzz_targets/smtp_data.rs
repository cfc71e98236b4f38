//! Content after DATA: ends where CRLF.CRLF is and nowhere else, whatever the pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sterna_formats::smtp::{DataReceiver, HopCounter, LineEndings};

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (step, bytes) = (usize::from(input.0).max(1), input.1);
    let whole = receive(&[&bytes]);
    let pieces: Vec<&[u8]> = bytes.chunks(step).collect();
    assert_eq!(receive(&pieces), whole);
    let framed = [b"\r\n", &bytes[..]].concat();
    let end = framed.windows(5).position(|window| window == b"\r\n.\r\n");
    assert_eq!(whole.1, end.map(|end| end + 3));
    assert_eq!(hops(&pieces), hops(&[&bytes]));
});

fn hops(pieces: &[&[u8]]) -> u32 {
    let mut counter = HopCounter::default();
    pieces.iter().for_each(|piece| counter.feed(piece));
    counter.hops()
}

/// The content, where it ended, and whether it has bare line endings.
fn receive(pieces: &[&[u8]]) -> (Vec<u8>, Option<usize>, bool) {
    let (mut receiver, mut endings, mut content, mut consumed) =
        (DataReceiver::new(), LineEndings::default(), Vec::new(), 0);
    for piece in pieces {
        let progress = receiver.feed(piece, |bytes| {
            endings.feed(bytes);
            content.extend_from_slice(bytes);
        });
        consumed += progress.consumed;
        if progress.done {
            return (content, Some(consumed), endings.has_bare());
        }
    }
    // Without an end, a CR at the cut may still be held back.
    (Vec::new(), None, false)
}
