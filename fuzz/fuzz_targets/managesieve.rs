//! ManageSieve: no stream panics, and commands are the same however it is cut.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use sterna_formats::managesieve::{Command, Frame, Framer, string};

fn frames(pieces: &[&[u8]]) -> Vec<Frame> {
    let (mut framer, mut input, mut found) = (Framer::new(256), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match framer.next(&mut input) {
                Frame::More => break,
                Frame::Hopeless => {
                    found.push(Frame::Hopeless);
                    return found;
                }
                frame => found.push(frame),
            }
        }
    }
    found
}

fuzz_target!(|input: (Vec<u8>, usize)| {
    let (bytes, cut) = input;
    let whole = frames(&[&bytes]);
    for frame in &whole {
        if let Frame::Command(tokens) = frame {
            let _ = Command::parse(tokens.clone());
        }
    }
    // What is too long is found out earlier or later; the commands around it are the same.
    let (first, second) = bytes.split_at(cut % (bytes.len() + 1));
    let commands = |frames: Vec<Frame>| -> Vec<Frame> {
        frames.into_iter().filter(|frame| matches!(frame, Frame::Command(_))).collect()
    };
    assert_eq!(commands(frames(&[first, second])), commands(whole));
    let mut written = Vec::new();
    string(&bytes, &mut written);
});
