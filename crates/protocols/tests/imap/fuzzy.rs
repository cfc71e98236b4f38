//! Fuzzy search (RFC 6203): words and their forms, in any order, and how well messages match.

use crate::dialog::{ANA, Client, Server};

const MAIL: [&str; 5] = [
    "From: Ana <ana@x.test>\r\nSubject: Connections\r\n\r\nThe terns are flying over the houses",
    "From: Bob <bob@x.test>\r\nSubject: a connected house\r\n\r\nA tern flies",
    "From: Cy <cy@x.test>\r\nSubject: nothing\r\n\r\nLes maisons de la côte, le Haus",
    "From: Dee <dee@x.test>\r\nSubject: turns\r\n\r\nIt returns; the intern is there",
    "From: Eve <eve@x.test>\r\nSubject: leer\r\n\r\n??",
];

async fn mailbox(server: &Server) -> Client {
    let mut client = server.login().await;
    for message in MAIL {
        client.send(format!("a APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len()).as_bytes()).await;
        client.say("S: a OK *").await;
    }
    client.say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
    client
}

#[tokio::test]
async fn forms_of_words_are_found_in_any_order() {
    let server = Server::start().await;
    let mut client = mailbox(&server).await;
    client.say("C: p CAPABILITY\nS: * CAPABILITY * SEARCH=FUZZY*\nS: p OK *").await;
    for (keys, found) in [
        ("SUBJECT connection", " 1"),
        ("FUZZY SUBJECT connection", " 1 2"),
        ("FUZZY SUBJECT \"house, connecting\"", " 2"),
        ("FUZZY BODY terns", " 1 2"),
        // What is found without FUZZY is found with it.
        ("BODY tern", " 1 2 4"),
        ("FUZZY BODY tern", " 1 2 4"),
        ("FUZZY TEXT \"HOUSE tern\"", " 1 2"),
        ("FUZZY BODY \"cotes maison\"", " 3"),
        ("FUZZY FROM anas", " 1"),
        ("FUZZY BODY \"??\"", " 5"),
        ("NOT FUZZY BODY terns", " 3 4 5"),
        ("FUZZY (BODY terns NOT SUBJECT connecting)", ""),
        ("FUZZY OR BODY maison SUBJECT connecting", " 1 2 3"),
        ("FUZZY SEEN", ""),
        ("FUZZY UID 2:3 FUZZY BODY terns", " 2"),
        ("FUZZY FUZZY BODY terns", " 1 2"),
    ] {
        client.say(&format!("C: c SEARCH {keys}\nS: * SEARCH{found}\nS: c OK *")).await;
    }
    client.say("C: n SEARCH FUZZY\nS: n BAD *").await;
}

/// Waits until the index has every message.
async fn feed(server: &Server) {
    let account = server.accounts.get(ANA).await.unwrap();
    while account.feed_index(&tokio::runtime::Handle::current()).await.unwrap().is_some_and(|fed| fed.has_more) {}
}

#[tokio::test]
async fn messages_that_have_the_text_itself_matter_more() {
    let server = Server::start().await;
    let mut client = mailbox(&server).await;
    feed(&server).await;
    client
        .say(
            r#"
        C: a SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT connected
        S: * ESEARCH (TAG "a") ALL 1:2 RELEVANCY (26 100)
        S: a OK *
        C: b SEARCH RETURN (RELEVANCY PARTIAL 2:9) FUZZY SUBJECT connected
        S: * ESEARCH (TAG "b") PARTIAL (2:9 2) RELEVANCY (100)
        S: b OK *
        C: c SORT (RELEVANCY) UTF-8 FUZZY SUBJECT connected
        S: * SORT 2 1
        S: c OK *
        C: d SORT (REVERSE RELEVANCY SUBJECT) UTF-8 FUZZY SUBJECT connected
        S: * SORT 1 2
        S: d OK *
        C: e SORT RETURN (RELEVANCY ALL) (RELEVANCY) UTF-8 FUZZY SUBJECT connected
        S: * ESEARCH (TAG "e") ALL 2,1 RELEVANCY (100 26)
        S: e OK *
        C: f SEARCH RETURN (RELEVANCY) FUZZY SUBJECT none
        S: * ESEARCH (TAG "f") RELEVANCY ()
        S: f OK *
        C: g SEARCH RETURN (RELEVANCY) SUBJECT connected
        S: g BAD *
        C: h SORT (RELEVANCY) UTF-8 SUBJECT connected
        S: h BAD *
        C: i ESEARCH IN (personal) RETURN (RELEVANCY ALL) FUZZY SUBJECT connected
        S: * ESEARCH (TAG "i" MAILBOX INBOX UIDVALIDITY *) UID ALL 1:2 RELEVANCY (26 100)
        S: i OK *
    "#,
        )
        .await;
}

/// What a search says of the relevancy of messages, in their order.
async fn relevancy(client: &mut Client, keys: &str) -> Vec<u8> {
    client.send(format!("r SEARCH RETURN (RELEVANCY ALL) {keys}\r\n").as_bytes()).await;
    let line = client.line().await;
    client.say("S: r OK *").await;
    let scores = line.split_once("RELEVANCY (").and_then(|(_, scores)| scores.strip_suffix(')'));
    scores.unwrap_or_else(|| panic!("{line}")).split(' ').map(|score| score.parse().unwrap()).collect()
}

#[tokio::test]
async fn where_a_word_stands_and_how_rare_it_is_matters() {
    let server = Server::start().await;
    let mut client = server.login().await;
    let long = "and so on with words of all kinds that mean little here; ".repeat(20);
    for message in [
        "Subject: albatross\r\n\r\nshort".to_owned(),
        "Subject: x\r\n\r\nalbatross meeting".to_owned(),
        format!("Subject: x\r\n\r\nalbatross, {long}"),
        "Subject: x\r\n\r\na meeting".to_owned(),
        "Subject: x\r\n\r\nthe meeting".to_owned(),
        "Subject: x\r\n\r\nsome meetings".to_owned(),
    ] {
        client.send(format!("a APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len()).as_bytes()).await;
        client.say("S: a OK *").await;
    }
    client.say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
    // No index knows them yet: only how they match is known.
    assert_eq!(relevancy(&mut client, "FUZZY TEXT albatross").await, [75, 75, 75]);
    feed(&server).await;
    let scores = relevancy(&mut client, "FUZZY TEXT albatross").await;
    assert!(scores.is_sorted_by(|a, b| a > b), "subject, short body, long body: {scores:?}");
    let scores = relevancy(&mut client, "OR FUZZY BODY albatross FUZZY BODY meeting").await;
    // Messages 2 to 6: both words, the rare one, the common one twice, a form of it that has it inside.
    assert!(scores[0] > scores[1] && scores[0] > 2 * (scores[2] - 50) && scores[2] == scores[3], "{scores:?}");
    let scores = relevancy(&mut client, "FUZZY BODY meetings").await;
    assert!(scores[..3].iter().all(|score| *score <= 50) && scores[3] > 50, "{scores:?}");
}
