//! `sterna contact`

use clap::{Args, Subcommand};
use hyper::Method;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::prompt;
use super::resource::{CreateArgs, DeleteArgs, Fields, Filters, Session, WriteArgs};

const COLUMNS: &[Column] = &[
    ("ADDRESS", "address"),
    ("NAME", "display_name"),
    ("ORGANISATION", "organisation"),
    ("PHONE", "phone"),
    ("DOMAIN", "domain"),
];

/// Manage external contacts
#[derive(Debug, Subcommand)]
pub enum ContactCommand {
    /// List the external contacts
    #[command(mut_arg("text", |text| {
        text.help("Only those whose name, address, organisation or telephone number has this")
    }))]
    List {
        /// See [`Filters`].
        #[command(flatten)]
        filters: Filters,
    },
    /// Show an external contact, and the groups that have it
    #[command(visible_alias = "show")]
    Get {
        /// See [`Which`].
        #[command(flatten)]
        which: Which,
    },
    /// Make an external contact: it is in the directory's address book of its domain, and can be in its groups
    Create {
        /// The address, outside of the installation
        address: String,
        /// The domain that keeps it; need not be named where there is only one
        #[arg(long, value_name = "DOMAIN")]
        domain: Option<String>,
        /// See [`ContactOptions`].
        #[command(flatten)]
        options: ContactOptions,
        /// See [`CreateArgs`].
        #[command(flatten)]
        create: CreateArgs,
    },
    /// Change an external contact; groups of its domain follow a new address
    Set {
        /// See [`Which`].
        #[command(flatten)]
        which: Which,
        /// The new address
        #[arg(long, value_name = "ADDRESS")]
        address: Option<String>,
        /// See [`ContactOptions`].
        #[command(flatten)]
        options: ContactOptions,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Delete an external contact, also from the groups of its domain
    Delete {
        /// See [`Which`].
        #[command(flatten)]
        which: Which,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

/// Which contact.
#[derive(Clone, Debug, Args)]
pub struct Which {
    /// Address or id
    contact: String,
    /// Of this domain, where several know the address
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
}

impl Which {
    fn domain(&self) -> (&'static str, Option<&str>) {
        ("domain", self.domain.as_deref())
    }
}

/// What a contact has.
#[derive(Clone, Debug, Default, Args)]
pub struct ContactOptions {
    /// The name for people
    #[arg(long, visible_alias = "display-name", value_name = "TEXT")]
    name: Option<String>,
    /// What the person works for
    #[arg(long, value_name = "TEXT")]
    organisation: Option<String>,
    /// A telephone number
    #[arg(long, value_name = "NUMBER")]
    phone: Option<String>,
    /// Anything else
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The organisational unit, as a path ('' is none)
    #[arg(long, value_name = "PATH")]
    unit: Option<String>,
}

impl ContactOptions {
    fn fields(&self) -> Fields {
        Fields::default()
            .add("display_name", self.name.as_deref())
            .add("organisation", self.organisation.as_deref())
            .add("phone", self.phone.as_deref())
            .add("note", self.note.as_deref())
            .add("unit", self.unit.as_deref())
    }
}

pub(super) async fn run(session: &Session<'_>, command: ContactCommand) -> Result<Exit, CliError> {
    match command {
        ContactCommand::List { filters } => session.list(&["contacts"], &filters.parameters(), COLUMNS).await,
        ContactCommand::Get { which } => {
            let found = session.client.get(&path(&["contacts", &which.contact], &[which.domain()])).await?;
            session.show(&found)
        }
        ContactCommand::Create { address, domain, options, create } => {
            let domain = match domain {
                Some(domain) => domain,
                None => only_domain(session).await?,
            };
            let fields = options.fields().add("address", Some(address)).add("domain", Some(domain));
            session.create(&["contacts"], fields.0, &create).await
        }
        ContactCommand::Set { which, address, options, write } => {
            let fields = options.fields().add("address", address);
            session.set_with(&["contacts", &which.contact], &[which.domain()], fields.0, &write).await
        }
        ContactCommand::Delete { which, delete } => remove(session, &which, &delete).await,
    }
}

/// The domain, where there is one only.
async fn only_domain(session: &Session<'_>) -> Result<String, CliError> {
    let page = session.client.get(&path(&["domains"], &[("limit", Some("2"))])).await?;
    match page["items"].as_array().map_or(&[][..], Vec::as_slice) {
        [only] => Ok(only["name"].as_str().unwrap_or_default().to_owned()),
        _ => Err(CliError::Usage("name the domain that is to keep the contact: --domain DOMAIN".to_owned())),
    }
}

async fn remove(session: &Session<'_>, which: &Which, args: &DeleteArgs) -> Result<Exit, CliError> {
    if !args.write.dry_run {
        let question = format!("Delete the external contact {}? It leaves the groups that it is in.", which.contact);
        prompt::confirm(&question, args.yes)?;
    }
    let at = path(&["contacts", &which.contact], &[which.domain(), args.write.parameter()]);
    let answer = session.client.send(Method::DELETE, &at, None).await?;
    session.written(&answer, &args.write)
}
