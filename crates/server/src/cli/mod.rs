//! The command line. [`Cli`] is its grammar; [`run`] does the commands that talk to a running node through its
//! administration socket. `init`, `serve`, `check` and `demo` work on the machine itself and are done by `main`.

mod account;
mod acl;
mod administrator;
mod archive;
pub mod args;
mod aside;
mod bin;
mod calendar;
mod certificate;
pub mod client;
mod config;
mod contact;
mod credential;
mod declared;
mod dkim;
mod doctor;
mod domain;
mod domain_dns;
pub mod exit;
mod file;
mod firewall;
mod generate;
mod graphs;
mod greylist;
mod group;
mod import_bluemind;
mod import_cyrus;
mod import_cyrus_send;
mod import_dav;
mod import_imap;
mod import_run;
mod import_sieve;
mod interchange;
mod job;
mod link;
mod mail;
mod mail_files;
mod migrate;
mod migrate_address;
mod migrate_afterwards;
mod migrate_rehearse;
mod moving;
pub mod output;
mod plan;
mod progress;
mod prompt;
mod queue;
mod resource;
mod resources;
mod search;
mod server;
mod server_work;
mod setup;
mod sieve;
mod source;
mod status;
mod trace;
mod update;
mod user;
mod user_import;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sterna_base::Secret;

pub use args::{CheckArgs, DemoArgs, InitArgs};
pub use aside::AsideCommand;
pub use exit::Exit;
pub(crate) use resource::quota;

use crate::config::{ADMIN_SOCKET, Config};

/// Mail, calendars, contacts and files for an organisation, on one machine or on many.
#[derive(Debug, Parser)]
#[command(name = "sterna", version = sterna_base::version::own_text(), max_term_width = 100, propagate_version = true, after_long_help = exit::HELP)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
pub struct GlobalArgs {
    /// Where the node keeps its configuration and its data [env: STERNA_DIR] [default: /var/lib/sterna]
    // The environment is read in `folder`: clap would also give it to `sterna demo --dir`, which is another folder.
    #[arg(long, value_name = "DIR", global = true)]
    pub dir: Option<PathBuf>,
    /// The administration socket of the node to talk to; the one of the node in --dir when not given
    #[arg(long, value_name = "PATH", global = true, env = "STERNA_SOCKET")]
    pub socket: Option<PathBuf>,
    /// A node elsewhere: https://HOST[:PORT]; it needs a token
    #[arg(long, value_name = "URL", global = true, env = "STERNA_NODE", conflicts_with = "socket")]
    pub node: Option<String>,
    /// A token of the API (sterna token create); @FILE reads it from a file
    #[arg(long, value_name = "TOKEN", global = true, env = "STERNA_TOKEN", hide_env_values = true)]
    pub api_token: Option<String>,
    /// Certificates to trust besides those that the system trusts, in a PEM file; for --node
    #[arg(long, value_name = "FILE", global = true, env = "STERNA_CA")]
    pub ca: Option<PathBuf>,
    /// How to print: a table for people, JSON for programs, one JSON object a line for streams
    #[arg(long, value_name = "FORMAT", global = true, value_enum, conflicts_with = "json")]
    pub output: Option<Output>,
    /// The same as --output json
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl GlobalArgs {
    /// The format asked for; a table when none was.
    pub fn format(&self) -> Output {
        if self.json { Output::Json } else { self.output.unwrap_or(Output::Table) }
    }

    /// The node elsewhere, if one was named.
    pub fn remote(&self) -> Option<client::Remote> {
        let url = self.node.clone()?.trim_end_matches('/').to_owned();
        let token = self.api_token.clone().unwrap_or_default();
        let token = match token.strip_prefix('@') {
            Some(file) => std::fs::read_to_string(file).unwrap_or_default().trim().to_owned(),
            None => token,
        };
        Some(client::Remote { url, token: Secret::new(token.as_str()), ca: self.ca.clone() })
    }

    /// The folder of the node that a command is about.
    pub fn folder(&self) -> PathBuf {
        let environment = || std::env::var_os("STERNA_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        self.dir.clone().or_else(environment).unwrap_or_else(|| PathBuf::from(args::NODE_FOLDER))
    }

    /// The socket asked for, or the one of the node in the folder. Who may not read its configuration may not use its
    /// socket either, and is told so when it is tried.
    pub fn socket_path(&self) -> PathBuf {
        let of_node = || {
            let folder = self.folder();
            Config::read(&folder).map_or_else(|_| folder.join(ADMIN_SOCKET), |config| config.admin_socket(&folder))
        };
        self.socket.clone().unwrap_or_else(of_node)
    }
}

/// Formats of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Columns for people
    Table,
    /// One JSON document
    Json,
    /// One JSON object a line
    Ndjson,
}

/// The command that the node gives itself, not people.
pub const READ_PDF: &str = "read-pdf";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set up this machine: the first node of an installation, or one that joins it with a token
    Init(InitArgs),
    /// Run the node
    Serve,
    /// Verify every invariant of accounts and directory
    Check(CheckArgs),
    /// Look at what failovers left behind on this server, export it, delete it
    #[command(subcommand)]
    Aside(AsideCommand),
    /// Start a playground with three nodes on this machine
    Demo(DemoArgs),
    /// Print the text of the PDF on standard input: what a node starts for each PDF it looks into
    #[command(name = READ_PDF, hide = true)]
    ReadPdf,
    /// Print the version of this program and the formats that it writes, as JSON: what updates are planned with
    #[command(hide = true)]
    Facts,
    /// Commands that talk to a running node or need none at all.
    #[command(flatten)]
    Client(ClientCommand),
}

/// What [`run`] does.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Show the state of the node and of its installation
    Status,
    /// Look at everything: servers, mail routing, DNS of all domains, and what is around this machine
    Doctor,
    /// Set up a new installation: in a browser by a link, or from a file of answers
    Setup(setup::SetupArgs),
    /// Manage mail domains
    #[command(subcommand)]
    Domain(domain::DomainCommand),
    /// Manage the keys that domains sign their mail with
    #[command(subcommand)]
    Dkim(dkim::DkimCommand),
    /// See to the certificates that clients see
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
    /// Guard the ports between the machines
    #[command(subcommand)]
    Firewall(firewall::FirewallCommand),
    /// Manage users
    #[command(subcommand)]
    User(user::UserCommand),
    /// Manage groups
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Manage external contacts: people outside, in the address book of a domain and in its groups
    #[command(subcommand)]
    Contact(contact::ContactCommand),
    /// Bring back users, groups and mailboxes that were deleted
    #[command(subcommand)]
    Bin(bin::BinCommand),
    /// Bring mail from other servers, and calendars and contacts from files; doing it again changes nothing
    #[command(subcommand)]
    Import(interchange::ImportCommand),
    /// Write a calendar or an address book to standard output
    #[command(subcommand)]
    Export(interchange::ExportCommand),
    /// Subscribe accounts to calendars that others publish, and make birthdays of contacts a calendar
    #[command(subcommand)]
    Calendar(calendar::CalendarCommand),
    /// Bring back former versions of files, and look after links to files
    #[command(subcommand)]
    File(file::FileCommand),
    /// Manage the servers of the installation
    #[command(subcommand)]
    Server(server::ServerCommand),
    /// Move accounts between servers, see where they live, manage shared mailboxes
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Manage rooms and things that are booked by inviting them
    #[command(subcommand)]
    Resource(resources::ResourceCommand),
    /// Put a new machine in the place of an old one, while it is used
    #[command(subcommand)]
    Migrate(migrate::MigrateCommand),
    /// Bring all servers to another version of the program
    #[command(subcommand)]
    Update(update::UpdateCommand),
    /// Watch, pause and abort work on many accounts: moves, drains, rebalances, failovers
    #[command(subcommand)]
    Job(job::JobCommand),
    /// See what waits on this server to be sent or delivered, and change what becomes of it
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// See what servers measured of themselves: queue, deliveries, sessions, lag, disk
    Graphs(graphs::GraphsArgs),
    /// See whom greylisting makes wait, forget some of them, let some in at once
    #[command(subcommand)]
    Greylist(greylist::GreylistCommand),
    /// Look after the routing of mail: derive it again, check it, write it for a Postfix in front
    #[command(subcommand)]
    Mail(mail::MailCommand),
    /// Show where a message went, or why it did not
    Trace(trace::TraceArgs),
    /// Look at the search indexes of this server's accounts, make them again
    #[command(subcommand)]
    Search(search::SearchCommand),
    /// Look at and change the Sieve scripts of accounts and domains, and try them
    #[command(subcommand)]
    Sieve(sieve::SieveCommand),
    /// See who administers what, grant roles and take them back
    #[command(subcommand)]
    Admin(administrator::AdminCommand),
    /// See the roles of administrators, make some of your own
    #[command(subcommand)]
    Role(administrator::RoleCommand),
    /// Manage the tokens with which programs use the API
    #[command(subcommand)]
    Token(credential::TokenCommand),
    /// See who is signed in at the console, and end sessions
    #[command(subcommand)]
    Session(credential::SessionCommand),
    /// Manage the passwords that users have for single programs
    #[command(subcommand)]
    AppPassword(credential::AppPasswordCommand),
    /// See with which passkeys somebody signs in at the console, and remove lost ones
    #[command(subcommand)]
    Passkey(credential::PasskeyCommand),
    /// Remove the second factor that a user lost, passkeys included
    SecondFactor {
        /// The user's address
        user: String,
        /// See [`resource::DeleteArgs`].
        #[command(flatten)]
        args: resource::DeleteArgs,
    },
    /// Show what was done at the console, by the API and on the command line
    Audit(credential::AuditArgs),
    /// Let the people and groups of a domain come from LDAP or Active Directory
    #[command(subcommand)]
    Source(source::SourceCommand),
    /// Make domains, people, groups, roles and settings as a file says; what it doesn't mention stays
    Apply(declared::ApplyArgs),
    /// Print domains, people, groups, roles and settings as a file that apply takes
    Snapshot,
    /// Look at and change the settings of the whole installation or of a domain
    #[command(subcommand, alias = "setting")]
    Config(config::ConfigCommand),
    /// Print a completion script for a shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder
    Man {
        /// Where; made when it isn't there
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// Does a command that talks to a running node. Prints to standard output and standard error.
pub async fn run(global: &GlobalArgs, command: ClientCommand) -> Exit {
    let session = resource::Session::new(global);
    let result = match command {
        ClientCommand::Status => status::run(&session, global).await,
        ClientCommand::Setup(args) => setup::run(&session, args).await,
        ClientCommand::Doctor => doctor::run(&session, global).await,
        ClientCommand::Domain(command) => domain::run(&session, global, command).await,
        ClientCommand::Dkim(command) => dkim::run(&session, command).await,
        ClientCommand::Firewall(command) => firewall::run(&session, command).await,
        ClientCommand::Certificate(command) => certificate::run(&session, command).await,
        ClientCommand::User(command) => user::run(&session, command).await,
        ClientCommand::Bin(command) => bin::run(&session, command).await,
        ClientCommand::Group(command) => group::run(&session, command).await,
        ClientCommand::Contact(command) => contact::run(&session, command).await,
        ClientCommand::Import(command) => interchange::import(&session, command).await,
        ClientCommand::Export(command) => interchange::export(&session, command).await,
        ClientCommand::Calendar(command) => calendar::run(&session, command).await,
        ClientCommand::File(command) => file::run(&session, command).await,
        ClientCommand::Server(command) => server::run(&session, global, command).await,
        ClientCommand::Account(command) => account::run(&session, global, command).await,
        ClientCommand::Resource(command) => resources::run(&session, command).await,
        ClientCommand::Migrate(command) => migrate::run(&session, global, command).await,
        ClientCommand::Update(command) => update::run(&session, global, command).await,
        ClientCommand::Job(command) => job::run(&session, global, command).await,
        ClientCommand::Graphs(args) => graphs::run(&session, global, args).await,
        ClientCommand::Greylist(command) => greylist::run(&session, command).await,
        ClientCommand::Queue(command) => queue::run(&session, command).await,
        ClientCommand::Search(command) => search::run(&session, global, command).await,
        ClientCommand::Mail(command) => mail::run(&session, global, command).await,
        ClientCommand::Trace(args) => trace::run(&session, global, args).await,
        ClientCommand::Sieve(command) => sieve::run(&session, command).await,
        ClientCommand::Admin(command) => administrator::run(&session, command).await,
        ClientCommand::Role(command) => administrator::run_role(&session, command).await,
        ClientCommand::Token(command) => credential::run_token(&session, command).await,
        ClientCommand::Session(command) => credential::run_session(&session, command).await,
        ClientCommand::AppPassword(command) => credential::run_app_password(&session, command).await,
        ClientCommand::Passkey(command) => credential::run_passkey(&session, command).await,
        ClientCommand::SecondFactor { user, args } => credential::remove_second_factor(&session, &user, &args).await,
        ClientCommand::Audit(args) => credential::audit(&session, args).await,
        ClientCommand::Source(command) => {
            source::run(&session, matches!(global.format(), Output::Json | Output::Ndjson), command).await
        }
        ClientCommand::Apply(args) => declared::apply(&session, args).await,
        ClientCommand::Snapshot => declared::snapshot(&session).await,
        ClientCommand::Config(command) => config::run(&session, command).await,
        ClientCommand::Completion { shell } => generate::completion(shell),
        ClientCommand::Man { folder } => generate::man(&folder),
    };
    result.unwrap_or_else(|error| {
        output::error(&error);
        error.exit()
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_in_its_own_words() {
        fn walk(command: &clap::Command) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && !about.contains("See ["), "{}: {about}", command.get_name());
            assert!(!about.starts_with("What "), "{}: {about}", command.get_name());
            command.get_subcommands().for_each(walk);
        }
        walk(&super::Cli::command());
    }

    #[test]
    fn errors_name_commands_that_there_are() {
        for (kind, command) in sterna_directory::LISTED_BY {
            let program = super::Cli::command();
            let found = command.split(' ').try_fold(&program, |command, word| command.find_subcommand(word));
            assert!(found.is_some(), "{kind}: there is no sterna {command}");
        }
    }
}
