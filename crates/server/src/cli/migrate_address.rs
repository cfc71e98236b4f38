//! `sterna migrate take-address` and `release-address`: an IP address goes from the old machine to the new one, with
//! the distribution's own tools, ip(8) and arping(8).

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::process::Command;

use super::client::{CliError, path};
use super::exit::Exit;
use super::resource::Session;
use super::{output, prompt};

/// Probes that ask who has an address, before it counts as free (RFC 5227 section 2.1.1: PROBE_NUM), and for how many
/// seconds an answer is waited for.
const PROBES: &str = "3";
const PROBE_SECONDS: &str = "4";
/// How often everybody is told who has it now; one may be lost (RFC 5227 section 2.3: ANNOUNCE_NUM is two).
const ANNOUNCEMENTS: &str = "3";
/// How long a program may take.
const PROGRAM_WAIT: Duration = Duration::from_secs(20);
/// How often, and how many times, it is looked whether the kernel has found the address of IPv6 to be nobody else's.
const DUPLICATE_LOOK_EVERY: Duration = Duration::from_millis(200);
const DUPLICATE_LOOKS_MAX: u32 = 50;

/// Options of `take-address` and `release-address`.
#[derive(Clone, Debug, Args)]
pub struct AddressArgs {
    /// The address, which clients and other mail servers know
    address: IpAddr,
    /// The network interface; the one by which the address would be reached, or that has it, when left out
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
}

pub(super) async fn take(session: &Session<'_>, args: AddressArgs) -> Result<Exit, CliError> {
    let AddressArgs { address, interface, yes } = args;
    no_server_is_at(session, address).await?;
    if let Some(interface) = holder(address).await? {
        announce(address, &interface).await?;
        output::line(&format!("{address} is this machine's already ({interface}); everybody was told again"))?;
        return Ok(Exit::Done);
    }
    let interface = match interface {
        Some(interface) => interface,
        None => way_to(address).await?,
    };
    nobody_has(address, &interface).await?;
    prompt::confirm(&format!("Let this machine have {address} on {interface}?"), yes)?;
    let (text, version) = with_bits(address);
    ip(&[version, "address", "add", &text, "dev", &interface]).await?;
    if !address.is_ipv4() {
        kernel_agrees(address, &interface).await?;
    }
    announce(address, &interface).await?;
    output::line(&format!(
        "{address} is this machine's now, on {interface}. It stays so until the next start: put it into the configuration \
         of the network, and out of the old machine's."
    ))?;
    Ok(Exit::Done)
}

pub(super) async fn release(session: &Session<'_>, args: AddressArgs) -> Result<Exit, CliError> {
    let AddressArgs { address, interface, yes } = args;
    no_server_is_at(session, address).await?;
    let Some(holder) = holder(address).await? else {
        output::line(&format!("{address} is not this machine's"))?;
        return Ok(Exit::Done);
    };
    let interface = interface.unwrap_or(holder);
    prompt::confirm(&format!("Take {address} away from this machine? Connections to it end."), yes)?;
    let bits = held_as(address).await?.unwrap_or_else(|| with_bits(address).0);
    ip(&[with_bits(address).1, "address", "del", &bits, "dev", &interface]).await?;
    output::line(&format!(
        "{address} is not this machine's any more. It comes back at the next start unless it leaves the configuration of \
         the network. On the new machine: sterna migrate take-address {address}"
    ))?;
    Ok(Exit::Done)
}

/// Servers find each other by addresses that may not become another server's.
async fn no_server_is_at(session: &Session<'_>, address: IpAddr) -> Result<(), CliError> {
    let servers = session.client.get(&path(&["servers"], &[])).await?;
    let items = servers["items"].as_array().map_or(&[][..], Vec::as_slice);
    let is_at = |server: &&Value| {
        let host = server["address"].as_str().and_then(|at| at.rsplit_once(':')).map_or("", |(host, _)| host);
        host.trim_matches(['[', ']']).parse() == Ok(address)
    };
    let Some(server) = items.iter().find(is_at) else { return Ok(()) };
    let name = server["name"].as_str().unwrap_or_default();
    Err(CliError::Usage(format!(
        "the other servers reach {name} at {address}. Give that machine another address besides, and say so first: \
         sterna server set {name} --address HOST:PORT"
    )))
}

/// An address alone, with the switch of ip(8) for its family.
fn with_bits(address: IpAddr) -> (String, &'static str) {
    // No route goes with it: those of the machine stay as they are.
    if address.is_ipv4() { (format!("{address}/32"), "-4") } else { (format!("{address}/128"), "-6") }
}

/// The interface that has it.
async fn holder(address: IpAddr) -> Result<Option<String>, CliError> {
    let shown = ip(&["-o", "address", "show", "to", &with_bits(address).0]).await?;
    Ok(shown.split_ascii_whitespace().nth(1).map(|name| name.trim_end_matches(':').to_owned()))
}

/// The address with the bits that it is configured with.
async fn held_as(address: IpAddr) -> Result<Option<String>, CliError> {
    let shown = ip(&["-o", "address", "show", "to", &with_bits(address).0]).await?;
    Ok(word_behind(&shown, if address.is_ipv4() { "inet" } else { "inet6" }))
}

async fn way_to(address: IpAddr) -> Result<String, CliError> {
    let shown = ip(&["-o", "route", "get", &address.to_string()]).await?;
    match (word_behind(&shown, "dev"), word_behind(&shown, "via")) {
        (Some(interface), None) => Ok(interface),
        _ => Err(CliError::Usage(format!(
            "{address} is in none of this machine's networks, so that its router would not find it here; name the \
             interface if you know better (--interface)"
        ))),
    }
}

fn word_behind(text: &str, word: &str) -> Option<String> {
    let mut words = text.split_ascii_whitespace();
    words.find(|found| *found == word)?;
    words.next().map(str::to_owned)
}

/// Asks the network whether somebody has it: two machines with one address both lose mail.
async fn nobody_has(address: IpAddr, interface: &str) -> Result<(), CliError> {
    if !address.is_ipv4() {
        // The kernel asks itself (RFC 4862 section 5.4).
        return Ok(());
    }
    let address = address.to_string();
    let asked = run("arping", &["-D", "-q", "-c", PROBES, "-w", PROBE_SECONDS, "-I", interface, &address]).await?;
    match asked.status.code() {
        Some(0) => Ok(()),
        Some(1) if asked.stderr.is_empty() => Err(taken(&address)),
        _ => Err(complaint("arping", &asked)),
    }
}

fn taken(address: &str) -> CliError {
    CliError::Usage(format!(
        "another machine has {address} still. On the old machine: sterna migrate release-address {address}; or switch it off"
    ))
}

/// Waits until the kernel says that nobody else has the address of IPv6.
async fn kernel_agrees(address: IpAddr, interface: &str) -> Result<(), CliError> {
    let text = with_bits(address).0;
    for _ in 0..DUPLICATE_LOOKS_MAX {
        let shown = ip(&["-6", "-o", "address", "show", "dev", interface, "to", &text]).await?;
        if shown.contains("dadfailed") {
            ip(&["-6", "address", "del", &text, "dev", interface]).await?;
            return Err(taken(&address.to_string()));
        }
        if !shown.contains("tentative") {
            return Ok(());
        }
        tokio::time::sleep(DUPLICATE_LOOK_EVERY).await;
    }
    Err(CliError::Usage(format!(
        "the kernel does not say whether {address} is free; look at ip address show {interface}"
    )))
}

/// Tells everybody on the network, so that nobody goes on sending to the old machine (RFC 5227 section 3). Neighbours
/// of IPv6 notice by themselves that the old one answers no longer (RFC 4861 section 7.3).
async fn announce(address: IpAddr, interface: &str) -> Result<(), CliError> {
    if !address.is_ipv4() {
        return Ok(());
    }
    let address = address.to_string();
    let told = run("arping", &["-U", "-q", "-c", ANNOUNCEMENTS, "-I", interface, &address]).await?;
    // Nobody has to answer, and some versions call that a failure.
    match told.stderr.is_empty() {
        true => Ok(()),
        false => Err(complaint("arping", &told)),
    }
}

async fn ip(arguments: &[&str]) -> Result<String, CliError> {
    let output = run("ip", arguments).await?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(complaint("ip", &output)),
    }
}

fn complaint(program: &str, output: &std::process::Output) -> CliError {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let remedy = match said.contains("not permitted") {
        true => "; only root may do that: sudo sterna migrate ...",
        false => "",
    };
    CliError::Usage(format!("{program}: {said}{remedy}"))
}

async fn run(program: &str, arguments: &[&str]) -> Result<std::process::Output, CliError> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).env("LC_ALL", "C").args(arguments).kill_on_drop(true);
    match tokio::time::timeout(PROGRAM_WAIT, command.output()).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(CliError::Usage(format!("the program {program} is not installed: apt install iproute2 iputils-arping")))
        }
        Ok(Err(source)) => Err(CliError::Io { what: format!("{program} can't be run"), source }),
        Err(_) => Err(CliError::Usage(format!("{program} does not end"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ip_shows_is_read() {
        let shown = "2: eth0    inet 192.0.2.7/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever";
        assert_eq!(word_behind(shown, "inet").as_deref(), Some("192.0.2.7/24"));
        let far = "192.0.2.7 via 198.51.100.1 dev eth0 src 198.51.100.2 uid 0";
        assert_eq!(
            (word_behind(far, "via").as_deref(), word_behind(far, "dev").as_deref()),
            (Some("198.51.100.1"), Some("eth0"))
        );
        assert_eq!(word_behind("", "dev"), None);
    }
}
