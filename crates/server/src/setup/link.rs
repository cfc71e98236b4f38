//! The link that leads into the setup, as it is printed.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sterna_mailflow::remote::Dns;
use sterna_web::qr;
use sterna_web::setup::{LINK_MS, PATH, Setup};

use super::checks::outgoing;
use super::doors::Doors;
use crate::config::Config;
use crate::node::certificate;

/// How long DNS may take to say what the machine is called.
const WAIT: Duration = Duration::from_secs(2);

/// A minute, in milliseconds.
const MINUTE_MS: i64 = 60_000;

/// The machine's name for others: what the configuration says, what the world calls its address, or what it calls
/// itself.
pub async fn machine_host(config: &Config, dns: &Dns) -> String {
    if config.hostname().contains('.') {
        return config.hostname().to_owned();
    }
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if own.contains('.') {
        return own.to_lowercase();
    }
    let Some(address) = primary() else { return own };
    let named = tokio::time::timeout(WAIT, dns.names(address)).await.ok().and_then(Result::ok).unwrap_or_default();
    let is_good = |name: &&String| name.contains('.') && !name.ends_with(".localdomain") && !name.ends_with(".local");
    named.iter().find(is_good).cloned().unwrap_or(own)
}

fn primary() -> Option<IpAddr> {
    outgoing(IpAddr::from([192, 0, 2, 1])).or_else(|| outgoing(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])))
}

/// Makes a link and prints it with what is needed to follow it safely. Once there is an administrator, only where the
/// setup is: whoever reads the log of every later start would be led in for ever.
#[allow(clippy::print_stdout)]
pub async fn announce(setup: &Setup, config: &Config, folder: &Path, doors: &Arc<Doors>) {
    if setup.has_administrator()
        && let Some((host, port)) = address(config, doors)
    {
        let place = format!("https://{host}:{port}{PATH}");
        tracing::info!(%place, "the setup is not finished; `sterna setup link` prints a link that leads back to it");
        return;
    }
    let code = match setup.new_code().await {
        Ok(Some(code)) => code,
        Ok(None) => return,
        Err(error) => {
            tracing::error!(%error, "no link for the setup: setup.toml can't be written");
            return;
        }
    };
    match text(&code, config, folder, doors) {
        Some(text) => println!("{text}"),
        None => tracing::error!(
            "the setup can't be reached: nothing listens for HTTPS; set https in [listen] of sterna.toml"
        ),
    }
}

/// Where the pages are, as others reach them; `None` when nothing listens for HTTPS.
fn address(config: &Config, doors: &Doors) -> Option<(String, u16)> {
    let address = doors.of("https")?;
    let host = match (address.ip().is_unspecified(), config.hostname().contains('.')) {
        (_, true) => config.hostname().to_owned(),
        (false, _) => url_host(address.ip()),
        (true, _) => primary().map_or_else(|| config.name.clone(), url_host),
    };
    Some((host, address.port()))
}

/// What is printed; `None` when nothing listens for HTTPS.
pub fn text(code: &str, config: &Config, folder: &Path, doors: &Doors) -> Option<String> {
    let (host, port) = address(config, doors)?;
    let link = Setup::link(&host, port, code);
    let mut text = format!("\nSet up this installation at\n\n    {link}\n\n");
    if let Some(picture) = qr::terminal(&link) {
        text.push_str(&picture);
    }
    text.push_str(&format!(
        "\nThe link works once, within {} minutes; `sterna setup link` prints another.\n",
        LINK_MS / MINUTE_MS
    ));
    if config.tls.is_none()
        && let Some(print) = fingerprint(&certificate::certificate_file(folder, config))
    {
        text.push_str(&format!(
            "Your browser will warn of a certificate that this machine made itself. Its SHA-256 fingerprint is\n    \
             {print}\n"
        ));
    }
    Some(text)
}

fn url_host(address: IpAddr) -> String {
    match address {
        IpAddr::V6(address) => format!("[{address}]"),
        IpAddr::V4(address) => address.to_string(),
    }
}

/// As browsers show it.
fn fingerprint(file: &Path) -> Option<String> {
    let certificate = CertificateDer::from_pem_file(file).ok()?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate);
    Some(digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":"))
}
