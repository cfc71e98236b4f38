//! Telling the service manager how we are (sd_notify(3)): one datagram each.

use std::ffi::OsStr;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

/// Says that the node serves.
pub fn ready(status: &str) {
    send(&format!("READY=1\nSTATUS={status}"));
}

/// Says that the node is ending.
pub fn stopping() {
    send("STOPPING=1");
}

/// Says that the program is being replaced in its place; [`ready`] follows.
pub fn reloading(status: &str) {
    send(&format!("RELOADING=1\nSTATUS={status}"));
}

/// Says again and again that the node is alive, where the service manager wants to hear it (WATCHDOG_USEC of
/// sd_watchdog_enabled(3)). It runs among the node's own tasks: when they stand still, nothing is said, and the node is
/// ended and started again.
pub async fn stay_alive() {
    let Some(interval) = watchdog_interval(|name| std::env::var(name).ok()) else { return };
    let mut ticks = tokio::time::interval(interval);
    loop {
        ticks.tick().await;
        send("WATCHDOG=1");
    }
}

/// How often to say it: twice as often as must be.
fn watchdog_interval(variable: impl Fn(&str) -> Option<String>) -> Option<Duration> {
    let is_other = variable("WATCHDOG_PID").is_some_and(|id| id != std::process::id().to_string());
    let usec: u64 = variable("WATCHDOG_USEC")?.parse().ok()?;
    (usec > 1 && !is_other).then(|| Duration::from_micros(usec / 2))
}

/// Nobody listening is no error: not every node runs under a service manager.
fn send(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = address(&path);
    let sent = address
        .and_then(|address| Ok((UnixDatagram::unbound()?, address)))
        .and_then(|(socket, address)| socket.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = sent {
        tracing::warn!(%error, socket = %path.display(), "the service manager was not told our state");
    }
}

/// Gives a listening socket to the service manager to keep: if this process is killed, the next one gets it with
/// whoever connected meanwhile (FDSTORE).
pub fn keep_socket(socket: &TcpListener) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let state = format!("FDSTORE=1\nFDNAME={}", socket_name(socket));
    if let Err(error) = send_socket(&path, &state, socket) {
        tracing::warn!(%error, "the service manager was not given a socket to keep");
    }
}

/// Lets the service manager forget a socket that nobody listens on any more.
pub fn drop_socket(socket: &TcpListener) {
    send(&format!("FDSTOREREMOVE=1\nFDNAME={}", socket_name(socket)));
}

/// A socket's name at the service manager, which takes no colons.
fn socket_name(socket: &TcpListener) -> String {
    let address = socket.local_addr().map(|address| address.to_string());
    address.unwrap_or_default().replace(':', "-")
}

fn send_socket(path: &OsStr, state: &str, socket: &TcpListener) -> std::io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    sender.connect_addr(&address(path)?)?;
    let handles = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&handles)) {
        return Err(std::io::Error::other("no room for a descriptor"));
    }
    let text = [IoSlice::new(state.as_bytes())];
    rustix::net::sendmsg(&sender, &text, &mut control, SendFlags::empty())?;
    Ok(())
}

/// Where the service manager listens: a path, or after @ an abstract name.
fn address(socket: &OsStr) -> std::io::Result<SocketAddr> {
    match socket.as_encoded_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(socket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_only_where_one_waits_for_us() {
        let own = std::process::id().to_string();
        let with = |usec: Option<&str>, id: Option<&str>| {
            watchdog_interval(|name| match name {
                "WATCHDOG_USEC" => usec.map(str::to_owned),
                _ => id.map(str::to_owned),
            })
        };
        assert_eq!(with(Some("30000000"), Some(&own)), Some(Duration::from_secs(15)));
        assert_eq!(with(Some("30000000"), None), Some(Duration::from_secs(15)));
        assert_eq!(with(Some("30000000"), Some("1")), None);
        assert_eq!(with(Some("0"), None), None);
        assert_eq!(with(Some("often"), None), None);
        assert_eq!(with(None, None), None);
    }
}
