//! Accounts that are moved while they are used.

use sterna_testkit::imap::Imap;
use sterna_testkit::installation::Installation;
use sterna_testkit::ledger::{Ledger, uid_status};
use sterna_testkit::moving::ShowLogs;

const BEN: &str = "ben@tern.test";
const LMTP_SENDERS: usize = 2;
const APPENDERS: usize = 2;
const MOVES: usize = 6;

/// Acknowledgements between two moves.
const ACKNOWLEDGED_BETWEEN_MOVES: usize = 30;

#[test]
fn sessions_and_deliveries_live_through_moves() {
    let installation = Installation::standard();
    let edge = installation.node("main").at;
    let mut observer = edge.login(BEN).unwrap();
    assert!(observer.command("CREATE Ledger").unwrap().ok());
    let before = ["INBOX", "Ledger"].map(|mailbox| uid_status(&mut observer, mailbox).unwrap());
    let mut selected: Vec<Imap> = (0..4).map(|_| edge.login(BEN).unwrap()).collect();
    for session in &mut selected {
        assert!(session.command("SELECT INBOX").unwrap().ok());
    }

    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        let ledger = &ledger;
        let _end = ledger.end_later();
        ledger.is_written(scope, edge, BEN, LMTP_SENDERS, (APPENDERS, "Ledger"));
        for number in 0..MOVES {
            ledger.grows_by(ACKNOWLEDGED_BETWEEN_MOVES);
            let to = ["alpha", "beta"][number % 2];
            let _show = ShowLogs(&installation);
            installation.begin_move(BEN, to);
            installation.is_moved(BEN, to);
            for session in &mut selected {
                let answer = session.command("UID FETCH 1:* (FLAGS)").unwrap();
                assert!(answer.ok(), "{answer:?}");
            }
        }
        ledger.grows_by(ACKNOWLEDGED_BETWEEN_MOVES);
        assert_eq!(ledger.refusals(), 0, "writes wait for a move, they are not refused");
    });
    ledger.compare(&mut observer, "INBOX", "lmtp-", before[0].0);
    ledger.compare(&mut observer, "Ledger", "append-", before[1].0);
    // What a session knows without a look at the mailbox is what a new one finds.
    let mut fresh = edge.login(BEN).unwrap();
    assert!(fresh.command("SELECT INBOX").unwrap().ok());
    let now = fresh.command("UID SEARCH ALL").unwrap().lines;
    for session in &mut selected {
        assert!(session.command("NOOP").unwrap().ok());
        let known = session.command("UID SEARCH ALL").unwrap().lines;
        assert_eq!(known.last(), now.last());
    }
    installation.is_sound();
}
