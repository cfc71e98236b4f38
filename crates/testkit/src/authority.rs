//! A certificate authority: Debian's Pebble, the one that Let's Encrypt tests clients with. It looks at names as a real
//! one does, refuses some good nonces, and trusts nobody.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;

use crate::addresses;
use crate::daemon::Daemon;

/// The id and key by which it knows its customers, where it knows them.
pub const CUSTOMER: (&str, &str) = ("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W");

/// A running one. It ends when it is dropped.
pub struct Pebble {
    daemon: Daemon,
    address: SocketAddr,
    dns: SocketAddr,
}

/// Where it looks, and for whom it issues.
pub struct PebbleConfig {
    /// The port at which it looks for documents (http-01), instead of 80.
    pub http_port: u16,
    /// The port at which it looks for certificates (tls-alpn-01), instead of 443.
    pub tls_port: u16,
    /// Whom it asks for addresses.
    pub dns: SocketAddr,
    /// Whether it issues for its customers only.
    pub is_for_customers: bool,
}

impl Pebble {
    /// Starts one.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn start(config: &PebbleConfig) -> Self {
        let daemon = Daemon::new("pebble");
        let [address, management] = addresses::free(Ipv4Addr::LOCALHOST);
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let folder = daemon.folder().to_owned();
        fs::write(folder.join("certificate.pem"), made.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let (id, key) = CUSTOMER;
        let text = serde_json::json!({ "pebble": {
            "listenAddress": address.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": folder.join("certificate.pem"),
            "privateKey": folder.join("key.pem"),
            "httpPort": config.http_port,
            "tlsPort": config.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": config.is_for_customers,
            "externalAccountMACKeys": { id: key },
        }});
        fs::write(folder.join("config.json"), text.to_string()).unwrap();
        let mut pebble = Pebble { daemon, address, dns: config.dns };
        pebble.serve();
        pebble
    }

    /// Starts it again after [`Pebble::stop`]; it has forgotten everything.
    ///
    /// # Panics
    /// When it doesn't start.
    pub fn serve(&mut self) {
        let (address, folder) = (self.address, self.daemon.folder().to_owned());
        let mut command = Command::new("pebble");
        command.arg("-config").arg(folder.join("config.json")).arg("-dnsserver").arg(self.dns.to_string());
        // It proves every name each time, looks at once, and refuses a fifth of all good nonces.
        command.envs([("PEBBLE_AUTHZREUSE", "0"), ("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "20")]);
        self.daemon.start(&mut command, || TcpStream::connect(address).ok());
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.address)
    }

    /// The directory as it is, for somebody who serves another one with its URLs.
    pub fn urls(&self) -> serde_json::Value {
        let url = |path: &str| format!("https://{}/{path}", self.address);
        serde_json::json!({
            "newNonce": url("nonce-plz"),
            "newAccount": url("sign-me-up"),
            "newOrder": url("order-plz"),
            "revokeCert": url("revoke-cert"),
            "keyChange": url("rollover-account-key"),
        })
    }

    /// The certificate that it itself is trusted by, in PEM.
    ///
    /// # Panics
    /// When it can't be read.
    pub fn roots(&self) -> String {
        fs::read_to_string(self.daemon.folder().join("certificate.pem")).unwrap()
    }

    /// What it logged.
    pub fn said(&self) -> String {
        self.daemon.said()
    }
}
