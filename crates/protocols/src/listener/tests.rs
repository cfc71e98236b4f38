//! A listener on a real port.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sterna_base::session_limits::SessionLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::*;

/// A certificate for `mx.demo.test`, and a client that trusts it.
pub(crate) fn certificate() -> (Arc<ServerConfig>, TlsConnector) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["mx.demo.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server), TlsConnector::from(Arc::new(client)))
}

/// Says hello, sends back what it hears, and says bye at the end of the node.
struct Echo;

#[async_trait]
impl Protocol for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn busy(&self) -> String {
        "busy\n".into()
    }

    async fn serve(&self, mut connection: Connection) {
        connection.write_all(b"hello\n").await.unwrap();
        let (shutdown, mut buffer) = (connection.shutdown().clone(), [0; 16]);
        loop {
            let read = tokio::select! {
                () = shutdown.cancelled() => break,
                read = connection.read(&mut buffer) => read.unwrap(),
            };
            match read {
                0 => return,
                read => connection.write_all(&buffer[..read]).await.unwrap(),
            }
        }
        connection.write_all(b"bye\n").await.unwrap();
    }
}

async fn start(connections_max: u64) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
    start_with(Tls::None, connections_max).await
}

async fn start_with(tls: Tls, connections: u64) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
    let config = ListenerConfig::new(tls);
    config.limits.set(SessionLimits { connections, ..SessionLimits::DEFAULT });
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), config, Arc::new(Echo)).await.unwrap();
    let (address, shutdown) = (listener.local_address().unwrap(), CancellationToken::new());
    let running = tokio::spawn(listener.run(shutdown.clone()));
    (address, shutdown, running)
}

async fn hear(stream: &mut TcpStream, expected: &str) {
    let mut heard = vec![0; expected.len()];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), expected);
}

#[tokio::test]
async fn serves_and_says_good_bye() {
    let (address, shutdown, running) = start(10).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    hear(&mut client, "hello\n").await;
    client.write_all(b"x").await.unwrap();
    hear(&mut client, "x").await;
    shutdown.cancel();
    hear(&mut client, "bye\n").await;
    running.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn too_many_are_told_and_places_come_free() {
    let (address, _shutdown, _running) = start(1).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    hear(&mut first, "hello\n").await;
    let mut second = TcpStream::connect(address).await.unwrap();
    hear(&mut second, "busy\n").await;
    first.shutdown().await.unwrap();
    // The end of the first connection is seen from outside when the server closes its side.
    assert_eq!(first.read(&mut [0; 1]).await.unwrap(), 0);
    let mut third = TcpStream::connect(address).await.unwrap();
    hear(&mut third, "hello\n").await;
}

#[tokio::test]
async fn encrypted_from_the_first_byte_or_not_at_all() {
    let (tls, connector) = certificate();
    let (address, _shutdown, _running) = start_with(Tls::Implicit(tls), 10).await;
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"EHLO plain\r\n").await.unwrap();
    let mut heard = Vec::new();
    let _ = plain.read_to_end(&mut heard).await; // an alert, or a reset
    assert!(!heard.starts_with(b"hello"));
    let name = ServerName::try_from("mx.demo.test").unwrap();
    let mut client = connector.connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap();
    let mut heard = [0; 6];
    client.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello\n");
}
