//! Cables that are pulled between nodes, while mail is delivered.

use std::time::Duration;

use sterna_cluster::limits::{CONNECT_TIMEOUT_MS, PING_INTERVAL_MS, PING_TIMEOUT_MS, RECONNECT_MAX_MS};
use sterna_testkit::installation::Installation;
use sterna_testkit::ledger::{Ledger, uid_status};
use sterna_testkit::network::Network;
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";

/// Acknowledgements between two cuts, and those that a cut must not hinder.
const ACKNOWLEDGED_BETWEEN_CUTS: usize = 40;

/// When a link that is back must be used again: the old connection is given up, the pause before the next try is over,
/// and that one succeeds. The rest is for two busy cores.
const HEALED_WITHIN: Duration =
    Duration::from_millis(PING_INTERVAL_MS + PING_TIMEOUT_MS + RECONNECT_MAX_MS + CONNECT_TIMEOUT_MS + 3_000);

/// How a cable is pulled.
type Pull = fn(&Network, &str);

#[test]
fn nothing_is_lost_or_doubled_when_links_are_cut_during_deliveries() {
    let Some(network) = Network::new(&["main", "alpha", "beta", "edge"]) else { return };
    let mut installation = Installation::new();
    installation.start_main("main", network.place("main"));
    for (name, role) in [("alpha", "data"), ("beta", "data"), ("edge", "edge")] {
        installation.join_and_serve(name, role, network.place(name));
    }
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ANA, "alpha");
    installation.create_user(BEN, "beta");
    let edge = installation.node("edge").at;
    let login = |user| network.inside("edge", || edge.login(user));
    let mut observers = [ANA, BEN].map(|user| until(user, HEALED_WITHIN, || login(user).ok()).0);
    let validity = observers.each_mut().map(|imap| {
        assert!(imap.command("CREATE Ledger").unwrap().ok());
        ["INBOX", "Ledger"].map(|mailbox| uid_status(imap, mailbox).unwrap().0)
    });

    let ledgers = [Ledger::default(), Ledger::default()];
    std::thread::scope(|scope| {
        let _end = ledgers.each_ref().map(Ledger::end_later);
        for (ledger, user) in ledgers.iter().zip([ANA, BEN]) {
            for number in 0..2 {
                let mut lmtp = network.inside("edge", || edge.lmtp()).unwrap();
                scope.spawn(move || ledger.send_by_lmtp(&mut lmtp, user, number));
                let mut imap = login(user).unwrap();
                scope.spawn(move || ledger.append_by_imap(&mut imap, "Ledger", number));
            }
        }
        let [ana, ben] = &ledgers;
        let cuts: [(&str, Pull); 4] =
            [("beta", Network::cut), ("beta", Network::unplug), ("main", Network::cut), ("edge", Network::cut)];
        for (node, pull) in cuts {
            ledgers.iter().for_each(|ledger| ledger.grows_by(ACKNOWLEDGED_BETWEEN_CUTS));
            pull(&network, node);
            match node {
                "beta" => {
                    ben.is_refused();
                    ana.grows_by(ACKNOWLEDGED_BETWEEN_CUTS);
                }
                // Nobody needs the main node to write or read mail.
                "main" => ledgers.iter().for_each(|ledger| ledger.grows_by(ACKNOWLEDGED_BETWEEN_CUTS)),
                _ => ledgers.iter().for_each(Ledger::is_refused),
            }
            network.heal(node);
            for observer in &mut observers {
                until(&format!("{node} is back"), HEALED_WITHIN, || uid_status(observer, "INBOX"));
            }
        }
        ledgers.iter().for_each(|ledger| ledger.grows_by(ACKNOWLEDGED_BETWEEN_CUTS));
    });

    for ((ledger, observer), [inbox, folder]) in ledgers.iter().zip(&mut observers).zip(validity) {
        ledger.compare(observer, "INBOX", "lmtp-", inbox);
        ledger.compare(observer, "Ledger", "append-", folder);
    }
    // The main node, which was cut off too, is followed again.
    installation.admin_ok("main", &["domain", "create", "other.test"]);
    until("the edge follows", HEALED_WITHIN, || {
        installation.admin("edge", &["domain", "get", "other.test"]).status.success().then_some(())
    });
}
