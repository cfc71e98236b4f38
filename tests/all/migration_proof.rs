//! A machine is changed under many accounts, in networks of their own, while mail comes for all of them: whoever ends
//! at whatever step goes on there, nothing that was acknowledged is lost or there twice, and clients that were in
//! step download nothing again.
//!
//! `cargo xtask soak` does it with 500 accounts, and an end at each step.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sterna_testkit::failpoints::Strike;
use sterna_testkit::http::Http;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Doors, Installation, succeeded};
use sterna_testkit::ledger::messages;
use sterna_testkit::network::Network;
use sterna_testkit::wait::{pass, until};

use super::migrating::{ENDS, NEW, OLD, WITHIN, is_so, is_taken};

/// How many accounts there are, unless the environment says so.
const ACCOUNTS: usize = 16;
/// What says it.
const ACCOUNTS_VARIABLE: &str = "STERNA_MIGRATED_ACCOUNTS";

/// Accounts to which nothing happens, whose clients were in step.
const QUIET: usize = 3;

/// Who delivers mail at the same time.
const SENDERS: usize = 4;

/// Between two messages of one sender.
const PACE: Duration = Duration::from_millis(20);

/// How long a step may take for each account.
const WITHIN_EACH: Duration = Duration::from_millis(1_500);

/// The password of everybody, as another system would have hashed it: hundreds are set up in a moment.
const HASH: &str =
    "{SSHA512}50rsRNBf8j3I5xE+QwaHdFyMhOzITssZ8BB3UxwQ+SI1JKygYm6ZeRYTDuUyFZIIqDonoTuXwB0Z/MAPhgQCFHNhbHRzYWx0";

const CALENDAR_TEXT: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y\r\nBEGIN:VEVENT\r\nUID:meeting\r\n\
    DTSTAMP:20260101T000000Z\r\nDTSTART:20260401T100000Z\r\nDTEND:20260401T110000Z\r\nSUMMARY:Terns\r\n\
    END:VEVENT\r\nEND:VCALENDAR\r\n";

struct Scene<'n> {
    network: &'n Network,
    installation: Installation,
    accounts: Vec<String>,
    within: Duration,
}

/// What a client of an account remembers.
struct Client {
    account: String,
    uid_validity: u64,
    uid_next: u64,
    highest_modseq: u64,
    uids: String,
    sync_token: String,
    etag: String,
}

impl<'n> Scene<'n> {
    fn new(network: &'n Network, count: usize) -> Self {
        let mut installation = Installation::new();
        installation.start_main("main,data,edge", network.place(OLD));
        let accounts: Vec<String> = (0..count).map(|n| format!("u{n}@tern.test")).collect();
        let users: Vec<Value> =
            accounts.iter().map(|address| json!({"address": address, "password_hash": HASH})).collect();
        let file = installation.folder().join("users.json");
        let declared = json!({"domains": [{"name": "tern.test"}], "users": users});
        std::fs::write(&file, declared.to_string()).unwrap();
        installation.admin_ok(OLD, &["apply", &file.to_string_lossy()]);
        let within = WITHIN.max(WITHIN_EACH * u32::try_from(count).unwrap());
        Scene { network, installation, accounts, within }
    }

    fn doors(&self, node: &str) -> Doors {
        self.installation.node(node).at
    }

    /// A session, once the account is served.
    fn login(&self, node: &str, account: &str) -> Imap {
        let doors = self.doors(node);
        until(account, self.within, || self.network.inside(node, || doors.login(account).ok())).0
    }

    fn dav(&self, node: &str, account: &str) -> Http {
        let doors = self.doors(node);
        self.network.inside(node, || doors.dav(account)).unwrap()
    }

    fn waits_until(&self, what: &str, is: impl Fn(&Value) -> bool) {
        is_so(&self.installation, (what, self.within), &[OLD, NEW], is);
    }

    fn is_synced(&self) {
        let count = self.accounts.len();
        self.waits_until("everything is equal", |state| {
            state["phase"] == "syncing" && state["copies"]["accounts"] == count && state["copies"]["equal"] == count
        });
    }

    fn takes(&self, node: &str, action: &str, end: Option<(&str, &str)>) {
        is_taken(&self.installation, (node, action), self.within, end);
    }

    /// The switch; somebody ends in its middle, and is started again.
    fn switches(&mut self, end: Option<(&str, &str)>) {
        if let Some((node, failpoint)) = end {
            self.installation.arm(node, failpoint, Strike::End);
        }
        self.takes(OLD, "switch", end);
        if let Some((node, failpoint)) = end {
            self.installation.ends_at(node, failpoint);
            self.installation.serve(node);
        }
        self.waits_until("the migration is switched", |state| state["phase"] == "switched");
    }
}

/// What was acknowledged: subjects by account, and how often each was sent without an answer.
#[derive(Default)]
struct Acknowledged {
    messages: Mutex<BTreeMap<String, BTreeMap<String, usize>>>,
    is_over: AtomicBool,
}

impl Acknowledged {
    /// Delivers to one account after the other, to the door of the old machine, until it is over.
    fn deliver(&self, scene: (&Network, Doors), accounts: &[String], sender: usize) {
        let (network, doors) = scene;
        let mut lmtp = None;
        for (number, account) in accounts.iter().cycle().enumerate() {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            pass(PACE);
            let subject = format!("proof-{sender}-{number}");
            let message = format!("Subject: {subject}\r\n\r\nWritten once, read once.\r\n");
            let mut unanswered = 0;
            until(&subject, WITHIN, || {
                if lmtp.is_none() {
                    lmtp = network.inside(OLD, || doors.lmtp().ok());
                }
                match lmtp.as_mut()?.send(&[account], message.as_bytes(), 1) {
                    Ok(replies) if replies[0].starts_with("250") => Some(()),
                    Ok(replies) => {
                        assert!(replies[0].starts_with('4'), "{replies:?}");
                        None
                    }
                    Err(_) => {
                        (lmtp, unanswered) = (None, unanswered + 1);
                        None
                    }
                }
            });
            let mut messages = self.messages.lock().unwrap();
            messages.entry(account.clone()).or_default().insert(subject, unanswered);
        }
    }

    fn count(&self) -> usize {
        self.messages.lock().unwrap().values().map(BTreeMap::len).sum()
    }

    fn grows(&self) {
        let before = self.count();
        until("mail is taken", WITHIN, || (self.count() >= before + SENDERS).then_some(()));
    }

    /// Everything is there, once, or as often as nobody answered.
    fn compare(&self, scene: &Scene<'_>, node: &str) {
        for (account, expected) in &*self.messages.lock().unwrap() {
            let mut imap = scene.login(node, account);
            assert!(imap.command("SELECT INBOX").unwrap().ok());
            let mut found: BTreeMap<String, usize> = BTreeMap::new();
            for message in messages(&mut imap, "INBOX") {
                *found.entry(message.subject).or_default() += 1;
            }
            for (subject, unanswered) in expected {
                let times = found.get(subject).copied().unwrap_or_default();
                assert!((1..=1 + unanswered).contains(&times), "{account}: {subject} is there {times} times");
            }
        }
    }
}

fn number_in(text: &str, name: &str) -> u64 {
    let rest = text.split(&format!("[{name} ")).nth(1).unwrap_or_else(|| panic!("{name}: {text}"));
    rest.split(']').next().unwrap().parse().unwrap()
}

/// A client gets into step.
fn in_step(scene: &Scene<'_>, account: &str) -> Client {
    let mut dav = scene.dav(OLD, account);
    let path = format!("/dav/calendars/{account}/Calendar/");
    let put = dav.request("PUT", &format!("{path}meeting.ics"), &[], CALENDAR_TEXT).unwrap();
    assert_eq!(put.status, 201, "{put:?}");
    let mut imap = scene.login(OLD, account);
    for n in 0..3 {
        let message = format!("Subject: quiet {n}\r\n\r\nHere.\r\n");
        assert!(imap.append("INBOX", message.as_bytes()).unwrap().ok());
    }
    let selected = imap.command("SELECT INBOX (CONDSTORE)").unwrap();
    let told = selected.lines.join("\n");
    let uids = imap.command("UID SEARCH ALL").unwrap().lines.join("\n");
    let (_, sync_token) = changes(&mut dav, &path, "");
    Client {
        account: account.to_owned(),
        uid_validity: number_in(&told, "UIDVALIDITY"),
        uid_next: number_in(&told, "UIDNEXT"),
        highest_modseq: number_in(&told, "HIGHESTMODSEQ"),
        uids,
        sync_token,
        etag: put.etag(),
    }
}

/// What changed since a token, and the next one.
fn changes(dav: &mut Http, path: &str, token: &str) -> (Vec<String>, String) {
    let body = format!(
        "<sync-collection xmlns='DAV:'><sync-token>{token}</sync-token><sync-level>1</sync-level>\
         <prop><getetag/></prop></sync-collection>"
    );
    let answer = dav.request("REPORT", path, &[], &body).unwrap();
    assert_eq!(answer.status, 207, "{answer:?}");
    (answer.texts("D:href"), answer.texts("D:sync-token").remove(0))
}

impl Client {
    /// On the new machine the client asks what changed: nothing.
    fn has_nothing_to_fetch(&self, scene: &Scene<'_>, node: &str) {
        let mut imap = scene.login(node, &self.account);
        assert!(imap.command("ENABLE QRESYNC").unwrap().ok());
        let select = format!("SELECT INBOX (QRESYNC ({} {}))", self.uid_validity, self.highest_modseq);
        let selected = imap.command(&select).unwrap();
        let told = selected.lines.join("\n");
        assert!(selected.ok(), "{selected:?}");
        assert!(!told.contains("FETCH") && !told.contains("VANISHED"), "{}: {told}", self.account);
        assert_eq!(number_in(&told, "UIDVALIDITY"), self.uid_validity, "{told}");
        assert_eq!(number_in(&told, "UIDNEXT"), self.uid_next, "{told}");
        assert_eq!(number_in(&told, "HIGHESTMODSEQ"), self.highest_modseq, "{told}");
        assert_eq!(imap.command("UID SEARCH ALL").unwrap().lines.join("\n"), self.uids);
        let path = format!("/dav/calendars/{}/Calendar/", self.account);
        let mut dav = scene.dav(node, &self.account);
        let (changed, _) = changes(&mut dav, &path, &self.sync_token);
        assert!(changed.is_empty(), "{}: {changed:?}", self.account);
        let known = [("If-None-Match", self.etag.as_str())];
        let got = dav.request("GET", &format!("{path}meeting.ics"), &known, "").unwrap();
        assert_eq!(got.status, 304, "{got:?}");
    }
}

#[test]
fn a_machine_is_changed_under_many_accounts() {
    let asked = std::env::var(ACCOUNTS_VARIABLE).ok().map(|count| count.parse::<usize>().unwrap());
    let Some(network) = Network::new(&[OLD, NEW]) else { return };
    let network = &network;
    let mut scene = Scene::new(network, asked.unwrap_or(ACCOUNTS));
    let clients: Vec<Client> =
        scene.accounts.clone().iter().take(QUIET).map(|account| in_step(&scene, account)).collect();
    let (busy, old) = (scene.accounts[QUIET..].to_vec(), scene.doors(OLD));
    // In the tests that everybody runs one of them ends; which one, differs from the other tests of migrations.
    let ends: &[_] = if asked.is_some() { &ENDS } else { &ENDS[5..6] };
    let acknowledged = Acknowledged::default();
    std::thread::scope(|scope| {
        let acknowledged = &acknowledged;
        let _over = Over(&acknowledged.is_over);
        for (sender, part) in busy.chunks(busy.len().div_ceil(SENDERS)).enumerate() {
            scope.spawn(move || acknowledged.deliver((network, old), part, sender));
        }
        let token = scene.installation.admin_ok(OLD, &["--json", "migrate", "token"]);
        let token: Value = serde_json::from_str(&token).unwrap();
        let place = network.place(NEW);
        let paired = scene.installation.migrate_from(NEW, OLD, token["token"].as_str().unwrap(), place);
        succeeded("migrate from", &paired);
        scene.installation.serve(NEW);
        scene.is_synced();
        for (number, end) in ends.iter().enumerate() {
            scene.switches(Some(*end));
            acknowledged.grows();
            clients.iter().for_each(|client| client.has_nothing_to_fetch(&scene, NEW));
            if number + 1 < ends.len() {
                scene.takes(NEW, "back", None);
                scene.is_synced();
                acknowledged.grows();
                clients.iter().for_each(|client| client.has_nothing_to_fetch(&scene, OLD));
            }
        }
    });
    for account in &scene.accounts {
        assert_eq!(scene.installation.server_of(account).as_deref(), Some(NEW), "{account}");
    }
    acknowledged.compare(&scene, NEW);
    clients.iter().for_each(|client| client.has_nothing_to_fetch(&scene, NEW));
    scene.installation.stop(OLD);
    scene.installation.stop(NEW);
    scene.installation.is_sound();
}

/// Says that it is over, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
