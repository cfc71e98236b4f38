//! Any bytes, cut anywhere.

use bytes::BytesMut;
use proptest::prelude::*;
use sterna_formats::imap::{Frame, Framer, command};

/// What a session sees of a stream that comes in pieces; the messages of an APPEND are taken as the session would. One
/// that begins with a refused command is passed over.
fn frames(stream: &[u8], piece: usize) -> Vec<String> {
    let (mut framer, mut input, mut found) = (Framer::default(), BytesMut::new(), Vec::new());
    let (mut message_left, mut refused) = (0, false);
    for bytes in stream.chunks(piece) {
        input.extend_from_slice(bytes);
        loop {
            let taken = message_left.min(input.len() as u64);
            let _ = input.split_to(taken as usize);
            message_left -= taken;
            if message_left > 0 {
                break;
            }
            if refused {
                if !framer.append_is_over(&mut input) {
                    break;
                }
                refused = false;
                found.push("the end of what was refused".to_owned());
            }
            let frame = framer.next(&mut input);
            let (is_good, literal) = match &frame {
                Frame::More => break,
                Frame::Continue => continue,
                Frame::Append(append) => (append.arguments.is_ok(), append.literal),
                Frame::AppendNext(next) => (next.steps.is_ok(), next.literal),
                _ => (true, None),
            };
            let hopeless = matches!(frame, Frame::TooLong { hopeless: true, .. });
            found.push(format!("{frame:?}"));
            if hopeless {
                return found;
            }
            let Some(literal) = literal else { continue };
            if !is_good && literal.synchronising {
                framer.append_refused();
            } else {
                (message_left, refused) = (literal.size, !is_good);
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
        Just(b"f APPEND x CATENATE (TEXT {1+}\r\na URL {2+}\r\n/y URL /z) {1}\r\nb\r\n".to_vec()),
        Just(b"g UID REPLACE 1 x ~{1+}\r\na".to_vec()),
        Just(b" TEXT {2}\r\nab".to_vec()),
        Just(b")".to_vec()),
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
    let stream = b"a APPEND x {3+}\r\nabc z {12+}\r\nb DELETE x\r\n {1+}\r\n\n\r\nc NOOP\r\n";
    for piece in 1..stream.len() {
        let found = frames(stream, piece);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[1].contains("Err(") && found[2].starts_with("the end"), "{found:?}");
        assert!(found[3].contains("c NOOP"));
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
