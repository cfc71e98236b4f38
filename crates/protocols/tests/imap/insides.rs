//! BINARY and SEARCH on messages whose parts are large, encoded or oddly built.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dialog::Server;

/// A message with a base64 part of this content, lines of 76 as mailers write them.
fn with_attachment(content: &[u8]) -> Vec<u8> {
    let encoded = STANDARD.encode(content);
    let lines: Vec<&str> = encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!(
        "Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; \
         charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe von der K=\r\n\
         =FCste\r\n--b\r\nContent-Type: application/x-tern\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n\
         --b\r\n\r\nwithout a header\r\n--b--\r\n",
        lines.join("\r\n")
    )
    .into_bytes()
}

async fn append(client: &mut crate::dialog::Client, message: &[u8]) {
    client.send(format!("a APPEND INBOX {{{}+}}\r\n", message.len()).as_bytes()).await;
    client.send(message).await;
    client.send(b"\r\n").await;
    client.say("S: a OK *").await;
}

#[tokio::test]
async fn large_parts_are_decoded_whole_and_in_pieces() {
    let server = Server::start().await;
    let mut client = server.login().await;
    // More than two chunks of the account, so that lines and digits are cut anywhere; the byte 0 in it.
    let content: Vec<u8> = (0..700_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    append(&mut client, &with_attachment(&content)).await;
    client.say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
    client.say("C: b FETCH 1 BINARY.SIZE[2]\nS: * 1 FETCH (BINARY.SIZE[2] 700000)\nS: b OK *").await;
    for (partial, range) in [
        ("", 0..700_000),
        ("<0.10>", 0..10),
        ("<300000.300000>", 300_000..600_000),
        ("<699999.10>", 699_999..700_000),
        ("<700000.10>", 0..0),
        ("<9000000000.10>", 0..0),
    ] {
        client.send(format!("c FETCH 1 BINARY.PEEK[2]{partial}\r\n").as_bytes()).await;
        let origin =
            partial.split('.').next().filter(|start| !start.is_empty()).map_or(String::new(), |s| format!("{s}>"));
        let head = format!("* 1 FETCH (BINARY[2]{origin} ~{{{}}}\r\n", range.len());
        let mut expected = head.into_bytes();
        expected.extend_from_slice(&content[range]);
        expected.extend_from_slice(b")\r\n");
        assert!(client.bytes(expected.len()).await == expected, "with {partial:?}");
        client.say("S: c OK *").await;
    }
    client
        .say("C: d FETCH 1 (BINARY.SIZE[9] BINARY.PEEK[9])\nS: * 1 FETCH (BINARY.SIZE[9] 0 BINARY[9] NIL)\nS: d OK *")
        .await;
    client.say("C: e FETCH 1 BINARY.PEEK[1]\nS: * 1 FETCH (BINARY[1] {*}*von der K*ste)\nS: e OK *").await;
}

#[tokio::test]
async fn texts_are_searched_part_by_part() {
    let server = Server::start().await;
    let mut client = server.login().await;
    append(&mut client, &with_attachment(b"von der Arktis")).await;
    append(&mut client, b"Subject: plain\r\n\r\nby the K\xc3\xbcste").await;
    append(&mut client, b"\r\nno header at all").await;
    let inner = with_attachment(b"");
    let nested = [b"Subject: forward\r\nContent-Type: message/rfc822\r\n\r\n", &inner[..]].concat();
    append(&mut client, &nested).await;
    client.say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
    for (keys, found) in [
        ("BODY {6+}\\r\\nküste", " 1 2 4"),
        ("CHARSET UTF-8 BODY {8+}\\r\\nder küs", " 1 4"),
        ("TEXT Arktis", ""),
        ("TEXT {6+}\\r\\nküste", " 1 2 4"),
        ("BODY \"without a header\"", " 1 4"),
        ("BODY \"no header\"", " 3"),
        ("TEXT \"subject: plain\"", " 2"),
        ("BODY large", " 4"),
        ("OR BODY \"no header\" NOT TEXT header", " 2 3"),
        ("NOT BODY \"\"", ""),
        ("HEADER Subject \"\"", " 1 2 4"),
        ("HEADER X-None \"\"", ""),
    ] {
        client.say(&format!("C: c SEARCH {keys}\nS: * SEARCH{found}\nS: c OK *")).await;
    }
}
