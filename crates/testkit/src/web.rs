//! A web server with a page of its own, by HTTPS, whose certificate somebody has to be told of.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

/// How long a client may say nothing.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest request that is read.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Serves until the program ends.
pub struct Web {
    folder: TempDir,
    page: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Web {
    /// Serves an empty page at this address, whatever is asked for, under this name.
    ///
    /// # Panics
    /// When it can't listen there.
    pub fn start(address: SocketAddr, name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("certificate.pem"), made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let (page, asked) = (Arc::<Mutex<String>>::default(), Arc::new(AtomicUsize::new(0)));
        let (says, counts, config) = (page.clone(), asked.clone(), Arc::new(config));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = stream.set_read_timeout(Some(TIMEOUT));
                let Ok(connection) = ServerConnection::new(config.clone()) else { continue };
                let mut stream = StreamOwned::new(connection, stream);
                if read_request(&mut stream).is_none() {
                    continue;
                }
                counts.fetch_add(1, Ordering::SeqCst);
                let page = says.lock().clone();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nRetry-After: 21600\r\nContent-Length: {}\r\n\r\n",
                    page.len()
                );
                let _ = stream.write_all((head + &page).as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        Web { folder, page, asked }
    }

    /// What is served from now on.
    pub fn says(&self, page: &str) {
        page.clone_into(&mut self.page.lock());
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The file with its certificate, for those who are to believe it.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }
}

fn read_request(stream: &mut impl Read) -> Option<()> {
    let (mut request, mut chunk) = (Vec::new(), [0; 1024]);
    while !request.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&chunk[..count]);
        if request.len() > REQUEST_BYTES_MAX {
            return None;
        }
    }
    Some(())
}
