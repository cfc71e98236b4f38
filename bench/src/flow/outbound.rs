//! Mail from a queue to the world: all that one server sends to a hundred destinations.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use sterna_testkit::postfix::Postfix;

use super::Options;
use super::sources::{Sink, Source, send_all};
use crate::peers::sterna::{Layout, Sterna};
use crate::peers::{self, Server};
use crate::report::{Report, Unit};

/// Domains, each with a host of its own: an address of the loopback network.
pub const DESTINATIONS: u32 = 100;
/// Senders at the same time.
pub const AT_ONCE: usize = 10;
const CONNECTIONS: u32 = 2;
const BYTES: u32 = 5_000;

/// A server that sends on.
pub enum Sender {
    /// Debian's.
    Postfix(Box<Postfix>),
    /// Ours.
    Sterna(Box<Sterna>),
}

impl Sender {
    /// Starts one for which `d0.test` to `d99.test` are at this port of 127.0.0.1 to 127.0.0.100.
    pub fn start(name: &str, folder: &Path, port: u16) -> Result<Self> {
        if name == "sterna" {
            let sterna = Sterna::start(&folder.join(name), Layout::OneNode)?;
            let route = |n: u32| format!("d{n}.test=127.0.0.{}:{port}", n + 1);
            let routes: Vec<String> = (0..DESTINATIONS).map(route).collect();
            sterna.admin(&["config", "set", "mail.dmarc", "off"])?;
            sterna.admin(&["config", "set", "mail.networks", "127.0.0.0/8"])?;
            sterna.admin(&["config", "set", "mail.routes", &routes.join(" ")])?;
            return Ok(Sender::Sterna(Box::new(sterna)));
        }
        let route = |n: u32| format!("{{d{n}.test = smtp:[127.0.0.{}]:{port}}}", n + 1);
        let routes: Vec<String> = (0..DESTINATIONS).map(route).collect();
        let more = format!(
            "transport_maps = inline:{{ {} }}\nsmtpd_recipient_restrictions = permit_mynetworks, reject\n\
             minimal_backoff_time = 300s\nqueue_run_delay = 300s\nsmtp_bind_address =\n",
            routes.join(", ")
        );
        Ok(Sender::Postfix(Box::new(Postfix::start_with(peers::loopback(9), &more))))
    }

    /// Where it takes mail.
    pub fn smtp(&self) -> SocketAddr {
        match self {
            Sender::Postfix(postfix) => postfix.address,
            Sender::Sterna(sterna) => sterna.smtp(),
        }
    }

    /// Its processes.
    pub fn processes(&self) -> Result<Vec<u32>> {
        match self {
            Sender::Postfix(postfix) => Ok(vec![postfix.master()]),
            Sender::Sterna(sterna) => Ok(sterna.processes()),
        }
    }
}

/// From the first message that is handed to it to the last one that has arrived.
pub fn run(name: &str, folder: &Path, options: &Options, report: &mut Report) -> Result<()> {
    let port = peers::free_port()?;
    let sender = Sender::start(name, folder, port)?;
    let mut figures = Vec::new();
    for _ in 0..options.rounds {
        let sink = Sink::start(port, options.outbound)?;
        let start = Instant::now();
        send_all(sender.smtp(), &sources(options.outbound, CONNECTIONS, BYTES), AT_ONCE)?;
        sink.wait()?;
        figures.push(f64::from(options.outbound) / start.elapsed().as_secs_f64());
    }
    report.add("accepted, queued, sent to 100 destinations", name, Unit::PerSecond, figures);
    Ok(())
}

/// Messages to all destinations, each as many.
pub fn sources(messages: u32, connections: u32, bytes: u32) -> Vec<Source> {
    let messages = messages / DESTINATIONS;
    let source = |n| Source { recipient: format!("somebody@d{n}.test"), connections, messages, bytes };
    (0..DESTINATIONS).map(source).collect()
}
