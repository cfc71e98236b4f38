//! What the directory's answers become.

use super::*;
use InboundProtocol::{Lmtp, Smtp, Submission};

#[tokio::test]
async fn answers_at_rcpt() {
    let world = World::new().await;
    let expected: HashMap<&str, (u16, (u8, u16, u16))> = HashMap::from([
        ("strange@demo.test", (550, (5, 1, 1))),
        ("ana@elsewhere.test", (550, (5, 7, 1))),
        ("away@demo.test", (450, (4, 2, 1))),
        ("left@demo.test", (550, (5, 2, 1))),
        ("closed@demo.test", (550, (5, 7, 1))),
        ("broken@demo.test", (451, (4, 3, 0))),
    ]);
    for (address, (code, enhanced)) in expected {
        let refusal = world.flow.recipient(&sender(Smtp), "", address).await.unwrap_err();
        assert_eq!((refusal.code, refusal.enhanced), (code, enhanced), "{address}");
    }
    assert_eq!(world.flow.recipient(&sender(Smtp), "", "ana+x@demo.test").await.unwrap_err().code, 550);
    assert_eq!(world.flow.recipient(&sender(Smtp), "", "ana+lists@demo.test").await, Ok(()));
}

#[tokio::test]
async fn answers_at_delivery() {
    let world = World::new().await;
    let recipients =
        ["strange@demo.test", "ana@demo.test", "nobody@demo.test", "broken@demo.test", "homeless@demo.test"];
    let answers = world.deliver(Lmtp, &recipients, "x\r\n").await;
    // An account that the directory knows and no server has is ours to mend: the sender keeps the message.
    assert_eq!(codes(&answers), [550, 250, 250, 451, 451]);
    assert_eq!(world.counts().await, [1, 0, 0]);
}

#[tokio::test]
async fn users_send_with_their_own_addresses() {
    let world = World::new().await;
    for (address, allowed) in [
        ("ana@demo.test", true),
        ("ana.alias@demo.test", true),
        ("", true),
        ("ben@demo.test", false),
        ("staff@demo.test", false),
        ("strange@demo.test", false),
        ("ana@elsewhere.test", false),
    ] {
        let answer = world.flow.sender(&sender(Submission), address).await;
        assert_eq!(answer.as_ref().err().map(|refusal| refusal.code), (!allowed).then_some(553), "{address}");
    }
    assert_eq!(world.flow.sender(&sender(Submission), "broken@demo.test").await.unwrap_err().code, 451);
    assert_eq!(world.flow.sender(&sender(Smtp), "anybody@elsewhere.test").await, Ok(()));
}
