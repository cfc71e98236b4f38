//! The command line. [`Cli`] is its grammar; [`run`] does the commands that talk to a running node through its
//! administration socket. `init`, `serve`, `check` and `demo` work on the machine itself and are done by `main`.

pub mod args;
pub mod exit;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use args::{CheckArgs, DemoArgs, InitArgs, ServeArgs};
pub use exit::Exit;

/// Mail, calendars, contacts and files for an organisation, on one machine or on many.
#[derive(Debug, Parser)]
#[command(name = "sterna", version, max_term_width = 100, propagate_version = true, disable_help_subcommand = true)]
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
    /// The node's configuration file
    #[arg(long, value_name = "FILE", global = true, env = "STERNA_CONFIG")]
    pub config: Option<PathBuf>,
    /// The administration socket of the node to talk to
    #[arg(long, value_name = "PATH", global = true, env = "STERNA_SOCKET")]
    pub socket: Option<PathBuf>,
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

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set up this machine: the first node of an installation, or one that joins it with a token
    Init(InitArgs),
    /// Run the node
    Serve(ServeArgs),
    /// Verify every invariant of accounts and directory
    Check(CheckArgs),
    /// Start a playground with three nodes on this machine
    Demo(DemoArgs),
    /// Commands that talk to a running node or need none at all.
    #[command(flatten)]
    Client(ClientCommand),
}

/// What [`run`] does.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Show the state of the node and of its installation
    Status,
}

/// Does a command that talks to a running node. Prints to standard output and standard error.
pub async fn run(_global: &GlobalArgs, command: ClientCommand) -> Exit {
    match command {
        ClientCommand::Status => Exit::Done,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
