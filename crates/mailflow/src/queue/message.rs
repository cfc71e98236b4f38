//! What is in the queue.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sterna_account::service::{MessageBody, Rcpt};
use sterna_base::{AccountId, BlobHash, OperationId, Timestamp};

use crate::delivery::Keep;
use crate::provenance::Provenance;

/// Names a message in the queue: the transaction that brought it in, which the client was told with its `250`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueueId(pub OperationId);

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A row of the queue that stands for one message and one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeliveryId(pub i64);

/// A row of the queue that stands for one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipientId(pub i64);

/// Where a message goes next. Messages with the same destination share connections, limits and back-off.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Destination {
    /// One of our own accounts, whose data server could not take the message at once.
    Account(AccountId),
    /// The mail exchangers of a domain (RFC 5321 section 5), as A-labels in lower case.
    Domain(String),
    /// A host of the administrator's choice, without a look at MX records.
    Host(NextHop),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHop {
    /// A name, or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Port of next hops that are given without one.
pub const SMTP_PORT: u16 = 25;

impl FromStr for NextHop {
    type Err = InvalidDestination;

    /// `host`, `host:port`, `[IPv6]`, `[IPv6]:port`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest),
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| InvalidDestination)?,
            None if port.is_empty() => SMTP_PORT,
            None => return Err(InvalidDestination),
        };
        let good = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte));
        good.then(|| NextHop { host: host.to_ascii_lowercase(), port }).ok_or(InvalidDestination)
    }
}

/// It is not the name of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a destination: account:NUMBER, domain:NAME or host:NAME:PORT")]
pub struct InvalidDestination;

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Account(id) => write!(f, "account:{id}"),
            Destination::Domain(name) => write!(f, "domain:{name}"),
            Destination::Host(hop) => write!(f, "host:{hop}"),
        }
    }
}

impl From<Destination> for String {
    fn from(destination: Destination) -> Self {
        destination.to_string()
    }
}

impl TryFrom<String> for Destination {
    type Error = InvalidDestination;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for Destination {
    type Err = InvalidDestination;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = text.split_once(':').ok_or(InvalidDestination)?;
        match kind {
            "account" => rest.parse().map(Destination::Account).map_err(|_| InvalidDestination),
            "domain" if !rest.is_empty() => Ok(Destination::Domain(rest.to_owned())),
            "host" => rest.parse().map(Destination::Host),
            _ => Err(InvalidDestination),
        }
    }
}

/// A message that is put into the queue.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Its name.
    pub id: QueueId,
    /// What was said about it.
    pub envelope: QueuedEnvelope,
    /// The content with its trace fields, Return-Path first if it has one.
    pub body: MessageBody,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Its name.
    pub hash: BlobHash,
    /// The recipients by destination; none is empty.
    pub deliveries: Vec<NewDelivery>,
}

/// What is said about a message once for all its recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedEnvelope {
    /// The reverse-path; empty for bounces.
    pub mail_from: String,
    /// ENVID (RFC 3461 section 4.4).
    pub envelope_id: Option<String>,
    /// Whether RET=HDRS was said (RFC 3461 section 4.3).
    pub return_headers_only: bool,
    /// Whether the content has bytes over 127.
    pub eight_bit: bool,
    /// Whether SMTPUTF8 was said.
    pub utf8: bool,
    /// Where accounts keep it.
    pub keep: Keep,
    /// What was found out on its way in.
    pub provenance: Provenance,
    /// Who brought it, in words for the administrator.
    pub origin: String,
    /// When it was taken.
    pub received: Timestamp,
    /// When it is given up.
    pub expires: Timestamp,
}

/// The recipients of a message that have one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Where to.
    pub destination: Destination,
    /// Who gets it there.
    pub recipients: Vec<Rcpt>,
    /// When to try first.
    pub next: Timestamp,
    /// When the sender must hear of it, if it still waits then: that it takes long, or that it is given up.
    pub deadline: Timestamp,
}

/// One message for one destination, to be tried now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The row.
    pub id: DeliveryId,
    /// The message.
    pub message: QueueId,
    /// Where to.
    pub destination: Destination,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether the sender was told that it takes long.
    pub warned: bool,
    /// What was said about the message.
    pub envelope: QueuedEnvelope,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Its name.
    pub hash: BlobHash,
    /// Who still waits for it.
    pub recipients: Vec<QueuedRecipient>,
}

/// A recipient who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedRecipient {
    /// The row.
    pub id: RecipientId,
    /// Address and DSN parameters.
    pub rcpt: Rcpt,
}

/// What became of one recipient in one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which.
    pub recipient: RecipientId,
    /// What.
    pub result: Delivered,
}

/// See [`Outcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is in the mailbox.
    Done(Said),
    /// The next host has it.
    Relayed {
        /// Its reply.
        said: Said,
        /// Whether it was asked to tell the sender, and will (RFC 3461 section 5.2.2).
        tells_sender: bool,
    },
    /// Not now.
    Deferred(Said),
    /// Never.
    Failed(Said),
}

/// What a host said, or what kept us from asking it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Said {
    /// Name and address of the host; empty when none was reached.
    pub host: String,
    /// Its reply in its own words, or our description.
    pub text: String,
    /// The status code (RFC 3463).
    pub status: (u8, u16, u16),
    /// Whether the text is the host's reply, which a notification may quote as such (RFC 3464 section 2.3.6).
    pub is_reply: bool,
}

/// What a try left to be done later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// Where it was not to be had.
    pub tried: Destination,
    /// When.
    pub next: Timestamp,
    /// Why.
    pub said: Said,
    /// Whether the sender is told with this that it takes long.
    pub warned: bool,
    /// When the sender must hear of it next.
    pub deadline: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_as_they_are_written() {
        let hop = |host: &str, port| Destination::Host(NextHop { host: host.into(), port });
        for destination in [
            Destination::Account(AccountId(7)),
            Destination::Domain("example.org".into()),
            hop("relay.example.org", 587),
            hop("2001:db8::1", 25),
        ] {
            assert_eq!(destination.to_string().parse(), Ok(destination));
        }
        assert_eq!("Relay".parse::<NextHop>().map(|hop| hop.to_string()).as_deref(), Ok("relay:25"));
        for wrong in ["", "domain:", "host:", "host:a:b", "host:a b", "account:x", "elsewhere:1", "host:[::1]x"] {
            assert!(wrong.parse::<Destination>().is_err(), "{wrong}");
        }
    }
}
