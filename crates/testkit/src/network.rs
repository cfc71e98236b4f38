//! Nodes in networks of their own (network namespaces on one switch), whose cables can be pulled.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::process::{Command, Output};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::binary;
use crate::installation::{Doors, Place, Ports};

/// The switch's end is called like its node; the node's end like this.
const INTERFACE: &str = "eth0";

/// The ports of every node: each has its network for itself.
const PORTS: Ports = Ports {
    imap: 1143,
    imaps: 1993,
    pop3: 1110,
    managesieve: 1190,
    https: 1443,
    http: 1080,
    smtp: 1025,
    submission: 1587,
    lmtp: 1024,
    socketmap: 1700,
    transport: 1701,
    cyrus: 1702,
};

/// The port for other nodes.
const CLUSTER_PORT: u16 = 7700;

/// How long a knock may take: who drops packets doesn't answer.
const KNOCK: Duration = Duration::from_millis(700);

/// The hardware address of no node.
const NOBODY: &str = "02:00:00:00:00:01";

/// A switch with a node at each cable. Gone when it is dropped.
pub struct Network {
    prefix: String,
    nodes: Vec<String>,
}

impl Network {
    /// A network with a cable for each of these nodes, or `None` with a printed reason where we may not make one.
    ///
    /// # Panics
    /// In CI, when it can't be made: CI skips nothing.
    pub fn new(nodes: &[&str]) -> Option<Self> {
        if !binary::have_root() || !binary::have(&["ip"]) {
            return None;
        }
        let number: [u8; 4] = sterna_base::ids::random_bytes();
        let prefix = format!("sterna{:08x}", u32::from_be_bytes(number));
        let network = Network { prefix, nodes: nodes.iter().map(|&name| name.to_owned()).collect() };
        let switch = network.space("switch");
        ip(&["netns", "add", &switch]);
        ip(&["-n", &switch, "link", "add", "switch", "type", "bridge"]);
        ip(&["-n", &switch, "link", "set", "switch", "up"]);
        for name in nodes {
            let space = network.space(name);
            ip(&["netns", "add", &space]);
            ip(&["-n", &switch, "link", "add", name, "type", "veth", "peer", "name", INTERFACE, "netns", &space]);
            ip(&["-n", &space, "link", "set", "lo", "up"]);
            ip(&["-n", &space, "address", "add", &format!("{}/24", network.address(name)), "dev", INTERFACE]);
            ip(&["-n", &space, "link", "set", INTERFACE, "up"]);
            ip(&["-n", &switch, "link", "set", name, "up"]);
            network.heal(name);
        }
        Some(network)
    }

    /// Where to run a node: other nodes reach it over its cable, its own clients over loopback.
    pub fn place(&self, name: &str) -> Place {
        let wrapper = ["ip", "netns", "exec", &self.space(name)].map(str::to_owned).into();
        let cluster = (self.address(name), CLUSTER_PORT).into();
        let at = Doors { host: Ipv4Addr::LOCALHOST.into(), ports: PORTS, cluster };
        Place { at: Some(at), wrapper, dir: None }
    }

    /// Does this in the node's network. Connections made there stay there.
    ///
    /// # Panics
    /// When it can't be entered, or the work panics.
    pub fn inside<T: Send>(&self, name: &str, work: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}", self.space(name));
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let space = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
                let moved = move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network));
                moved.unwrap_or_else(|error| panic!("{path}: {error}"));
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Whether a node gets to this address.
    ///
    /// # Panics
    /// See [`Network::inside`].
    pub fn reaches(&self, from: &str, to: SocketAddr) -> bool {
        self.inside(from, || TcpStream::connect_timeout(&to, KNOCK).is_ok())
    }

    /// Runs a program in the node's network.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn run(&self, name: &str, command: &[&str]) -> Output {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.space(name)]).args(command);
        inside.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// The switch loses every packet of this node; nobody's link goes down.
    pub fn cut(&self, name: &str) {
        ip(&["-n", &self.space("switch"), "link", "set", name, "nomaster"]);
    }

    /// The cable is pulled, and the node sees it.
    pub fn unplug(&self, name: &str) {
        ip(&["-n", &self.space("switch"), "link", "set", name, "down"]);
    }

    /// What `from` sends to `to` is lost, as if the switch didn't know it; nothing else is.
    pub fn cut_way(&self, from: &str, to: &str) {
        let address = self.address(to).to_string();
        let nobody = ["neighbour", "replace", &address, "lladdr", NOBODY, "dev", INTERFACE, "nud", "permanent"];
        ip(&[&["-n", &self.space(from)], &nobody[..]].concat());
    }

    /// The way is as it was.
    pub fn heal_way(&self, from: &str, to: &str) {
        let address = self.address(to).to_string();
        ip(&["-n", &self.space(from), "neighbour", "delete", &address, "dev", INTERFACE]);
    }

    /// As it was.
    pub fn heal(&self, name: &str) {
        ip(&["-n", &self.space("switch"), "link", "set", name, "up", "master", "switch"]);
    }

    fn space(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Where others reach a node.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn address(&self, name: &str) -> IpAddr {
        let place = self.nodes.iter().position(|node| node == name).unwrap_or_else(|| panic!("no node {name}"));
        let number = u8::try_from(place + 1).unwrap_or_else(|_| panic!("so many nodes"));
        Ipv4Addr::new(10, 77, 0, number).into()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in self.nodes.iter().map(String::as_str).chain(["switch"]) {
            let _ = Command::new("ip").args(["netns", "delete", &self.space(name)]).status();
        }
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap_or_else(|error| panic!("ip: {error}"));
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
