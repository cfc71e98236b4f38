//! COMPRESS=DEFLATE (RFC 4978).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::dialog::{Client, Server};

/// The client's side of a compressed connection.
struct Packed {
    client: Client,
    packer: Compress,
    unpacker: Decompress,
    text: Vec<u8>,
}

impl Packed {
    async fn start(server: &Server) -> Self {
        let mut client = server.login().await;
        client.say("C: z COMPRESS DEFLATE\nS: z OK *").await;
        let (packer, unpacker) = (Compress::new(Compression::best(), false), Decompress::new(false));
        Packed { client, packer, unpacker, text: Vec::new() }
    }

    async fn send(&mut self, plain: &[u8]) {
        let mut packed = Vec::with_capacity(plain.len() + 1024);
        self.packer.compress_vec(plain, &mut packed, FlushCompress::Sync).unwrap();
        self.client.stream.write_all(&packed).await.unwrap();
        self.client.stream.flush().await.unwrap();
    }

    /// Everything up to the line that begins so.
    async fn until(&mut self, tag: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.text).into_owned();
            let lines = text.split_inclusive("\r\n").filter(|line| line.ends_with("\r\n"));
            if lines.into_iter().any(|line| line.starts_with(tag)) {
                self.text.clear();
                return text;
            }
            let mut raw = vec![0; 4096];
            let read = tokio::time::timeout(std::time::Duration::from_secs(20), self.client.stream.read(&mut raw));
            let count = read.await.expect("an answer in time").unwrap();
            assert!(count > 0, "the connection ended after {text:?}");
            let mut raw = &raw[..count];
            while !raw.is_empty() {
                let mut plain = Vec::with_capacity(65_536);
                let before = self.unpacker.total_in();
                self.unpacker.decompress_vec(raw, &mut plain, FlushDecompress::Sync).unwrap();
                raw = &raw[(self.unpacker.total_in() - before) as usize..];
                self.text.extend_from_slice(&plain);
            }
        }
    }
}

#[tokio::test]
async fn both_directions_are_compressed_after_the_answer() {
    let server = Server::start().await;
    let mut packed = Packed::start(&server).await;
    packed.send(b"a NOOP\r\nb COMPRESS DEFLATE\r\n").await;
    let text = packed.until("b ").await;
    assert!(text.starts_with("a OK ") && text.contains("b NO [COMPRESSIONACTIVE] "), "{text}");
    // A message that is much smaller on the wire, and larger than what is unpacked at once.
    let message = format!("Subject: x\r\n\r\n{}", "0123456789\r\n".repeat(30_000));
    packed.send(format!("c APPEND INBOX {{{}+}}\r\n{message}\r\nd SELECT INBOX\r\n", message.len()).as_bytes()).await;
    let text = packed.until("d ").await;
    assert!(text.contains("c OK [APPENDUID ") && text.contains("* 1 EXISTS"), "{text}");
    packed.send(b"e FETCH 1 BODY[]\r\n").await;
    let text = packed.until("e ").await;
    assert!(text.contains(&message) && text.ends_with("\r\n"));
    packed.send(b"f IDLE\r\n").await;
    packed.until("+ ").await;
    server.login().await.say("C: a APPEND INBOX {3+}\nC: abc\nS: a OK *").await;
    assert!(packed.until("* 2 EXISTS").await.contains("* 2 EXISTS"));
    packed.send(b"DONE\r\ng UNAUTHENTICATE\r\nh LOGIN ana pw\r\n").await;
    assert!(packed.until("h ").await.contains("h OK "));
    server.check().await;
}

#[tokio::test]
async fn what_is_not_compressed_or_not_known_is_refused() {
    let server = Server::start().await;
    server
        .connect()
        .await
        .say("C: a COMPRESS DEFLATE\nS: a BAD *\nC: b LOGIN ana pw\nS: b OK *\nC: c COMPRESS LZW\nS: c BAD *\nC: d COMPRESS\nS: d BAD *")
        .await;
    let mut packed = Packed::start(&server).await;
    packed.client.send(b"\xff\xff\xff\xff a NOOP\r\n").await;
    assert!(packed.until("* BYE").await.contains("* BYE "));
}
