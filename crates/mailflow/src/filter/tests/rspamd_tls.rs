//! rspamd behind TLS: only whom somebody vouches for hears passwords and mail.

use std::sync::Arc;

use sterna_base::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::filter::Endpoint;
use crate::filter::rspamd::{LearnError, LearnSettings, Lesson, Teacher};
use crate::remote::provider;

/// A server with a certificate of its own for this name; its port and the certificate in PEM.
async fn server(name: &str) -> (u16, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (certificate, key) = (made.cert.der().clone(), made.signing_key.serialize_der().try_into().unwrap());
    let config = rustls::ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut heard = Vec::new();
            while !heard.ends_with(b"The terns.\r\n") {
                let mut piece = [0; 1024];
                let count = stream.read(&mut piece).await.unwrap();
                assert_ne!(count, 0, "{}", String::from_utf8_lossy(&heard));
                heard.extend_from_slice(&piece[..count]);
            }
            let is_asked_rightly = heard.windows(16).any(|part| part.eq_ignore_ascii_case(b"password: sesame"));
            let status = if is_asked_rightly { "200 OK" } else { "403 Forbidden" };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}");
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    (port, made.cert.pem())
}

async fn teach(port: u16, password: &str, authorities: Option<String>) -> Result<(), LearnError> {
    let endpoint = Endpoint::of_http(&format!("https://127.0.0.1:{port}")).unwrap();
    let settings = LearnSettings { endpoint, password: Some(Secret::new(password)), authorities };
    Teacher::new(settings).teach(Lesson::Spam, "Subject: x\r\n\r\nThe terns.\r\n".into()).await
}

#[tokio::test]
async fn only_whom_somebody_vouches_for_is_asked() {
    let ((port, pem), (other_port, other_pem)) = (server("127.0.0.1").await, server("filter.test").await);
    assert_eq!(teach(port, "sesame", Some(pem.clone())).await, Ok(()));
    assert!(matches!(teach(port, "wrong", Some(pem.clone())).await, Err(LearnError::Down(_))));
    for (port, authorities) in [(port, Some(other_pem.clone())), (other_port, Some(other_pem)), (other_port, Some(pem))]
    {
        let refused = teach(port, "sesame", authorities).await;
        let Err(LearnError::Down(cause)) = &refused else { panic!("{refused:?}") };
        assert!(cause.contains("certificate"), "{cause}");
    }
    let Err(LearnError::Down(cause)) = teach(port, "sesame", Some("nothing".to_owned())).await else { panic!("no") };
    assert!(cause.contains("rspamd.authorities"), "{cause}");
}
