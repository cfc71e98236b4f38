//! Sending to servers that mean no good: none of them keeps a message, or a place of the queue, for longer than is
//! said.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use sterna_base::BlobHash;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::tests::{carrier, content, delivery, texts};
use crate::queue::{Carrier, Content};

/// Serves every connection by this.
async fn hostile<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

async fn carried(port: u16, recipients: &[&str]) -> Vec<(&'static str, String)> {
    texts(carrier(port).carry(&delivery("far.test", recipients), content()).await)
}

/// Answers each line after a while.
async fn answer_slowly(stream: TcpStream, pause: Duration) {
    let mut stream = BufReader::new(stream);
    let _ = stream.get_mut().write_all(b"220 mx.far.test\r\n").await;
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
        let is_ehlo = std::mem::take(&mut line).starts_with("EHLO");
        tokio::time::sleep(pause).await;
        let reply: &[u8] = if is_ehlo { b"250 mx.far.test\r\n" } else { b"250 2.0.0 OK\r\n" };
        if stream.get_mut().write_all(reply).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silence_has_an_end() {
    let silent = hostile(|stream| async move {
        let _open = stream;
        std::future::pending().await
    });
    let expected = "no answer within 300 s while waiting for the greeting".to_owned();
    assert_eq!(carried(silent.await, &["x@far.test"]).await, [("unreachable", expected)]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_drips_is_none() {
    let dripping = hostile(|mut stream| async move {
        for byte in b"220 mx.far.test ESMTP and so on and so forth".iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    });
    let expected = "no answer within 300 s while waiting for the greeting".to_owned();
    assert_eq!(carried(dripping.await, &["x@far.test"]).await, [("unreachable", expected)]);
}

#[tokio::test(start_paused = true)]
async fn many_slow_answers_are_given_up_together() {
    let tarpit = hostile(|stream| answer_slowly(stream, Duration::from_secs(290))).await;
    let addresses: Vec<String> = (0..20).map(|number| format!("u{number}@far.test")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let start = tokio::time::Instant::now();
    let results = carried(tarpit, &addresses).await;
    let late = ("deferred", "no answer within 1800 s while sending the envelope".to_owned());
    assert_eq!(results, vec![late; 20]);
    assert!(start.elapsed() < Duration::from_secs(3600), "{:?}", start.elapsed());
}

#[tokio::test]
async fn answers_without_end_are_none() {
    for flood in [&b"250-mx.far.test\r\n"[..], b"22222222222222222", b"220-", b"\0\0\0\r", b"\r\n\r\n\r\n"] {
        let endless =
            hostile(move |mut stream| async move { while stream.write_all(&flood.repeat(64)).await.is_ok() {} });
        let results = carried(endless.await, &["x@far.test"]).await;
        let [("unreachable", why)] = &results[..] else { panic!("{flood:?}: {results:?}") };
        assert!(why.len() < 1000 && !why.contains(char::is_control), "{why:?}");
    }
}

#[tokio::test]
async fn a_server_that_drops_us_in_the_content_has_no_message() {
    let dropping = hostile(|stream| async move {
        let mut stream = BufReader::new(stream);
        let _ = stream.get_mut().write_all(b"220 mx.far.test\r\n").await;
        let mut line = String::new();
        while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
            let is_data = std::mem::take(&mut line).starts_with("DATA");
            let _ = stream.get_mut().write_all(if is_data { b"354 go on\r\n" } else { b"250 2.0.0 OK\r\n" }).await;
            if is_data {
                let _ = stream.read_exact(&mut [0; 64 * 1024]).await;
                return;
            }
        }
    });
    let port = dropping.await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!("Subject: large\r\n\r\n{}", "The terns are back.\r\n".repeat(200_000));
    std::fs::write(file.path(), &text).unwrap();
    let mut large = delivery("far.test", &["x@far.test"]);
    (large.size_bytes, large.hash) = (text.len() as u64, BlobHash::of(text.as_bytes()));
    let results = texts(carrier(port).carry(&large, Content::File(file.path().to_owned())).await);
    let [("deferred", _)] = &results[..] else { panic!("{results:?}") };
}

#[tokio::test]
async fn what_a_server_says_is_one_line_of_text() {
    let replying = Arc::new("550 5.1.1 who?\x1b[2J\x07\0 caf\u{e9}\u{85}\r\n");
    let odd = hostile(move |stream| {
        let reply = replying.clone();
        async move {
            let mut stream = BufReader::new(stream);
            let _ = stream.get_mut().write_all(b"220 mx.far.test\r\n").await;
            let mut line = String::new();
            while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
                let is_rcpt = std::mem::take(&mut line).starts_with("RCPT");
                let said = if is_rcpt { reply.as_bytes() } else { b"250 mx.far.test\r\n" };
                let _ = stream.get_mut().write_all(said).await;
            }
        }
    });
    let results = carried(odd.await, &["x@far.test"]).await;
    let [("failed", said)] = &results[..] else { panic!("{results:?}") };
    assert!(said.starts_with("550 5.1.1 who?") && !said.contains(char::is_control), "{said:?}");
}
