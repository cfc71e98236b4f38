//! What was acknowledged while a data server is killed again and again.

use std::time::Duration;

use sterna_testkit::installation::Installation;
use sterna_testkit::ledger::{Ledger, uid_status};
use sterna_testkit::wait::until;

const BEN: &str = "ben@tern.test";
const LMTP_SENDERS: usize = 4;
const APPENDERS: usize = 2;
const KILLS: usize = 5;

/// Acknowledgements between two kills, so that each one hits a server at work.
const ACKNOWLEDGED_BETWEEN_KILLS: usize = 60;

/// How long a restarted server may take until its users are served.
const SERVED_WITHIN: Duration = Duration::from_secs(20);

#[test]
fn what_was_acknowledged_is_there_once_however_often_its_server_is_killed() {
    let mut installation = Installation::standard();
    let edge = installation.node("main").at;
    let mut observer = edge.login(BEN).unwrap();
    assert!(observer.command("CREATE Ledger").unwrap().ok());
    let before = ["INBOX", "Ledger"].map(|mailbox| uid_status(&mut observer, mailbox).unwrap());

    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        let ledger = &ledger;
        let _end = ledger.end_later();
        ledger.is_written(scope, edge, BEN, LMTP_SENDERS, (APPENDERS, "Ledger"));
        for _ in 0..KILLS {
            ledger.grows_by(ACKNOWLEDGED_BETWEEN_KILLS);
            installation.kill("beta");
            ledger.is_refused();
            installation.serve("beta");
            let now = until("ben is served", SERVED_WITHIN, || uid_status(&mut observer, "INBOX")).0;
            assert!(now.0 == before[0].0 && now.1 >= before[0].1, "{before:?} became {now:?}");
        }
        ledger.grows_by(ACKNOWLEDGED_BETWEEN_KILLS);
    });

    // Once more without load: what is read now comes from the disk.
    installation.kill("beta");
    installation.serve("beta");
    until("ben is served", SERVED_WITHIN, || uid_status(&mut observer, "INBOX"));
    ledger.compare(&mut observer, "INBOX", "lmtp-", before[0].0);
    ledger.compare(&mut observer, "Ledger", "append-", before[1].0);
}
