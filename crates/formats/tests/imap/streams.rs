//! Any bytes, cut anywhere.

use bytes::BytesMut;
use proptest::prelude::*;
use sterna_formats::imap::{Frame, Framer, command};

/// What a session sees of a stream that comes in pieces; the message of an APPEND is taken as the session would.
fn frames(stream: &[u8], piece: usize) -> Vec<String> {
    let (mut framer, mut input, mut found) = (Framer::default(), BytesMut::new(), Vec::new());
    let (mut message_left, mut in_append) = (0, false);
    for bytes in stream.chunks(piece) {
        input.extend_from_slice(bytes);
        loop {
            if in_append {
                let taken = message_left.min(input.len() as u64);
                let _ = input.split_to(taken as usize);
                message_left -= taken;
                if message_left > 0 {
                    break;
                }
                let Some(empty) = framer.append_end(&mut input) else { break };
                found.push(format!("end of APPEND {empty}"));
                in_append = false;
            }
            match framer.next(&mut input) {
                Frame::More => break,
                Frame::Continue => {}
                Frame::Append(append) => {
                    found.push(format!("{append:?}"));
                    (message_left, in_append) = (append.size, true);
                }
                frame => {
                    let hopeless = matches!(frame, Frame::TooLong { hopeless: true, .. });
                    found.push(format!("{frame:?}"));
                    if hopeless {
                        return found;
                    }
                }
            }
        }
    }
    found
}

/// Pieces of text that bring a stream into interesting states.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"a NOOP\r\n".to_vec()),
        Just(b"b APPEND x {3}\r\nabc\r\n".to_vec()),
        Just(b"c APPEND {1+}\r\nx (\\Seen) ~{2+}\r\n\0\0 {3+}\r\nxyz\r\n".to_vec()),
        Just(b"d LOGIN {1}\r\na {2+}\r\nbc\r\n".to_vec()),
        Just(b"{".to_vec()),
        Just(b"+}\r\n".to_vec()),
        Just(b"\n".to_vec()),
        (0u32..300_000).prop_map(|length| format!("e X {{{length}+}}\r\n").into_bytes()),
        (60_000usize..70_000).prop_map(|length| vec![b'x'; length]),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn nothing_behind_a_message_is_taken_for_a_command() {
    let stream = b"a APPEND x {3+}\r\nabc {12+}\r\nb DELETE x\r\n {1+}\r\n\n\r\nc NOOP\r\n";
    for piece in 1..stream.len() {
        let found = frames(stream, piece);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[1], "end of APPEND false");
        assert!(found[2].contains("c NOOP"));
    }
}

#[test]
fn nothing_behind_a_long_line_is_taken_for_a_command() {
    let long = vec![b'x'; 70_000];
    let stream = [b"a LOGIN ", &long[..], b" {12+}\r\nb DELETE x\r\n\r\nc NOOP\r\n"].concat();
    for piece in [1, 7, 1000, 70_010, 70_011, 70_012, 70_013, 70_014, 100_000] {
        let found = frames(&stream, piece);
        assert_eq!(found.len(), 2, "in pieces of {piece}: {found:?}");
        assert!(found[0].contains("TooLong") && found[1].contains("c NOOP"), "{found:?}");
    }
}

#[test]
fn a_length_beyond_64_bits_is_hopeless_and_not_text() {
    let found = frames(b"a LOGIN {99999999999999999999999+}\r\nb NOOP\r\n", 1000);
    assert!(found.len() == 1 && found[0].contains("hopeless: true"), "{found:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_stream_is_cut_the_same_however_it_arrives(stream in stream(), piece in 1usize..4000) {
        prop_assert_eq!(frames(&stream, piece), frames(&stream, stream.len().max(1)));
    }

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>, utf8: bool) {
        let _ = command(&bytes, utf8);
    }

    #[test]
    fn any_text_behind_a_command_name_is_answered(
        name in "a (UID )?(FETCH|SEARCH|STORE|LIST|STATUS|ID|CREATE|SELECT|COPY|LOGIN) ",
        rest in "[ -~é\r\n]{0,60}",
    ) {
        let line = format!("{name}{rest}\r\n");
        if let Err(error) = command(line.as_bytes(), false) {
            prop_assert!(error.position <= line.len());
        }
    }
}
