//! A stream of any bytes, cut after the number that the first byte gives: the same frames however it is cut.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use sterna_formats::imap::{Frame, Framer};

fn frames(stream: &[u8], piece: usize) -> Vec<Frame> {
    let (mut framer, mut input, mut found) = (Framer::default(), BytesMut::new(), Vec::new());
    for bytes in stream.chunks(piece) {
        input.extend_from_slice(bytes);
        loop {
            match framer.next(&mut input) {
                Frame::More => break,
                Frame::Continue => {}
                // What follows is the session's, not the framer's.
                end @ (Frame::Append(_) | Frame::TooLong { hopeless: true, .. }) => {
                    found.push(end);
                    return found;
                }
                frame => found.push(frame),
            }
        }
    }
    found
}

fuzz_target!(|bytes: &[u8]| {
    if let Some((&piece, stream)) = bytes.split_first() {
        assert_eq!(frames(stream, usize::from(piece) + 1), frames(stream, stream.len().max(1)));
    }
});
