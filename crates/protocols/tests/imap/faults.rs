//! An account that fails: what the client is told, and what the operator finds in the log.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use sterna_account::service::Accounts;
use sterna_account::{AccountError, CommitError, StoreError};
use tracing::field::{Field, Visit};
use tracing::span;

use crate::dialog::Server;
use crate::failing::{Failing, Fault, Only};

/// Warnings and errors as lines: level, message, fields.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN && metadata.target().starts_with("sterna_protocols")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn what_fails_is_told_to_the_client_and_once_to_the_operator() {
    let mut server = Server::start().await;
    let account = server.accounts.open(crate::dialog::ANA).await.unwrap();
    let (fault, news) = (Fault::default(), Fault::default());
    server.through(Arc::new(Only(Arc::new(Failing { fault: fault.clone(), news, ..Failing::new(account) }))));
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let mut client = server.login().await;
    client.say("C: a APPEND INBOX {3+}\nC: abc\nS: a OK *\nC: b SELECT INBOX\nS: ...\nS: b OK *").await;
    let store = AccountError::Store;
    for (error, code, level) in [
        (store(StoreError::Corrupt("page 7".into())), "SERVERBUG", "ERROR"),
        (store(StoreError::Io("the wire is loose".into())), "UNAVAILABLE", "ERROR"),
        (store(StoreError::Stopped("fsync".into())), "UNAVAILABLE", "ERROR"),
        (store(StoreError::DiskFull("no space".into())), "UNAVAILABLE", "ERROR"),
        (AccountError::Refused(CommitError::Invalid("odd".into())), "SERVERBUG", "ERROR"),
        (AccountError::Refused(CommitError::Sealed), "UNAVAILABLE", "WARN"),
        (AccountError::Unavailable("no route".into()), "UNAVAILABLE", "WARN"),
    ] {
        *fault.lock().unwrap() = Some(error.clone());
        for (line, command) in [
            ("FETCH 1 ENVELOPE", "FETCH"),
            ("UID STORE 1 +FLAGS (\\Seen)", "STORE"),
            ("APPEND INBOX {3+}\\r\\nabc", "APPEND"),
        ] {
            client.say(&format!("C: c {line}\nS: c NO [{code}] *")).await;
            let lines = std::mem::take(&mut *log.0.lock().unwrap());
            let [line] = &lines[..] else { panic!("one line for {error}: {lines:?}") };
            let fields = [level.to_owned(), format!("account={}", crate::dialog::ANA), error.to_string()];
            assert!(fields.iter().all(|field| line.contains(field)), "{line}");
            assert!(line.contains("ana@x.test") && line.contains(&format!("command=\"{command}\"")), "{line}");
        }
    }
    // Refusals that clients bring about are no news for the operator.
    *fault.lock().unwrap() = Some(AccountError::Refused(CommitError::OverQuota));
    client.say("C: d APPEND INBOX {3+}\nC: abc\nS: d NO [OVERQUOTA] *").await;
    *fault.lock().unwrap() = None;
    client.say("C: e FETCH 1 RFC822.SIZE\nS: * 1 FETCH (RFC822.SIZE 3)\nS: e OK *").await;
    assert!(log.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_command_on_one_mailbox_asks_for_no_other() {
    let mut server = Server::start().await;
    let account = server.accounts.open(crate::dialog::ANA).await.unwrap();
    server.through(Arc::new(Only(Arc::new(Failing { can_list: false, ..Failing::new(account) }))));
    server
        .login()
        .await
        .say(
            r"
        C: a CREATE a/b/c
        S: a OK *
        C: b CREATE a/b/c
        S: b NO [ALREADYEXISTS] *
        C: c APPEND a/b/c {3+}
        C: abc
        S: c OK [APPENDUID *] *
        C: d SELECT a/b/c
        S: ...
        S: d OK *
        C: e COPY 1 a/b
        S: e OK [COPYUID *] *
        C: f COPY 1 a/x
        S: f NO [TRYCREATE] *
        C: g STATUS a/b (MESSAGES RECENT)
        S: * STATUS a/b (MESSAGES 1 RECENT 0)
        S: g OK *
        C: h STATUS A/b (MESSAGES)
        S: h NO [NONEXISTENT] *
        C: i RENAME a/b z/y
        S: i OK *
        C: j STATUS z/y/c (MESSAGES)
        S: * STATUS z/y/c (MESSAGES 1)
        S: j OK *
        C: k SUBSCRIBE z/y
        S: k OK *
        C: l LSUB z/ %
        S: * LSUB () */* z/y
        S: l OK *
        C: m MYRIGHTS z/y
        S: * MYRIGHTS z/y *
        S: m OK *
        C: n DELETE z/y/c
        S: * OK [CLOSED] *
        S: n OK *
        C: o STATUS z/y/c (MESSAGES)
        S: o NO [NONEXISTENT] *
    ",
        )
        .await;
}

#[tokio::test]
async fn what_a_client_has_just_appended_is_never_ignored() {
    let mut server = Server::start().await;
    let account = server.accounts.open(crate::dialog::ANA).await.unwrap();
    let (fault, news) = (Fault::default(), Fault::default());
    server.through(Arc::new(Only(Arc::new(Failing { fault, news: news.clone(), ..Failing::new(account) }))));
    // Where a line is first logged without anybody who listens, nobody hears it later, in the other test either.
    let _logging = tracing::subscriber::set_default(Log::default());
    let mut client = server.login().await;
    client.say("C: a SELECT INBOX\nS: ...\nS: a OK *").await;
    // Its server is lost right after the message was taken, so this session can't see it.
    *news.lock().unwrap() = Some(AccountError::Unavailable("no route".into()));
    client.say("C: b APPEND INBOX {3+}\nC: abc\nS: b OK [APPENDUID * 1] *").await;
    client.say("C: c UID STORE 1 +FLAGS.SILENT (\\Flagged)\nS: c NO [UNAVAILABLE] *").await;
    client.say("C: d UID FETCH 1 FLAGS\nS: d NO [UNAVAILABLE] *").await;
    *news.lock().unwrap() = None;
    client.say("C: e UID STORE 1 +FLAGS.SILENT (\\Flagged)\nS: ...\nS: e OK *").await;
    client.say("C: f UID SEARCH FLAGGED\nS: * SEARCH 1\nS: f OK *").await;
}
