//! What the listings say: numbers, octets, unique ids, and marks.

use crate::pop::Pop;

#[tokio::test]
async fn numbers_and_octets_are_those_of_the_log_in() {
    let pop = Pop::with(&["Subject: a\r\n\r\nx\r\n", "Subject: b\r\n\r\n", "\r\n"]).await;
    let mut client = pop.login().await;
    pop.append(&["Subject: later\r\n\r\n"]).await;
    client
        .say(
            "C: STAT
             S: +OK 3 33
             C: LIST
             S: +OK 3 messages (33 octets)
             S: 1 17
             S: 2 14
             S: 3 2
             S: .
             C: LIST 2
             S: +OK 2 14
             C: LIST 4
             S: -ERR There is no such message
             C: LIST 0
             S: -ERR There is no such message
             C: LIST 4294967295
             S: -ERR There is no such message
             C: UIDL 0
             S: -ERR There is no such message
             C: RETR 4
             S: -ERR There is no such message
             C: TOP 4 1
             S: -ERR There is no such message
             C: DELE 4
             S: -ERR There is no such message
             C: NOOP
             S: +OK Done",
        )
        .await;
    pop.dialog("C: STAT\nS: +OK 4 51\nC: LIST 4\nS: +OK 4 18").await;
}

#[tokio::test]
async fn octets_are_those_that_are_sent() {
    // What came by APPEND has the line ends that it has; what is sent has CRLF.
    let messages = ["A: b\n\nx\n", "A: b\r\n\r\nx", ".\n.\n", "a\r", "A: b\r\n\r\n..\r\n"];
    let pop = Pop::with(&messages).await;
    let sent = ["A: b\r\n\r\nx\r\n", "A: b\r\n\r\nx\r\n", ".\r\n.\r\n", "a\r\r\n", "A: b\r\n\r\n..\r\n"];
    let mut client = pop.login().await;
    for (number, sent) in (1..).zip(sent) {
        client.say(&format!("C: LIST {number}\nS: +OK {number} {}", sent.len())).await;
        client.say(&format!("C: RETR {number}\nS: +OK {} octets", sent.len())).await;
        let stuffed = format!("{}.\r\n", sent.replace("\r\n.", "\r\n.."));
        let stuffed = if sent.starts_with('.') { format!(".{stuffed}") } else { stuffed };
        assert_eq!(String::from_utf8(client.bytes(stuffed.len()).await).unwrap(), stuffed);
    }
    client.say("C: NOOP\nS: +OK Done").await;
}

#[tokio::test]
async fn a_unique_id_stays_whatever_goes_before_it() {
    let pop = Pop::with(&["Subject: a\r\n\r\n", "Subject: a\r\n\r\n", "Subject: c\r\n\r\n"]).await;
    let mut client = pop.login().await;
    client.say("C: UIDL\nS: +OK *").await;
    let (first, second, third) = (client.line().await, client.line().await, client.line().await);
    client.say("S: .").await;
    let id = |line: &str, number: u32| line.strip_prefix(&format!("{number} ")).unwrap().to_owned();
    let (first, second, third) = (id(&first, 1), id(&second, 2), id(&third, 3));
    assert!(first != second && second != third, "{first} {second} {third}");
    assert!(third.len() <= 70 && third.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{third}");
    client.say(&format!("C: UIDL 2\nS: +OK 2 {second}\nC: DELE 1\nS: +OK *\nC: QUIT\nS: +OK *")).await;
    // Flags change nothing, nor does what is moved away, nor what comes.
    pop.imap("C: a SELECT INBOX\nS: ...\nS: a OK *\nC: b STORE 1 +FLAGS (\\Flagged $x)\nS: ...\nS: b OK *").await;
    pop.imap("C: a SELECT INBOX\nS: ...\nS: a OK *\nC: b MOVE 1 Archive\nS: ...\nS: b OK *").await;
    pop.append(&["Subject: d\r\n\r\n"]).await;
    pop.dialog(&format!("C: UIDL 1\nS: +OK 1 {third}\nC: UIDL 2\nS: +OK 2 *")).await;
}

#[tokio::test]
async fn marks_hide_messages_until_rset() {
    let pop = Pop::with(&["Subject: a\r\n\r\n", "Subject: bb\r\n\r\n", "Subject: c\r\n\r\n"]).await;
    pop.dialog(
        "C: DELE 2
         S: +OK *
         C: DELE 2
         S: -ERR The message is marked as deleted
         C: STAT
         S: +OK 2 28
         C: LIST
         S: +OK 2 messages (28 octets)
         S: 1 14
         S: 3 14
         S: .
         C: UIDL
         S: +OK *
         S: 1 *
         S: 3 *
         S: .
         C: RETR 2
         S: -ERR The message is marked as deleted
         C: TOP 2 0
         S: -ERR The message is marked as deleted
         C: LIST 2
         S: -ERR The message is marked as deleted
         C: RSET
         S: +OK 3 messages (43 octets)
         C: STAT
         S: +OK 3 43
         C: LIST 2
         S: +OK 2 15
         C: QUIT
         S: +OK *",
    )
    .await;
    pop.dialog("C: STAT\nS: +OK 3 43").await;
}
