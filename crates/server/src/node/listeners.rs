//! The protocols of an edge.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use sterna_account::service::Reception;
use sterna_cluster::ControlClient;
use sterna_mailflow::{Mailflow, Repeats};
use sterna_protocols::imap::{ImapConfig, ImapProtocol};
use sterna_protocols::listener::{Listener, ListenerConfig, Protocol, Tls};
use sterna_protocols::pop3::{Pop3Config, Pop3Protocol};
use sterna_protocols::smtp::{Service, SmtpConfig, SmtpProtocol, prepare_spool};

use super::shares::NodeShares;
use super::{Parts, certificate};
use crate::config::PlaintextLogin;

/// Starts every service that has an address.
pub async fn start(parts: &Parts) -> Result<()> {
    let config = &parts.config;
    let tls = certificate::load(&parts.folder, config)?;
    let (start_tls, implicit) = (Tls::StartTls(tls.clone()), Tls::Implicit(tls));
    let spool = parts.folder.join("spool");
    prepare_spool(&spool).context("the spool folder")?;
    let repeats = Repeats::open(&parts.folder.join("repeats"), parts.clock.now()).context("the folder of repeats")?;
    let recipients = Arc::new(parts.directory.clone());
    let mailflow = Mailflow::new(recipients, parts.accounts.clone(), parts.clock.clone(), repeats);
    let reception: Arc<dyn Reception> = Arc::new(mailflow);

    let loopback = |address: SocketAddr| address.ip().is_loopback();
    let plaintext = |address: SocketAddr| config.plaintext_login == PlaintextLogin::Loopback && loopback(address);
    let smtp = |service: Service, address: SocketAddr| {
        let mut smtp = SmtpConfig::new(service, config.hostname(), &spool);
        smtp.plaintext_login = plaintext(address);
        let (reception, clock) = (reception.clone(), parts.clock.clone());
        Arc::new(SmtpProtocol::new(smtp, reception, parts.authentication.clone(), clock)) as Arc<dyn Protocol>
    };
    let (accounts, authentication, main) =
        (parts.accounts.clone(), parts.authentication.clone(), ControlClient::new(parts.peers.clone()));
    let shares = Arc::new(NodeShares::new(parts.directory.clone(), parts.nodes.clone(), main));
    let pop3 = Pop3Protocol::new(Pop3Config::default(), accounts.clone(), authentication.clone());
    let pop3 = |address: SocketAddr| {
        Arc::new(pop3.with_config(Pop3Config { plaintext_login: plaintext(address) })) as Arc<dyn Protocol>
    };
    let imap = ImapProtocol::new(ImapConfig::default(), accounts.clone(), authentication.clone(), shares);
    let imap = |address: SocketAddr| {
        Arc::new(imap.with_config(ImapConfig { plaintext_login: plaintext(address) })) as Arc<dyn Protocol>
    };

    let listen = &config.listen;
    if let Some(address) = listen.imap {
        service(parts, "imap", address, start_tls.clone(), imap(address)).await?;
    }
    if let Some(address) = listen.imaps {
        service(parts, "imaps", address, implicit.clone(), imap(address)).await?;
    }
    if let Some(address) = listen.pop3 {
        service(parts, "pop3", address, start_tls.clone(), pop3(address)).await?;
    }
    if let Some(address) = listen.pop3s {
        service(parts, "pop3s", address, implicit.clone(), pop3(address)).await?;
    }
    if let Some(address) = listen.smtp {
        service(parts, "smtp", address, start_tls.clone(), smtp(Service::Mx, address)).await?;
    }
    if let Some(address) = listen.submission {
        service(parts, "submission", address, start_tls.clone(), smtp(Service::Submission, address)).await?;
    }
    if let Some(address) = listen.submissions {
        service(parts, "submissions", address, implicit.clone(), smtp(Service::Submission, address)).await?;
    }
    if let Some(address) = listen.lmtp {
        service(parts, "lmtp", address, start_tls.clone(), smtp(Service::Lmtp, address)).await?;
    }
    Ok(())
}

async fn service(
    parts: &Parts,
    name: &'static str,
    address: SocketAddr,
    tls: Tls,
    protocol: Arc<dyn Protocol>,
) -> Result<()> {
    let bound = Listener::bind(address, ListenerConfig::new(tls), protocol).await;
    let listener = bound.with_context(|| {
        format!("{name} can't listen on {address}; change {name} in [listen] of sterna.toml, or end what listens there")
    })?;
    tracing::info!(service = name, %address, "listening");
    parts.tasks.spawn(listener.run(parts.stop.clone()));
    Ok(())
}
