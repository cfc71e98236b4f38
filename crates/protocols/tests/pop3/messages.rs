//! RETR and TOP: every byte of a message, whatever it is made of, and however the commands come.

use sterna_base::limits::BLOB_CHUNK_BYTES;

use crate::pop::Pop;

#[tokio::test]
async fn messages_are_sent_with_a_dot_behind_them() {
    let pop = Pop::with(&["Subject: a\r\n\r\none\r\n.two\r\n\r\nfour\r\n", "Subject: b\r\n\r\n"]).await;
    pop.dialog(
        "C: RETR 1
         S: +OK 33 octets
         S: Subject: a
         S:
         S: one
         S: ..two
         S:
         S: four
         S: .
         C: TOP 1 0
         S: +OK *
         S: Subject: a
         S:
         S: .
         C: TOP 1 2
         S: +OK *
         S: Subject: a
         S:
         S: one
         S: ..two
         S: .
         C: TOP 1 99999999999999999999
         S: +OK *
         S: ...
         S: four
         S: .
         C: RETR 2
         S: +OK 14 octets
         S: Subject: b
         S:
         S: .",
    )
    .await;
}

/// Longer than a piece, with line ends and dots at all places of it, and bytes that are no text.
fn large() -> Vec<u8> {
    let mut message = b"Subject: large\r\n\r\n".to_vec();
    let mut line = 0_usize;
    while message.len() < 3 * BLOB_CHUNK_BYTES {
        message.extend(std::iter::repeat_n(b'.', line % 7));
        message
            .extend([0xff, 0x00, (line % 251) as u8].repeat(line % 13).iter().filter(|byte| !b"\r\n".contains(byte)));
        message.extend_from_slice(b"\r\n");
        line += 1;
    }
    message
}

#[tokio::test]
async fn a_large_message_comes_whole() {
    let message = large();
    let pop = Pop::with(&[]).await;
    let mut imap = pop.server.login().await;
    imap.send(format!("a APPEND INBOX ~{{{}+}}\r\n", message.len()).as_bytes()).await;
    imap.send(&[&message, &b"\r\n"[..]].concat()).await;
    imap.say("S: a OK *").await;
    let mut client = pop.login().await;
    client.say(&format!("C: RETR 1\nS: +OK {} octets", message.len())).await;
    let mut received = Vec::new();
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        let stuffed = if line.starts_with(b".") { [b".", line].concat() } else { line.to_vec() };
        assert_eq!(client.bytes(stuffed.len()).await, stuffed, "behind {} bytes", received.len());
        received.extend_from_slice(line);
    }
    client.say("S: .\nC: STAT\nS: +OK 1 *").await;
    assert!(received == message);
    // Only as much as is asked for.
    client.say("C: TOP 1 0\nS: +OK *\nS: Subject: large\nS:\nS: .\nC: NOOP\nS: +OK Done").await;
}

#[tokio::test]
async fn commands_may_come_all_at_once_or_in_pieces() {
    let pop = Pop::with(&["Subject: a\r\n\r\n.x\r\n", "Subject: b\r\n\r\n"]).await;
    let commands =
        "USER ana\r\nPASS pw\r\nSTAT\r\nRETR 1\r\nNONSENSE\r\nTOP 2 0\r\nDELE 1\r\nLIST\r\nRSET\r\nUIDL 9\r\nQUIT\r\n";
    let expected = "+OK And the password?\r\n+OK 2 messages\r\n+OK 2 32\r\n\
                    +OK 18 octets\r\nSubject: a\r\n\r\n..x\r\n.\r\n-ERR Unknown command\r\n\
                    +OK The top of the message\r\nSubject: b\r\n\r\n.\r\n+OK Marked; it goes when you QUIT\r\n\
                    +OK 1 messages (14 octets)\r\n2 14\r\n.\r\n+OK 2 messages (32 octets)\r\n\
                    -ERR There is no such message\r\n+OK Good-bye\r\n";
    for chunk in [commands.len(), 1, 2, 3, 7, 11, 40] {
        let mut client = pop.connect().await;
        for piece in commands.as_bytes().chunks(chunk) {
            client.send(piece).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(client.rest().await, expected, "in pieces of {chunk}");
    }
    pop.server.check().await;
}

#[tokio::test]
async fn what_was_retrieved_is_seen_and_what_was_looked_at_is_not() {
    let pop = Pop::with(&["Subject: a\r\n\r\n", "Subject: b\r\n\r\n", "Subject: c\r\n\r\n"]).await;
    pop.dialog(
        "C: RETR 1
         S: +OK *
         S: ...
         S: .
         C: TOP 2 9
         S: +OK *
         S: ...
         S: .
         C: RETR 3
         S: +OK *
         S: ...
         S: .
         C: DELE 3
         S: +OK *
         C: QUIT
         S: +OK *",
    )
    .await;
    let flags = "C: a SELECT INBOX\nS: ...\nS: a OK *\nC: b UID SEARCH SEEN\nS: * SEARCH 1\nS: b OK *";
    pop.imap(&format!("{flags}\nC: c UID SEARCH UNSEEN\nS: * SEARCH 2\nS: c OK *")).await;
    // Who just goes has read what was sent all the same.
    let mut client = pop.login().await;
    client.say("C: RETR 2\nS: +OK *\nS: ...\nS: .\nC: DELE 2\nS: +OK *").await;
    let mut watching = pop.server.login().await;
    watching.say("C: a SELECT INBOX\nS: ...\nS: a OK *\nC: i IDLE\nS: + *").await;
    drop(client);
    watching.say("S: * 2 FETCH (* FLAGS (\\Seen)*\nC: DONE\nS: i OK *").await;
}
