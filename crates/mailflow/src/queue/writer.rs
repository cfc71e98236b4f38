//! The one thread that writes: what waits shares a transaction and its flush.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::error::QueueError;

/// Most pieces of work that wait; later ones wait for a place.
const WAITING_MAX: usize = 1024;

/// Most pieces of work that share a flush.
const BATCH_MAX: usize = 256;

/// Runs inside the batch's transaction, and gives what happens after it. Without a connection it answers that nothing
/// can be written.
type Work = Box<dyn FnOnce(Option<&Connection>) -> Then + Send>;
/// Answers, once the transaction is durable, or not.
type Then = Box<dyn FnOnce(&Result<(), NotKept>) + Send>;

/// The transaction was not kept, or nobody knows.
#[derive(Clone, Debug)]
struct NotKept {
    cause: String,
    /// Whether nobody knows what the disk has. A full disk leaves the file as it was.
    in_doubt: bool,
}

/// The way to the thread.
pub struct Writer(mpsc::Sender<Work>);

impl Writer {
    /// Starts the thread; it ends when the last sender is gone.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(connection: Connection) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        std::thread::Builder::new().name("queue".into()).spawn(move || run(connection, receiver))?;
        Ok(Writer(sender))
    }

    /// Does something in a transaction; durable when this returns. What fails is rolled back alone.
    ///
    /// # Errors
    /// What the work gave, or [`QueueError::Stopped`] when the transaction could not be kept.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            let result = connection.map_or(Err(QueueError::Stopped), |connection| in_savepoint(connection, work));
            Box::new(move |kept| {
                let result = match (result, kept) {
                    (Ok(_), Err(NotKept { in_doubt: true, .. })) => Err(QueueError::Stopped),
                    (Ok(_), Err(NotKept { cause, .. })) => Err(QueueError::NotKept(cause.clone())),
                    (result, _) => result,
                };
                // Whoever asked may be gone.
                let _ = answer.send(result);
            })
        });
        self.0.send(work).await.map_err(|_| QueueError::Stopping)?;
        answered.await.map_err(|_| QueueError::Stopping)?
    }
}

/// One piece of work of a batch: its failure leaves the others' rows alone.
fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, QueueError>,
) -> Result<T, QueueError> {
    connection.prepare_cached("SAVEPOINT work")?.execute([])?;
    let result = catch_unwind(AssertUnwindSafe(|| work(connection)))
        .unwrap_or_else(|_| Err(QueueError::Damaged("a statement of the queue panicked".to_owned())));
    if result.is_err() {
        connection.prepare_cached("ROLLBACK TO work")?.execute([])?;
    }
    connection.prepare_cached("RELEASE work")?.execute([])?;
    result
}

fn run(mut connection: Connection, mut receiver: mpsc::Receiver<Work>) {
    let mut stopped = false;
    while let Some(first) = receiver.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Ok(next) = receiver.try_recv()
        {
            batch.push(next);
        }
        if stopped {
            let kept = Err(NotKept { cause: String::new(), in_doubt: true });
            batch.into_iter().for_each(|work| work(None)(&kept));
            continue;
        }
        let (answers, kept) = commit(&mut connection, batch);
        if let Err(NotKept { cause, in_doubt }) = &kept {
            tracing::error!(cause, "the queue could not be written");
            stopped = *in_doubt;
        }
        for answer in answers {
            answer(&kept);
        }
    }
}

/// A failure that leaves doubt stops the queue: what the disk has is known only after it was opened again.
fn commit(connection: &mut Connection, batch: Vec<Work>) -> (Vec<Then>, Result<(), NotKept>) {
    let not_kept = |error: rusqlite::Error| {
        let error = QueueError::Sqlite(error);
        NotKept { in_doubt: error.leaves_doubt(), cause: error.cause() }
    };
    let tx = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(tx) => tx,
        Err(error) => return (batch.into_iter().map(|work| work(None)).collect(), Err(not_kept(error))),
    };
    let mut answers = Vec::with_capacity(batch.len());
    for work in batch {
        // On some errors SQLite rolls everything back at once; nothing more may run outside a transaction then.
        answers.push(work((!tx.is_autocommit()).then_some(&tx)));
    }
    if tx.is_autocommit() {
        return (answers, Err(NotKept { cause: "the transaction was rolled back".to_owned(), in_doubt: false }));
    }
    let kept = tx.commit().map_err(not_kept);
    (answers, kept)
}
