//! Nodes that hang: their connections stay open, and nothing comes back. Worse than dead ones, which refuse at once.

use std::time::{Duration, Instant};

use sterna_cluster::limits::{CONNECT_TIMEOUT_MS, HOLD_MS_MAX, PING_INTERVAL_MS, PING_TIMEOUT_MS};
use sterna_testkit::imap::{Answer, Imap};
use sterna_testkit::installation::{Doors, Installation, Place};
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const MESSAGE: &[u8] = b"From: sender@client.test\r\nSubject: one of many\r\n\r\nThe terns are back.\r\n";

/// When a hanging node must have been noticed and its users told: the ping that isn't answered, one more connection,
/// the wait for a better answer, and a second for two busy cores.
const NOTICED_WITHIN: Duration =
    Duration::from_millis(PING_INTERVAL_MS + PING_TIMEOUT_MS + CONNECT_TIMEOUT_MS + HOLD_MS_MAX + 1_000);

/// What users of other nodes call at once. A test machine is slow, but no timeout fits into this.
const AT_ONCE: Duration = Duration::from_millis(CONNECT_TIMEOUT_MS);

/// How long a node that goes on may take until its users are served.
const SERVED_WITHIN: Duration = Duration::from_secs(20);

/// Deliveries and sessions that wait for the hanging node while others are served.
const WAITING: usize = 40;

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

fn select(imap: &mut Imap) -> Answer {
    imap.command("SELECT INBOX").unwrap()
}

fn count(imap: &mut Imap) -> usize {
    let answer = select(imap);
    let exists = answer.lines.iter().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS"));
    exists.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

/// A log-in, a look into the mailbox and a delivery; everything at once.
fn is_served_at_once(edge: Doors, user: &str) {
    let ((), took) = timed(|| {
        assert!(edge.lmtp().unwrap().send(&[user], MESSAGE, 1).unwrap()[0].starts_with("250"));
        let mut imap = edge.login(user).unwrap();
        assert!(select(&mut imap).ok());
        assert!(imap.command("FETCH * (FLAGS ENVELOPE BODY.PEEK[])").unwrap().ok());
    });
    assert!(took < AT_ONCE, "{user} waited {took:?}");
}

#[test]
fn a_data_server_that_hangs_hurts_its_own_users_only() {
    let installation = Installation::standard();
    let edge = installation.node("main").at;
    let mut before = edge.login(BEN).unwrap();
    assert_eq!(count(&mut before), 0);
    installation.freeze("beta");

    let mut lmtp = edge.lmtp().unwrap();
    let (replies, took) = timed(|| lmtp.send(&[ANA, BEN], MESSAGE, 2).unwrap());
    assert!(replies[0].starts_with("250"), "{replies:?}");
    assert!(replies[1].starts_with("451 4."), "{replies:?}");
    assert!(took < NOTICED_WITHIN, "the sender waited {took:?}");

    // The session that was there is told so, and so is a new one.
    for imap in [&mut before, &mut edge.login(BEN).unwrap()] {
        let (answer, took) = timed(|| select(imap));
        assert!(answer.status.starts_with("NO [UNAVAILABLE]"), "{answer:?}");
        assert!(took < NOTICED_WITHIN, "ben waited {took:?}");
    }
    std::thread::scope(|scope| {
        for _ in 0..WAITING {
            scope.spawn(|| edge.lmtp().unwrap().send(&[BEN], MESSAGE, 1).unwrap());
            scope.spawn(|| select(&mut edge.login(BEN).unwrap()));
        }
        is_served_at_once(edge, ANA);
    });

    installation.thaw("beta");
    until("ben is served again in the same session", SERVED_WITHIN, || select(&mut before).ok().then_some(()));
    is_served_at_once(edge, BEN);
}

#[test]
fn a_message_for_a_hanging_server_and_another_one_waits_here_and_is_not_doubled() {
    let installation = Installation::standard();
    let edge = installation.node("main").at;
    installation.freeze("beta");
    // SMTP has one reply for all recipients: nobody may lose the message, nobody may get it twice.
    let replies = edge.smtp().unwrap().send(&[ANA, BEN], MESSAGE, 1).unwrap();
    assert!(replies[0].starts_with("250"), "{replies:?}");
    assert_eq!(count(&mut edge.login(ANA).unwrap()), 1);
    let waiting = installation.admin_ok("main", &["queue", "list"]);
    assert!(waiting.contains(BEN) && !waiting.contains(ANA), "{waiting}");
    installation.thaw("beta");
    until("the queue is empty", SERVED_WITHIN, || {
        (!installation.admin_ok("main", &["queue", "list"]).contains(BEN)).then_some(())
    });
    for user in [ANA, BEN] {
        assert_eq!(count(&mut edge.login(user).unwrap()), 1, "messages of {user}");
    }
}

#[test]
fn log_ins_and_delivery_go_on_while_the_main_node_hangs() {
    let mut installation = Installation::standard();
    installation.join_and_serve("edge", "edge", Place::default());
    let edge = installation.node("edge").at;
    until("the edge knows ben", SERVED_WITHIN, || edge.login(BEN).ok().map(drop));
    installation.freeze("main");
    is_served_at_once(edge, ANA);
    is_served_at_once(edge, BEN);

    // A change needs the main node; whoever asks for one is told in time, and by name.
    let (refused, took) = timed(|| installation.admin("edge", &["domain", "create", "other.test"]));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("main"), "{text}");
    assert!(took < NOTICED_WITHIN, "the administrator waited {took:?}");

    // Nodes start without it, and know everybody.
    installation.kill("edge");
    installation.kill("beta");
    installation.serve("edge");
    installation.serve("beta");
    until("ben is served", SERVED_WITHIN, || {
        edge.login(BEN).is_ok_and(|mut imap| select(&mut imap).ok()).then_some(())
    });
    is_served_at_once(edge, ANA);
    is_served_at_once(edge, BEN);

    installation.thaw("main");
    installation.admin_ok("main", &["domain", "create", "other.test"]);
    until("the edge follows again", SERVED_WITHIN, || {
        installation.admin("edge", &["domain", "get", "other.test"]).status.success().then_some(())
    });
}
