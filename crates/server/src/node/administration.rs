//! What administration works with: its state, the setup, and the socket.

use std::sync::Arc;

use anyhow::{Context, Result};
use sterna_account::service::Accounts;
use sterna_cluster::ControlClient;
use sterna_cluster::copies::CopiesClient;
use sterna_cluster::join::JoinDesk;
use sterna_mailflow::queue::Queue;
use sterna_mailflow::remote::dane::Ability;
use sterna_web::setup::Setup;
use tokio::sync::{Notify, watch};

use super::control::Control;
use super::provision::{Invitations, Stores};
use super::{Parts, mail_tables, sending};
use crate::acme;
use crate::admin::maintenance::RoutingTools;
use crate::admin::records::Records;
use crate::admin::vitals::Vitals;
use crate::admin::{self, AdminState, Morning, NodeInfo};
use crate::config::Role;
use crate::setup::checks::Checks;
use crate::setup::socket::SetupState;
use crate::setup::{self, NodeInstallation};
use crate::sources::run::Sources;
use crate::sources::schedule;

impl Parts {
    /// What the administration API works with.
    pub(super) fn admin_state(
        &self,
        desk: Option<Arc<JoinDesk>>,
        control: Arc<Control>,
        queue: Option<Arc<Queue>>,
        dane: Option<watch::Receiver<Ability>>,
    ) -> Result<AdminState> {
        let roles = self.config.roles.iter().map(|role| role.name().to_owned()).collect();
        let node = NodeInfo {
            id: self.identity.node(),
            name: self.config.name.clone(),
            roles,
            version: sterna_base::version::own_text().to_owned(),
            started_at: self.clock.now(),
        };
        let client = ControlClient::new(self.peers.clone());
        let accounts: Arc<dyn Accounts> = self.accounts.clone();
        let copies = CopiesClient::new(self.peers.clone(), self.keeper.clone());
        let stores = Stores::new(self.identity.node(), control, client, copies, accounts, self.directory.clone());
        let dns = Arc::new(sending::dns(&self.config.nameservers)?);
        // Data servers don't sign.
        let signs = self.config.has(Role::Main) || self.config.has(Role::Edge);
        let tools = || Arc::new(admin::dkim::KeyTools { folder: self.folder.clone(), dns: dns.clone() });
        let dkim = signs.then(tools);
        let records = self.records()?;
        self.sudo.tell_records(records.clone());
        Ok(AdminState {
            directory: self.directory.clone(),
            authentication: self.authentication.clone(),
            node: Arc::new(node),
            provision: Arc::new(stores),
            tokens: Arc::new(Invitations::new(desk)),
            memory: self.memory.clone(),
            leases: Some(self.leases.clone()),
            local: self.local.clone(),
            queue,
            dkim,
            discovery: Some(self.discovery.clone()),
            records,
            sources: self.sources()?,
            checks: Some(Arc::new(Checks {
                dns,
                doors: self.doors.clone(),
                dane,
                folder: self.folder.clone(),
                clock: self.clock.clone(),
            })),
            routing: Some(Arc::new(RoutingTools::new(&self.folder, mail_tables::Own::of(self)))),
            migration: self.migration.clone(),
            vitals: Some(Vitals::new(self.stop.clone(), self.trace(), self.sessions.clone())),
        })
    }

    /// Directories elsewhere that people come from: the main node reads them.
    pub(super) fn sources(&self) -> Result<Option<Arc<Sources>>> {
        let opened = self.directory.is_main().then(|| Sources::open(&self.folder)).transpose();
        Ok(opened.context("the book of sources' runs")?.map(Arc::new))
    }

    /// Tells administrators once a day what changed.
    pub(super) fn write_in_the_morning(&self, state: &AdminState) {
        let (doors, stop) = (self.doors.clone(), self.stop.clone());
        let reception = Arc::new(move || doors.reception.get().cloned());
        let morning = Morning::new(state.clone(), reception, self.config.hostname().to_owned(), &self.folder);
        self.tasks.spawn(async move { stop.run_until_cancelled(morning.run()).await });
    }

    /// What certificates are ordered with, on the main node.
    pub(super) fn acme_tools(&self) -> Result<acme::Tools> {
        Ok(acme::Tools {
            directory: self.directory.clone(),
            discovery: self.discovery.clone(),
            dns: Arc::new(sending::dns(&self.config.nameservers)?),
            folder: self.folder.clone(),
            node: self.identity.node(),
            served: self.served.get().context("the certificates")?.clone(),
            others: ControlClient::new(self.peers.clone()),
        })
    }

    /// Who is signed in, and what administrators did: the main node knows.
    pub(super) fn records(&self) -> Result<Option<Records>> {
        if !self.directory.is_main() {
            return Ok(None);
        }
        let records = Records::open(&self.folder)?;
        records.forget_unanswered()?;
        Ok(Some(records))
    }

    /// On the main node: the setup, which may be over.
    pub(super) async fn setup(
        &self,
        dane: Option<watch::Receiver<Ability>>,
        restart: Arc<Notify>,
    ) -> Result<Option<Arc<Setup>>> {
        if !self.directory.is_main() {
            return Ok(None);
        }
        let dns = Arc::new(sending::dns(&self.config.nameservers)?);
        let host = match self.doors.is_lenient {
            true => setup::machine_host(&self.config, &dns).await,
            false => self.config.hostname().to_owned(),
        };
        let installation = NodeInstallation {
            config: self.config.clone(),
            folder: self.folder.clone(),
            host,
            doors: self.doors.clone(),
            directory: self.directory.clone(),
            served: self.served.clone(),
            authentication: self.authentication.clone(),
            discovery: self.discovery.clone(),
            others: ControlClient::new(self.peers.clone()),
            dns,
            dane,
            clock: self.clock.clone(),
            restart,
        };
        let opened = Setup::open(&self.folder, installation.door(), self.clock.clone());
        opened.map(Some).context("setup.toml can't be read")
    }

    /// The administration socket.
    pub(super) async fn serve_admin(&self, state: AdminState, setup: Option<Arc<Setup>>) -> Result<()> {
        let path = self.config.admin_socket(&self.folder);
        let socket = admin::socket::bind(&path).await;
        let socket = socket.with_context(|| format!("the administration socket {}", path.display()))?;
        let (mut router, stop) = (admin::router(state.clone()), self.stop.clone());
        if let Some(setup) = setup {
            let (config, folder) = (Arc::new(self.config.clone()), self.folder.clone());
            let (doors, directory) = (self.doors.clone(), self.directory.clone());
            router = router.merge(setup::socket::router(SetupState { setup, config, folder, doors, directory }));
        }
        self.tasks.spawn(async move {
            if let Err(error) = admin::socket::serve(socket, router, stop.cancelled_owned()).await {
                tracing::error!(%error, "the administration socket failed");
            }
        });
        let (stop, watched, filled) = (self.stop.clone(), state.clone(), state.clone());
        let updated = state.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = schedule::run_forever(filled) => {}
                () = admin::sweep_forever(state) => {}
                () = admin::watch_forever(watched) => {}
                () = admin::roll_forever(updated) => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(())
    }
}
