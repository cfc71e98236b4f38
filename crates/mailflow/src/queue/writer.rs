//! The one thread that writes: what waits shares a transaction and its flush.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::error::QueueError;

/// Most pieces of work that wait; later ones wait for a place.
const WAITING_MAX: usize = 1024;

/// Most pieces of work that share a flush.
const BATCH_MAX: usize = 256;

/// Runs inside the batch's transaction, and gives what happens after it. Without a connection nothing is done, and the
/// batch's fate is the answer.
type Work = Box<dyn FnOnce(Option<&Connection>) -> Ran + Send>;
/// Answers, once the transaction is durable, or not.
type Then = Box<dyn FnOnce(&Result<(), NotKept>) + Send>;

/// What a piece of work leaves behind.
struct Ran {
    then: Then,
    /// Why it failed, if it did.
    cause: Option<String>,
}

/// The transaction was not kept, or nobody knows.
#[derive(Clone, Debug)]
struct NotKept {
    cause: String,
    /// Whether nobody knows what the disk has. A full disk leaves the file as it was.
    in_doubt: bool,
}

/// The way to the thread.
pub struct Writer {
    work: mpsc::Sender<Work>,
    /// Set when nobody knows what the disk has.
    stopped: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the thread; it ends when the last sender is gone.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(connection: Connection) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let stopped = Arc::<AtomicBool>::default();
        let noted = stopped.clone();
        std::thread::Builder::new().name("queue".into()).spawn(move || run(connection, receiver, &noted))?;
        Ok(Writer { work: sender, stopped })
    }

    /// Whether it does nothing more: a failure left unknown what the disk has.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Does something in a transaction; durable when this returns. What fails is rolled back alone.
    ///
    /// # Errors
    /// What the work gave, [`QueueError::NotKept`] when the transaction was not kept, or [`QueueError::Stopped`] when
    /// nobody knows whether it was.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            let result = connection.map(|connection| in_savepoint(connection, work));
            let cause = result.as_ref().and_then(|result| result.as_ref().err()).map(QueueError::cause);
            let then: Then = Box::new(move |kept| {
                let result = match (result, kept) {
                    (Some(Err(error)), _) => Err(error),
                    (Some(result), Ok(())) => result,
                    (_, Err(NotKept { in_doubt: true, .. })) => Err(QueueError::Stopped),
                    (_, Err(NotKept { cause, .. })) => Err(QueueError::NotKept(cause.clone())),
                    (None, Ok(())) => Err(QueueError::NotKept("it was left out of its transaction".to_owned())),
                };
                // Whoever asked may be gone.
                let _ = answer.send(result);
            });
            Ran { then, cause }
        });
        self.work.send(work).await.map_err(|_| QueueError::Stopping)?;
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
    // On some errors SQLite rolls everything back at once, and the savepoint is gone.
    if connection.is_autocommit() {
        return result;
    }
    let closed = match &result {
        Ok(_) => connection.execute_batch("RELEASE work"),
        Err(_) => connection.execute_batch("ROLLBACK TO work; RELEASE work"),
    };
    if let Err(error) = closed {
        // Half of this piece must not be kept with the others: all of them are written again.
        connection.execute_batch("ROLLBACK")?;
        return result.and(Err(error.into()));
    }
    result
}

fn run(mut connection: Connection, mut receiver: mpsc::Receiver<Work>, stopped: &AtomicBool) {
    while let Some(first) = receiver.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Ok(next) = receiver.try_recv()
        {
            batch.push(next);
        }
        if stopped.load(Ordering::Acquire) {
            let kept = Err(NotKept { cause: String::new(), in_doubt: true });
            batch.into_iter().for_each(|work| (work(None).then)(&kept));
            continue;
        }
        let (answers, kept) = commit(&mut connection, batch);
        if let Err(NotKept { cause, in_doubt }) = &kept {
            tracing::error!(cause, "the queue could not be written");
            stopped.store(*in_doubt, Ordering::Release);
        }
        for answer in answers {
            answer(&kept);
        }
    }
}

/// A failure that leaves doubt stops the queue: what the disk has is known only after it was opened again.
fn commit(connection: &mut Connection, batch: Vec<Work>) -> (Vec<Then>, Result<(), NotKept>) {
    let tx = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(tx) => tx,
        Err(error) => {
            // Nothing was written yet: whatever the error, the file is as it was.
            let kept = Err(NotKept { in_doubt: false, cause: QueueError::Sqlite(error).cause() });
            return (batch.into_iter().map(|work| work(None).then).collect(), kept);
        }
    };
    let (mut answers, mut rolled_back) = (Vec::with_capacity(batch.len()), None);
    for work in batch {
        // Nothing more may run outside a transaction once SQLite has rolled it back.
        let ran = work(rolled_back.is_none().then_some(&tx));
        answers.push(ran.then);
        if rolled_back.is_none() && tx.is_autocommit() {
            rolled_back = Some(ran.cause.unwrap_or_else(|| "the transaction was rolled back".to_owned()));
        }
    }
    if let Some(cause) = rolled_back {
        return (answers, Err(NotKept { cause, in_doubt: false }));
    }
    let kept = tx.commit().map_err(|error| {
        let error = QueueError::Sqlite(error);
        NotKept { in_doubt: error.leaves_doubt(), cause: error.cause() }
    });
    (answers, kept)
}

#[cfg(test)]
mod tests {
    use rusqlite::ErrorCode;

    use super::*;

    fn insert(bytes: i64) -> impl FnOnce(&Connection) -> Result<(), QueueError> + Send + 'static {
        move |connection| {
            connection.execute("INSERT INTO t VALUES (zeroblob(?1))", [bytes])?;
            Ok(())
        }
    }

    fn open(path: &std::path::Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(std::time::Duration::ZERO).unwrap();
        connection
    }

    #[tokio::test]
    async fn a_transaction_that_can_not_begin_is_no_doubt() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.sqlite");
        let (other, connection) = (open(&path), open(&path));
        other.execute_batch("CREATE TABLE t (a); BEGIN IMMEDIATE").unwrap();
        let writer = Writer::start(connection).unwrap();
        let refused = writer.write(insert(1)).await;
        assert!(matches!(&refused, Err(QueueError::NotKept(cause)) if cause.contains("locked")), "{refused:?}");
        other.execute_batch("COMMIT").unwrap();
        writer.write(insert(1)).await.unwrap();
    }

    #[tokio::test]
    async fn a_batch_that_is_rolled_back_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open(&folder.path().join("t.sqlite"));
        connection.execute_batch("CREATE TABLE t (a)").unwrap();
        connection.query_row("PRAGMA max_page_count = 10", [], |_| Ok(())).unwrap();
        let writer = Writer::start(connection).unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (started, has_started) = oneshot::channel();
        // While this one runs the others gather behind it, and share the next transaction.
        let first = writer.write(move |_| {
            let _ = started.send(());
            let _ = wait.recv();
            Ok(())
        });
        let others = async {
            has_started.await.unwrap();
            let release = async { drop(go) };
            let [before, after] = [writer.write(insert(1)), writer.write(insert(1))];
            tokio::join!(before, writer.write(insert(1 << 20)), after, release)
        };
        let (first, (before, full, after, ())) = tokio::join!(first, others);
        first.unwrap();
        let is_full = |error: &QueueError| matches!(error, QueueError::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull));
        assert!(full.as_ref().is_err_and(is_full), "{full:?}");
        for result in [before, after] {
            assert!(matches!(&result, Err(QueueError::NotKept(cause)) if cause.contains("full")), "{result:?}");
        }
        writer.write(insert(1)).await.unwrap();
        let count = |connection: &Connection| Ok(connection.query_row("SELECT COUNT(*) FROM t", [], |row| row.get(0))?);
        assert_eq!(writer.write::<i64>(count).await.unwrap(), 1);
    }
}
