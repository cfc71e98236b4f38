//! A stream of any bytes, cut after the number that the first byte gives: the same frames however it is cut.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use sterna_formats::imap::{Frame, Framer};

/// Longest message of an APPEND that is taken; a longer one ends the stream.
const MESSAGE_BYTES_MAX: u64 = 64;

fn frames(stream: &[u8], piece: usize) -> Vec<Frame> {
    let (mut framer, mut input, mut found) = (Framer::default(), BytesMut::new(), Vec::new());
    let mut message_left = 0;
    for bytes in stream.chunks(piece) {
        input.extend_from_slice(bytes);
        loop {
            let taken = message_left.min(input.len());
            let _ = input.split_to(taken);
            message_left -= taken;
            if message_left > 0 {
                break;
            }
            let frame = framer.next(&mut input);
            let (is_good, literal) = match &frame {
                Frame::More => break,
                Frame::Continue => continue,
                Frame::Append(append) => (append.arguments.is_ok(), append.literal),
                Frame::AppendNext(next) => (next.steps.is_ok(), next.literal),
                Frame::TooLong { hopeless, .. } => (!hopeless, None),
                Frame::Command(_) => (true, None),
            };
            found.push(frame);
            // What follows is the session's, not the framer's.
            if !is_good || literal.is_some_and(|literal| literal.size > MESSAGE_BYTES_MAX) {
                return found;
            }
            message_left = literal.map_or(0, |literal| literal.size as usize);
        }
    }
    found
}

fuzz_target!(|bytes: &[u8]| {
    if let Some((&piece, stream)) = bytes.split_first() {
        assert_eq!(frames(stream, usize::from(piece) + 1), frames(stream, stream.len().max(1)));
    }
});
