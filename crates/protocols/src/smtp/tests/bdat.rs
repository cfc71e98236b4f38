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
