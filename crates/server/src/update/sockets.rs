//! Listening sockets that outlive the program that opened them: while another version takes its place, and while the
//! service manager starts it again, clients wait in the system's queue and nobody is refused.
//!
//! Two ways bring sockets here. A program that replaces itself (execve) leaves them open and names them in
//! `STERNA_LISTENERS`; a service manager that kept them (FDSTORE of sd_notify(3)) names them in `LISTEN_FDS`. Either
//! counts only for the process that it names. A socket is taken for the address that it listens on; others are closed.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use parking_lot::Mutex;
use rustix::io::{Errno, FdFlags};
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpSocket};

use crate::node::notify;

/// Names the process and its sockets: `4711:12,13`.
const VARIABLE: &str = "STERNA_LISTENERS";

/// The first descriptor that a service manager passes (SD_LISTEN_FDS_START).
const FIRST_PASSED: RawFd = 3;

/// Sockets that are taken from others at most.
const INHERITED_MAX: usize = 64;

/// Connections that the system keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// The listening sockets of this node.
#[derive(Default)]
pub struct Sockets {
    /// From the program before; not yet taken.
    inherited: Mutex<Vec<StdListener>>,
    /// Of those that this node listens on, one more handle each.
    held: Mutex<Vec<StdListener>>,
}

impl Sockets {
    /// What this process was given. To be called once, before anything else opens files.
    pub fn inherit() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let given = given(std::process::id(), variable);
        let inherited = given.into_iter().filter_map(adopt).collect();
        Sockets { inherited: Mutex::new(inherited), held: Mutex::default() }
    }

    /// A socket that listens there: the one of before, or a new one. `[::]` is every address of both families, and
    /// where the system has no IPv6, those of IPv4.
    ///
    /// # Errors
    /// When the address can't be had.
    pub async fn bind(&self, address: SocketAddr) -> io::Result<TcpListener> {
        match self.bind_exactly(address) {
            Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && has_no_ipv6(&error) => {
                self.bind_exactly((Ipv4Addr::UNSPECIFIED, address.port()).into())
            }
            bound => bound,
        }
    }

    fn bind_exactly(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let before = self.take(address);
        let socket = match before {
            Some(before) => {
                before.set_nonblocking(true)?;
                TcpListener::from_std(before)?
            }
            None => listen(address)?,
        };
        let other = StdListener::from(rustix::io::dup(socket.as_fd())?);
        notify::keep_socket(&other);
        self.held.lock().push(other);
        Ok(socket)
    }

    fn take(&self, address: SocketAddr) -> Option<StdListener> {
        let mut inherited = self.inherited.lock();
        let place = inherited.iter().position(|socket| socket.local_addr().is_ok_and(|at| at == address))?;
        Some(inherited.swap_remove(place))
    }

    /// Closes what nobody has taken: this node listens there no more.
    pub fn close_unused(&self) {
        for socket in self.inherited.lock().drain(..) {
            if let Ok(address) = socket.local_addr() {
                tracing::info!(%address, "listened there before, and does no more");
            }
            notify::drop_socket(&socket);
        }
    }

    /// What the next program needs to find the sockets: they stay open when it replaces this one.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn hand_over(&self) -> io::Result<(&'static str, OsString)> {
        let held = self.held.lock();
        for socket in held.iter() {
            rustix::io::fcntl_setfd(socket, FdFlags::empty())?;
        }
        let numbers: Vec<String> = held.iter().map(|socket| socket.as_raw_fd().to_string()).collect();
        Ok((VARIABLE, format!("{}:{}", std::process::id(), numbers.join(",")).into()))
    }
}

/// The descriptors that the environment names for this process.
/// Whatever the system's setting (`bindv6only`): who connects by IPv4 is meant, too.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, address.ip() != Ipv6Addr::UNSPECIFIED)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether this says that the system knows no IPv6, or has no address of it.
fn has_no_ipv6(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

fn given(process: u32, variable: impl Fn(&str) -> Option<String>) -> Vec<RawFd> {
    let own = process.to_string();
    let mut given = Vec::new();
    if let Some((id, numbers)) = variable(VARIABLE).as_deref().and_then(|text| text.split_once(':'))
        && id == own
    {
        given.extend(numbers.split(',').filter_map(|number| number.parse::<RawFd>().ok()));
    }
    // What replaced a program that a service manager started has its variables, and none of its descriptors.
    else if variable("LISTEN_PID").is_some_and(|id| id == own) {
        let count = variable("LISTEN_FDS").and_then(|count| count.parse().ok()).unwrap_or(0);
        given.extend((FIRST_PASSED..).take(count));
    }
    given.retain(|&number| number >= FIRST_PASSED);
    given.sort_unstable();
    given.dedup();
    given.truncate(INHERITED_MAX);
    given
}

/// A descriptor as a socket, if it is one that listens.
fn adopt(number: RawFd) -> Option<StdListener> {
    let opened = std::fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
    if !opened.to_string_lossy().starts_with("socket:") {
        return None;
    }
    // SAFETY: the descriptor is open, as was just seen, and nobody in this process owns it: it was open before the
    // process opened anything, and each number is adopted once.
    #[allow(unsafe_code)]
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    let listens = rustix::net::sockopt::socket_acceptconn(&socket).unwrap_or(false);
    let is_private = rustix::io::fcntl_setfd(&socket, FdFlags::CLOEXEC).is_ok();
    (listens && is_private).then(|| StdListener::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_address_is_one_of_both_families() {
        let sockets = Sockets::default();
        let listener = sockets.bind((Ipv6Addr::UNSPECIFIED, 0).into()).await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, at.port())).await.unwrap();
        if at.is_ipv6() {
            tokio::net::TcpStream::connect((Ipv6Addr::LOCALHOST, at.port())).await.unwrap();
        }
    }

    fn given_by(variables: &[(&str, &str)]) -> Vec<RawFd> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        given(7, variable)
    }

    #[test]
    fn only_what_is_for_this_process_is_taken() {
        assert_eq!(given_by(&[(VARIABLE, "7:12,5,12")]), [5, 12]);
        assert_eq!(given_by(&[(VARIABLE, "8:12,5")]), [] as [RawFd; 0]);
        assert_eq!(given_by(&[("LISTEN_PID", "7"), ("LISTEN_FDS", "2")]), [3, 4]);
        assert_eq!(given_by(&[("LISTEN_PID", "1"), ("LISTEN_FDS", "2")]), [] as [RawFd; 0]);
        assert_eq!(given_by(&[(VARIABLE, "7:9"), ("LISTEN_PID", "7"), ("LISTEN_FDS", "2")]), [9]);
        // Standard input, output and errors are nobody's sockets, and no number is no descriptor.
        assert_eq!(given_by(&[(VARIABLE, "7:0,1,2,-4,x,,9")]), [9]);
        assert_eq!(given_by(&[("LISTEN_PID", "7"), ("LISTEN_FDS", "4000000")]).len(), INHERITED_MAX);
    }

    #[test]
    fn what_does_not_listen_is_not_adopted() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(adopt(file.as_raw_fd()).is_none());
        assert!(adopt(100_000).is_none());
    }

    #[tokio::test]
    async fn a_socket_of_before_takes_those_who_waited() {
        let before = StdListener::bind("127.0.0.1:0").unwrap();
        let address = before.local_addr().unwrap();
        let unused = StdListener::bind("127.0.0.1:0").unwrap();
        let gone = unused.local_addr().unwrap();
        let waiting = std::net::TcpStream::connect(address).unwrap();
        let sockets = Sockets { inherited: Mutex::new(vec![unused, before]), held: Mutex::default() };
        let socket = sockets.bind(address).await.unwrap();
        sockets.close_unused();
        let (_, peer) = socket.accept().await.unwrap();
        assert_eq!(peer, waiting.local_addr().unwrap());
        assert!(std::net::TcpStream::connect(gone).is_err());
        let (_, named) = sockets.hand_over().unwrap();
        assert!(named.to_string_lossy().starts_with(&format!("{}:", std::process::id())));
    }
}
