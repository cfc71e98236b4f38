//! Who has a delivery in hands: a try that is under way, or an administrator who sends it somewhere else or throws it
//! away. Never both: another server may have the message of a try whose end is not known yet, and a message that was
//! sent elsewhere meanwhile would arrive twice.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::message::DeliveryId;

/// See the module.
#[derive(Clone)]
pub struct Tries(Arc<Shared>);

struct Shared {
    taken: Mutex<HashSet<DeliveryId>>,
    /// Changes whenever one is let go.
    ended: watch::Sender<()>,
}

/// A delivery in somebody's hands, until this is dropped.
pub struct Lease {
    tries: Tries,
    id: DeliveryId,
}

impl Default for Tries {
    fn default() -> Self {
        Tries(Arc::new(Shared { taken: Mutex::default(), ended: watch::Sender::new(()) }))
    }
}

impl Tries {
    /// Takes a delivery; `None` when somebody else has it.
    pub fn take(&self, id: DeliveryId) -> Option<Lease> {
        self.0.taken.lock().insert(id).then(|| Lease { tries: self.clone(), id })
    }

    /// Waits until nobody has any of these, so long at most.
    pub async fn ended(&self, ids: &[DeliveryId], patience: Duration) {
        let mut changed = self.0.ended.subscribe();
        let all = async {
            while self.has_any(ids) {
                // The sender lives as long as this.
                let _ = changed.changed().await;
            }
        };
        // Whoever waited for too long is told so by what is still taken.
        let _ = tokio::time::timeout(patience, all).await;
    }

    fn has_any(&self, ids: &[DeliveryId]) -> bool {
        let taken = self.0.taken.lock();
        ids.iter().any(|id| taken.contains(id))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.tries.0.taken.lock().remove(&self.id);
        self.tries.0.ended.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_has_it_and_others_wait() {
        let tries = Tries::default();
        let lease = tries.take(DeliveryId(1)).unwrap();
        assert!(tries.take(DeliveryId(1)).is_none() && tries.take(DeliveryId(2)).is_some());
        tries.ended(&[DeliveryId(1)], Duration::ZERO).await;
        assert!(tries.take(DeliveryId(1)).is_none(), "it is still under way");
        let waiting = [DeliveryId(1), DeliveryId(2)];
        let ((), ()) = tokio::join!(tries.ended(&waiting, Duration::MAX), async { drop(lease) });
        assert!(tries.take(DeliveryId(1)).is_some());
    }
}
