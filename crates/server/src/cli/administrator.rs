//! `sterna admin` and `sterna role`: who administers what.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::Value;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::resource::{DeleteArgs, Fields, Session, WriteArgs};

const GRANT_COLUMNS: &[Column] = &[("USER", "user"), ("ROLE", "role"), ("DOMAIN", "domain"), ("UNIT", "unit")];

const ROLE_COLUMNS: &[Column] = &[("NAME", "name"), ("PERMISSIONS", "permissions"), ("DESCRIPTION", "description")];

/// See who administers what, grant roles and take them back
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// List who has which role where
    List {
        /// Only this user
        #[arg(long)]
        user: Option<String>,
        /// Only in this domain
        #[arg(long)]
        domain: Option<String>,
    },
    /// Grant a role to a user
    Grant(GrantArgs),
    /// Take a role back
    Revoke(GrantArgs),
}

/// Who, which, where.
#[derive(Clone, Debug, Args)]
pub struct GrantArgs {
    /// The user's address
    user: String,
    /// The role: platform-administrator, domain-administrator, help-desk, read-only, or one of your own
    role: String,
    /// Only in this domain
    #[arg(long)]
    domain: Option<String>,
    /// Of the domain, only this organisational unit and those below it
    #[arg(long, requires = "domain")]
    unit: Option<String>,
    /// See [`WriteArgs`].
    #[command(flatten)]
    write: WriteArgs,
}

/// See the roles of administrators, make some of your own
#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// List the roles, and what each permits
    List,
    /// Make a role of your own, or change what it permits
    Set {
        /// Its name: small letters, digits and hyphens
        name: String,
        /// What it permits, such as people:write or mail:read; repeat it, or separate them with commas
        #[arg(long = "permission", value_delimiter = ',', required = true)]
        permissions: Vec<String>,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Delete a role that nobody has
    Delete {
        /// Which
        name: String,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        args: DeleteArgs,
    },
}

/// Does a command.
pub async fn run(session: &Session<'_>, command: AdminCommand) -> Result<Exit, CliError> {
    match command {
        AdminCommand::List { user, domain } => {
            let filters = [("name", user.as_deref()), ("domain", domain.as_deref())];
            session.list(&["grants"], &filters, GRANT_COLUMNS).await
        }
        AdminCommand::Grant(args) => set(session, Method::POST, args).await,
        AdminCommand::Revoke(args) => set(session, Method::DELETE, args).await,
    }
}

async fn set(session: &Session<'_>, method: Method, args: GrantArgs) -> Result<Exit, CliError> {
    let fields = Fields::default().add("user", Some(args.user)).add("role", Some(args.role));
    let fields = fields.add("domain", args.domain).add("unit", args.unit);
    let path = path(&["grants"], &[args.write.parameter()]);
    let answer = session.client.send(method, &path, Some(&Value::Object(fields.0))).await?;
    session.written(&answer, &args.write)
}

/// Does a command about roles.
pub async fn run_role(session: &Session<'_>, command: RoleCommand) -> Result<Exit, CliError> {
    match command {
        RoleCommand::List => session.list(&["roles"], &[], ROLE_COLUMNS).await,
        RoleCommand::Set { name, permissions, description, write } => {
            let fields = Fields::default().list("permissions", &permissions).add("description", Some(description));
            session.put(&["roles", &name], fields.0, &write).await
        }
        RoleCommand::Delete { name, args } => {
            session.delete(&["roles", &name], &format!("Delete the role {name}?"), &args).await
        }
    }
}
