//! What the runner has not heard of yet.

use parking_lot::Mutex;
use sterna_base::Timestamp;
use tokio::sync::Notify;

use super::message::{DeliveryId, Destination};

/// Pieces of news that are kept; more, and the runner looks into the store instead.
const NEWS_MAX: usize = 4096;

/// A delivery that is new, or due at another time than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct New {
    /// Which.
    pub id: DeliveryId,
    /// Where to.
    pub destination: Destination,
    /// When.
    pub due: Timestamp,
}

/// What happened since the runner looked.
#[derive(Debug, Default)]
pub struct Happened {
    /// Deliveries.
    pub new: Vec<New>,
    /// Whether anything may have changed.
    pub anything: bool,
}

/// From those who change the queue to the one who works it off.
#[derive(Default)]
pub struct News {
    happened: Mutex<Happened>,
    notify: Notify,
}

impl News {
    /// Tells of deliveries.
    pub fn tell(&self, new: Vec<New>) {
        {
            let mut happened = self.happened.lock();
            if happened.new.len() + new.len() > NEWS_MAX {
                *happened = Happened { new: Vec::new(), anything: true };
            } else if !happened.anything {
                happened.new.extend(new);
            }
        }
        self.notify.notify_one();
    }

    /// Tells that anything may have changed: somebody held, released or rerouted.
    pub fn tell_all(&self) {
        *self.happened.lock() = Happened { new: Vec::new(), anything: true };
        self.notify.notify_one();
    }

    /// Waits until something happened.
    pub async fn wait(&self) -> Happened {
        loop {
            let happened = std::mem::take(&mut *self.happened.lock());
            if happened.anything || !happened.new.is_empty() {
                return happened;
            }
            self.notify.notified().await;
        }
    }
}
