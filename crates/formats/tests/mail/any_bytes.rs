//! Any bytes are a message: nothing panics, how they are cut changes nothing, and every part lies in the one above it.

use proptest::prelude::*;
use sterna_formats::mail::{Part, PartBody, SIZES_BYTES_MAX, Sizes, Summary, text, transfer};
use sterna_formats::pop3::MultiLine;

use super::structure::scan_cut;

/// Pieces that bring a message into interesting states.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => prop::sample::select(vec![
            &b"\r\n"[..], b"\n", b"\r", b"\r\n\r\n", b"--", b"--a", b"--a\r\n", b"--a--\r\n", b"--b\n", b"--b--\n",
            b"--a \t\r\n", b"--a--", b"Content-Type: multipart/mixed; boundary=a\r\n", b"\0", b": ", b" ",
            b"Content-Type: multipart/digest; boundary=\"b\"\r\n\r\n", b"Content-Type: multipart/mixed; boundary=b\n\n",
            b"Content-Type: message/rfc822\r\n\r\n", b"Content-Type: message/rfc822\r\n", b"Subject: s\r\n",
            b"Content-Transfer-Encoding: base64\r\n", b"To: a@b, c: d@e;\r\n", b"text text\r\n",
        ]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..12),
        1 => (200usize..400).prop_map(|length| [&b"--a"[..], &b" ".repeat(length)].concat()),
    ];
    // A message inside a multipart inside a multipart, so that what follows meets open parts of all kinds.
    let starts = [
        "",
        "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n",
        "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
        "Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
    ];
    let pieces = prop::collection::vec(piece, 0..24);
    (prop::sample::select(starts.to_vec()), pieces)
        .prop_map(|(start, pieces)| [start.as_bytes(), &pieces.concat()].concat())
}

/// Fails when a part doesn't lie where it can.
fn check(message: &[u8], part: &Part, from: u64, to: u64) -> Result<(), TestCaseError> {
    prop_assert!(from <= part.header_start, "begins before the part above");
    prop_assert!(part.header_start <= part.body_start && part.body_start <= part.end, "its own places");
    prop_assert!(part.end <= to, "ends behind the part above");
    let body = &message[part.body_start as usize..part.end as usize];
    prop_assert_eq!(part.lines, body.iter().filter(|&&byte| byte == b'\n').count() as u64, "lines");
    match &part.body {
        PartBody::Single => {}
        PartBody::Multipart(parts) => {
            let mut from = part.body_start;
            for child in parts {
                check(message, child, from, part.end)?;
                from = child.end;
            }
        }
        PartBody::Message(inner) => {
            prop_assert_eq!(inner.1.header_start, part.body_start);
            check(message, &inner.1, part.body_start, part.end)?;
        }
    }
    Ok(())
}

/// The slow definition of what the scanner counts on its way.
fn crlf_size(message: &[u8]) -> u64 {
    let line =
        |line: &[u8]| line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line)).len() + 2;
    message.split_inclusive(|&byte| byte == b'\n').map(line).sum::<usize>() as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn parts_lie_inside_each_other_however_the_message_is_cut(
        message in message(),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let summary = scan_cut(&message, &[]);
        prop_assert_eq!(&scan_cut(&message, &cuts), &summary);
        let every_byte: Vec<usize> = (0..message.len()).collect();
        prop_assert_eq!(&scan_cut(&message, &every_byte), &summary);
        prop_assert_eq!((summary.size, summary.root.end), (message.len() as u64, message.len() as u64));
        check(&message, &summary.root, 0, summary.size)?;
        prop_assert_eq!(summary.crlf_size, crlf_size(&message));
        let (encoded, sizes) = (summary.encode(), Sizes { size: summary.size, crlf_size: summary.crlf_size });
        prop_assert_eq!(Summary::decode_sizes(&encoded[..encoded.len().min(SIZES_BYTES_MAX)]), Ok(sizes));
        prop_assert_eq!(Summary::decode_envelope(&encoded), Ok(summary.envelope.clone()));
        prop_assert_eq!(Summary::decode(&encoded), Ok(summary));
    }

    #[test]
    fn what_pop3_sends_is_as_long_as_it_says_however_it_is_cut(
        message in message(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut sent = Vec::new();
        let mut lines = MultiLine::whole();
        let (first, second) = message.split_at(cut.index(message.len() + 1));
        prop_assert!(lines.push(first, &mut sent) && lines.push(second, &mut sent));
        lines.finish(&mut sent);
        let body = sent.strip_suffix(b".\r\n").unwrap();
        let is_line = |line: &[u8]| line.ends_with(b"\r\n") && line != b".\r\n";
        prop_assert!(body.split_inclusive(|&byte| byte == b'\n').all(is_line), "{:?}", body);
        let stuffed = body.split_inclusive(|&byte| byte == b'\n').filter(|line| line.starts_with(b".")).count();
        prop_assert_eq!((body.len() - stuffed) as u64, scan_cut(&message, &[]).crlf_size);
    }

    #[test]
    fn stored_bytes_of_any_kind_are_answered(bytes: Vec<u8>, version in 0u8..3) {
        let stored = [&[version], &bytes[..]].concat();
        let _ = (Summary::decode(&stored), Summary::decode_sizes(&stored));
    }

    #[test]
    fn every_text_is_decoded_to_something(message in message(), bytes: Vec<u8>) {
        let _ = text::body_texts(&message);
        let _ = text::header_text(&bytes);
        let _ = text::sent_day(&bytes);
        prop_assert!(transfer::quoted_printable(&bytes).len() <= bytes.len());
        prop_assert!(transfer::base64(&bytes).len() <= bytes.len());
    }
}
