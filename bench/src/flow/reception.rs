//! Mail from senders until it is in the mailboxes.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sterna_testkit::postfix::Postfix;

use super::sources::{Source, send_all};
use super::{DOMAIN, Options};
use crate::client::Imap;
use crate::peers::sterna::{Layout, Sterna};
use crate::peers::{self, Server};
use crate::report::{Report, Unit};

/// Users who get mail at the same time when there are many connections.
const RECIPIENTS: u32 = 10;
/// How long the last messages may take from their acceptance to the mailbox.
const PATIENCE: Duration = Duration::from_secs(300);

/// Connections, bytes of a message, messages.
const WORKS: [(u32, u32, u32); 4] = [(1, 5_000, 400), (50, 5_000, 4000), (1, 500_000, 100), (50, 500_000, 400)];

/// A system of mailboxes with what receives for it.
struct System {
    server: Box<dyn Server>,
    smtp: SocketAddr,
    /// Ends after the mailboxes.
    _postfix: Option<Postfix>,
}

/// Measures all works on one system.
pub fn run(name: &str, folder: &Path, options: &Options, report: &mut Report) -> Result<()> {
    let mut system = start(name, folder)?;
    for (connections, bytes, messages) in WORKS {
        let work = format!("{connections} connections, {} kB", bytes / 1000);
        let mut figures = Vec::new();
        for _ in 0..options.rounds {
            figures.push(f64::from(messages) / round(&system, connections, bytes, messages)?.as_secs_f64());
        }
        report.add(&work, name, Unit::PerSecond, figures);
    }
    system.server.stop()
}

/// How long these messages take until they are all in their mailboxes.
fn round(system: &System, connections: u32, bytes: u32, messages: u32) -> Result<Duration> {
    let recipients = RECIPIENTS.min(connections);
    let mut mailboxes = Vec::new();
    for user in 0..recipients {
        let (login, password) = system.server.login(user);
        let mut imap = Imap::login(system.server.imap(), &login, &password)?;
        let before = imap.messages("INBOX")?;
        mailboxes.push((imap, before + u64::from(messages / recipients)));
    }
    let source = |user| Source {
        recipient: format!("u{user}@{DOMAIN}"),
        connections: connections / recipients,
        messages: messages / recipients,
        bytes,
    };
    let sources: Vec<Source> = (0..recipients).map(source).collect();
    let start = Instant::now();
    send_all(system.smtp, &sources, sources.len())?;
    for (imap, expected) in &mut mailboxes {
        while imap.messages("INBOX")? < *expected {
            ensure!(start.elapsed() < PATIENCE, "not everything came");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
    Ok(start.elapsed())
}

fn start(name: &str, folder: &Path) -> Result<System> {
    if name == "sterna" {
        let sterna = Sterna::start(&folder.join(name), Layout::OneNode)?;
        // The peers verify nothing either.
        sterna.admin(&["config", "set", "mail.dmarc", "off"])?;
        return Ok(System { smtp: sterna.smtp(), server: Box::new(sterna), _postfix: None });
    }
    let server = peers::start(name, folder)?;
    let lmtp = server.lmtp();
    let more = format!(
        "virtual_mailbox_domains = {DOMAIN}\nvirtual_mailbox_maps =\n\
         virtual_transport = lmtp:inet:{}:{}\nsmtpd_recipient_restrictions = permit_mynetworks, reject\n",
        lmtp.ip(),
        lmtp.port()
    );
    // Its relay host is never asked: all mail is for its own domain.
    let postfix = Postfix::start_with(peers::loopback(9), &more);
    Ok(System { smtp: postfix.address, server, _postfix: Some(postfix) })
}
