//! Parameters of MAIL and RCPT: delivery status notifications (RFC 3461), SIZE (RFC 1870), BODY (RFC 6152).

use super::*;

const BEGIN: &str = "S: 220\nC: EHLO c.test\nS+ 250\n";

#[tokio::test]
async fn what_is_asked_for_reaches_the_reception() {
    let server = Server::new(Service::Lmtp);
    server
        .dialog(
            "S: 220
             C: LHLO c.test
             S+ 250
             C: MAIL FROM:<> ret=full envid=a+2Bb+3Dc size=0 body=7bit auth=<>
             S: 250 2.1.0
             C: RCPT TO:<ana@demo.test> NOTIFY=never
             S: 250 2.1.5
             C: RCPT TO:<ben@demo.test> ORCPT=utf-8;b\\x{E9}n@demo.test NOTIFY=FAILURE
             S: 250 2.1.5
             C: RCPT TO:<carl@demo.test>
             S: 250 2.1.5
             C: DATA
             S: 354
             C: .
             S: 250
             S: 250
             S: 250",
        )
        .await;
    let taken = server.taken();
    let envelope = &taken[0].envelope;
    assert_eq!(envelope.envelope_id.as_deref(), Some("a+b=c"));
    assert!(!envelope.eight_bit);
    let shown: Vec<_> = envelope.recipients.iter().map(|r| (r.original.as_deref(), r.notify.as_deref())).collect();
    let expected = [(None, Some("NEVER")), (Some("utf-8;b\\x{E9}n@demo.test"), Some("FAILURE")), (None, None)];
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn wrong_parameters_of_mail() {
    let server = Server::limited(Service::Mx, |limits| limits.errors_max = 100);
    let mut client = server.connect();
    client.speak(BEGIN).await;
    for (params, expected) in [
        ("RET=ALL", "501 5.5.4"),
        ("RET=FULL RET=HDRS", "501 5.5.4"),
        ("ENVID=", "501 5.5.4"),
        ("ENVID=a+0Ab", "501 5.5.4"),
        ("ENVID=a+2", "501 5.5.4"),
        ("BODY=9BIT", "501 5.5.4"),
        ("BODY", "501 5.5.4"),
        ("SIZE=-1", "501 5.5.4"),
        ("SIZE=1 SIZE=2", "501 5.5.4"),
        ("SIZE=99999999999999999999", "552 5.3.4"),
        ("SMTPUTF8=yes", "501 5.5.4"),
        ("NOTIFY=NEVER", "555 5.5.4"),
        ("XSOMETHING", "555 5.5.4"),
        ("XSOMETHING=", "501 5.5.4"),
    ] {
        client.speak(&format!("C: MAIL FROM:<a@b.test> {params}\nS: {expected}")).await;
    }
    let long = "x".repeat(101);
    client.speak(&format!("C: MAIL FROM:<a@b.test> ENVID={long}\nS: 501 5.5.4")).await;
    let many = "X=1 ".repeat(17);
    client.speak(&format!("C: MAIL FROM:<a@b.test> {many}\nS: 501 5.5.4")).await;
    // Nothing of all that began a transaction.
    client.speak("C: RCPT TO:<ana@demo.test>\nS: 503\nC: MAIL FROM:<a@b.test>\nS: 250").await;
}

#[tokio::test]
async fn wrong_parameters_of_rcpt() {
    let server = Server::limited(Service::Mx, |limits| limits.errors_max = 100);
    let mut client = server.connect();
    client.speak(BEGIN).await;
    client.speak("C: MAIL FROM:<a@b.test>\nS: 250").await;
    for (params, expected) in [
        ("NOTIFY=NEVER,SUCCESS", "501 5.5.4"),
        ("NOTIFY=SUCCESS,SUCCESS", "501 5.5.4"),
        ("NOTIFY=SOMETIMES", "501 5.5.4"),
        ("NOTIFY=NEVER NOTIFY=NEVER", "501 5.5.4"),
        ("ORCPT=ana@demo.test", "501 5.5.4"),
        ("ORCPT=rfc822;", "501 5.5.4"),
        ("ORCPT=rfc822;a=b", "501 5.5.4"),
        ("SIZE=1", "555 5.5.4"),
        ("RET=FULL", "555 5.5.4"),
    ] {
        client.speak(&format!("C: RCPT TO:<ana@demo.test> {params}\nS: {expected}")).await;
    }
    let long = "x".repeat(500);
    client.speak(&format!("C: RCPT TO:<ana@demo.test> ORCPT=rfc822;{long}\nS: 501 5.5.4")).await;
    client.speak("C: DATA\nS: 554 5.5.1").await;
}

#[tokio::test]
async fn without_ehlo_there_are_none() {
    Server::new(Service::Mx)
        .dialog(
            "S: 220
             C: HELO c.test
             S: 250
             C: MAIL FROM:<a@b.test> BODY=8BITMIME
             S: 555 5.5.4
             C: MAIL FROM:<a@b.test>
             S: 250
             C: RCPT TO:<ana@demo.test> NOTIFY=NEVER
             S: 555 5.5.4
             C: RCPT TO:<ana@demo.test>
             S: 250",
        )
        .await;
}
