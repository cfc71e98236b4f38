//! The protocols of an edge.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use sterna_account::service::Reception;
use sterna_base::session_limits::LiveSessionLimits;
use sterna_cluster::ControlClient;
use sterna_mailflow::auth::{Authoring, Gate, Verifier};
use sterna_mailflow::collected::Collecting;
use sterna_mailflow::detached::Detaching;
use sterna_mailflow::{Mailflow, Repeats};
use sterna_protocols::dav::pages::{Pages, PagesProtocol};
use sterna_protocols::dav::{DavConfig, DavProtocol};
use sterna_protocols::imap::{ImapConfig, ImapProtocol};
use sterna_protocols::listener::{ClientCertificates, Listener, ListenerConfig, Protocol, Tls};
use sterna_protocols::managesieve::{ManageSieveConfig, ManageSieveProtocol};
use sterna_protocols::pop3::{Pop3Config, Pop3Protocol};
use sterna_protocols::postfix::{Socketmap, TcpTable};
use sterna_protocols::smtp::{Service, SmtpConfig, SmtpProtocol, prepare_spool};

use super::mail_tables::NodeMailTables;
use super::sending::Sending;
use super::shares::NodeShares;
use super::user_api::UserApi;
use super::{Parts, certificate, client_certificates, cyrus, detaching, discovery, filtering, sign_out};
use crate::config::PlaintextLogin;
use crate::setup::doors::HTTPS_PORTS;
use crate::setup::reception::Waiting;

/// Starts every service that has an address.
pub async fn start(parts: &Parts, sending: Sending, pages: Arc<dyn Pages>) -> Result<()> {
    let config = &parts.config;
    // Other servers have certificates of their own and no use for the question, and some fail at it.
    let served = parts.served.get().context("the certificates")?.clone();
    let tls = certificate::server_config(served.clone(), None)?;
    let (start_tls, implicit, web_tls) = (Tls::StartTls(tls.clone()), Tls::Implicit(tls.clone()), tls.clone());
    let clients = clients_of(parts)?;
    let asking = match &clients {
        Some(clients) => certificate::server_config(served, Some(clients.asking()))?,
        None => tls,
    };
    let limits = Arc::<LiveSessionLimits>::default();
    follow_limits(parts, limits.clone()).await?;
    let usual = |tls| ListenerConfig { limits: limits.clone(), ..ListenerConfig::new(tls) };
    let mailbox = |tls| ListenerConfig { client_certificates: clients.clone(), ..usual(tls) };
    let (start_tls_mailbox, implicit_mailbox) =
        (mailbox(Tls::StartTls(asking.clone())), mailbox(Tls::Implicit(asking)));
    let (start_tls, implicit) = (usual(start_tls), usual(implicit));
    let spool = parts.folder.join("spool");
    prepare_spool(&spool).context("the spool folder")?;
    let repeats = Repeats::open(&parts.folder.join("repeats"), parts.clock.now()).context("the folder of repeats")?;
    let gate = Gate::new(Verifier::new(&sending.dns), sending.gate.clone(), spool.clone()).with_trace(parts.trace());
    let gate = match sending.reports {
        Some(reports) => gate.with_reports(reports),
        None => gate,
    };
    let gate = gate.with_guard(sending.guard.clone());
    let authoring = Authoring::new(sending.recipients.clone(), sending.signers, sending.gate.clone(), spool.clone());
    let tables = Arc::new(NodeMailTables::new(parts, sending.recipients.clone(), sending.call_forward.clone()));
    let mailflow = Mailflow::new(sending.recipients, sending.deliverer, parts.clock.clone(), repeats);
    let mailflow = mailflow.with_gate(gate).with_authoring(authoring).with_guard(sending.guard);
    let mailflow = mailflow.with_call_forward(sending.call_forward);
    let policies = Arc::new(detaching::DirectoryPolicies::new(parts.directory.clone(), parts.discovery.clone()));
    let collecting = Collecting::new(parts.accounts.clone(), policies.clone());
    let detaching = Detaching::new(parts.accounts.clone(), policies, parts.clock.clone(), spool.clone());
    let mailflow =
        mailflow.with_detaching(detaching).with_collecting(collecting).with_filters(filtering::start(parts).await?);
    let reception: Arc<dyn Reception> =
        Arc::new(mailflow.with_trace(parts.trace()).with_queue(sending.queue, sending.outbound));
    let reception = match parts.doors.is_lenient {
        true => Waiting::around(reception, parts.directory.clone()),
        false => reception,
    };
    sending.scheduler.send_with(reception.clone());
    let _ = parts.doors.reception.set(reception.clone());

    let loopback = |address: SocketAddr| address.ip().is_loopback();
    let plaintext = |address: SocketAddr| config.plaintext_login == PlaintextLogin::Loopback && loopback(address);
    let smtp = |service: Service, address: SocketAddr| {
        let mut smtp = SmtpConfig::new(service, config.hostname(), &spool);
        smtp.plaintext_login = plaintext(address);
        let (reception, clock) = (reception.clone(), parts.clock.clone());
        let smtp = SmtpProtocol::new(smtp, reception, parts.authentication.clone(), clock).with_limits(limits.clone());
        Arc::new(smtp.with_sessions(parts.sessions.clone())) as Arc<dyn Protocol>
    };
    let (accounts, authentication, main) =
        (parts.accounts.clone(), parts.authentication.clone(), ControlClient::new(parts.peers.clone()));
    let shares = Arc::new(NodeShares::new(parts.directory.clone(), parts.nodes.clone(), main));
    let pop3 = Pop3Protocol::new(Pop3Config::default(), accounts.clone(), authentication.clone());
    let pop3 = pop3.with_limits(limits.clone()).with_sessions(parts.sessions.clone());
    let pop3 = |address: SocketAddr| {
        Arc::new(pop3.with_config(Pop3Config { plaintext_login: plaintext(address) })) as Arc<dyn Protocol>
    };
    let imap = ImapProtocol::new(ImapConfig::default(), accounts.clone(), authentication.clone(), shares.clone());
    let imap = imap.with_limits(limits.clone()).with_sessions(parts.sessions.clone());
    let imap = |address: SocketAddr| {
        Arc::new(imap.with_config(ImapConfig { plaintext_login: plaintext(address) })) as Arc<dyn Protocol>
    };

    let sieve = ManageSieveProtocol::new(
        ManageSieveConfig::default(),
        parts.accounts.clone(),
        parts.authentication.clone(),
        sending.sieve,
    );
    let sieve = sieve.with_limits(limits.clone()).with_sessions(parts.sessions.clone());
    sign_out::start(parts, parts.sessions.clone()).await?;

    let dav = DavProtocol::new(
        DavConfig::default(),
        parts.accounts.clone(),
        parts.authentication.clone(),
        shares,
        parts.clock.clone(),
    )
    .with_facts(parts.discovery.clone())
    .with_spans(sending.scheduler.spans())
    .with_scheduling(sending.scheduler)
    .with_api(Arc::new(UserApi::new(parts)))
    .with_pages(pages);

    let listen = &config.listen;
    if let Some(address) = listen.https {
        let tls = Tls::Implicit(certificate::for_http(&web_tls));
        service(parts, "https", address, usual(tls), Arc::new(dav.clone())).await?;
    }
    if let Some(address) = listen.http {
        let protocol = Arc::new(dav.with_config(DavConfig { plaintext_login: plaintext(address) }));
        service(parts, "http", address, usual(Tls::None), protocol).await?;
    }
    if let Some(address) = listen.managesieve {
        let protocol = Arc::new(sieve.with_config(ManageSieveConfig { plaintext_login: plaintext(address) }));
        service(parts, "managesieve", address, start_tls_mailbox.clone(), protocol).await?;
    }
    if let Some(address) = listen.imap {
        service(parts, "imap", address, start_tls_mailbox.clone(), imap(address)).await?;
    }
    if let Some(address) = listen.imaps {
        service(parts, "imaps", address, implicit_mailbox.clone(), imap(address)).await?;
    }
    if let Some(address) = listen.pop3 {
        service(parts, "pop3", address, start_tls_mailbox.clone(), pop3(address)).await?;
    }
    if let Some(address) = listen.pop3s {
        service(parts, "pop3s", address, implicit_mailbox.clone(), pop3(address)).await?;
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
    if let Some(address) = listen.cyrus {
        let users =
            cyrus::NodeUsers::new(parts.directory.clone(), parts.accounts.clone(), parts.authentication.clone());
        let mirror = cyrus::mirror(parts)?;
        let _ = parts.memory.cyrus.set(mirror.clone());
        let protocol = Arc::new(cyrus::CyrusReplication::new(users, mirror, config.hostname()));
        service(parts, "cyrus", address, start_tls.clone(), protocol).await?;
    }
    // Only now: what is announced answers.
    let _ = parts.endpoints.set(discovery::endpoints(listen, config.hostname()));
    start_lookups(parts, tables, &limits).await
}

/// On a main node that is no edge: the console and the API, and nothing else. That somebody else has the port is no
/// reason not to serve the other nodes.
pub async fn start_pages(parts: &Parts, pages: Arc<dyn Pages>) -> Result<()> {
    let protocol: Arc<dyn Protocol> = Arc::new(PagesProtocol(pages));
    let served = parts.served.get().context("the certificates")?.clone();
    let tls = certificate::server_config(served, None)?;
    let listen = &parts.config.listen;
    let https = listen.https.map(|address| ("https", address, Tls::Implicit(certificate::for_http(&tls))));
    let http = listen.http.map(|address| ("http", address, Tls::None));
    for (name, address, tls) in https.into_iter().chain(http) {
        if let Err(error) = service(parts, name, address, ListenerConfig::new(tls), protocol.clone()).await {
            tracing::warn!(error = format!("{error:#}"), "the console is not served");
        }
    }
    Ok(())
}

/// What a Postfix in front asks.
async fn start_lookups(parts: &Parts, tables: Arc<NodeMailTables>, limits: &Arc<LiveSessionLimits>) -> Result<()> {
    let config = ListenerConfig { limits: limits.clone(), ..ListenerConfig::new(Tls::None) };
    if let Some(address) = parts.config.listen.socketmap {
        let socketmap = Arc::new(Socketmap::new(tables.clone(), limits.clone()));
        service(parts, "socketmap", address, config.clone(), socketmap).await?;
    }
    for (name, address) in &parts.config.listen.tcp_tables {
        let table = name.parse().context("tcp_tables in [listen] of sterna.toml")?;
        let lookups = Arc::new(TcpTable::new(table, tables.clone(), limits.clone()));
        service(parts, "tcp_tables", *address, config.clone(), lookups).await?;
    }
    Ok(())
}

/// Keeps the limits of sessions as the directory has them.
async fn follow_limits(parts: &Parts, limits: Arc<LiveSessionLimits>) -> Result<()> {
    let (directory, stop) = (parts.directory.clone(), parts.stop.clone());
    let mut changed = directory.watch();
    changed.mark_unchanged();
    limits.set(directory.read(|reader| reader.session_limits()).await.context("the limits of sessions")?);
    parts.tasks.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                ended = changed.changed() => if ended.is_err() { return },
            }
            match directory.read(|reader| reader.session_limits()).await {
                Ok(found) => limits.set(found),
                Err(error) => tracing::warn!(%error, "the limits of sessions could not be read from the directory"),
            }
        }
    });
    Ok(())
}

/// What certificates of clients are worth, if the configuration says so.
fn clients_of(parts: &Parts) -> Result<Option<Arc<ClientCertificates>>> {
    let Some(files) = parts.config.client_certificates.clone() else { return Ok(None) };
    let clients = client_certificates::load(&files, parts.clock.clone())?;
    let keeping = client_certificates::keep_current(clients.clone(), files);
    let stop = parts.stop.clone();
    parts.tasks.spawn(async move { stop.run_until_cancelled(keeping).await });
    Ok(Some(clients))
}

async fn service(
    parts: &Parts,
    name: &'static str,
    address: SocketAddr,
    config: ListenerConfig,
    protocol: Arc<dyn Protocol>,
) -> Result<()> {
    let on = |socket| Listener::on(socket, config.clone(), protocol.clone());
    let bound = match parts.sockets.bind(address).await.map(on) {
        Err(error) if parts.doors.is_lenient => {
            tracing::warn!(service = name, %address, %error, "can't listen; the setup says what to do");
            parts.doors.failed(name, address, &error.to_string());
            let elsewhere = if name == "https" { elsewhere(parts, address, &config, &protocol).await } else { None };
            let Some(listener) = elsewhere else { return Ok(()) };
            Ok(listener)
        }
        bound => bound,
    };
    let listener = bound.with_context(|| {
        format!("{name} can't listen on {address}; change {name} in [listen] of sterna.toml, or end what listens there")
    })?;
    let address = listener.local_address().unwrap_or(address);
    tracing::info!(service = name, %address, "listening");
    parts.doors.opened(name, address);
    parts.tasks.spawn(listener.run(parts.stop.clone()));
    Ok(())
}

/// Another port for the pages, where the one that was meant is somebody else's.
async fn elsewhere(
    parts: &Parts,
    address: SocketAddr,
    config: &ListenerConfig,
    protocol: &Arc<dyn Protocol>,
) -> Option<Listener> {
    for port in HTTPS_PORTS {
        if let Ok(socket) = parts.sockets.bind(SocketAddr::new(address.ip(), port)).await {
            return Some(Listener::on(socket, config.clone(), protocol.clone()));
        }
    }
    None
}
