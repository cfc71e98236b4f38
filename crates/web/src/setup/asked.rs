//! What takes a while to find out: asked in the background, one at a time, and kept. Pages show what is known.

use std::sync::Arc;

use parking_lot::Mutex;
use sterna_base::Timestamp;
use tokio::sync::watch;

/// An answer that is kept.
pub struct Asked<T> {
    known: Arc<watch::Sender<Known<T>>>,
    asking: Arc<Mutex<bool>>,
}

struct Known<T> {
    at: Timestamp,
    answer: Option<Arc<T>>,
}

impl<T> Default for Asked<T> {
    fn default() -> Self {
        let known = watch::Sender::new(Known { at: Timestamp(0), answer: None });
        Asked { known: Arc::new(known), asking: Arc::default() }
    }
}

impl<T: Send + Sync + 'static> Asked<T> {
    /// What is known. When it is older than this, or nothing is, it is asked again, unless somebody asks already.
    pub fn look<F>(&self, now: Timestamp, age_ms_max: i64, ask: impl FnOnce() -> F) -> Option<Arc<T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (answer, is_stale) = {
            let known = self.known.borrow();
            let age = now.0.saturating_sub(known.at.0);
            (known.answer.clone(), known.answer.is_none() || !(0..age_ms_max).contains(&age))
        };
        if is_stale && !std::mem::replace(&mut *self.asking.lock(), true) {
            let (known, asked, done) = (self.known.clone(), ask(), Done(self.asking.clone()));
            tokio::spawn(async move {
                let answer = asked.await;
                drop(done);
                known.send_replace(Known { at: now, answer: Some(Arc::new(answer)) });
            });
        }
        answer
    }

    /// Hears of the next answer.
    pub fn heard(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut receiver = self.known.subscribe();
        async move {
            let _ = receiver.changed().await;
        }
    }

    /// Forgets what is known: the next look asks.
    pub fn forget(&self) {
        self.known.send_modify(|known| known.answer = None);
    }
}

/// Lets the next ask, however this one ends.
struct Done(Arc<Mutex<bool>>);

impl Drop for Done {
    fn drop(&mut self) {
        *self.0.lock() = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_look_and_one_asks() {
        let (asked, count) = (Asked::default(), Arc::new(AtomicUsize::new(0)));
        let look = |now: i64| {
            let count = count.clone();
            asked.look(Timestamp(now), 100, move || async move { count.fetch_add(1, Ordering::SeqCst) })
        };
        let heard = asked.heard();
        assert_eq!((look(1000), look(1000)), (None, None));
        heard.await;
        assert_eq!(look(1099).as_deref(), Some(&0));
        let heard = asked.heard();
        assert_eq!(look(1100).as_deref(), Some(&0), "the old answer until there is another");
        heard.await;
        assert_eq!((look(1100).as_deref(), count.load(Ordering::SeqCst)), (Some(&1), 2));
    }

    #[tokio::test]
    async fn a_question_that_fails_is_asked_again() {
        let asked = Asked::<usize>::default();
        let failing = asked.look(Timestamp(1), 100, || async { panic!("on purpose") });
        assert_eq!(failing, None);
        while asked.look(Timestamp(1), 100, || async { 7 }).is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(asked.look(Timestamp(1), 100, || async { 8 }).as_deref(), Some(&7));
    }
}
