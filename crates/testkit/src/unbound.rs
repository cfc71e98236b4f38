//! Debian's unbound as the name server of a machine: it asks the tests' own servers and passes their answers on with
//! the signatures, without a word of its own on them.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::wait::until;

/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// A DNS question for the addresses of the root, which it answers as soon as it runs.
const QUESTION: &[u8] = b"\x07\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01";

/// A running one. It ends when it is dropped.
pub struct Unbound {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Unbound {
    /// Starts one that asks these servers about these zones and what is below.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start(zones: &[(&str, SocketAddr)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let mut config = format!(
            "server:\n interface: {}@{}\n chroot: \"\"\n username: \"\"\n directory: \"{}\"\n pidfile: \"\"\n \
             do-daemonize: no\n use-syslog: no\n logfile: \"\"\n do-not-query-localhost: no\n module-config: \"iterator\"\n \
             qname-minimisation: no\n local-zone: \"test.\" nodefault\nremote-control:\n control-enable: no\n",
            address.ip(),
            address.port(),
            folder.path().display(),
        );
        for (zone, server) in zones {
            let _ = write!(config, "stub-zone:\n name: \"{zone}\"\n stub-addr: {}@{}\n", server.ip(), server.port());
        }
        let file = folder.path().join("unbound.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("unbound");
        let child = command.arg("-d").arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let unbound = Unbound { address, child: child.unwrap(), _folder: folder };
        until("unbound", PATIENCE, || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            socket.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
            socket.connect(address).ok()?;
            socket.send(QUESTION).ok()?;
            socket.recv(&mut [0; 512]).ok()
        });
        unbound
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
