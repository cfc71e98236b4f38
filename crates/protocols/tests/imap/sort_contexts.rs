//! Sorted results that are kept up to date.

use crate::dialog::{Client, Server};

const FOUR: &str = r"
    C: a APPEND INBOX (\Flagged) {12+}
    C: Subject: d\r\n (\Flagged) {12+}
    C: Subject: b\r\n {12+}
    C: Subject: c\r\n (\Flagged) {12+}
    C: Subject: a\r\n
    S: a OK *
    C: b SELECT INBOX
    S: ...
    S: b OK *
";

#[tokio::test]
async fn what_comes_and_goes_is_told_with_its_place() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    one.say(FOUR).await;
    one.say(
        r#"
        C: c UID SORT RETURN (UPDATE ALL CONTEXT) (SUBJECT) UTF-8 FLAGGED
        S: * ESEARCH (TAG "c") UID ALL 4,2,1
        S: c OK *
        C: d SORT RETURN (UPDATE COUNT) (REVERSE SUBJECT) UTF-8 ALL
        S: * ESEARCH (TAG "d") COUNT 4
        S: d OK *
        C: c SORT RETURN (UPDATE) (SUBJECT) UTF-8 ALL
        S: c BAD *
    "#,
    )
    .await;
    two.say(
        r"
        C: a SELECT INBOX
        S: ...
        S: a OK *
        C: b STORE 3 +FLAGS.SILENT (\Flagged)
        S: b OK *
        C: c STORE 2 -FLAGS.SILENT (\Flagged)
        S: c OK *
        C: d APPEND INBOX (\Flagged) {13+}
        C: Subject: bb\r\n (\Flagged) {13+}
        C: Subject: bc\r\n (\Flagged) {13+}
        C: Subject: 0e\r\n
        S: ...
        S: d OK *
    ",
    )
    .await;
    one.say(
        r#"
        C: e NOOP
        S: ...
        S: * 7 EXISTS
        S: * 3 RECENT
        S: * ESEARCH (TAG "c") UID REMOVEFROM (2 2)
        S: * ESEARCH (TAG "c") UID ADDTO (1 7)
        S: * ESEARCH (TAG "c") UID ADDTO (3 5:6,3)
        S: * ESEARCH (TAG "d") ADDTO (3 6,5)
        S: * ESEARCH (TAG "d") ADDTO (7 7)
        S: e OK *
        C: f UID SORT (SUBJECT) UTF-8 FLAGGED
        S: * SORT 7 4 5 6 3 1
        S: f OK *
    "#,
    )
    .await;
    two.say("C: e UID MOVE 4,5,6 Trash\nS: ...\nS: e OK *").await;
    one.say(
        r#"
        C: g NOOP
        S: * ESEARCH (TAG "c") UID REMOVEFROM (2 4:6)
        S: * ESEARCH (TAG "d") REMOVEFROM (6 4)
        S: * ESEARCH (TAG "d") REMOVEFROM (3 6,5)
        S: * 4 EXPUNGE
        S: * 4 EXPUNGE
        S: * 4 EXPUNGE
        S: g OK *
        C: h CANCELUPDATE "c" "d"
        S: h OK *
        C: i STORE 1 -FLAGS.SILENT (\Flagged)
        S: i OK *
        C: j CAPABILITY
        S: * CAPABILITY * CONTEXT=SORT*
        S: j OK *
    "#,
    )
    .await;
}

#[tokio::test]
async fn what_is_asked_of_new_messages_comes_before_their_place() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    one.say(FOUR).await;
    one.say(
        r#"
        C: n NOTIFY SET (SELECTED (MessageNew (UID) MessageExpunge))
        S: n OK *
        C: c UID SORT RETURN (UPDATE (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) COUNT) (SUBJECT) UTF-8 ALL
        S: * ESEARCH (TAG "c") UID COUNT 4
        S: c OK *
        C: d SORT RETURN (UPDATE COUNT RELEVANCY) (RELEVANCY) UTF-8 FUZZY SUBJECT a
        S: * ESEARCH (TAG "d") COUNT 1 RELEVANCY (*)
        S: * NO [NOUPDATE "d"] *
        S: d OK *
    "#,
    )
    .await;
    two.say("C: a APPEND INBOX {13+}\nC: Subject: ab\\r\\n\nS: a OK *").await;
    one.say(
        r#"
        C: x NOOP
        S: ...
        S: * 5 FETCH (UID 5 BODY[HEADER.FIELDS (SUBJECT)] {15}Subject: ab\r\n\r\n)
        S: * ESEARCH (TAG "c") UID ADDTO (2 5)
        S: ...
        S: x OK *
    "#,
    )
    .await;
}

/// What a client makes of the answers to a NOOP.
async fn follow(client: &mut Client, tag: &str, result: &mut Vec<u32>) {
    client.send(b"n NOOP\r\n").await;
    loop {
        let line = client.line().await;
        if line.starts_with("n ") {
            return;
        }
        let Some(news) = line.strip_prefix(&format!("* ESEARCH (TAG \"{tag}\") UID ")) else { continue };
        let (item, rest) = news.split_once(" (").unwrap();
        let (position, set) = rest.strip_suffix(')').unwrap().split_once(' ').unwrap();
        let at = position.parse::<usize>().unwrap() - 1;
        let uids: Vec<u32> = set.split(',').flat_map(range).collect();
        match item {
            "ADDTO" => drop(result.splice(at..at, uids)),
            "REMOVEFROM" => assert_eq!(result.splice(at..at + uids.len(), []).collect::<Vec<_>>(), uids),
            item => panic!("{item}"),
        }
    }
}

fn range(text: &str) -> Vec<u32> {
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    let (first, last): (u32, u32) = (first.parse().unwrap(), last.parse().unwrap());
    if first <= last { (first..=last).collect() } else { (last..=first).rev().collect() }
}

#[tokio::test]
async fn a_result_that_is_followed_is_the_one_that_is_asked_for() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.login().await, server.login().await);
    one.say("C: a SELECT INBOX\nS: ...\nS: a OK *").await;
    two.say("C: a SELECT INBOX\nS: ...\nS: a OK *").await;
    let sort = "(REVERSE SUBJECT ARRIVAL) UTF-8 UNDELETED UNSEEN";
    one.say(&format!("C: c UID SORT RETURN (UPDATE ALL) {sort}\nS: * ESEARCH (TAG \"c\") UID\nS: c OK *")).await;
    let (mut result, mut random, mut messages) = (Vec::new(), 12_345_u64, 0_u64);
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for _ in 0..150 {
        for _ in 0..next(4) {
            let command = match next(8) {
                0..=3 => {
                    messages += 1;
                    let message = format!("Subject: {}\r\n\r\n", ["b", "a", "ab", "c", "B"][next(5) as usize]);
                    format!("APPEND INBOX {{{}+}}\r\n{message}", message.len())
                }
                4 => format!("UID STORE {} FLAGS.SILENT (\\Seen)", next(messages + 1) + 1),
                5 => format!("UID STORE {}:{} FLAGS.SILENT ()", next(messages + 1) + 1, next(messages + 1) + 1),
                6 => format!("UID STORE {} +FLAGS.SILENT (\\Deleted)", next(messages + 1) + 1),
                _ => "EXPUNGE".to_owned(),
            };
            two.send(format!("x {command}\r\n").as_bytes()).await;
            two.say("S: ...\nS: x OK *").await;
        }
        follow(&mut one, "c", &mut result).await;
        one.send(format!("s UID SORT {sort}\r\n").as_bytes()).await;
        let mut line = one.line().await;
        while !line.starts_with("* SORT") {
            line = one.line().await;
        }
        let asked: Vec<u32> = line["* SORT".len()..].split_whitespace().map(|uid| uid.parse().unwrap()).collect();
        one.say("S: ...\nS: s OK *").await;
        assert_eq!(result, asked);
    }
    assert!(messages > 50 && !result.is_empty());
}
