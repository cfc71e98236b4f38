//! Who is believed: foreign certificates, none at all, removed nodes, and who may ask for what.

use std::sync::Arc;

use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sterna_base::{AccountId, Epoch};
use sterna_cluster::rpc::{Fault, FaultKind};
use sterna_cluster::{CallError, ControlClient, Peers, tls};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::*;

fn cause(error: CallError) -> String {
    match error {
        CallError::Down { cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_node_of_another_installation_is_refused_by_the_caller() {
    let (ours, theirs) = (Installation::new().await, Installation::new().await);
    ours.world.set_address(theirs.main.id(), "stranger", theirs.main.address);
    let error = ControlClient::new(ours.main.peers.clone()).ping(theirs.main.id()).await.unwrap_err();
    let text = cause(error);
    assert!(text.contains("another installation"), "{text}");
}

#[tokio::test]
async fn a_node_of_another_installation_is_refused_by_the_listener() {
    let (ours, theirs) = (Installation::new().await, Installation::new().await);
    // It believes our server (as an attacker would), but shows its own certificate.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible))
        .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(theirs.main.identity.key())));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(ours.main.address).await.unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(tls::unused_server_name(), tcp).await.unwrap();
    let mut byte = [0];
    let error = tokio::io::AsyncReadExt::read(&mut stream, &mut byte).await.unwrap_err();
    let text = tls::explain_io(&error);
    assert!(text.contains("not of the peer's installation"), "{text}");
}

#[tokio::test]
async fn without_a_certificate_only_joining_is_possible() {
    let ours = Installation::new().await;
    let token = ours.token().await;
    let config = tls::joining_config(token.authority, token.main, Arc::new(ours.clock.clone())).unwrap();
    let tcp = TcpStream::connect(ours.main.address).await.unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(tls::unused_server_name(), tcp).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for path in ["/v1/ping", "/v1/status", "/v1/accounts/1/head", "/v1/watch", "/v1/renew", "/v1/directory/changes"] {
        let request = Request::post(format!("https://node{path}")).body(Empty::<bytes::Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 401, "{path}");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let fault: Fault = serde_json::from_slice(&body).unwrap();
        assert_eq!(fault.kind, FaultKind::NoCertificate);
        assert!(fault.text.contains("join this machine"), "{}", fault.text);
    }
}

#[tokio::test]
async fn another_node_at_the_address_is_not_taken_for_the_one_that_was_called() {
    let ours = Installation::new().await;
    let (alpha, beta) = (ours.add_node("alpha").await, ours.add_node("beta").await);
    ours.world.set_address(alpha.id(), "alpha", beta.address);
    let error = ControlClient::new(ours.main.peers.clone()).ping(alpha.id()).await.unwrap_err();
    let text = cause(error);
    assert!(text.contains(&alpha.id().to_string()) && text.contains(&beta.id().to_string()), "{text}");
}

#[tokio::test]
async fn a_removed_node_is_refused_although_its_certificate_is_good() {
    let ours = Installation::new().await;
    let (alpha, beta) = (ours.add_node("alpha").await, ours.add_node("beta").await);
    ControlClient::new(alpha.peers.clone()).ping(beta.id()).await.unwrap();
    ours.world.nodes.lock().remove(&alpha.id());
    let error = ControlClient::new(alpha.peers.clone()).ping(beta.id()).await.unwrap_err();
    let CallError::Refused { fault, .. } = error else { panic!("{error:?}") };
    assert_eq!(fault.kind, FaultKind::UnknownNode(alpha.id()));
    let fresh = Peers::new(alpha.identity.clone(), ours.world.clone(), Arc::new(ours.clock.clone()));
    let text = cause(ControlClient::new(fresh).ping(beta.id()).await.unwrap_err());
    assert!(text.contains("not in the directory"), "{text}");
}

#[tokio::test]
async fn only_the_main_node_makes_and_deletes_stores() {
    let ours = Installation::new().await;
    let (alpha, beta) = (ours.add_node("alpha").await, ours.add_node("beta").await);
    let account = AccountId(7);
    let error = ControlClient::new(alpha.peers.clone()).create_account(beta.id(), account, Epoch(1)).await.unwrap_err();
    let CallError::Refused { fault, .. } = error else { panic!("{error:?}") };
    assert_eq!(fault.kind, FaultKind::NotMain);
    let control = ControlClient::new(ours.main.peers.clone());
    for _ in 0..2 {
        control.create_account(beta.id(), account, Epoch(1)).await.unwrap();
    }
    assert_eq!(beta.local.list().await.unwrap(), [account]);
    for _ in 0..2 {
        control.delete_account(beta.id(), account, None).await.unwrap();
    }
    assert_eq!(beta.local.list().await.unwrap(), []);
}

/// Believes every server.
#[derive(Debug)]
struct Gullible;

impl rustls::client::danger::ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
