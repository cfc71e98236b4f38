//! Fuzzy search (RFC 6203): words and their forms, in any order, and how well messages match.

use crate::dialog::{Client, Server};

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

#[tokio::test]
async fn messages_that_have_the_text_itself_matter_more() {
    let server = Server::start().await;
    let mut client = mailbox(&server).await;
    client
        .say(
            r#"
        C: a SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT connected
        S: * ESEARCH (TAG "a") ALL 1:2 RELEVANCY (50 100)
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
        S: * ESEARCH (TAG "e") ALL 2,1 RELEVANCY (100 50)
        S: e OK *
        C: f SEARCH RETURN (RELEVANCY) FUZZY SUBJECT none
        S: * ESEARCH (TAG "f") RELEVANCY ()
        S: f OK *
        C: g SEARCH RETURN (RELEVANCY) SUBJECT connected
        S: g BAD *
        C: h SORT (RELEVANCY) UTF-8 SUBJECT connected
        S: h BAD *
        C: i ESEARCH IN (personal) RETURN (RELEVANCY ALL) FUZZY SUBJECT connected
        S: * ESEARCH (TAG "i" MAILBOX INBOX UIDVALIDITY *) UID ALL 1:2 RELEVANCY (50 100)
        S: i OK *
    "#,
        )
        .await;
}
