//! Lessons from movements of real accounts, for an rspamd that says what it is told to.

use std::sync::Arc;

use sterna_account::service::InboundProtocol::Smtp;
use sterna_account::{Content, Mutation, NewItem};
use sterna_base::{AccountId, Clock, OperationId, Secret};

use super::*;
use crate::filter::Endpoint;
use crate::filter::tests::peer::{Manner, Peer};
use crate::tests::{ANA, World};

const MAIL: &str = "Subject: x\r\n\r\nThe terns.\r\n";

struct School {
    world: World,
    learning: Arc<Learning>,
    _set: watch::Sender<Option<LearnSettings>>,
}

fn settings(endpoint: Endpoint) -> LearnSettings {
    LearnSettings { endpoint, password: Some(Secret::new("sesame")), authorities: None }
}

fn says(status: &str) -> Manner {
    let say = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}").into();
    Manner::Answer { until: b"The terns.\r\n", say }
}

impl School {
    async fn new(peer: &Peer) -> Self {
        let world = World::new().await;
        let (set, read) = watch::channel(Some(settings(peer.endpoint.clone())));
        let learning = open(&world, read);
        world.local.tell_of_movements(learning.clone());
        School { world, learning, _set: set }
    }

    async fn container(&self, special_use: SpecialUse) -> ContainerId {
        let containers = self.world.local.open(ANA).await.unwrap().containers().await.unwrap();
        containers.into_iter().find(|one| one.special_use == Some(special_use)).unwrap().id
    }

    /// Moves everything from one mailbox to another, and writes down what there is to learn; how many messages.
    async fn put(&self, from: SpecialUse, to: SpecialUse) -> usize {
        let (from, to) = (self.container(from).await, self.container(to).await);
        let copy = Mutation::Copy { from, uids: UidSet::all(), to, expunge: true };
        let account = self.world.local.open(ANA).await.unwrap();
        account.commit(OperationId::random(), vec![copy]).await.unwrap();
        self.note().await
    }

    async fn note(&self) -> usize {
        let mut count = 0;
        while let Ok(movement) = self.learning.heard.lock().await.try_recv() {
            count += self.learning.note(movement).await.unwrap();
        }
        count
    }

    async fn teach(&self, peer: &Peer) -> Duration {
        self.learning.round(&Teacher::new(settings(peer.endpoint.clone()))).await.unwrap()
    }
}

fn open(world: &World, settings: watch::Receiver<Option<LearnSettings>>) -> Arc<Learning> {
    let (file, clock) = (world.folder.path().join("learning.sqlite"), Arc::new(world.clock.clone()));
    Arc::new(Learning::open(&file, world.local.clone(), settings, clock).unwrap())
}

/// What a peer heard: the path and the body of each request.
fn heard(peer: &Peer) -> Vec<(String, String)> {
    let heard = std::mem::take(&mut *peer.heard.lock());
    let one = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.to_lowercase().contains("\r\npassword: sesame"), "{head}");
        (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
    };
    heard.into_iter().map(one).collect()
}

#[tokio::test]
async fn into_junk_is_spam_and_out_of_it_is_not() {
    use SpecialUse::{Archive, Inbox, Junk, Trash};
    let peer = Peer::new(vec![says("200 OK")]).await;
    let school = School::new(&peer).await;
    school.world.deliver(Smtp, &["ana@demo.test"], MAIL).await;
    assert_eq!(school.put(Inbox, Archive).await, 0);
    assert_eq!(school.put(Archive, Junk).await, 1);
    assert!(school.teach(&peer).await <= Duration::from_millis(DELAY_MS as u64), "not yet");
    assert_eq!(heard(&peer), []);
    school.world.clock.advance_ms(DELAY_MS);
    school.teach(&peer).await;
    let taught = heard(&peer);
    assert_eq!((taught.len(), &*taught[0].0), (1, "/learnspam"));
    assert!(taught[0].1.ends_with(MAIL), "{taught:?}");
    assert_eq!(school.put(Junk, Inbox).await, 1);
    school.world.clock.advance_ms(DELAY_MS);
    school.teach(&peer).await;
    assert_eq!(heard(&peer)[0].0, "/learnham");
    // Whoever throws spam away says nothing of it, and who takes something back in time has said the last word.
    assert_eq!((school.put(Inbox, Junk).await, school.put(Junk, Inbox).await), (1, 1));
    school.world.clock.advance_ms(DELAY_MS);
    school.teach(&peer).await;
    let taught = heard(&peer);
    assert_eq!((taught.len(), &*taught[0].0), (1, "/learnham"));
    school.put(Inbox, Junk).await;
    school.world.clock.advance_ms(DELAY_MS);
    school.teach(&peer).await;
    heard(&peer);
    assert_eq!(school.put(Junk, Trash).await, 0);
}

#[tokio::test]
async fn what_filters_put_into_junk_is_not_learned() {
    let peer = Peer::new(vec![says("200 OK")]).await;
    let school = School::new(&peer).await;
    let container = school.container(SpecialUse::Junk).await;
    let item = NewItem { name: None, ..NewItem::named("", Content::Inline(MAIL.into())) };
    let account = school.world.local.open(ANA).await.unwrap();
    account.commit(OperationId::random(), vec![Mutation::Append { container, item }]).await.unwrap();
    assert_eq!(school.note().await, 0);
}

#[tokio::test]
async fn lessons_wait_for_rspamd_also_through_a_restart() {
    let (away, refusing) = (Peer::new(vec![Manner::Drop]).await, Peer::new(vec![says("500 no")]).await);
    let peer = Peer::new(vec![says("208 known")]).await;
    let school = School::new(&away).await;
    school.world.deliver(Smtp, &["ana@demo.test"], MAIL).await;
    school.put(SpecialUse::Inbox, SpecialUse::Junk).await;
    school.world.clock.advance_ms(DELAY_MS);
    assert_eq!(school.teach(&away).await, DOWN_PAUSE);
    let now = school.world.clock.now();
    let again = open(&school.world, school.learning.settings.clone());
    assert_eq!(again.store.due(now, 10).await.unwrap().len(), 1);
    let teacher = |peer: &Peer| Teacher::new(settings(peer.endpoint.clone()));
    // What it refuses is tried later, and the others meanwhile.
    again.round(&teacher(&refusing)).await.unwrap();
    assert_eq!(again.store.due(now, 10).await.unwrap(), []);
    school.world.clock.advance_ms(RETRY_MS);
    again.round(&teacher(&peer)).await.unwrap();
    assert_eq!((heard(&peer).len(), again.store.next().await.unwrap()), (1, None));
}

#[tokio::test]
async fn what_can_not_be_taught_for_long_is_forgotten() {
    let peer = Peer::new(vec![says("500 no")]).await;
    let school = School::new(&peer).await;
    school.world.deliver(Smtp, &["ana@demo.test"], MAIL).await;
    school.put(SpecialUse::Inbox, SpecialUse::Junk).await;
    school.world.clock.advance_ms(KEPT_MS);
    school.teach(&peer).await;
    assert_eq!(school.learning.store.next().await.unwrap(), None);
    // And so is what is about an account that is gone.
    let row = (AccountId(99), sterna_base::BlobHash::of(b"x"), 1);
    school.learning.store.add(vec![row], Lesson::Ham, school.world.clock.now()).await.unwrap();
    school.world.clock.advance_ms(DELAY_MS);
    school.teach(&peer).await;
    assert_eq!(school.learning.store.next().await.unwrap(), None);
}

#[tokio::test]
async fn nobody_listens_while_it_is_off() {
    let peer = Peer::new(vec![Manner::Drop]).await;
    let school = School::new(&peer).await;
    school._set.send_replace(None);
    school.world.deliver(Smtp, &["ana@demo.test"], MAIL).await;
    assert_eq!(school.put(SpecialUse::Inbox, SpecialUse::Junk).await, 0);
}
