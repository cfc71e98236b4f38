//! Watches, the answering side: one stream for each connected node tells the modseqs of all accounts that it watches.
//! Only the last modseq of an account counts, so a slow reader gets fewer records, not later ones.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sterna_account::Account;
use sterna_base::{AccountId, Epoch};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::accounts::AccountsService;
use super::body::{Payload, Piece};
use super::calls::{WatchAsk, WatchTell};
use super::fault::FaultKind;
use super::wire::{self, WireError};
use crate::limits::{WATCH_QUEUE_MAX, WATCH_RECORD_BYTES_MAX, WATCHES_PER_PEER_MAX};

/// A record with its length in front.
pub(crate) fn frame<T: Serialize>(record: &T) -> Result<Bytes, WireError> {
    let packed = wire::pack(record)?;
    let mut framed = BytesMut::with_capacity(2 + packed.len());
    framed.put_u16(packed.len() as u16); // far below the limit: records are three small fields
    framed.extend_from_slice(&packed);
    Ok(framed.freeze())
}

/// Takes records out of a stream's bytes.
#[derive(Default)]
pub(crate) struct Records(BytesMut);

impl Records {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole record.
    ///
    /// # Errors
    /// When it is longer than [`WATCH_RECORD_BYTES_MAX`] or can't be read.
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FaultKind> {
        let Some(&[high, low]) = self.0.first_chunk::<2>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > WATCH_RECORD_BYTES_MAX {
            return Err(FaultKind::TooLarge { bytes_max: WATCH_RECORD_BYTES_MAX as u64 });
        }
        if self.0.len() < 2 + length {
            return Ok(None);
        }
        self.0.advance(2);
        let record = self.0.split_to(length);
        wire::unpack(&record).map(Some).map_err(|error| FaultKind::Malformed(error.to_string()))
    }
}

/// Starts a stream of watches: asks come in with the request's body, the answer's body is returned.
pub(crate) fn serve(accounts: Arc<AccountsService>, asks: Incoming, stop: CancellationToken) -> Payload {
    let (tells, queue) = mpsc::channel(WATCH_QUEUE_MAX);
    tokio::spawn(async move {
        let reader = tells.clone();
        let mut stream = WatchStream { accounts, tells, watched: HashMap::new() };
        tokio::select! {
            ended = stream.read(asks) => if let Err(error) = ended {
                tracing::debug!(%error, "a stream of watches ended");
            },
            () = reader.closed() => {}
            () = stop.cancelled() => {}
        }
    });
    Payload::Pieces(queue)
}

struct WatchStream {
    accounts: Arc<AccountsService>,
    tells: mpsc::Sender<Piece>,
    watched: HashMap<AccountId, AbortHandle>,
}

impl WatchStream {
    async fn read(&mut self, mut asks: Incoming) -> Result<(), FaultKind> {
        use http_body_util::BodyExt;
        let mut records = Records::default();
        // No time limit between asks: pings on the connection tell whether the peer lives.
        while let Some(frame) = asks.frame().await {
            let frame = frame.map_err(|error| FaultKind::Malformed(error.to_string()))?;
            if let Ok(bytes) = frame.into_data() {
                records.feed(&bytes);
                while let Some(ask) = records.next::<WatchAsk>()? {
                    self.take(ask)?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, ask: WatchAsk) -> Result<(), FaultKind> {
        if let Some(before) = self.watched.remove(&ask.account) {
            before.abort();
        }
        let Some(epoch) = ask.epoch else { return Ok(()) };
        if self.watched.len() >= WATCHES_PER_PEER_MAX {
            self.watched.retain(|_, task| !task.is_finished());
        }
        if self.watched.len() >= WATCHES_PER_PEER_MAX {
            return Err(FaultKind::Other(format!("more than {WATCHES_PER_PEER_MAX} watches")));
        }
        let task = tokio::spawn(follow(self.accounts.clone(), ask.account, epoch, self.tells.clone()));
        self.watched.insert(ask.account, task.abort_handle());
        Ok(())
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        for task in self.watched.values() {
            task.abort();
        }
    }
}

async fn follow(accounts: Arc<AccountsService>, account: AccountId, epoch: Epoch, tells: mpsc::Sender<Piece>) {
    let tell = async |modseq| match frame(&WatchTell { account, modseq }) {
        Ok(record) => tells.send(Piece::Data(record)).await.is_ok(),
        Err(_) => false,
    };
    if let Ok(handle) = accounts.open(account, epoch).await
        && let Ok(head) = handle.head().await
    {
        let mut modseqs = handle.watch();
        let first = head.modseq.max(*modseqs.borrow_and_update());
        let mut listening = tell(Some(first)).await;
        while listening && modseqs.changed().await.is_ok() {
            let modseq = *modseqs.borrow_and_update();
            listening = tell(Some(modseq)).await;
        }
    }
    tell(None).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use sterna_base::Modseq;

    #[test]
    fn records_come_out_whole_however_they_arrive() {
        let sent: Vec<WatchTell> =
            (0..5).map(|n| WatchTell { account: AccountId(n), modseq: (n > 1).then_some(Modseq(n)) }).collect();
        let bytes: Vec<u8> = sent.iter().flat_map(|record| frame(record).unwrap().to_vec()).collect();
        for step in 1..bytes.len() {
            let (mut records, mut got) = (Records::default(), Vec::new());
            for part in bytes.chunks(step) {
                records.feed(part);
                while let Some(record) = records.next::<WatchTell>().unwrap() {
                    got.push(record);
                }
            }
            assert_eq!(got, sent);
        }
    }

    #[test]
    fn a_record_that_is_too_long_is_refused() {
        let mut records = Records::default();
        records.feed(&[0xff, 0xff]);
        assert!(records.next::<WatchTell>().is_err());
    }
}
