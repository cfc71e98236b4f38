//! Messages that go in a loop (RFC 5321 section 6.3).

use super::*;

fn begin(hello: &str) -> String {
    format!(
        "S: 220\nC: {hello} c.test\nS+ 250\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<ana@demo.test>\nS: 250\n\
         C: RCPT TO:<ben@demo.test>\nS: 250\n"
    )
}

#[tokio::test]
async fn a_hundred_hops_and_no_more() {
    let server = Server::new(Service::Mx);
    let hops = "C: Received: from a.test\nC:  by b.test\n".repeat(99);
    let body = "C:\nC: Received: quoted in the text\nC: .\n";
    let begin = begin("EHLO");
    let last = "C: RECEIVED : the hundredth\n";
    server.dialog(&format!("{begin}C: DATA\nS: 354\n{hops}{last}{body}S: 250 2.0.0")).await;
    assert_eq!(server.taken().len(), 1);
    let over = format!("{begin}C: DATA\nS: 354\n{hops}{last}{last}{body}S: 554 5.4.6\nC: NOOP\nS: 250");
    server.dialog(&over).await;
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test]
async fn every_recipient_of_lmtp_is_told() {
    let server = Server::limited(Service::Lmtp, |limits| limits.hops_max = 1);
    let script = "C: DATA\nS: 354\nC: Received: a\nC: Received: b\nC: .\nS: 554 5.4.6\nS: 554 5.4.6\nC: NOOP\nS: 250";
    server.dialog(&(begin("LHLO") + script)).await;
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn a_field_cut_by_two_chunks_counts() {
    let server = Server::limited(Service::Mx, |limits| limits.hops_max = 0);
    let script = "R: BDAT 4\\r\\nRece
                  S: 250
                  R: BDAT 9\\r\\nived: a\\r\\n
                  S: 554 5.4.6
                  R: BDAT 2 LAST\\r\\n\\r\\n
                  S: 554 5.4.6
                  C: NOOP
                  S: 250";
    server.dialog(&(begin("EHLO") + script)).await;
    assert!(server.taken().is_empty());
}
