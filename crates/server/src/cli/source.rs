//! `sterna source`: directories elsewhere that people come from.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::{Map, Value, json};

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::{self, Column};
use super::prompt;
use super::resource::{CreateArgs, DeleteArgs, Fields, Session, WriteArgs, yes_or_no};

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("KIND", "kind"),
    ("DOMAIN", "domain"),
    ("URLS", "urls"),
    ("LINKED", "linked"),
    ("LOGINS", "logins"),
    ("ENABLED", "enabled"),
];

const RUN_COLUMNS: &[Column] = &[
    ("RUN", "number"),
    ("SOURCE", "source"),
    ("STARTED", "started_at"),
    ("ENDED", "ended_at"),
    ("FULL", "full"),
    ("OUTCOME", "outcome"),
    ("DONE", "done"),
    ("FAILED", "failed"),
    ("HELD", "held"),
];

/// Let the people and groups of a domain come from LDAP or Active Directory
#[derive(Debug, Subcommand)]
pub enum SourceCommand {
    /// List the sources
    List,
    /// Show a source
    Get {
        /// Its name
        source: String,
    },
    /// Make a source; nothing is changed until it is run
    Create {
        /// A name for it
        source: String,
        /// Which sort of directory it is: decides what is usual for filters and attributes
        #[arg(long, value_enum, default_value_t = Kind::Openldap)]
        kind: Kind,
        /// The domain that it fills
        #[arg(long)]
        domain: String,
        /// See [`SourceOptions`].
        #[command(flatten)]
        options: SourceOptions,
        /// See [`CreateArgs`].
        #[command(flatten)]
        args: CreateArgs,
    },
    /// Change a source
    Set {
        /// Its name
        source: String,
        /// See [`SourceOptions`].
        #[command(flatten)]
        options: SourceOptions,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Forget a source; its people stay, without a password until they are given one
    Delete {
        /// Its name
        source: String,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        args: DeleteArgs,
    },
    /// Run a source now; with --dry-run show what would be done
    Sync {
        /// Its name
        source: String,
        /// Compare everything, not only what changed since the last run
        #[arg(long)]
        full: bool,
        /// Suspend and take from groups more than the source allows by itself
        #[arg(long)]
        allow_removals: bool,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
    /// List the last runs
    Runs {
        /// Only of this source
        source: Option<String>,
    },
    /// Print what a run did, line by line
    Log {
        /// Its number
        run: u64,
    },
}

/// The sorts of directories.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    /// OpenLDAP and others with entryUUID
    Openldap,
    /// Active Directory
    Ad,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Openldap => "open-ldap",
            Kind::Ad => "active-directory",
        }
    }
}

/// What a source has.
#[derive(Clone, Debug, Default, Args)]
pub struct SourceOptions {
    /// ldaps://HOST[:PORT] or ldap://HOST[:PORT]; repeat it for servers that hold the same
    #[arg(long = "url", value_name = "URL")]
    urls: Vec<String>,
    /// Whether connections to ldap:// are secured by StartTLS
    #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
    start_tls: Option<bool>,
    /// The certificates that the server's is checked with, in a PEM file; those that the system trusts otherwise
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// As whom it is read
    #[arg(long, value_name = "DN")]
    bind_dn: Option<String>,
    /// Ask for the password of the bind DN
    #[arg(long, conflicts_with = "password_file")]
    password: bool,
    /// Read it from a file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Where people are searched
    #[arg(long, value_name = "DN")]
    base: Option<String>,
    /// Who of the entries there is a person (RFC 4515)
    #[arg(long, value_name = "FILTER")]
    user_filter: Option<String>,
    /// Where groups are searched, if it isn't where people are
    #[arg(long, value_name = "DN")]
    group_base: Option<String>,
    /// What of the entries there is a group; '' for no groups
    #[arg(long, value_name = "FILTER")]
    group_filter: Option<String>,
    /// What an attribute means: id, login, address, aliases, display_name, unit, suspended, group_name, members
    #[arg(long = "map", value_name = "MEANING=ATTRIBUTE")]
    mapping: Vec<String>,
    /// Whether it checks the passwords of its people
    #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
    logins: Option<bool>,
    /// While it doesn't answer, for how many minutes after a log-in the same password is good; 0 for never
    #[arg(long, value_name = "MINUTES")]
    outage_minutes: Option<u32>,
    /// Whether users who are here already become its own when it names their address
    #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
    adopt: Option<bool>,
    /// Minutes between two looks at what changed
    #[arg(long, value_name = "MINUTES")]
    every_minutes: Option<u32>,
    /// Hours after which everything is compared, which alone finds who is gone
    #[arg(long, value_name = "HOURS")]
    full_every_hours: Option<u32>,
    /// Most of its people, in percent, that one run suspends by itself
    #[arg(long, value_name = "PERCENT")]
    removals_percent: Option<u32>,
    /// Whether it runs by itself
    #[arg(long, value_name = "YES/NO", value_parser = yes_or_no)]
    enabled: Option<bool>,
}

impl SourceOptions {
    fn fields(self) -> Result<Map<String, Value>, CliError> {
        let unreadable = |file: &PathBuf, error| CliError::Usage(format!("{}: {error}", file.display()));
        let text = |file: PathBuf| std::fs::read_to_string(&file).map_err(|error| unreadable(&file, error));
        let ca = self.ca.map(text).transpose()?;
        let password = match (self.password, self.password_file) {
            (false, None) => None,
            (_, file) => Some(prompt::new_password(file.as_deref())?.expose().to_owned()),
        };
        let mut mapping = Map::new();
        for pair in self.mapping {
            let wrong = || CliError::Usage(format!("“{pair}” is not MEANING=ATTRIBUTE"));
            let (meaning, attribute) = pair.split_once('=').ok_or_else(wrong)?;
            mapping.insert(meaning.to_owned(), attribute.into());
        }
        let fields = Fields::default()
            .list("urls", &self.urls)
            .add("start_tls", self.start_tls)
            .add("ca", ca)
            .add("bind_dn", self.bind_dn)
            .add("password", password)
            .add("base", self.base)
            .add("user_filter", self.user_filter)
            .add("group_base", self.group_base)
            .add("group_filter", self.group_filter)
            .add("mapping", (!mapping.is_empty()).then_some(mapping))
            .add("logins", self.logins)
            .add("outage_minutes", self.outage_minutes)
            .add("adopt", self.adopt)
            .add("every_minutes", self.every_minutes)
            .add("full_every_hours", self.full_every_hours)
            .add("removals_percent_max", self.removals_percent)
            .add("enabled", self.enabled);
        Ok(fields.0)
    }
}

/// Does a command.
pub async fn run(session: &Session<'_>, is_json: bool, command: SourceCommand) -> Result<Exit, CliError> {
    match command {
        SourceCommand::List => session.list(&["sources"], &[], COLUMNS).await,
        SourceCommand::Get { source } => session.get(&["sources", &source]).await,
        SourceCommand::Create { source, kind, domain, options, args } => {
            let mut fields = options.fields()?;
            fields.insert("name".to_owned(), source.into());
            fields.insert("kind".to_owned(), kind.name().into());
            fields.insert("domain".to_owned(), domain.into());
            session.create(&["sources"], fields, &args).await
        }
        SourceCommand::Set { source, options, write } => {
            session.set(&["sources", &source], options.fields()?, &write).await
        }
        SourceCommand::Delete { source, args } => {
            session.delete(&["sources", &source], &format!("Forget the source {source}?"), &args).await
        }
        SourceCommand::Sync { source, full, allow_removals, write } => {
            let path = path(&["sources", &source, "runs"], &[write.parameter()]);
            let body = json!({ "full": full, "allow_removals": allow_removals });
            let answer = session.client.send(Method::POST, &path, Some(&body)).await?;
            match (write.dry_run, is_json) {
                (true, false) => diff(&answer.body),
                _ => session.show(&answer.body),
            }
        }
        SourceCommand::Runs { source } => {
            session.list(&["source-runs"], &[("source", source.as_deref())], RUN_COLUMNS).await
        }
        SourceCommand::Log { run } => {
            let run = session.client.get(&path(&["source-runs", &run.to_string()], &[])).await?;
            match is_json {
                true => session.show(&run),
                false => {
                    output::line(run["log"].as_str().unwrap_or_default())?;
                    Ok(Exit::Done)
                }
            }
        }
    }
}

/// What a run would do, as a diff for people.
fn diff(plan: &Value) -> Result<Exit, CliError> {
    let mut text = String::new();
    let list = |name: &str| plan[name].as_array().cloned().unwrap_or_default();
    for (name, mark) in [("steps", ""), ("held", "held back: ")] {
        for step in list(name) {
            let word = |field: &str| step[field].as_str().unwrap_or_default().to_owned();
            text.push_str(&format!(
                "{mark}{} {} {} {}\n",
                word("action"),
                word("kind"),
                word("address"),
                word("reason")
            ));
            for field in step["fields"].as_array().into_iter().flatten() {
                let value = |side: &str| field[side].as_str().unwrap_or_default();
                let name = value("name");
                for (sign, side) in [("-", "before"), ("+", "after")] {
                    if !value(side).is_empty() {
                        text.push_str(&format!("  {sign} {name}: {}\n", value(side)));
                    }
                }
            }
        }
    }
    for problem in list("problems") {
        text.push_str(&format!("left out: {}\n", problem.as_str().unwrap_or_default()));
    }
    if let Some(guard) = plan["guard"].as_str() {
        text.push_str(&format!("{guard}\n"));
    }
    text.push_str(&format!("{} found, {} as they should be\n", plan["found"], plan["unchanged"]));
    output::line(&text)?;
    Ok(if list("steps").is_empty() { Exit::NothingToDo } else { Exit::Done })
}
