//! `sterna init`: the first node of an installation, or one that joins it.

use std::net::ToSocketAddrs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use sterna_base::{Clock, NodeId, SystemClock};
use sterna_cluster::join::{JoinOptions, join};
use sterna_cluster::{Identity, NodeRole};
use sterna_directory::request::ServerPatch;
use sterna_directory::{Directory, Mode, Request, Roles};

use super::{announced, directory_file, owner};
use crate::cli::args::NODE_FOLDER;
use crate::cli::{Exit, GlobalArgs, InitArgs};
use sterna_web::setup::Setup;

use crate::config::{Cluster, Config, ConfigError, FILE_NAME, Listen, PlaintextLogin, Role};

/// The usual port of a node, where one is named without.
const PORT: u16 = 7700;

/// Sets up this machine to take another one's place, and says what to do next.
///
/// # Errors
/// When it can't be reached or refuses, or something is in the way here.
pub async fn migrate_from(folder: &Path, host: &str, mut arguments: InitArgs) -> Result<String> {
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(name, port)| port.parse::<u16>().is_ok() && (!name.contains(':') || name.ends_with(']')));
    arguments.join = Some(if has_port { host.to_owned() } else { format!("{host}:{PORT}") });
    arguments.migrates = true;
    set_up(folder, &arguments).await
}

/// Sets the folder up.
#[allow(clippy::print_stderr, clippy::print_stdout)]
pub async fn run(global: &GlobalArgs, arguments: InitArgs) -> Exit {
    match set_up(&global.folder(), &arguments).await {
        Ok(message) => {
            println!("{message}");
            Exit::Done
        }
        Err(error) => {
            eprintln!("sterna init: {error:#}");
            Exit::Failed
        }
    }
}

async fn set_up(folder: &Path, arguments: &InitArgs) -> Result<String> {
    if folder.join(FILE_NAME).exists() {
        bail!("there is a node in {} already; start it with `sterna serve`, or choose another --dir", folder.display());
    }
    if Identity::exists(folder) {
        bail!(
            "an earlier sterna init in {} was interrupted; delete what is in it, or choose another --dir",
            folder.display()
        );
    }
    let config = config(arguments)?;
    std::fs::create_dir_all(folder).with_context(|| {
        format!(
            "{} can't be made; run this as a user who may, or make the folder for this user first",
            folder.display()
        )
    })?;
    owner::is_ours(folder)?;
    match (&arguments.join, &arguments.token) {
        (Some(main), Some(token)) => join_installation(folder, config, main, token, arguments.migrates).await,
        _ => {
            let founded = found_installation(folder, config).await;
            if founded.is_err() {
                remove_half(folder);
            }
            founded
        }
    }
}

/// The first start in a folder with nothing in it but perhaps a `sterna.toml`: this machine becomes the main node of a
/// new installation, which is then set up by its pages. `None` when the folder has something in it.
///
/// # Errors
/// When the installation can't be made; nothing is left of it then.
pub async fn first_start(folder: &Path) -> Result<Option<Config>> {
    if !is_fresh(folder)? {
        return Ok(None);
    }
    std::fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    owner::is_ours(folder)?;
    let given = match Config::read(folder) {
        Ok(given) => Some(given),
        Err(ConfigError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if given.as_ref().is_some_and(|given| !given.has(Role::Main)) {
        return Ok(None);
    }
    let config = match given.clone() {
        Some(given) => given,
        None => config(&InitArgs::default())?,
    };
    let founded = async {
        Setup::begin(folder)?;
        found(folder, &config).await?;
        if given.is_none() {
            config.write(folder)?;
        }
        Ok::<_, anyhow::Error>(())
    };
    if let Err(error) = founded.await {
        remove_half(folder);
        let _ = std::fs::remove_file(folder.join(sterna_web::setup::FILE_NAME));
        return Err(error);
    }
    tracing::info!(name = config.name, "this machine is the main node of a new installation");
    Ok(Some(config))
}

/// Whether there is nothing that a node could have left. What a home folder begins with (`useradd --create-home`), what
/// is mounted, and sockets of whoever starts it, don't count.
fn is_fresh(folder: &Path) -> Result<bool> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // The usual folder is made; another one that isn't there was mistyped.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(folder == Path::new(NODE_FOLDER)),
        Err(error) => return Err(error).with_context(|| format!("{} can't be read", folder.display())),
    };
    for entry in entries {
        let entry = entry?;
        let (name, is_socket) = (entry.file_name(), FileTypeExt::is_socket(&entry.file_type()?));
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        if !is_socket && !is_hidden && name != FILE_NAME && name != "lost+found" {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes what was made of an installation that is not to be: there was none in the folder before.
fn remove_half(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder.join("cluster"));
    let directory = directory_file(folder);
    for end in ["", "-wal", "-shm"] {
        let mut name = directory.clone().into_os_string();
        name.push(end);
        let _ = std::fs::remove_file(name);
    }
}

/// What the command line says, and what follows from it.
fn config(arguments: &InitArgs) -> Result<Config> {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = arguments.name.clone().unwrap_or(machine);
    let given: Vec<&str> = arguments.roles.iter().map(|role| role.trim()).collect();
    let usual: &[&str] = if arguments.join.is_some() { &["data"] } else { &["main", "data", "edge"] };
    let roles = if given.is_empty() { usual } else { &given[..] };
    let roles = roles.iter().map(|role| role.parse::<Role>()).collect::<Result<_, _>>()?;
    let listen = arguments.cluster_listen;
    let address = arguments.address.clone().unwrap_or_else(|| format!("{name}:{}", listen.port()));
    Ok(Config {
        name,
        roles,
        cluster: Cluster { listen, address, main: None, serve_alone: false },
        listen: Listen::default(),
        plaintext_login: PlaintextLogin::Never,
        tls: None,
        client_certificates: None,
        hostname: None,
        nameservers: Vec::new(),
        trust_anchors: None,
        admin_socket: None,
    })
}

async fn found_installation(folder: &Path, config: Config) -> Result<String> {
    if !config.has(Role::Main) {
        bail!("the first node of an installation has the role main; to join one, give --join and --token");
    }
    found(folder, &config).await?;
    // The configuration last: without it there is no node.
    config.write(folder)?;
    Ok(format!(
        "{} is the main node of a new installation. Start it: sterna serve --dir {}",
        config.name,
        folder.display()
    ))
}

/// The installation's authority, this node's identity, and a directory with this node in it.
async fn found(folder: &Path, config: &Config) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (identity, _) = Identity::init_main(folder, &config.cluster.address, clock.as_ref())?;
    let directory = Directory::open(&directory_file(folder), Mode::Main(identity.facts().installation), clock)?;
    announce(folder, &directory, identity.node(), config).await
}

async fn join_installation(
    folder: &Path,
    mut config: Config,
    main: &str,
    token: &str,
    migrates: bool,
) -> Result<String> {
    let token = match token.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("reading the token from {path}"))?,
        None => token.to_owned(),
    };
    let token = token.trim().parse().map_err(|error| anyhow::anyhow!("this is no join token: {error}"))?;
    let role = |role: &Role| match role {
        Role::Main => NodeRole::Main,
        Role::Data => NodeRole::Data,
        Role::Edge => NodeRole::Edge,
    };
    if main.to_socket_addrs().is_err() {
        bail!("{main} is not an address; give the main node as HOST:PORT, for example mail1:7700");
    }
    let options = JoinOptions {
        main_address: main.to_owned(),
        token,
        name: config.name.clone(),
        roles: config.roles.iter().map(role).collect(),
        address: config.cluster.address.clone(),
        listen: Some(config.cluster.listen),
        version: sterna_base::version::own_text().to_owned(),
        migrates,
    };
    let joined = join(folder, &options, Arc::new(SystemClock)).await?;
    config.name = joined.name;
    if let Some(roles) = joined.roles {
        config.roles = roles
            .iter()
            .map(|role| match role {
                NodeRole::Main => Role::Main,
                NodeRole::Data => Role::Data,
                NodeRole::Edge => Role::Edge,
            })
            .collect();
    }
    announced::note(folder, &config.cluster.address)?;
    config.write(folder)?;
    let start = format!("Start it: sterna serve --dir {}", folder.display());
    let mut message = match migrates {
        true => format!("{} follows from when it runs. {start}. Then, on both: sterna migrate status", config.name),
        false => format!("{} has joined. {start}", config.name),
    };
    for warning in joined.warnings {
        message.push_str(&format!("\nnote: {warning}"));
    }
    Ok(message)
}

/// Writes the main node into its own directory, or mends its row when the configuration changed.
pub async fn announce(folder: &Path, directory: &Directory, node: NodeId, config: &Config) -> Result<()> {
    let roles = Roles { main: config.has(Role::Main), data: config.has(Role::Data), edge: config.has(Role::Edge) };
    let (name, address) = (config.name.clone(), config.cluster.address.clone());
    match directory.server(node).await? {
        None => {
            directory.submit(Request::PutServer { id: node, name, address, roles }).await?;
        }
        Some(_) => {
            let address = (!announced::is(folder, &address)).then_some(address);
            let patch = ServerPatch { address, roles: Some(roles), ..ServerPatch::default() };
            directory.submit(Request::SetServer { id: node, expect: None, patch }).await?;
        }
    }
    announced::note(folder, &config.cluster.address)?;
    Ok(())
}
