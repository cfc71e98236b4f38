//! Chunks (RFC 3030).

use super::*;

const BEGIN: &str =
    "S: 220\nC: EHLO c.test\nS+ 250\nC: MAIL FROM:<a@b.test>\nS: 250\nC: RCPT TO:<ana@demo.test>\nS: 250\n";

#[tokio::test]
async fn chunks_are_content_whatever_they_look_like() {
    let server = Server::new(Service::Mx);
    let script = format!(
        "{BEGIN}R: BDAT 14\\r\\n\\r\\n.\\r\\nQUIT\\r\\n.\\r\\n
         S: 250 2.0.0 14 bytes taken, 14 in all
         R: BDAT 3 LAST\\r\\nx\\r\\nNOOP\\r\\n
         S: 250 2.0.0 OK
         S: 250 2.0.0 OK"
    );
    server.dialog(&script).await;
    assert_eq!(server.taken()[0].content(), b"\r\n.\r\nQUIT\r\n.\r\nx\r\n");
}

#[tokio::test]
async fn a_chunk_out_of_order_is_read_and_refused() {
    Server::new(Service::Mx)
        .dialog(
            "S: 220
             C: EHLO c.test
             S+ 250
             R: BDAT 6 LAST\\r\\nQUIT\\r\\n
             S: 503 5.5.1
             C: MAIL FROM:<a@b.test>
             S: 250
             R: BDAT 6\\r\\nQUIT\\r\\n
             S: 554 5.5.1 No valid recipients
             C: NOOP
             S: 250",
        )
        .await;
}

#[tokio::test]
async fn data_and_recipients_after_a_chunk_are_refused() {
    let script = format!(
        "{BEGIN}R: BDAT 2\\r\\n\\r\\n
         S: 250
         C: DATA
         S: 503 5.5.1
         C: RCPT TO:<ben@demo.test>
         S: 503 5.5.1
         C: RSET
         S: 250
         C: BDAT 0 LAST
         S: 503 5.5.1"
    );
    let server = Server::new(Service::Mx);
    server.dialog(&script).await;
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn binary_content_needs_chunks() {
    Server::new(Service::Mx)
        .dialog(
            "S: 220
             C: EHLO c.test
             S+ 250
             C: MAIL FROM:<a@b.test> BODY=BINARYMIME
             S: 250
             C: RCPT TO:<ana@demo.test>
             S: 250
             C: DATA
             S: 503 5.5.1",
        )
        .await;
}

#[tokio::test]
async fn too_much_in_chunks() {
    let server = Server::limited(Service::Mx, |limits| {
        limits.message_bytes_max = 10;
        limits.swallow_bytes_max = 10;
        limits.chunks_max = 3;
    });
    let script = format!(
        "{BEGIN}R: BDAT 8\\r\\n12345678
         S: 250
         R: BDAT 8\\r\\n12345678
         S: 552 5.3.4
         R: BDAT 1\\r\\n1
         S: 552 5.3.4
         R: BDAT 1 LAST\\r\\n1
         S: 552 5.3.4
         C: NOOP
         S: 250
         C: BDAT 21
         S: 552 5.3.4
         E"
    );
    server.dialog(&script).await;
    server.dialog(&format!("{BEGIN}C: BDAT 99999999999999999999999\nS: 552 5.3.4\nE")).await;
    let empty_chunks = "C: BDAT 0\nS: 250\n".repeat(3);
    server.dialog(&format!("{BEGIN}{empty_chunks}C: BDAT 0\nS: 421 4.7.0\nE")).await;
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn behind_a_chunk_of_unknown_length_nothing_is_obeyed() {
    let hidden = "RSET\\r\\nMAIL FROM:<evil@b.test>\\r\\n";
    for (line, code) in [
        ("BDAT 39 FIRST\\r\\n", "501 5.5.4"),
        ("bdat\\r\\n", "501 5.5.4"),
        ("BDAT -1\\r\\n", "501 5.5.4"),
        ("BDAT 0x27 LAST\\r\\n", "501 5.5.4"),
        ("BDAT 39\\n", "500 5.5.2"),
        ("BDAT\\0 39\\r\\n", "500 5.5.2"),
        ("BDAT 39\\rLAST\\r\\n", "500 5.5.2"),
    ] {
        let server = Server::new(Service::Mx);
        let mut client = server.connect();
        client.speak(&format!("{BEGIN}R: {line}{hidden}\nS: {code}")).await;
        let rest = client.rest().await;
        assert!(rest.starts_with("421 4.7.0") && rest.lines().count() == 1, "{line}: {rest}");
    }
}

#[tokio::test]
async fn a_client_that_counts_wrong_hears_of_it() {
    // One byte less than announced: the first byte of the next command is content, its rest is no command.
    let server = Server::limited(Service::Mx, |limits| limits.errors_max = 100);
    server.dialog(&format!("{BEGIN}R: BDAT 4\\r\\nabcNOOP\\r\\n\nS: 250\nS: 500 5.5.1\nC: RSET\nS: 250")).await;
    // One byte more: it stands before the next command.
    server.dialog(&format!("{BEGIN}R: BDAT 2\\r\\nabcNOOP\\r\\n\nS: 250\nS: 500 5.5.1\nC: RSET\nS: 250")).await;
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn a_transaction_begun_again_has_nothing_of_the_chunks_before() {
    for reset in ["C: RSET\nS: 250", "C: EHLO again.test\nS+ 250"] {
        let server = Server::new(Service::Mx);
        let script = format!(
            "{BEGIN}R: BDAT 7\\r\\nfirst\\r\\n
             S: 250
             {reset}
             C: MAIL FROM:<c@d.test>
             S: 250
             C: RCPT TO:<ben@demo.test>
             S: 250
             R: BDAT 8 LAST\\r\\nsecond\\r\\n
             S: 250 2.0.0 OK"
        );
        server.dialog(&script).await;
        let taken = server.taken();
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0].content(), &*taken[0].envelope.mail_from), (&b"second\r\n"[..], "c@d.test"));
    }
}

#[tokio::test]
async fn chunks_of_any_length_are_one_message() {
    let server = Server::new(Service::Mx);
    let content = b"Subject: chunks\r\n\r\n.\r\n..\r\nend\r\n";
    for step in 1..=content.len() {
        let mut client = server.connect();
        client.speak(BEGIN).await;
        for chunk in content.chunks(step) {
            client.send(format!("BDAT {}\r\n", chunk.len()).as_bytes()).await;
            client.send(chunk).await;
        }
        client.send(b"BDAT 0 LAST\r\n").await;
        for _ in content.chunks(step) {
            client.speak("S: 250 2.0.0").await;
        }
        client.speak("S: 250 2.0.0 OK\nC: QUIT\nS: 221\nE").await;
    }
    assert!(server.taken().iter().all(|taken| taken.content() == content));
    assert_eq!(server.taken().len(), content.len());
}

#[tokio::test]
async fn nor_behind_a_line_that_is_too_long() {
    let server = Server::new(Service::Mx);
    let mut client = server.connect();
    client.speak(BEGIN).await;
    client.send(&[&b"bdat 6 "[..], &b" ".repeat(3000), b"LAST\r\nNOOP\r\n"].concat()).await;
    client.speak("S: 500 5.5.6\nS: 421 4.7.0\nE").await;
}
