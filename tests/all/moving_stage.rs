//! One account that is moved between two data servers while it is written to at all doors: what the tests of faults
//! have in common.

use std::time::Duration;

use sterna_testkit::disk::Disk;
use sterna_testkit::failpoints::Strike;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Doors, Installation, Place};
use sterna_testkit::ledger::{Ledger, Message, messages, uid_status};
use sterna_testkit::moving::ShowLogs;
use sterna_testkit::network::Network;
use sterna_testkit::wait::until;

/// Whose account it is. It lives on beta.
pub const BEN: &str = "ben@tern.test";

/// How long it may take until the account is served, however busy this machine is.
pub const SERVED_WITHIN: Duration = Duration::from_secs(30);

/// How long it may take until a move is at one of its steps.
const STANDS_WITHIN: Duration = Duration::from_secs(150);

/// Acknowledgements before a move, so that it has something to copy.
const ACKNOWLEDGED_BEFORE: usize = 5;

/// A main node, an edge, and the data servers alpha and beta.
pub struct Stage<'a> {
    /// The nodes.
    pub installation: &'a mut Installation,
    /// What was acknowledged.
    pub ledger: &'a Ledger,
    network: Option<&'a Network>,
    /// Where the edge listens.
    pub edge: Doors,
    validity: u32,
    dump: Vec<Message>,
}

/// At which node a connection is made.
fn at<T: Send>(network: Option<&Network>, node: &str, connect: impl FnOnce() -> T + Send) -> T {
    match network {
        Some(network) => network.inside(node, connect),
        None => connect(),
    }
}

impl Stage<'_> {
    /// A session of the account at the edge.
    pub fn login(&self) -> Option<Imap> {
        at(self.network, "edge", || self.edge.login(BEN)).ok()
    }

    /// Waits until the account is read and written at the edge.
    pub fn is_served(&self, when: &str) {
        let _show = ShowLogs(self.installation);
        until(&format!("ben is served {when}"), SERVED_WITHIN, || {
            let mut imap = self.login()?;
            uid_status(&mut imap, "INBOX").filter(|status| status.0 == self.validity)
        });
        self.ledger.grows_by(2);
    }

    /// What was in the mailbox is in it, as it was.
    pub fn keeps_what_it_had(&mut self) {
        let now = messages(&mut self.login().unwrap(), "INBOX");
        assert_eq!(now.get(..self.dump.len()), Some(&self.dump[..]), "what is there changed");
        self.dump = now;
    }

    /// Begins a move to alpha; the main node may stop before it answers, so nobody waits for that.
    pub fn begin(&self) {
        self.ledger.grows_by(ACKNOWLEDGED_BEFORE);
        // A server that was cut off just now can't be asked for its free space yet.
        until("a move could begin", SERVED_WITHIN, || {
            let args = ["account", "move", BEN, "--to", "alpha", "--dry-run"];
            self.installation.admin("main", &args).status.success().then_some(())
        });
        let mut command =
            self.installation.admin_command("main", &["account", "move", BEN, "--to", "alpha", "--detach"]);
        std::thread::spawn(move || command.output());
    }

    /// Begins a move to alpha, in which a node stands at this failpoint.
    pub fn begin_and_stand(&self, node: &str, failpoint: &str) {
        let _show = ShowLogs(self.installation);
        self.installation.arm(node, failpoint, Strike::Stop);
        self.begin();
        until(&format!("{node} stands at {failpoint}"), STANDS_WITHIN, || {
            if self.installation.is_reached(node, failpoint) {
                return Some(());
            }
            // A main node that stands answers nobody.
            if node != "main" {
                self.installation.begin_again(BEN, "alpha");
            }
            None
        });
        self.installation.wait_for_stop(node);
    }

    /// The account comes to alpha with nobody's help, and all of it is there.
    pub fn arrives(&mut self) {
        let show = ShowLogs(self.installation);
        self.installation.is_moved(BEN, "alpha");
        drop(show);
        self.is_served("on alpha");
        self.keeps_what_it_had();
        self.home();
    }

    /// The cut-over was given up: the account is where it was.
    pub fn stayed(&mut self) {
        assert_eq!(self.installation.server_of(BEN).as_deref(), Some("beta"));
        self.is_served("on beta");
        self.keeps_what_it_had();
        self.home();
    }

    /// Brings everything to where it was, and forgets the copy on alpha.
    pub fn home(&mut self) {
        let _show = ShowLogs(self.installation);
        self.installation.give_up_moves();
        self.installation.move_to(BEN, "beta");
        self.installation.give_up_moves();
        // A copy that follows in reverse would come to steps of a move before there is one.
        self.installation.release(BEN, "alpha");
        self.ledger.grows_by(2);
    }
}

/// What is to be there besides the four nodes.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// The links between the nodes, if they are to be cut.
    pub network: Option<&'a Network>,
    /// A node whose data is on a small disk.
    pub disk: Option<(&'a str, &'a Disk)>,
    /// The roles of alpha and beta.
    pub data_roles: &'a str,
    /// The edges at which somebody works with messages of the mailbox of the same name.
    pub doors: &'a [&'a str],
}

impl Setting<'_> {
    /// One edge, data servers that are nothing else.
    pub const PLAIN: Setting<'static> = Setting { network: None, disk: None, data_roles: "data", doors: &["edge"] };

    fn place(&self, name: &str) -> Place {
        let place = self.network.map(|network| network.place(name)).unwrap_or_default();
        match self.disk {
            Some((node, disk)) if node == name => Place { dir: Some(disk.path().join(name)), ..place },
            _ => place,
        }
    }
}

/// Plays on a new installation, and compares at the end.
pub fn play(setting: Setting<'_>, part: impl FnOnce(&mut Stage<'_>)) {
    let Setting { network, data_roles, doors, .. } = setting;
    let mut installation = Installation::new();
    installation.start_main("main", setting.place("main"));
    for (name, roles) in [("edge", "edge"), ("alpha", data_roles), ("beta", data_roles)] {
        installation.join_and_serve(name, roles, setting.place(name));
    }
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(BEN, "beta");
    let edge = installation.node("edge").at;
    let mut observer = until("ben may log in", SERVED_WITHIN, || at(network, "edge", || edge.login(BEN)).ok()).0;
    let validity = until("ben is served", SERVED_WITHIN, || uid_status(&mut observer, "INBOX")).0.0;
    let mut folders = Vec::new();
    for door in doors {
        assert!(observer.command(&format!("CREATE {door}")).unwrap().ok());
        folders.push((door, uid_status(&mut observer, door).unwrap().0, installation.node(door).at));
    }

    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        let ledger = &ledger;
        let _end = ledger.end_later();
        scope.spawn(move || ledger.deliver(|| at(network, "edge", || edge.lmtp()), BEN, 0));
        for &(door, _, doors) in &folders {
            scope.spawn(move || ledger.work(|| at(network, door, || doors.login(BEN)), door, 0));
        }
        let installation = &mut installation;
        part(&mut Stage { installation, ledger, network, edge, validity, dump: Vec::new() });
    });
    assert_eq!(ledger.interruptions(), [""; 0], "all sessions live on");
    let mut observer = at(network, "edge", || edge.login(BEN)).unwrap();
    ledger.compare(&mut observer, "INBOX", "lmtp-", validity);
    for (door, validity, _) in folders {
        ledger.compare(&mut observer, door, &format!("work-{door}-"), validity);
    }
    installation.is_sound();
}
