//! The installation as the setup sees it: the administration API, the node's files, DNS, and the mail flow.

mod api;
pub mod checks;
mod config_file;
pub mod doors;
pub mod http;
mod link;
mod networks;
mod proof;
pub mod reception;
pub mod records;
mod servers;
pub mod socket;
mod time_server;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sterna_base::{AccountId, Clock, Secret};
use sterna_cluster::ControlClient;
use sterna_directory::acme::ACME;
use sterna_directory::{Authentication, Directory, Reader, StorageError, settings as names};
use sterna_formats::discovery;
use sterna_mailflow::remote::Dns;
use sterna_mailflow::remote::dane::Ability;
use sterna_web::setup::answers::{Administrator, Certificate, Place};
use sterna_web::setup::door::{
    CertificateState, Check, Finding, ImportedPeople, Installation, Invitation, Machine, Person, Proof, Records,
    Refusal, ServerRow,
};
use tokio::sync::{Notify, watch};

use self::api::{Api, ApiError};
use self::checks::Checks;
use self::doors::Doors;
use crate::config::{Config, Tls};
use crate::node::certificate;
use crate::node::discovery::Discovery;
use crate::node::served::Served;

pub use self::link::{announce, machine_host};

/// How long an invitation of the setup is good for, in milliseconds: an hour.
const INVITATION_MS: i64 = 3600 * 1000;

/// Longest file of certificates by which an authority is believed, in bytes.
const ROOTS_BYTES_MAX: u64 = 64 * 1024;

/// How long a node goes on after the end of its setup before it starts again: the page that says so is loaded by then.
const RESTART_DELAY: Duration = Duration::from_secs(2);

/// What the installation is known by.
pub struct NodeInstallation {
    /// The configuration that the node runs with.
    pub config: Config,
    /// The node's folder.
    pub folder: PathBuf,
    /// The machine's name for others.
    pub host: String,
    /// What listens.
    pub doors: Arc<Doors>,
    /// What is known of the installation.
    pub directory: Directory,
    /// What clients see.
    pub served: Arc<OnceLock<Arc<Served>>>,
    /// Who hashes passwords.
    pub authentication: Arc<Authentication>,
    /// Who knows where services are.
    pub discovery: Arc<Discovery>,
    /// Who asks other nodes.
    pub others: ControlClient,
    /// Who asks DNS.
    pub dns: Arc<Dns>,
    /// Whether DNS can be validated.
    pub dane: Option<watch::Receiver<Ability>>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Ends the node, to begin again with another configuration.
    pub restart: Arc<Notify>,
}

impl NodeInstallation {
    /// The door to the pages.
    pub fn door(self) -> Arc<dyn Installation> {
        let api = Api::new(&self.config.admin_socket(&self.folder));
        let checks = Checks {
            dns: self.dns.clone(),
            doors: self.doors.clone(),
            dane: self.dane.clone(),
            folder: self.folder.clone(),
            clock: self.clock.clone(),
        };
        Arc::new(Door { api, checks, node: self })
    }
}

struct Door {
    api: Api,
    checks: Checks,
    node: NodeInstallation,
}

impl Door {
    /// What `sterna.toml` says now, which may be more than the node runs with.
    async fn written(&self) -> Result<Config, Refusal> {
        let folder = self.node.folder.clone();
        let read = tokio::task::spawn_blocking(move || Config::read(&folder)).await;
        let unread = |cause: String| Refusal::new("config", cause, "Mend sterna.toml, and send the form again.");
        read.map_err(|error| unread(error.to_string()))?.map_err(|error| unread(error.to_string()))
    }

    async fn change_file<C>(&self, change: C) -> Result<(), Refusal>
    where
        C: FnOnce(&std::path::Path) -> std::io::Result<()> + Send + 'static,
    {
        let folder = self.node.folder.clone();
        let unwritten = |cause: String| {
            let remedy = "Look at the disk, and at whom sterna.toml belongs to; then send the form again.";
            Refusal::new("config", format!("sterna.toml can't be changed: {cause}"), remedy)
        };
        let changed = tokio::task::spawn_blocking(move || change(&folder)).await;
        changed.map_err(|error| unwritten(error.to_string()))?.map_err(|error| unwritten(error.to_string()))
    }

    /// The domain under its new name: renamed, made, or there.
    async fn put_domain(&self, former: Option<&str>, domain: &str) -> Result<(), Refusal> {
        if let Some(former) = former.filter(|former| *former != domain) {
            match self.api.patch(&["domains", former], &json!({ "name": domain })).await {
                Ok(_) => return Ok(()),
                Err(ApiError::Missing(_)) => {}
                Err(other) => return Err(other.into()),
            }
        }
        match self.api.post(&["domains"], &json!({ "name": domain })).await {
            Ok(_) => Ok(()),
            Err(ApiError::Taken(existing, _)) if existing.starts_with("/api/v1/domains/") => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    /// A key of each kind, if it has none.
    async fn make_keys(&self, domain: &str) -> Result<(), Refusal> {
        let keys = self.api.get(&["domains", domain, "dkim"], &[]).await?;
        let keys = keys["items"].as_array().cloned().unwrap_or_default();
        for algorithm in ["rsa-2048", "ed25519"] {
            if !keys.iter().any(|key| key["algorithm"] == algorithm) {
                self.api.post(&["domains", domain, "dkim"], &json!({ "algorithm": algorithm })).await?;
            }
        }
        Ok(())
    }

    /// What the keys are for, once DNS has them: mail is signed from then on.
    async fn use_published_keys(&self, domain: &str) {
        let Ok(keys) = self.api.get(&["domains", domain, "dkim"], &[]).await else { return };
        for key in keys["items"].as_array().into_iter().flatten() {
            let (Some(selector), "new", "published") =
                (key["selector"].as_str(), key["state"].as_str().unwrap_or(""), key["dns"].as_str().unwrap_or(""))
            else {
                continue;
            };
            let path = ["domains", domain, "dkim", selector];
            if let Err(error) = self.api.patch(&path, &json!({ "state": "active" })).await {
                let refusal = Refusal::from(error);
                tracing::warn!(domain, selector, %refusal, "a published DKIM key could not be made active");
            }
        }
    }

    /// Others find this machine under its new name, unless they know it by a good one already.
    async fn put_cluster_address(&self, host: &str) -> Result<(), Refusal> {
        let address = &self.node.config.cluster.address;
        let (known, port) = address.rsplit_once(':').unwrap_or((address, "7700"));
        if known.contains('.') || known.contains(':') {
            return Ok(());
        }
        let address = format!("{host}:{port}");
        self.api.patch(&["servers", &self.node.config.name], &json!({ "address": address })).await?;
        Ok(())
    }

    async fn setting(&self, name: &str, value: &str) -> Result<(), Refusal> {
        self.api.patch(&["settings", name], &json!({ "value": value })).await?;
        Ok(())
    }
}

/// The fields of the administrator: everything is permitted to them.
fn administrator_fields(new: &Administrator) -> Value {
    json!({ "display_name": new.name, "password_hash": new.password_hash, "admin": true })
}

/// The certificates of a file by which an authority is believed.
async fn read_roots(file: &str) -> Result<String, Refusal> {
    let unread = |error: std::io::Error| {
        let remedy = "Name a PEM file of at most 64 KiB that the user of the node may read.";
        Refusal::new("certificate", format!("{file}: {error}"), remedy)
    };
    let length = tokio::fs::metadata(file).await.map_err(unread)?.len();
    if length > ROOTS_BYTES_MAX {
        return Err(unread(std::io::Error::other("it is too large")));
    }
    tokio::fs::read_to_string(file).await.map_err(unread)
}

#[async_trait]
impl Installation for Door {
    fn machine(&self) -> Machine {
        let config = &self.node.config;
        let https = self.node.doors.of("https").map_or(443, |address| address.port());
        Machine {
            name: config.name.clone(),
            host: self.node.host.clone(),
            https_port: https,
            version: sterna_base::version::own_text().to_owned(),
            folder: self.node.folder.display().to_string(),
            cluster_address: config.cluster.address.clone(),
        }
    }

    async fn hash(&self, password: Secret) -> Result<String, Refusal> {
        let hashed = self.node.authentication.hash(password).await;
        let refused = |error: sterna_directory::password::PasswordError| {
            Refusal::new("invalid", error.to_string(), "Choose another password.")
        };
        Ok(hashed.map_err(refused)?.0.0)
    }

    async fn put_place(&self, former_domain: Option<&str>, place: &Place) -> Result<(), Refusal> {
        let host = place.host().unwrap_or_default();
        self.put_domain(former_domain, &place.domain).await?;
        self.setting("external-url", &place.url).await?;
        self.setting("default-domain", &place.domain).await?;
        self.put_cluster_address(&host).await?;
        self.make_keys(&place.domain).await?;
        if self.written().await?.hostname() != host {
            let name = host.clone();
            self.change_file(move |folder| config_file::set_hostname(folder, &name)).await?;
        }
        // Greetings and certificates have it after the next start, documents and records at once.
        self.node.discovery.call_this_node(&host);
        Ok(())
    }

    async fn put_administrator(&self, former: Option<&str>, new: &Administrator, domain: &str) -> Result<(), Refusal> {
        let address = format!("{}@{domain}", new.local_part);
        let mut fields = administrator_fields(new);
        fields["address"] = json!(address);
        for known in former.into_iter().chain([address.as_str()]) {
            match self.api.patch(&["users", known], &fields).await {
                Ok(_) => return Ok(()),
                Err(ApiError::Missing(_)) => {}
                Err(other) => return Err(other.into()),
            }
        }
        self.api.post(&["users"], &fields).await?;
        Ok(())
    }

    async fn check(&self, check: Check, place: Option<&Place>) -> Finding {
        self.checks.look(check, place).await
    }

    async fn records(&self, domain: &str) -> Result<Records, Refusal> {
        let unread = |cause: String| Refusal::new("storage", cause, "Look at the node's log and its disk.");
        let found = self.node.discovery.find(domain).await.map_err(|error| unread(error.to_string()))?;
        let Some(found) = found else { return Err(unread(format!("there is no domain {domain}"))) };
        let records = discovery::records(&found.facts);
        self.use_published_keys(domain).await;
        Ok(Records { rows: records::compared(&self.node.dns, records).await, problems: found.problems })
    }

    async fn put_certificate(&self, chosen: &Certificate) -> Result<(), Refusal> {
        let files = match chosen {
            Certificate::SelfSigned | Certificate::Acme { .. } => None,
            Certificate::Files { certificate, key } => Some((certificate.clone(), key.clone())),
        };
        // Files that can't be used leave the authority as it is: a mistyped path would end its renewals unseen.
        if let Some((certificate, key)) = files.clone() {
            let (mut config, folder, now) = (self.node.config.clone(), self.node.folder.clone(), self.node.clock.now());
            config.tls = Some(Tls { certificate: certificate.clone().into(), key: key.into() });
            let refused = |cause: String| {
                let remedy = "Name PEM files that belong together and that the user of the node may read.";
                Refusal::new("certificate", cause, remedy)
            };
            let loading = move || certificate::load(&folder, &config).map(drop);
            let loaded = tokio::task::spawn_blocking(loading).await.map_err(|error| refused(error.to_string()))?;
            loaded.map_err(|error| refused(error.to_string()))?;
            let file = PathBuf::from(certificate);
            let ends = tokio::task::spawn_blocking(move || certificate::not_after(&file)).await.ok().flatten();
            if ends.is_none_or(|ends| ends <= now) {
                return Err(refused("the certificate is out of date".to_owned()));
            }
        }
        match chosen {
            Certificate::Acme { directory, terms_agreed, contact, roots } => {
                // Whom the authority's connections are believed by is no question of the page: what was set stays.
                let roots = match roots.is_empty() {
                    true => {
                        let kept = self.api.get(&["settings", "acme.roots"], &[]).await?;
                        kept["value"].as_str().map(str::to_owned)
                    }
                    false => Some(read_roots(roots).await?),
                };
                let contact = Some(contact).filter(|contact| !contact.is_empty());
                let body = json!({
                    "directory": directory, "terms_agreed": terms_agreed, "contact": contact, "roots": roots,
                });
                self.api.put(&["acme"], &body).await?;
            }
            Certificate::SelfSigned | Certificate::Files { .. } => self.api.delete(&["acme"]).await?,
        }
        self.change_file(move |folder| {
            config_file::set_tls(folder, files.as_ref().map(|(file, key)| (file.as_str(), key.as_str())))
        })
        .await?;
        if let Some(served) = self.node.served.get() {
            served.look_again();
        }
        Ok(())
    }

    async fn certificate(&self) -> CertificateState {
        let written = self.written().await.ok().and_then(|config| config.tls);
        let running = match self.node.served.get() {
            Some(served) => served.own_files(),
            None => self.node.config.tls.clone(),
        };
        let shown = Config { tls: running.clone(), ..self.node.config.clone() };
        let file = certificate::certificate_file(&self.node.folder, &shown);
        let path = file.clone();
        let not_after = tokio::task::spawn_blocking(move || certificate::not_after(&path)).await.ok().flatten();
        let read = |reader: &Reader<'_>| {
            let is_on = reader.setting_for(None, names::ACME_DIRECTORY)?.is_some();
            Ok::<_, StorageError>((reader.certificate(ACME)?, reader.acme()?, is_on))
        };
        let (issued, acme, is_on) = self.node.directory.read(read).await.unwrap_or_default();
        let issued = issued.map(|found| found.value).filter(|_| running.is_none());
        let failure = acme.and_then(|found| found.value.failure).filter(|_| is_on);
        CertificateState {
            file: file.display().to_string(),
            not_after: issued.as_ref().map(|issued| issued.not_after).or(not_after),
            is_own: running.is_none(),
            is_pending: written != running,
            is_asking: is_on && issued.is_none() && failure.is_none(),
            issued_by: issued.map(|issued| issued.issuer),
            failed_at: failure.as_ref().map(|failure| failure.at),
            failure: failure.map(|failure| Refusal::new("certificate", failure.what, failure.remedy)),
        }
    }

    async fn is_near(&self, address: IpAddr, place: Option<&Place>) -> bool {
        self.checks.is_near(address, place).await
    }

    async fn servers(&self) -> Result<Vec<ServerRow>, Refusal> {
        let listed = self.api.get(&["servers"], &[]).await?;
        Ok(servers::rows(&listed, &self.node.others, self.node.clock.as_ref()).await)
    }

    async fn invite(&self, name: &str) -> Result<Invitation, Refusal> {
        let name = Some(name).filter(|name| !name.is_empty());
        let body = json!({ "name": name, "roles": ["data"], "lifetime_ms": INVITATION_MS });
        let token = self.api.post(&["tokens"], &body).await?;
        let own = self.api.get(&["servers", &self.node.config.name], &[]).await?;
        let main = own["address"].as_str().unwrap_or(&self.node.config.cluster.address);
        let secret = token["token"].as_str().unwrap_or_default();
        let join = format!("sterna init --join {main} --roles data --token {secret}");
        let text = format!("sudo -u sterna {join} && sudo systemctl enable --now sterna");
        Ok(Invitation {
            id: token["id"].as_str().unwrap_or_default().to_owned(),
            command: Secret::new(text),
            expires_at: self.node.clock.now().plus_ms(INVITATION_MS),
        })
    }

    async fn rename_server(&self, id: &str, name: &str) -> Result<(), Refusal> {
        self.api.patch(&["servers", id], &json!({ "name": name })).await?;
        Ok(())
    }

    async fn select_servers(&self, domain: &str, names: &[String]) -> Result<(), Refusal> {
        self.api.patch(&["domains", domain], &json!({ "servers": names })).await?;
        Ok(())
    }

    async fn put_person(&self, person: &Person) -> Result<(), Refusal> {
        let server = Some(&person.server).filter(|server| !server.is_empty());
        let body = json!({ "address": person.address, "display_name": person.name, "server": server });
        match self.api.post(&["users"], &body).await {
            Ok(_) => Ok(()),
            Err(ApiError::Taken(existing, _)) if existing.starts_with("/api/v1/users/") => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    async fn import_people(&self, csv: &str) -> Result<ImportedPeople, Refusal> {
        let done = self.api.post(&["people-imports"], &json!({ "csv": csv })).await?;
        let count = |name: &str| done[name].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let error = |error: &Value| {
            let line = error["line"].as_u64().and_then(|line| usize::try_from(line).ok()).unwrap_or_default();
            (line, text(&error["address"]), text(&error["detail"]))
        };
        let errors = done["errors"].as_array().into_iter().flatten().map(error).collect();
        Ok(ImportedPeople { there: count("created") + count("existing"), errors })
    }

    async fn send_proof(&self, administrator: &str, elsewhere: Option<&str>) -> Result<String, Refusal> {
        let user = self.api.get(&["users", administrator], &[]).await?;
        let account = serde_json::from_value::<AccountId>(user["id"].clone()).ok();
        let unready = || Refusal::new("proof", "no mail is taken here yet", "See the checks and the node's log.");
        let (Some(account), Some(reception)) = (account, self.node.doors.reception.get()) else {
            return Err(unready());
        };
        let host = self.written().await?.hostname().to_owned();
        let now = self.node.clock.now();
        let draft = proof::Draft { account, address: administrator, elsewhere, host: &host, now };
        proof::send(reception, &draft).await
    }

    async fn proof(&self, message_id: &str, elsewhere: Option<&str>) -> Result<Proof, Refusal> {
        Ok(proof::found(&self.api, message_id, elsewhere).await?)
    }

    async fn finished(&self) {
        let Ok(written) = self.written().await else { return };
        let differs = written.hostname != self.node.config.hostname;
        // Another port that the setup took because the right one was not to be had is given back, too.
        if differs || !self.node.doors.closed().is_empty() {
            let restart = self.node.restart.clone();
            tokio::spawn(async move {
                tokio::time::sleep(RESTART_DELAY).await;
                restart.notify_one();
            });
        }
    }
}
