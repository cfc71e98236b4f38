//! The tiny file that a node needs before it can read its directory: who it is, and where it listens. Everything else
//! is a setting in the directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sterna_base::atomic_file;

/// The file's name in the node's folder.
pub const FILE_NAME: &str = "sterna.toml";

/// The administration socket's usual name in the node's folder.
pub const ADMIN_SOCKET: &str = "admin.sock";

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Owns the directory, the placements and the installation's certificates.
    Main,
    /// Holds accounts.
    Data,
    /// Speaks the protocols of mail to the world.
    Edge,
}

impl Role {
    /// Its name in configuration and directory.
    pub fn name(self) -> &'static str {
        match self {
            Role::Main => "main",
            Role::Data => "data",
            Role::Edge => "edge",
        }
    }
}

impl FromStr for Role {
    type Err = ConfigError;
    fn from_str(name: &str) -> Result<Self, ConfigError> {
        let found = [Role::Main, Role::Data, Role::Edge].into_iter().find(|role| role.name() == name);
        found.ok_or_else(|| ConfigError::UnknownRole(name.to_owned()))
    }
}

/// The file's content.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What it is called.
    pub name: String,
    /// What it does.
    pub roles: BTreeSet<Role>,
    /// How it speaks with other nodes.
    pub cluster: Cluster,
    /// Where it listens for clients; only edges do.
    #[serde(default)]
    pub listen: Listen,
    /// Where log-ins without TLS are taken.
    #[serde(default)]
    pub plaintext_login: PlaintextLogin,
    /// The certificate that clients see; without one the node makes its own.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Which certificates of clients users may log in by; without it clients are not asked for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificates: Option<ClientCertificates>,
    /// The name in greetings and trace fields; the node's name when left out.
    #[serde(default)]
    pub hostname: Option<String>,
    /// The DNS servers to ask; those of the system when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<SocketAddr>,
    /// A file of DNSKEY records, as zone files have them, that DNS answers are validated by (RFC 4033 section 2); the
    /// keys of the world's root when left out. For networks whose names somebody else signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_anchors: Option<PathBuf>,
    /// The administration socket; `admin.sock` in the node's folder when left out.
    #[serde(default)]
    pub admin_socket: Option<PathBuf>,
}

/// How a node speaks with other nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where others reach it.
    pub address: String,
    /// Where this node looks for the main node instead of where the directory says; for when both moved at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main: Option<String>,
    /// Whether accounts are served here that have a standby copy, although neither the main node nor that copy's server
    /// says that they were not taken over: for when both are gone for good. Otherwise two servers may serve them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub serve_alone: bool,
}

/// Where an edge listens; a service without an address is off. Only where the whole table is left out do the usual
/// ports hold: TOML has no null, and there must be a way to turn a service off.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// IMAP with STARTTLS.
    pub imap: Option<SocketAddr>,
    /// IMAP with TLS from the first byte.
    pub imaps: Option<SocketAddr>,
    /// POP3 with STLS.
    pub pop3: Option<SocketAddr>,
    /// POP3 with TLS from the first byte.
    pub pop3s: Option<SocketAddr>,
    /// ManageSieve with STARTTLS.
    pub managesieve: Option<SocketAddr>,
    /// Calendars, address books and files (DAV) with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<SocketAddr>,
    /// The same without TLS, for a proxy on this machine; log-ins are taken as `plaintext_login` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
    /// SMTP from other servers.
    pub smtp: Option<SocketAddr>,
    /// Submission with STARTTLS.
    pub submission: Option<SocketAddr>,
    /// Submission with TLS from the first byte.
    pub submissions: Option<SocketAddr>,
    /// LMTP: it trusts whoever connects, so it stays on loopback unless a firewall guards it.
    pub lmtp: Option<SocketAddr>,
    /// Lookups for a Postfix in front, all tables on one port (socketmap_table(5)); it answers whoever connects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socketmap: Option<SocketAddr>,
    /// Replication of a Cyrus server, whose users come here: its `sync_client` calls this port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cyrus: Option<SocketAddr>,
    /// Lookups by tcp_table(5), for each table a port of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tcp_tables: BTreeMap<String, SocketAddr>,
}

impl Default for Listen {
    fn default() -> Self {
        // Every address of both families: `Sockets::bind` sees to IPv4.
        let any = |port| Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
        Listen {
            imap: any(143),
            imaps: any(993),
            pop3: any(110),
            pop3s: any(995),
            managesieve: any(4190),
            https: any(443),
            http: None,
            smtp: any(25),
            submission: any(587),
            submissions: any(465),
            lmtp: Some(SocketAddr::from(([127, 0, 0, 1], 24))),
            socketmap: None,
            cyrus: None,
            tcp_tables: BTreeMap::new(),
        }
    }
}

/// Where log-ins without TLS are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaintextLogin {
    /// Nowhere.
    #[default]
    Never,
    /// From this machine only.
    Loopback,
}

/// The certificate that clients see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the certificate and those between it and its root.
    pub certificate: PathBuf,
    /// PEM file with its key.
    pub key: PathBuf,
}

/// Which certificates of clients count for IMAP and POP3 (SASL EXTERNAL). They are looked at again every minute.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificates {
    /// PEM file with the certificates of the authorities that sign them.
    pub ca: PathBuf,
    /// PEM file with the lists of what these authorities have revoked, one of each that signs anything; a list that is
    /// out of date counts as none, and then nobody's certificate counts. Left out, nothing is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl: Option<PathBuf>,
}

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is none.
    #[error(
        "{0} does not exist. Name the node's folder with --dir; for a new installation, make an empty folder and run \
         `sterna serve`, or run `sterna init`"
    )]
    Missing(PathBuf),
    /// It can't be read or written.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// It isn't what we write.
    #[error("{path}: {cause}")]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Line and column.
        cause: Box<toml::de::Error>,
    },
    /// A role that doesn't exist.
    #[error("there is no role {0:?}; the roles are main, data and edge")]
    UnknownRole(String),
}

impl Config {
    /// Reads the configuration of the node in this folder.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join(FILE_NAME);
        let text = fs::read_to_string(&path).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::NotFound => ConfigError::Missing(path.clone()),
            _ => ConfigError::File { path: path.clone(), cause },
        })?;
        toml::from_str(&text).map_err(|cause| ConfigError::Syntax { path, cause: Box::new(cause) })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ConfigError::File`].
    pub fn write(&self, folder: &Path) -> Result<(), ConfigError> {
        let path = folder.join(FILE_NAME);
        let text = toml::to_string(self).unwrap_or_default();
        let header =
            "# This node. Settings of the whole installation are in its directory: see `sterna domain set`.\n\n";
        let written = atomic_file::write(&path, format!("{header}{text}").as_bytes(), 0o640);
        written.map_err(|cause| ConfigError::File { path, cause })
    }

    /// Whether the node has the role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The name in greetings and trace fields.
    pub fn hostname(&self) -> &str {
        self.hostname.as_deref().unwrap_or(&self.name)
    }

    /// Where the administration socket is.
    pub fn admin_socket(&self, folder: &Path) -> PathBuf {
        self.admin_socket.clone().unwrap_or_else(|| folder.join(ADMIN_SOCKET))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            name: "mail1".into(),
            roles: [Role::Main, Role::Data].into(),
            cluster: Cluster {
                listen: ([0, 0, 0, 0], 7700).into(),
                address: "mail1:7700".into(),
                main: None,
                serve_alone: false,
            },
            listen: Listen::default(),
            plaintext_login: PlaintextLogin::Never,
            tls: None,
            client_certificates: None,
            hostname: None,
            nameservers: Vec::new(),
            trust_anchors: None,
            admin_socket: None,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let config = config();
        config.write(folder.path()).unwrap();
        let read = Config::read(folder.path()).unwrap();
        assert_eq!(format!("{config:?}"), format!("{read:?}"));
    }

    #[test]
    fn a_service_without_an_address_is_off() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config();
        config.listen.submissions = None;
        config.write(folder.path()).unwrap();
        let listen = Config::read(folder.path()).unwrap().listen;
        assert_eq!((listen.submissions, listen.imap.map(|at| at.port())), (None, Some(143)));
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        config().write(folder.path()).unwrap();
        let path = folder.path().join(FILE_NAME);
        let text = fs::read_to_string(&path).unwrap().replace("plaintext_login", "plaintext_logins");
        fs::write(&path, text).unwrap();
        assert!(Config::read(folder.path()).unwrap_err().to_string().contains("plaintext_logins"));
    }
}
