//! Telling the service manager how we are (sd_notify(3)): one datagram each.

use std::os::unix::net::UnixDatagram;

/// Says that the node serves.
pub fn ready(status: &str) {
    send(&format!("READY=1\nSTATUS={status}"));
}

/// Says that the node is ending.
pub fn stopping() {
    send("STOPPING=1");
}

/// Nobody listening is no error: not every node runs under a service manager.
fn send(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to(state.as_bytes(), &path));
    if let Err(error) = sent {
        tracing::warn!(%error, socket = %path.display(), "the service manager was not told our state");
    }
}
