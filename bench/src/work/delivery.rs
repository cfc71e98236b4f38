//! LMTP delivery, each message acknowledged when it is durable.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};

use super::{message, rounds};
use crate::Options;
use crate::client::Lmtp;
use crate::peers::Server;
use crate::report::{Report, Unit};

/// Numbers messages over all rounds, so that no two are equal.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// `senders` connections, each delivering to a user of its own.
pub fn run(server: &dyn Server, senders: u32, options: &Options, report: &mut Report) -> Result<()> {
    let each = if senders == 1 { 200 } else { 100 };
    let name = format!("LMTP delivery, {senders} senders");
    rounds(server, &name, Unit::PerSecond, options.rounds, report, || {
        let (address, recipients) = (server.lmtp(), (0..senders).map(|n| server.address(n)).collect::<Vec<_>>());
        let start = Instant::now();
        let results = thread::scope(|scope| {
            let threads: Vec<_> = recipients
                .iter()
                .map(|recipient| {
                    scope.spawn(move || -> Result<()> {
                        let mut lmtp = Lmtp::connect(address)?;
                        for _ in 0..each {
                            lmtp.deliver(recipient, &message(NUMBER.fetch_add(1, Ordering::Relaxed)))?;
                        }
                        Ok(())
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().map_err(|_| anyhow!("a sender panicked"))?)
                .collect::<Result<Vec<()>>>()
        });
        results?;
        Ok(f64::from(senders * each) / start.elapsed().as_secs_f64())
    })
}
