//! All machines of an installation of several are replaced, one after the other, while mail comes: data servers first,
//! then the one that is the main node and the door.

use serde_json::Value;
use sterna_testkit::installation::{Installation, Place, succeeded};
use sterna_testkit::ledger::{Ledger, uid_status};
use sterna_testkit::wait::until;

use super::migrating::{WITHIN, is_so, is_taken};

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";

/// Acknowledgements between two steps.
const ACKNOWLEDGED: usize = 5;

/// A new machine takes the place of an old one, which is let go and ends; who is the main node afterwards.
fn replace<'n>(installation: &mut Installation, ledger: &Ledger, main: &'n str, old: &str, new: &'n str) -> &'n str {
    let token = installation.admin_ok(main, &["--json", "migrate", "token", "--server", old]);
    let token: Value = serde_json::from_str(&token).unwrap();
    let paired = installation.migrate_from(new, main, token["token"].as_str().unwrap(), Place::default());
    succeeded("migrate from", &paired);
    installation.serve(new);
    is_so(installation, ("everything is equal", WITHIN), &[main], |state| {
        state["phase"] == "syncing" && state["copies"]["accounts"] == state["copies"]["equal"]
    });
    is_taken(installation, (main, "switch"), WITHIN, None);
    is_so(installation, ("it is switched", WITHIN), &[main, new], |state| state["phase"] == "switched");
    let main = if main == old { new } else { main };
    ledger.grows_by(ACKNOWLEDGED);
    is_taken(installation, (main, "finish"), WITHIN, None);
    installation.wait_for_end(old);
    until(&format!("{old} is no server any more"), WITHIN, || {
        let listed = installation.admin(main, &["--json", "server", "list"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).ok()?;
        listed.as_array()?.iter().all(|server| server["name"] != old).then_some(())
    });
    ledger.grows_by(ACKNOWLEDGED);
    main
}

#[test]
fn all_machines_are_replaced_one_after_the_other() {
    let mut installation = Installation::standard();
    let (old, ledger) = (installation.node("main").at, Ledger::default());
    // A door of its own stays while the others change: clients have an address that goes on.
    installation.join_and_serve("door", "edge", Place::default());
    let door = installation.node("door").at;
    let validity = uid_status(&mut old.login(BEN).unwrap(), "INBOX").unwrap().0;
    std::thread::scope(|scope| {
        let ledger = &ledger;
        let _end = ledger.end_later();
        scope.spawn(move || ledger.deliver(|| door.lmtp(), BEN, 0));
        ledger.grows_by(ACKNOWLEDGED);
        let mut main = "main";
        for (old, new) in [("alpha", "alpha2"), ("beta", "beta2"), ("main", "main2")] {
            main = replace(&mut installation, ledger, main, old, new);
        }
        assert_eq!(main, "main2");
        let taken = installation.admin("main2", &["domain", "create", "other.test"]);
        succeeded("the new main node takes changes", &taken);
    });
    let listed = installation.admin_ok("main2", &["--json", "server", "list"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let mut servers: Vec<&str> =
        listed.as_array().unwrap().iter().filter_map(|server| server["name"].as_str()).collect();
    servers.sort_unstable();
    assert_eq!(servers, ["alpha2", "beta2", "door", "main2"]);
    for (account, server) in [(ANA, "alpha2"), (BEN, "beta2")] {
        let place = installation.admin_ok("main2", &["--json", "account", "where", account]);
        assert_eq!(serde_json::from_str::<Value>(&place).unwrap()["server"], server, "{account}");
    }
    let new = installation.node("main2").at;
    ledger.compare(&mut new.login(BEN).unwrap(), "INBOX", "lmtp-", validity);
    ledger.compare(&mut door.login(BEN).unwrap(), "INBOX", "lmtp-", validity);
}
