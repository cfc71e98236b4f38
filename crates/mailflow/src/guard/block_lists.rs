//! Clients are looked up in DNS block lists (RFC 5782) while they say hello, all lists side by side.
//!
//! What DNS does not say in time counts as not listed, and a list that kept silent is left out for a while, or each
//! client would wait for it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use sterna_base::{Clock, Timestamp};
use sterna_formats::dnsbl::{ListSpec, Meaning};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// How long all lists together may take for one client.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a list that kept silent, or refused to be asked, is left out, in milliseconds.
pub const LEFT_OUT_MS: i64 = 60 * 1000;
/// How long an answer is kept, in milliseconds.
pub const KEPT_MS: i64 = 5 * 60 * 1000;
/// Clients whose answers are kept. All are forgotten when there are more.
pub const CLIENTS_MAX: usize = 50_000;
/// Longest text of a list that is passed on, in bytes.
const TEXT_BYTES_MAX: usize = 300;

/// What lists are asked with.
#[async_trait]
pub trait ListDns: Send + Sync {
    /// The addresses of a name; none when there is no such name. `Err` when DNS doesn't say.
    ///
    /// # Errors
    /// Why it doesn't, for the operator.
    async fn answers(&self, name: &str) -> Result<Vec<Ipv4Addr>, String>;

    /// The text of a name, if it has one.
    async fn text(&self, name: &str) -> Option<String>;
}

/// What lists say of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The lists that have it, each with its first answer that counts, the one that counts most first.
    pub listed: Vec<(String, Ipv4Addr)>,
    /// The sum of their weights.
    pub score: i64,
    /// What the list that counts most has to say.
    pub text: Option<String>,
}

/// One client: asked once, however many wait for the answer.
struct Client {
    asked_at: Timestamp,
    lists: Arc<Vec<ListSpec>>,
    verdict: OnceCell<Arc<Verdict>>,
}

/// See the module.
pub struct BlockLists {
    dns: Arc<dyn ListDns>,
    clock: Arc<dyn Clock>,
    clients: Mutex<HashMap<IpAddr, Arc<Client>>>,
    /// Until when lists are left out.
    left_out: Mutex<HashMap<String, Timestamp>>,
}

impl BlockLists {
    /// That ask here.
    pub fn new(dns: Arc<dyn ListDns>, clock: Arc<dyn Clock>) -> Self {
        BlockLists { dns, clock, clients: Mutex::default(), left_out: Mutex::default() }
    }

    /// What these lists say of a client.
    pub async fn look_up(&self, peer: IpAddr, lists: &Arc<Vec<ListSpec>>) -> Arc<Verdict> {
        // They may not have it (RFC 5782 section 5).
        if lists.is_empty() || peer == Ipv4Addr::LOCALHOST || peer == std::net::Ipv6Addr::LOCALHOST {
            return Arc::default();
        }
        let client = self.client(peer, lists);
        client.verdict.get_or_init(|| async { Arc::new(self.ask(peer, lists).await) }).await.clone()
    }

    fn client(&self, peer: IpAddr, lists: &Arc<Vec<ListSpec>>) -> Arc<Client> {
        let now = self.clock.now();
        let is_fresh = |client: &Client| (0..KEPT_MS).contains(&(now.0 - client.asked_at.0)) && client.lists == *lists;
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get(&peer).filter(|client| is_fresh(client)) {
            return client.clone();
        }
        if clients.len() >= CLIENTS_MAX {
            clients.retain(|_, client| is_fresh(client));
        }
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        let client = Arc::new(Client { asked_at: now, lists: lists.clone(), verdict: OnceCell::new() });
        clients.insert(peer, client.clone());
        client
    }

    async fn ask(&self, peer: IpAddr, lists: &[ListSpec]) -> Verdict {
        let deadline = Instant::now() + LOOKUP_TIMEOUT;
        let mut asking = JoinSet::new();
        for (at, list) in lists.iter().enumerate().filter(|(_, list)| !self.is_left_out(list)) {
            let (dns, name) = (self.dns.clone(), list.query(peer));
            asking.spawn(async move { (at, timeout_at(deadline, dns.answers(&name)).await) });
        }
        let mut listed = Vec::new();
        while let Some(Ok((at, answered))) = asking.join_next().await {
            let answered = answered.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            listed.extend(self.counted(&lists[at], answered).map(|answer| (at, answer)));
        }
        listed.sort_unstable_by_key(|(at, _)| (std::cmp::Reverse(lists[*at].weight()), *at));
        let score = listed.iter().map(|(at, _)| i64::from(lists[*at].weight())).sum();
        let heaviest = listed.first().map(|(at, _)| &lists[*at]);
        let text = match heaviest.filter(|list| list.weight() > 0) {
            Some(list) => timeout_at(deadline, self.dns.text(&list.query(peer))).await.ok().flatten(),
            None => None,
        };
        let text = text.map(|text| plain(&text)).filter(|text| !text.is_empty());
        let listed = listed.into_iter().map(|(at, answer)| (lists[at].zone().to_owned(), answer)).collect();
        Verdict { listed, score, text }
    }

    /// The first answer that counts.
    fn counted(&self, list: &ListSpec, answered: Result<Vec<Ipv4Addr>, String>) -> Option<Ipv4Addr> {
        let answers = match answered {
            Ok(answers) => answers,
            Err(cause) => {
                self.leave_out(list, &cause);
                return None;
            }
        };
        for answer in &answers {
            match list.meaning(*answer) {
                Meaning::Refused => {
                    self.leave_out(list, "it refuses to be asked by this DNS server; ask by one of your own");
                    return None;
                }
                Meaning::NoList => {
                    self.leave_out(list, &format!("it answers {answer}, which no list does; it may be gone"));
                    return None;
                }
                Meaning::Listed | Meaning::NotListed => {}
            }
        }
        answers.into_iter().find(|answer| list.meaning(*answer) == Meaning::Listed)
    }

    fn is_left_out(&self, list: &ListSpec) -> bool {
        let now = self.clock.now();
        self.left_out.lock().get(list.zone()).is_some_and(|until| now < *until)
    }

    fn leave_out(&self, list: &ListSpec, cause: &str) {
        let now = self.clock.now();
        let until = now.plus_ms(LEFT_OUT_MS);
        let mut left_out = self.left_out.lock();
        left_out.retain(|_, until| now < *until);
        if left_out.insert(list.zone().to_owned(), until).is_none() {
            tracing::warn!(list = list.zone(), cause, "a block list can't be asked; clients are taken without it");
        }
    }
}

/// Somebody else's text, fit for a reply.
fn plain(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).collect();
    let words = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    words[..words.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sterna_base::ManualClock;

    use super::*;

    /// Names that begin with `2.` are on every list that answers.
    #[derive(Default)]
    struct World {
        asked: AtomicUsize,
    }

    #[async_trait]
    impl ListDns for World {
        async fn answers(&self, name: &str) -> Result<Vec<Ipv4Addr>, String> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if name.ends_with("silent.test") {
                std::future::pending::<()>().await;
            }
            let answer = match name {
                name if name.ends_with("broken.test") => return Err("SERVFAIL".to_owned()),
                name if name.ends_with("parked.test") => [192, 0, 2, 1],
                name if name.ends_with("closed.test") => [127, 255, 255, 254],
                name if name.starts_with("2.") || name.starts_with("1.0.0") => [127, 0, 0, 4],
                _ => return Ok(Vec::new()),
            };
            Ok(vec![answer.into()])
        }

        async fn text(&self, name: &str) -> Option<String> {
            name.ends_with("bl.test").then(|| "See\r\nhttps://bl.test/é".to_owned())
        }
    }

    fn lists(text: &str) -> Arc<Vec<ListSpec>> {
        Arc::new(text.split_whitespace().map(|list| list.parse().unwrap()).collect())
    }

    fn world() -> (Arc<World>, ManualClock, BlockLists) {
        let (world, clock) = (Arc::new(World::default()), ManualClock::at(Timestamp(1_000_000)));
        (world.clone(), clock.clone(), BlockLists::new(world, Arc::new(clock)))
    }

    const LISTED: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3));

    #[tokio::test]
    async fn weights_are_added_up() {
        let (_, _, asked) = world();
        let some = lists("bl.test=127.0.0.2-11*2 wl.test*-1 other.test=127.0.0.9");
        let verdict = asked.look_up(LISTED, &some).await;
        let zones: Vec<_> = verdict.listed.iter().map(|(zone, _)| &**zone).collect();
        assert_eq!((zones, verdict.score), (vec!["bl.test", "wl.test"], 1));
        assert_eq!(verdict.text.as_deref(), Some("See https://bl.test/"));
        assert_eq!(*asked.look_up(OTHER, &some).await, Verdict::default());
        assert_eq!(asked.look_up("2001:db8::1".parse().unwrap(), &some).await.score, 1, "by its nibbles");
        assert_eq!(*asked.look_up(Ipv4Addr::LOCALHOST.into(), &some).await, Verdict::default());
    }

    #[tokio::test]
    async fn answers_are_kept_for_a_while() {
        let (world, clock, asked) = world();
        let some = lists("bl.test");
        let count = || world.asked.load(Ordering::Relaxed);
        let (one, two) = tokio::join!(asked.look_up(LISTED, &some), asked.look_up(LISTED, &some));
        assert_eq!((count(), one.score, two.score), (1, 1, 1), "two who ask at once share a question");
        asked.look_up(LISTED, &lists("bl.test")).await;
        assert_eq!(count(), 1, "the same lists read again");
        asked.look_up(LISTED, &lists("bl.test*2")).await;
        assert_eq!(count(), 2);
        clock.advance_ms(KEPT_MS);
        asked.look_up(LISTED, &lists("bl.test*2")).await;
        assert_eq!(count(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn lists_that_do_not_answer_are_left_out() {
        let (world, clock, asked) = world();
        let some = lists("silent.test broken.test parked.test closed.test bl.test");
        let begin = Instant::now();
        assert_eq!(asked.look_up(LISTED, &some).await.score, 1);
        assert!(begin.elapsed() <= LOOKUP_TIMEOUT);
        assert_eq!(world.asked.load(Ordering::Relaxed), 5);
        let again = Instant::now();
        asked.look_up(OTHER, &some).await;
        assert_eq!((world.asked.load(Ordering::Relaxed), again.elapsed()), (6, Duration::ZERO), "only one is asked");
        clock.advance_ms(LEFT_OUT_MS);
        asked.look_up("192.0.2.5".parse().unwrap(), &some).await;
        assert_eq!(world.asked.load(Ordering::Relaxed), 11);
    }
}
