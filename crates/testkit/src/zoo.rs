//! A zoo of awkward messages: what broken programs, old gateways and people with bad intentions send.
//!
//! Every animal is made here, so that NULs, bare line feeds and 8-bit bytes survive editors and version control. Each
//! must be stored and given back byte for byte; what its structure is said to be matters less.

/// Deepest nesting in the zoo: beyond what any reader follows.
const NESTING: usize = 200;

/// All but the very large ones, each with a name for messages about it.
pub fn zoo() -> Vec<(&'static str, Vec<u8>)> {
    let mut animals: Vec<(&'static str, Vec<u8>)> = SMALL.iter().map(|(name, text)| (*name, text.to_vec())).collect();
    animals.extend([
        ("200 nested multiparts", nested_multiparts(NESTING)),
        ("200 nested messages", nested_messages(NESTING)),
        ("a header line of 100 kB", giant_header_line()),
        ("a body line of 1 MB", giant_body_line()),
        ("a header of 300 kB", giant_header()),
        ("2000 recipients", many_recipients(2000)),
        ("3000 parts", many_parts(3000)),
        ("a boundary of 300 bytes", long_boundary(300)),
        ("every byte value", every_byte()),
        ("400 nested comments", nested_comments(400)),
        ("a hundred NULs in a row", [&b"Subject: NULs\r\n\r\n"[..], &[0; 100], b"\r\n"].concat()),
        ("dashes that are no boundary", dashes()),
    ]);
    animals
}

/// 50 MB: one text and one attachment in base64.
pub fn fifty_megabytes() -> Vec<u8> {
    const LINE: &[u8] = b"U3Rlcm5hIHBhcmFkaXNhZWEgZmxpZXMgZnJvbSBwb2xlIHRvIHBvbGUgYW5kIGJhY2sgYWdhaW4u\r\n";
    let mut message = b"From: Big <big@sender.test>\r\nSubject: fifty megabytes\r\nMIME-Version: 1.0\r\nContent-Type: \
        multipart/mixed; boundary=\"big\"\r\n\r\n--big\r\nContent-Type: text/plain\r\n\r\nIt is attached.\r\n--big\r\n\
        Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: \
        attachment; filename=big.bin\r\n\r\n"
        .to_vec();
    while message.len() < 50_000_000 {
        message.extend_from_slice(LINE);
    }
    message.extend_from_slice(b"--big--\r\n");
    message
}

/// Animals that can be written down.
const SMALL: &[(&str, &[u8])] = &[
    ("no header", b"\r\nOnly a body.\r\n"),
    ("text without a header", b"this is not a header\r\nand neither is this\r\n"),
    ("headers only", b"From: a@x.test\r\nSubject: nothing else\r\n"),
    ("headers and the empty line", b"From: a@x.test\r\nSubject: nothing else\r\n\r\n"),
    ("one byte", b"x"),
    ("one empty line", b"\r\n"),
    ("no final line end", b"Subject: unfinished\r\n\r\nthe last line"),
    ("a final CR", b"Subject: return\r\n\r\nthe last line\r"),
    ("bare line feeds", b"From: a@x.test\nSubject: unix\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n"),
    ("bare carriage returns", b"Subject: old mac\r\rone\rtwo\r"),
    ("mixed line ends", b"Subject: mixed\nX: y\r\n\nbody\r\nbody\nbody\r\r\n"),
    ("a NUL in the header", b"Subject: a\0b\r\nX-\0: y\r\n\r\nbody\r\n"),
    ("8-bit header", b"From: J\xfcrgen <j@x.test>\r\nSubject: Gr\xfc\xdfe aus K\xf6ln\r\n\r\nLatin one, not announced: \xe4\xf6\xfc\r\n"),
    ("UTF-8 header", "From: Zoë <zoë@exämple.test>\r\nSubject: Übermorgen 東京\r\n\r\ntext\r\n".as_bytes()),
    ("damaged UTF-8 header", b"Subject: \xc3\x28 \xf0\x9f\x92 \xff\r\n\r\ntext\r\n"),
    ("an unknown charset", b"Content-Type: text/plain; charset=x-klingon\r\n\r\nnuqneH\r\n"),
    ("encoded words that lie", b"Subject: =?utf-8?B?not base64!?= =?x?Q?=ZZ?= =?utf-8?Q?open\r\n\r\ntext\r\n"),
    ("no boundary parameter", b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\none\r\n--b--\r\n"),
    ("an empty boundary", b"Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\none\r\n----\r\n"),
    ("a boundary that never comes", b"Content-Type: multipart/mixed; boundary=b\r\n\r\nwaiting\r\n"),
    ("only the closing boundary", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\nepilogue\r\n"),
    ("no closing boundary", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo"),
    ("a boundary as last line, unfinished", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b"),
    ("blanks behind boundaries", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b \t\r\n\r\none\r\n--b-- \r\n"),
    (
        "boundaries that begin alike",
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=ab\r\n\r\n\
          --ab\r\n\r\ninner\r\n--ab--\r\n--a\r\n\r\nouter\r\n--a--\r\n",
    ),
    (
        "the same boundary inside and outside",
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n\
          --a\r\n\r\ninner\r\n--a--\r\n--a\r\n\r\nouter\r\n--a--\r\n",
    ),
    (
        "an outer boundary ends inner parts",
        b"Content-Type: multipart/mixed; boundary=out\r\n\r\n--out\r\nContent-Type: multipart/mixed; boundary=in\r\n\
          \r\n--in\r\n\r\nnever closed\r\n--out\r\n\r\nnext\r\n--out--\r\n",
    ),
    ("a part without header or empty line", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n--b\r\n--b--\r\n"),
    ("parts without a byte", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--b\r\n\r\n\r\n--b--\r\n"),
    ("text after the end", b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\nlate\r\n"),
    ("two content types", b"Content-Type: text/html\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--b--\r\n"),
    ("a content type of nonsense", b"Content-Type: ;;; / = \"\r\nContent-Transfer-Encoding: rot13\r\n\r\ntext\r\n"),
    ("base64 that is none", b"Content-Transfer-Encoding: base64\r\n\r\n*** \xff === QUJD\r\n=\r\n"),
    ("quoted-printable that is none", b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=ZZ =\t \r\n=\r\n=4"),
    (
        "a digest",
        b"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: one\r\n\r\nfirst\r\n--d\r\n\
          Content-Type: text/plain\r\n\r\nno message\r\n--d--\r\n",
    ),
    ("an encoded message inside", b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogaGkKCmJvZHkK\r\n"),
    ("a message inside without a byte", b"Content-Type: message/rfc822\r\n\r\n"),
    ("message/partial", b"Content-Type: message/partial; id=a; number=1; total=2\r\n\r\nSubject: half\r\n\r\nof it\r\n"),
    ("an mbox line in front", b"From a@x.test Mon Jan  1 00:00:00 2024\r\nSubject: mbox\r\n\r\n>From here\r\n"),
    ("a fold before any field", b"  folded: nothing\r\nSubject: then a field\r\n\r\ntext\r\n"),
    ("a fold of blanks only", b"Subject: one\r\n \r\n\t\r\n two\r\n\r\ntext\r\n"),
    ("blanks before colons", b"Subject : spaced\r\nFrom\t: a@x.test\r\n\r\ntext\r\n"),
    ("everything twice", b"From: a@x\r\nFrom: b@x\r\nSubject: one\r\nSubject: two\r\nDate: never\r\nDate: always\r\n\r\n"),
    ("addresses from hell", b"From: \"unclosed <a@b, (c, [d\r\nTo: ;:,<>@.<<a@b>>, g:;, h: i: j@k;, @@@\r\nCc: a@b@c@[d], \"\"@x\r\n\r\n"),
    ("dots on lines of their own", b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n...\r\n"),
    ("a smuggled end", b"Subject: smuggled\r\n\r\none\r\n.\nMAIL FROM:<x@y>\r\n"),
    ("parameters in pieces", b"Content-Type: text/plain; name*1*=%20b; name*0*=utf-8''a; name*=x; name*99=z\r\n\r\n"),
];

fn nested_multiparts(depth: usize) -> Vec<u8> {
    let mut message = b"Subject: deep\r\n".to_vec();
    for level in 0..depth {
        let level = format!("Content-Type: multipart/mixed; boundary=\"level {level}\"\r\n\r\n--level {level}\r\n");
        message.extend_from_slice(level.as_bytes());
    }
    message.extend_from_slice(b"\r\nthe innermost text\r\n");
    for level in (0..depth).rev() {
        message.extend_from_slice(format!("--level {level}--\r\n").as_bytes());
    }
    message
}

fn nested_messages(depth: usize) -> Vec<u8> {
    let mut message = Vec::new();
    for level in 0..depth {
        let level = format!("Subject: level {level}\r\nContent-Type: message/rfc822\r\n\r\n");
        message.extend_from_slice(level.as_bytes());
    }
    message.extend_from_slice(b"Subject: innermost\r\n\r\nthe innermost text\r\n");
    message
}

fn giant_header_line() -> Vec<u8> {
    format!("Subject: {}\r\nFrom: a@x.test\r\n\r\ntext\r\n", "long ".repeat(20_000)).into_bytes()
}

fn giant_body_line() -> Vec<u8> {
    format!("Subject: one line\r\n\r\n{}\r\n", "-long".repeat(200_000)).into_bytes()
}

fn giant_header() -> Vec<u8> {
    let fields: String = (0..6000).map(|n| format!("X-Field-{n}: the value of it, more or less\r\n")).collect();
    format!("{fields}Subject: behind six thousand fields\r\n\r\ntext\r\n").into_bytes()
}

fn many_recipients(count: usize) -> Vec<u8> {
    let list: Vec<String> = (0..count).map(|n| format!("Person {n} <person.{n}@many.test>")).collect();
    format!("To: {}\r\nSubject: everyone\r\n\r\ntext\r\n", list.join(",\r\n ")).into_bytes()
}

fn many_parts(count: usize) -> Vec<u8> {
    let mut message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    for number in 0..count {
        message.extend_from_slice(format!("--b\r\nContent-Type: text/plain\r\n\r\npart {number}\r\n").as_bytes());
    }
    message.extend_from_slice(b"--b--\r\n");
    message
}

fn long_boundary(length: usize) -> Vec<u8> {
    let boundary = "b".repeat(length);
    format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n\r\none\r\n--{boundary}--\r\n")
        .into_bytes()
}

fn every_byte() -> Vec<u8> {
    let mut message = b"Subject: every byte\r\nContent-Transfer-Encoding: binary\r\n\r\n".to_vec();
    message.extend((0..=u8::MAX).filter(|byte| !matches!(byte, b'\r' | b'\n')));
    message.extend_from_slice(b"\r\n");
    message
}

fn nested_comments(depth: usize) -> Vec<u8> {
    let (open, close) = ("(".repeat(depth), ")".repeat(depth));
    format!("From: {open}deep{close} <a@x.test>\r\nContent-Type: text/plain {open}\r\n\r\ntext\r\n").into_bytes()
}

fn dashes() -> Vec<u8> {
    let mut message = b"Content-Type: multipart/mixed; boundary=\"--\"\r\n\r\n----\r\n\r\n".to_vec();
    message.extend_from_slice(&b"--\r\n---\r\n-----\r\n--- ---\r\n".repeat(500));
    message.extend_from_slice(b"------\r\n");
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn animals_have_names_of_their_own_and_are_different() {
        let animals = zoo();
        let names: std::collections::HashSet<_> = animals.iter().map(|(name, _)| name).collect();
        let bytes: std::collections::HashSet<_> = animals.iter().map(|(_, bytes)| bytes).collect();
        assert_eq!((names.len(), bytes.len()), (animals.len(), animals.len()));
    }

    #[test]
    fn the_large_one_is_large_but_below_what_is_accepted() {
        let size = fifty_megabytes().len() as u64;
        assert!((50_000_000..sterna_base::limits::MESSAGE_BYTES_MAX).contains(&size));
    }
}
