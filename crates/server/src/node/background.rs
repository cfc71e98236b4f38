//! Threads for what nobody waits for: the system gives them the processors that nobody else wants.

use std::io;

use rustix::process::{getpriority_process, setpriority_process};
use tokio::runtime::{Builder, Handle, Runtime};

/// By how much such a thread is nicer than the others (nice(2)). At 10 the kernel gives it about a tenth of what it
/// gives another thread that wants the same processor; at 19 the work would stand still on a busy machine.
const NICER: i32 = 10;

/// One thread at a time: who waits nowhere needs no second one.
const THREADS_MAX: usize = 1;

/// A runtime for blocking calls on threads that give way. It has no tasks of its own.
pub struct Background {
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Background {
    /// Makes it; its thread begins with the first call.
    ///
    /// # Errors
    /// When the system gives it no descriptors.
    pub fn start() -> io::Result<Self> {
        let mut builder = Builder::new_current_thread();
        builder.thread_name("background").max_blocking_threads(THREADS_MAX).on_thread_start(give_way);
        let runtime = builder.build()?;
        Ok(Background { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Where calls are to be run.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Background {
    /// Doesn't wait for a call under way: a runtime that is dropped within another one would.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Linux has a priority for each thread: no process means the thread that asks.
fn give_way() {
    let nicer = getpriority_process(None).and_then(|now| setpriority_process(None, now + NICER));
    if let Err(error) = nicer {
        tracing::warn!(%error, "the background thread has the priority of all others");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_thread_gives_way_and_ours_does_not() {
        let background = Background::start().unwrap();
        let before = getpriority_process(None).unwrap();
        let there = background.handle().spawn_blocking(|| getpriority_process(None).unwrap()).await.unwrap();
        assert_eq!(there, before + NICER);
        let here = tokio::task::spawn_blocking(|| getpriority_process(None).unwrap()).await.unwrap();
        assert_eq!(here, before);
    }
}
