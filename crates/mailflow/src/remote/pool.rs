//! Connections that stay open for the next message to the same destination (RFC 5321 section 3.3 lets several go over
//! one).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::connection::Connection;
use crate::queue::Destination;

/// How long a connection waits for the next message. Servers don't like those that wait for long.
const IDLE: Duration = Duration::from_secs(5);

/// Connections that wait, over all destinations; others are closed at once.
const IDLE_MAX: usize = 100;

/// Messages that go over one connection: many servers allow a hundred.
const MESSAGES_MAX: u32 = 100;

/// See the module.
#[derive(Clone, Default)]
pub struct Pool(Arc<Mutex<Idle>>);

#[derive(Default)]
struct Idle {
    /// Numbers connections, so that a time limit hits the one it was set for.
    next: u64,
    count: usize,
    by_destination: HashMap<Destination, Vec<(u64, Connection)>>,
}

impl Pool {
    /// A connection that waits, the one that was used last.
    pub fn take(&self, destination: &Destination) -> Option<Connection> {
        let mut idle = self.0.lock();
        let waiting = idle.by_destination.get_mut(destination)?;
        let found = waiting.pop().map(|(_, connection)| connection);
        if waiting.is_empty() {
            idle.by_destination.remove(destination);
        }
        idle.count -= usize::from(found.is_some());
        found
    }

    /// Keeps a connection for the next message, for a while.
    pub fn put(&self, destination: &Destination, connection: Connection) {
        let number = {
            let mut idle = self.0.lock();
            if idle.count >= IDLE_MAX || connection.messages >= MESSAGES_MAX {
                drop(idle);
                tokio::spawn(connection.quit());
                return;
            }
            idle.next += 1;
            idle.count += 1;
            let number = idle.next;
            idle.by_destination.entry(destination.clone()).or_default().push((number, connection));
            number
        };
        let (pool, destination) = (self.clone(), destination.clone());
        tokio::spawn(async move {
            tokio::time::sleep(IDLE).await;
            if let Some(connection) = pool.remove(&destination, number) {
                connection.quit().await;
            }
        });
    }

    fn remove(&self, destination: &Destination, number: u64) -> Option<Connection> {
        let mut idle = self.0.lock();
        let waiting = idle.by_destination.get_mut(destination)?;
        let at = waiting.iter().position(|(known, _)| *known == number)?;
        let (_, connection) = waiting.remove(at);
        if waiting.is_empty() {
            idle.by_destination.remove(destination);
        }
        idle.count -= 1;
        Some(connection)
    }
}
