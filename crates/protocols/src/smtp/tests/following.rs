//! Those who follow a transaction hear of each recipient, may refuse it, and hear of the end.

use sterna_account::service::Rcpt;

use super::*;

/// Follows transactions of `followed@`, and refuses `closed@` as a sender and as a recipient.
pub fn begin(heard: &Arc<Mutex<Vec<String>>>, envelope: &Envelope) -> Result<Option<Box<dyn Following>>, Refusal> {
    if envelope.mail_from.starts_with("closed@") {
        return Err(Refusal::new(550, (5, 7, 1), "Closed to you"));
    }
    assert!(envelope.recipients.is_empty());
    let follows = envelope.mail_from.starts_with("followed@");
    Ok(follows.then(|| Box::new(Follower(heard.clone())) as Box<dyn Following>))
}

struct Follower(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Following for Follower {
    async fn recipient(&mut self, rcpt: &Rcpt) -> Result<(), Refusal> {
        self.0.lock().push(rcpt.address.clone());
        if rcpt.address.starts_with("closed@") {
            return Err(Refusal::new(450, (4, 7, 1), "Closed for now"));
        }
        Ok(())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.lock().push("over".to_owned());
    }
}

#[tokio::test]
async fn recipients_are_refused_one_by_one() {
    let server = Server::new(Service::Mx);
    server
        .dialog(
            "S: 220
             C: EHLO client.test
             S+ 250
             C: MAIL FROM:<closed@other.test>
             S: 550 5.7.1 Closed to you
             C: MAIL FROM:<followed@other.test>
             S: 250
             C: RCPT TO:<unknown@demo.test>
             S: 550 5.1.1
             C: RCPT TO:<closed@demo.test>
             S: 450 4.7.1 Closed for now
             C: RCPT TO:<ana@demo.test>
             S: 250
             C: DATA
             S: 354
             R: x\\r\\n.\\r\\n
             S: 250
             C: MAIL FROM:<followed@other.test>
             S: 250
             C: RSET
             S: 250
             C: QUIT
             S: 221
             E",
        )
        .await;
    let taken = server.taken();
    let rcpts: Vec<_> = taken[0].envelope.recipients.iter().map(|rcpt| &*rcpt.address).collect();
    assert_eq!(rcpts, ["ana@demo.test"]);
    let heard = server.reception.followed.lock();
    assert_eq!(*heard, ["closed@demo.test", "ana@demo.test", "delivered", "over", "over"]);
}
