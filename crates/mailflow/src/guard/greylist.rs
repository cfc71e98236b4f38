//! Greylisting (RFC 6647): who was never heard of is told to come again later; real mail servers do.
//!
//! What is known is in a file of this edge's own, which one thread reads and writes. It is not flushed for each
//! message: what a power cut takes costs a delay. When it can't be used, everybody is let in.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use sterna_base::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::greylist_read::Reading;
use super::greylist_store::{GreylistError, Store, Written};

/// Questions that wait for the file.
const WAITING_MAX: usize = 10_000;
/// Questions that are answered in one transaction.
const BATCH_MAX: usize = 1000;
/// How often it is said at most that the file can't be used: one failure of so many.
const FAILURES_TOLD_EVERY: u64 = 1000;

/// Who wants to write to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Triple {
    /// The client's network: a server may have many addresses.
    pub network: String,
    /// The reverse-path, without what changes from message to message.
    pub sender: String,
    /// The recipient.
    pub recipient: String,
}

impl Triple {
    /// Of a client, a reverse-path and a recipient.
    pub fn new(peer: IpAddr, mail_from: &str, recipient: &str) -> Self {
        let network = network(peer);
        Triple { network, sender: steady(mail_from), recipient: recipient.to_lowercase() }
    }
}

/// How long senders wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    /// After their first try.
    pub delay_ms: i64,
    /// And not longer than this.
    pub window_ms: i64,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Let it in.
    Pass,
    /// Tell it to come again.
    Wait {
        /// After so long, in milliseconds.
        ms: i64,
    },
}

/// Tells somebody what was found out.
type Telling = Box<dyn FnOnce() + Send>;

/// Something to be done with the file.
type Work = Box<dyn FnOnce(&mut Written<'_>) -> Result<Telling, rusqlite::Error> + Send>;

/// What mail asks: many of these are answered in one transaction.
enum Question {
    Check(Triple, Delays, Timestamp, oneshot::Sender<Answer>),
    Good(String, Timestamp),
}

/// What the thread is asked.
enum Request {
    Mail(Question),
    Other(Work),
}

/// See the module. It ends with the last handle.
pub struct Greylist {
    requests: mpsc::Sender<Request>,
    /// For what looks through the whole file: mail does not wait for that.
    reading: Arc<Mutex<Reading>>,
}

impl Greylist {
    /// Opens the file or makes it, and starts the thread. Blocks.
    ///
    /// # Errors
    /// [`GreylistError`].
    pub fn open(path: &Path) -> Result<Self, GreylistError> {
        let store = Store::open(path)?;
        let reading = Arc::new(Mutex::new(Reading::open(path)?));
        let (requests, received) = mpsc::channel(WAITING_MAX);
        std::thread::Builder::new().name("greylist".into()).spawn(move || serve(store, received))?;
        Ok(Greylist { requests, reading })
    }

    /// Whether a message may come in now.
    pub async fn check(&self, triple: Triple, delays: Delays, now: Timestamp) -> Answer {
        let (reply, answered) = oneshot::channel();
        if self.requests.send(Request::Mail(Question::Check(triple, delays, now, reply))).await.is_err() {
            return Answer::Pass;
        }
        answered.await.unwrap_or(Answer::Pass)
    }

    /// Does something with the file; `None` when it can't be used.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Written<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Option<T> {
        let (reply, answered) = oneshot::channel();
        let work: Work = Box::new(move |written| {
            let done = work(written)?;
            // Who asked may be gone.
            Ok(Box::new(move || drop(reply.send(done))))
        });
        self.requests.send(Request::Other(work)).await.ok()?;
        answered.await.ok()
    }

    /// Looks through the file, with everything in it that was asked before; `None` when it can't be used.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reading) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Option<T> {
        self.work(|_| Ok(())).await?;
        let reading = self.reading.clone();
        let found = tokio::task::spawn_blocking(move || read(&reading.lock())).await.ok()?;
        found.inspect_err(|error| tracing::warn!(%error, "the greylist can't be looked through")).ok()
    }

    /// A client is a real mail server: it need not wait any more.
    pub fn note_good(&self, peer: IpAddr, now: Timestamp) {
        // When there is no room it is noted another time.
        let _ = self.requests.try_send(Request::Mail(Question::Good(network(peer), now)));
    }
}

fn serve(mut store: Store, mut requests: mpsc::Receiver<Request>) {
    let mut failures = 0_u64;
    while let Some(first) = requests.blocking_recv() {
        let (mut questions, mut other, mut next) = (Vec::new(), None, Some(first));
        while let Some(request) = next {
            match request {
                Request::Mail(question) => questions.push(question),
                // In its order, and in a transaction of its own: when it fails, those who ask get their answers.
                Request::Other(work) => {
                    other = Some(work);
                    break;
                }
            }
            next = if questions.len() < BATCH_MAX { requests.try_recv().ok() } else { None };
        }
        let answered = if questions.is_empty() { Ok(()) } else { answer(&mut store, questions) };
        let done = other.map_or(Ok(()), |work| carry_out(&mut store, work));
        for error in [answered, done].into_iter().filter_map(Result::err) {
            // Those who ask hear nothing, and let it in.
            if failures.is_multiple_of(FAILURES_TOLD_EVERY) {
                tracing::warn!(%error, "the greylist can't be used; mail is let in without it");
            }
            failures += 1;
        }
    }
}

/// Nobody is answered before what was found out is written down.
fn answer(store: &mut Store, questions: Vec<Question>) -> Result<(), GreylistError> {
    let mut answers = Vec::new();
    store.in_transaction(|written| {
        for question in questions {
            match question {
                Question::Check(triple, delays, now, reply) => {
                    answers.push((reply, written.check(&triple, delays, now)?));
                }
                Question::Good(network, now) => written.good(&network, now)?,
            }
        }
        Ok(())
    })?;
    for (reply, answer) in answers {
        // Who asked may be gone.
        let _ = reply.send(answer);
    }
    Ok(())
}

fn carry_out(store: &mut Store, work: Work) -> Result<(), GreylistError> {
    let mut told = None;
    store.in_transaction(|written| {
        told = Some(work(written)?);
        Ok(())
    })?;
    if let Some(tell) = told {
        tell();
    }
    Ok(())
}

/// Servers that share mail between them are in one network: /24 of IPv4, /64 of IPv6.
fn network(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits() & (u128::MAX << 64);
            format!("{}/64", std::net::Ipv6Addr::from_bits(bits))
        }
    }
}

/// A reverse-path without details and numbers: lists and services have another one for each message.
fn steady(mail_from: &str) -> String {
    let (local, domain) = mail_from.rsplit_once('@').unwrap_or((mail_from, ""));
    let local = local.split(['+', '=']).next().unwrap_or_default();
    let mut steady = String::with_capacity(local.len());
    for c in local.chars() {
        match c {
            '0'..='9' if steady.ends_with('#') => {}
            '0'..='9' => steady.push('#'),
            c => steady.extend(c.to_lowercase()),
        }
    }
    format!("{steady}@{}", domain.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::greylist_store::{GOOD_AFTER, KEPT_MS};
    use super::*;

    const DELAYS: Delays = Delays { delay_ms: 300_000, window_ms: 3_600_000 };

    fn triple(peer: &str, sender: &str) -> Triple {
        Triple::new(peer.parse().unwrap(), sender, "Ana@demo.test")
    }

    #[test]
    fn what_changes_does_not_count() {
        assert_eq!(triple("192.0.2.7", "news-1234@Far.test"), triple("192.0.2.99", "NEWS-9@far.test"));
        assert_eq!(triple("2001:db8::7", "a+x=y@far.test").network, "2001:db8::/64");
        assert_ne!(triple("192.0.2.7", "a@far.test"), triple("192.0.3.7", "a@far.test"));
        assert_eq!(triple("::ffff:192.0.2.7", "").sender, "@");
    }

    #[tokio::test]
    async fn who_comes_again_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("greylist.sqlite");
        let greylist = Greylist::open(&path).unwrap();
        let check = async |ms: i64| greylist.check(triple("192.0.2.7", "a@far.test"), DELAYS, Timestamp(ms)).await;
        assert_eq!(check(0).await, Answer::Wait { ms: 300_000 });
        assert_eq!(check(100_000).await, Answer::Wait { ms: 200_000 });
        let other = greylist.check(triple("192.0.2.7", "b@far.test"), DELAYS, Timestamp(1)).await;
        assert_eq!(other, Answer::Wait { ms: 300_000 }, "another sender waits for itself");
        assert_eq!(check(300_000).await, Answer::Pass);
        drop(greylist);
        let greylist = Greylist::open(&path).unwrap();
        let check = async |ms: i64| greylist.check(triple("192.0.2.9", "a@far.test"), DELAYS, Timestamp(ms)).await;
        assert_eq!(check(300_000 + KEPT_MS - 1).await, Answer::Pass, "it is remembered after a restart");
        assert_eq!(check(300_000 + 3 * KEPT_MS).await, Answer::Wait { ms: 300_000 }, "and not for ever");
    }

    #[tokio::test]
    async fn work_that_fails_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let greylist = Greylist::open(&folder.path().join("g")).unwrap();
        let check = async |ms: i64| greylist.check(triple("192.0.2.7", "a@far.test"), DELAYS, Timestamp(ms)).await;
        // Handed over at once, so that the thread finds them together.
        let fails = || greylist.work(|written| written.tx.execute("nonsense", []));
        let (first, failed, second) = tokio::join!(biased; check(0), fails(), check(1));
        assert_eq!((first, failed, second), (Answer::Wait { ms: 300_000 }, None, Answer::Wait { ms: 299_999 }));
    }

    #[tokio::test]
    async fn who_comes_too_late_begins_again() {
        let folder = tempfile::tempdir().unwrap();
        let greylist = Greylist::open(&folder.path().join("g")).unwrap();
        let check = async |ms: i64| greylist.check(triple("192.0.2.7", "a@far.test"), DELAYS, Timestamp(ms)).await;
        assert_eq!(check(0).await, Answer::Wait { ms: 300_000 });
        assert_eq!(check(3_600_001).await, Answer::Wait { ms: 300_000 });
        assert_eq!(check(3_900_001).await, Answer::Pass);
    }

    #[tokio::test]
    async fn good_clients_do_not_wait() {
        let folder = tempfile::tempdir().unwrap();
        let greylist = Greylist::open(&folder.path().join("g")).unwrap();
        for number in 0..GOOD_AFTER {
            let one = triple("192.0.2.7", &format!("{}@far.test", "a".repeat(number as usize + 1)));
            assert!(matches!(greylist.check(one.clone(), DELAYS, Timestamp(0)).await, Answer::Wait { .. }));
            assert_eq!(greylist.check(one, DELAYS, Timestamp(300_000)).await, Answer::Pass);
        }
        let new = triple("192.0.2.8", "new@far.test");
        assert_eq!(greylist.check(new.clone(), DELAYS, Timestamp(300_001)).await, Answer::Pass);
        let from_elsewhere = triple("198.51.100.1", "new@far.test");
        assert!(matches!(
            greylist.check(from_elsewhere.clone(), DELAYS, Timestamp(300_001)).await,
            Answer::Wait { .. }
        ));
        greylist.note_good("198.51.100.2".parse().unwrap(), Timestamp(300_002));
        assert_eq!(greylist.check(from_elsewhere, DELAYS, Timestamp(300_003)).await, Answer::Pass);
    }
}
