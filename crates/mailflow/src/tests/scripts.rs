//! Scripts in accounts, and what becomes of the mail.

use sterna_account::answered::Trouble;
use sterna_account::scripts::{self, ScriptLimits};
use sterna_account::{Account, ContainerKind};

use super::flaky::Fault;
use super::*;
use crate::queue::{Content, DeliveryId, Filter, Listed};
use InboundProtocol::{Lmtp, Smtp};

const LIMITS: ScriptLimits = ScriptLimits { script_bytes: 64 * 1024, scripts: 10 };
const CONTENT: &str = "From: Eve <sender@other.test>\r\nTo: ana@demo.test\r\nSubject: Terns\r\n\
                       Message-ID: <1@other.test>\r\n\r\nThey fly far.\r\n";

impl World {
    async fn script(&self, id: AccountId, text: &str) {
        let account = self.local.open(id).await.unwrap();
        scripts::put(&*account, "main", text.to_owned().into(), LIMITS).await.unwrap();
        scripts::activate(&*account, Some("main")).await.unwrap();
    }

    /// Messages in a mailbox of this name; none when there is none.
    async fn mailbox(&self, id: AccountId, name: &str) -> Vec<Item> {
        let account: Arc<dyn Account> = self.local.open(id).await.unwrap();
        let found = account.containers_on_path(ContainerKind::Mail, &[name.to_owned()]).await.unwrap();
        let Some(container) = found.first() else { return Vec::new() };
        let parts = ItemParts { body: true, ..ItemParts::default() };
        account.items(container.id, &UidSet::all(), parts, 100).await.unwrap()
    }

    async fn trouble(&self, id: AccountId) -> Option<String> {
        let account = self.local.open(id).await.unwrap();
        Trouble::read(&*account).await.unwrap().map(|trouble| trouble.text)
    }

    /// What waits in the queue.
    async fn sent(&self) -> Vec<(Listed, String)> {
        let mut sent = Vec::new();
        for listed in self.queue.list(Filter::default(), DeliveryId(0), 100).await.unwrap() {
            let content = match self.queue.content(listed.id).await.unwrap() {
                Some(Content::Inline(bytes)) => bytes.to_vec(),
                Some(Content::File(path)) => std::fs::read(path).unwrap(),
                None => Vec::new(),
            };
            sent.push((listed, String::from_utf8(content).unwrap()));
        }
        sent
    }
}

#[tokio::test]
async fn mail_is_filed_with_flags_where_the_script_says() {
    let world = World::new().await;
    world.deliver(Lmtp, &["ana@demo.test"], CONTENT).await;
    world
        .script(
            ANA,
            "require [\"fileinto\",\"imap4flags\",\"mailbox\",\"special-use\",\"copy\"];\r\n\
             fileinto :create :flags [\"\\\\Seen\",\"$bird\"] \"Birds/Terns\";\r\n\
             fileinto :copy :specialuse \"\\\\Archive\" \"nowhere\";\r\n",
        )
        .await;
    assert_eq!(codes(&world.deliver(Lmtp, &["ana@demo.test", "ben@demo.test"], CONTENT).await), [250, 250]);
    assert_eq!(world.counts().await, [1, 1, 0]);
    assert_eq!(world.mailbox(ANA, "Archive").await.len(), 1);
    let account = world.local.open(ANA).await.unwrap();
    let path = ["Birds".to_owned(), "Terns".to_owned()];
    let found = account.containers_on_path(ContainerKind::Mail, &path).await.unwrap();
    assert_eq!((found.len(), found[1].counts.items, found[1].counts.unseen), (2, 1, 0));
    assert_eq!(found[1].keywords[0].as_str(), "$bird");
    // Another script holds from the next message on, and so does none.
    world.script(ANA, "discard;").await;
    assert_eq!(codes(&world.deliver(Lmtp, &["ana@demo.test"], CONTENT).await), [250]);
    assert_eq!(world.counts().await, [1, 1, 0]);
    scripts::activate(&*world.local.open(ANA).await.unwrap(), None).await.unwrap();
    world.deliver(Lmtp, &["ana@demo.test"], CONTENT).await;
    assert_eq!(world.counts().await, [2, 1, 0]);
    assert!(world.sent().await.is_empty());
    world.check().await;
}

#[tokio::test]
async fn who_has_no_script_costs_one_call() {
    let world = World::new().await;
    world.deliver(Lmtp, &["ana@demo.test"], CONTENT).await;
    let before = world.flaky.calls();
    world.deliver(Lmtp, &["ana@demo.test"], CONTENT).await;
    assert_eq!(world.flaky.calls() - before, 1, "the commit itself");
}

#[tokio::test]
async fn a_script_that_fails_keeps_the_mail_and_its_owner_is_told() {
    let world = World::new().await;
    world.script(ANA, "require \"fileinto\"; fileinto \"Missing\";").await;
    world.deliver(Lmtp, &["ana@demo.test"], CONTENT).await;
    assert_eq!(world.counts().await, [1, 0, 0]);
    assert_eq!(world.trouble(ANA).await.as_deref(), Some("there is no mailbox \"Missing\""));
    world.script(ANA, "this is no script").await;
    world.deliver(Lmtp, &["ana@demo.test"], CONTENT).await;
    assert_eq!(world.counts().await, [2, 0, 0]);
    assert!(world.trouble(ANA).await.is_some_and(|text| text.contains("line 1")));
    // What no mailbox can take is no reason to lose mail either.
    let flags: Vec<String> = (0..200).map(|n| format!("\"k{n}\"")).collect();
    let script = format!("require \"imap4flags\"; keep :flags [{}];", flags.join(","));
    world.script(ANA, &script).await;
    world.deliver(Lmtp, &["ana@demo.test"], CONTENT).await;
    assert_eq!(world.counts().await, [3, 0, 0]);
    world.check().await;
}

#[tokio::test]
async fn a_sender_is_answered_once_in_a_while() {
    let world = World::new().await;
    world.script(ANA, "require \"vacation\"; vacation :days 3 :subject \"Away\" \"I am away.\";").await;
    for _ in 0..3 {
        assert_eq!(codes(&world.deliver(Smtp, &["ana@demo.test"], CONTENT).await), [250]);
    }
    assert_eq!(world.counts().await, [3, 0, 0]);
    let sent = world.sent().await;
    assert_eq!(sent.len(), 1);
    let (listed, content) = &sent[0];
    assert_eq!(listed.sender, "");
    for field in [
        "From: <ana@demo.test>",
        "To: <sender@other.test>",
        "Subject: Away",
        "In-Reply-To: <1@other.test>",
        "References: <1@other.test>",
        "Auto-Submitted: auto-replied",
    ] {
        assert!(content.contains(&format!("\r\n{field}\r\n")), "{field} in {content}");
    }
    assert!(content.ends_with("\r\n\r\nI am away.\r\n"), "{content}");
    world.clock.advance_ms(3 * 24 * 3600 * 1000 + 1);
    world.deliver(Smtp, &["ana@demo.test"], CONTENT).await;
    assert_eq!(world.sent().await.len(), 2);
    let list = CONTENT.replace("Subject:", "List-Id: <birds.other.test>\r\nSubject:");
    world.clock.advance_ms(4 * 24 * 3600 * 1000);
    world.deliver(Smtp, &["ana@demo.test"], &list).await;
    assert_eq!(world.sent().await.len(), 2);
    world.check().await;
}

#[tokio::test]
async fn senders_that_write_at_the_same_time_are_answered_once() {
    let world = Arc::new(World::new().await);
    world.script(ANA, "require \"vacation\"; vacation \"I am away.\";").await;
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let world = world.clone();
        senders.spawn(async move { codes(&world.deliver(Smtp, &["ana@demo.test"], CONTENT).await) });
    }
    while let Some(joined) = senders.join_next().await {
        assert_eq!(joined.unwrap(), [250]);
    }
    assert_eq!((world.counts().await, world.sent().await.len()), ([8, 0, 0], 1));
}

#[tokio::test]
async fn mail_is_sent_on_under_an_address_that_leads_back() {
    let world = World::new().await;
    world.script(ANA, "redirect \"bird@else.test\";").await;
    assert_eq!(codes(&world.deliver(Smtp, &["ana@demo.test"], CONTENT).await), [250]);
    assert_eq!(world.counts().await, [0, 0, 0]);
    let sent = world.sent().await;
    let (listed, content) = &sent[0];
    assert!(listed.sender.starts_with("SRS0=") && listed.sender.ends_with("=other.test=sender@demo.test"));
    let srs = Srs::new(["secret"]);
    assert_eq!(srs.reverse(&listed.sender, world.clock.now()).as_deref(), Some("sender@other.test"));
    assert!(content.contains("Delivered-To: ana@demo.test\r\n") && content.ends_with("They fly far.\r\n"), "{content}");
    // What comes back from there is not sent there again.
    let again = format!("Delivered-To: ana@demo.test\r\n{CONTENT}");
    assert_eq!(codes(&world.deliver(Smtp, &["ana@demo.test"], &again).await), [250]);
    assert_eq!((world.counts().await, world.sent().await.len()), ([1, 0, 0], 1));
    assert!(world.trouble(ANA).await.is_some_and(|text| text.contains("circles")));
    world.check().await;
}

#[tokio::test]
async fn what_is_redirected_to_nobody_of_ours_stays() {
    let world = World::new().await;
    for (at, address) in
        ["nosuch@demo.test", "away@demo.test", "nobody@demo.test", "closed@demo.test"].iter().enumerate()
    {
        world.script(ANA, &format!("redirect \"{address}\";")).await;
        assert_eq!(codes(&world.deliver(Smtp, &["ana@demo.test"], CONTENT).await), [250]);
        assert_eq!(world.counts().await, [at + 1, 0, 0], "{address}");
        assert!(world.trouble(ANA).await.is_some_and(|text| text.contains(address)));
    }
    world.script(ANA, "redirect \"broken@demo.test\";").await;
    assert_eq!(codes(&world.deliver(Smtp, &["ana@demo.test"], CONTENT).await), [451]);
    assert_eq!((world.counts().await, world.sent().await.len()), ([4, 0, 0], 0));
    world.check().await;
}

#[tokio::test]
async fn groups_are_not_answered() {
    let world = World::new().await;
    world.script(ANA, "require \"vacation\"; vacation \"I am away.\";").await;
    for (mail_from, answers) in [("staff@demo.test", 0), ("ben@demo.test", 1)] {
        let envelope = Envelope { mail_from: mail_from.into(), ..envelope(Smtp, &["ana@demo.test"], mail_from) };
        let message = world.message(CONTENT.as_bytes().to_vec());
        assert_eq!(codes(&world.flow.deliver(envelope, message).await), [250]);
        assert_eq!(world.sent().await.len(), answers, "{mail_from}");
    }
    assert_eq!(world.counts().await, [2, 0, 0]);
}

#[tokio::test]
async fn a_delivery_that_is_tried_again_sends_nothing_twice() {
    let world = World::new().await;
    world
        .script(ANA, "require [\"vacation\",\"copy\"]; redirect :copy \"bird@else.test\"; vacation \"I am away.\";")
        .await;
    // The commit is done and its answer is lost: the sender comes again.
    world.flaky.fail(ANA, Fault::LostAnswer);
    assert_eq!(codes(&world.deliver(Smtp, &["ana@demo.test"], CONTENT).await), [451]);
    world.flaky.mend();
    assert_eq!(codes(&world.deliver(Smtp, &["ana@demo.test"], CONTENT).await), [250]);
    let to_bird = world.sent().await.iter().filter(|(listed, _)| listed.sender.starts_with("SRS0=")).count();
    assert_eq!((world.counts().await, to_bird), ([1, 0, 0], 1));
    world.check().await;
}

#[tokio::test]
async fn what_is_rejected_is_refused_while_the_sender_listens() {
    let world = World::new().await;
    world.script(ANA, "require \"reject\"; reject \"No birds,\r\nplease\";").await;
    for protocol in [Lmtp, Smtp] {
        let answers = world.deliver(protocol, &["ana@demo.test"], CONTENT).await;
        assert_eq!(codes(&answers), [550]);
        assert_eq!(answers[0].as_ref().unwrap_err().text, "No birds, please");
    }
    let answers = world.deliver(Lmtp, &["ana@demo.test", "ben@demo.test"], CONTENT).await;
    assert_eq!(codes(&answers), [550, 250]);
    assert_eq!(world.counts().await, [0, 1, 0]);
    world.check().await;
}

#[tokio::test]
async fn a_changed_header_is_in_the_mailbox_and_the_original_is_not() {
    let world = World::new().await;
    world.script(ANA, "require \"editheader\"; deleteheader \"Subject\"; addheader \"Subject\" \"Gulls\";").await;
    world.deliver(Lmtp, &["ana@demo.test"], CONTENT).await;
    let items = world.items(ANA).await;
    let body = String::from_utf8(items[0].body.clone().unwrap().to_vec()).unwrap();
    assert!(body.contains("Subject: Gulls\r\n") && !body.contains("Terns") && body.ends_with("They fly far.\r\n"));
    assert!(items[0].summary.as_ref().is_some_and(|summary| !summary.is_empty()));
    world.check().await;
}

#[tokio::test]
async fn scripts_see_large_messages() {
    let world = World::new().await;
    world
        .script(
            ANA,
            "require [\"fileinto\",\"mailbox\",\"editheader\"]; if size :over 300K { addheader \"X-Large\" \"yes\"; \
             fileinto :create \"Large\"; redirect \"bird@else.test\"; }",
        )
        .await;
    let body = [b"Subject: large\r\n\r\n".as_slice(), &b"0123456789\r\n".repeat(60_000)].concat();
    let message = world.message(body.clone());
    let answers = world.flow.deliver(envelope(Lmtp, &["ana@demo.test"], "large"), message).await;
    assert_eq!(codes(&answers), [250]);
    let filed = world.mailbox(ANA, "Large").await;
    assert_eq!(filed.len(), 1);
    let stored = blob(&world, ANA, &filed[0]).await;
    assert!(stored.starts_with(b"X-Large: yes\r\n") && stored.len() == body.len() + 14);
    assert!(world.sent().await[0].1.len() > body.len());
    world.check().await;
}

#[tokio::test]
async fn others_scripts_are_included() {
    let world = World::new().await;
    let account = world.local.open(ANA).await.unwrap();
    let part = "require [\"fileinto\",\"mailbox\"]; fileinto :create \"Part\";";
    scripts::put(&*account, "part", part.into(), LIMITS).await.unwrap();
    world.script(ANA, "require \"include\"; include :personal \"part\"; include :optional \"none\";").await;
    world.deliver(Lmtp, &["ana@demo.test"], CONTENT).await;
    assert_eq!((world.mailbox(ANA, "Part").await.len(), world.counts().await), (1, [0, 0, 0]));
    let other = "require [\"fileinto\",\"mailbox\"]; fileinto :create \"Other\";";
    scripts::put(&*account, "part", other.into(), LIMITS).await.unwrap();
    world.deliver(Lmtp, &["ana@demo.test"], CONTENT).await;
    assert_eq!(world.mailbox(ANA, "Other").await.len(), 1);
}

#[tokio::test]
async fn what_came_before_is_known() {
    let world = World::new().await;
    world.script(ANA, "require \"duplicate\"; if duplicate { discard; }").await;
    for _ in 0..2 {
        world.deliver(Lmtp, &["ana@demo.test"], CONTENT).await;
    }
    world.deliver(Lmtp, &["ana@demo.test"], &CONTENT.replace("<1@", "<2@")).await;
    assert_eq!(world.counts().await, [2, 0, 0]);
}
