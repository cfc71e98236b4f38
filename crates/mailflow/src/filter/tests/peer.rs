//! Daemons on a loopback port that say what a test wants, or nothing.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::filter::Endpoint;

/// What a daemon does with a connection.
#[derive(Clone)]
pub enum Manner {
    /// Reads up to these bytes, then says this and closes.
    Answer { until: &'static [u8], say: Vec<u8> },
    /// Says this without having read anything, and closes for writing; then reads all.
    Blurt(Vec<u8>),
    /// Closes at once.
    Drop,
    /// Reads so many bytes, then closes.
    DropAfter(usize),
    /// Reads all and says nothing.
    Hang,
}

/// A daemon; what it was sent, for each connection that it has closed.
pub struct Peer {
    pub endpoint: Endpoint,
    pub heard: Arc<Mutex<Vec<Vec<u8>>>>,
    _serving: JoinSet<()>,
}

impl Peer {
    /// Serves one connection after the other; the last manner again and again.
    pub async fn new(manners: Vec<Manner>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = Endpoint::Tcp("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let (mut serving, noted) = (JoinSet::new(), heard.clone());
        serving.spawn(async move {
            let (mut number, mut sessions) = (0, JoinSet::new());
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let manner = manners[number.min(manners.len() - 1)].clone();
                number += 1;
                let noted = noted.clone();
                sessions.spawn(async move {
                    let heard = serve(stream, manner).await.unwrap_or_default();
                    noted.lock().push(heard);
                });
            }
        });
        Peer { endpoint, heard, _serving: serving }
    }
}

async fn serve(mut stream: TcpStream, manner: Manner) -> std::io::Result<Vec<u8>> {
    let (mut heard, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    match manner {
        Manner::Drop => {}
        Manner::DropAfter(bytes) => {
            while heard.len() < bytes {
                let count = stream.read(&mut piece).await?;
                heard.extend_from_slice(&piece[..count]);
                if count == 0 {
                    break;
                }
            }
        }
        Manner::Hang => {
            while stream.read(&mut piece).await? > 0 {}
            std::future::pending::<()>().await;
        }
        Manner::Blurt(say) => {
            stream.write_all(&say).await?;
            stream.shutdown().await?;
            while stream.read(&mut piece).await? > 0 {}
        }
        Manner::Answer { until, say } => {
            let mut searched = 0;
            while !heard[searched..].windows(until.len()).any(|found| found == until) {
                searched = heard.len().saturating_sub(until.len());
                let count = stream.read(&mut piece).await?;
                heard.extend_from_slice(&piece[..count]);
                if count == 0 {
                    return Ok(heard);
                }
            }
            stream.write_all(&say).await?;
        }
    }
    Ok(heard)
}
