//! The `sterna` program: configuration, roles, wiring, command line. The only crate that knows everyone.

mod acme;
mod admin;
mod child;
mod cli;
mod config;
mod demo;
mod derived;
mod firewall;
mod graphs;
mod letter;
mod network;
mod node;
mod openid;
mod pdf;
mod people_csv;
mod rehearsal;
mod setup;
mod sources;
mod update;
mod web;
mod webauthn;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command, Exit};
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit, umask};
use tracing_subscriber::EnvFilter;
use update::sockets::Sockets;

/// A log-in takes 19 MiB for a moment on whichever thread hashes its password. The C library keeps such blocks in one
/// heap per thread, between small allocations that outlive them: with fifty users' log-ins a node grew by 200 to 800
/// MiB. This allocator gives large blocks back at once.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::ReadPdf) {
        return pdf::worker::run();
    }
    if matches!(
        cli.command,
        Command::Init(_) | Command::Serve | Command::Check(_) | Command::Aside(_) | Command::Demo(_)
    ) {
        // What a node writes holds keys, hashes of passwords and mail: it is nobody else's, whatever the folder's mode.
        umask(Mode::from_raw_mode(0o077));
    }
    // Before anything else opens files.
    let sockets = if matches!(cli.command, Command::Serve) { Sockets::inherit() } else { Sockets::default() };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the program can't start its threads: {error}")),
    };
    if matches!(cli.command, Command::Serve) {
        prepare_service(cli.global.verbose);
    }
    let exit: Exit = runtime.block_on(async {
        match cli.command {
            Command::Init(arguments) => node::init::run(&cli.global, arguments).await,
            Command::Serve => node::serve(&cli.global, sockets).await,
            Command::Check(arguments) => node::check::run(&cli.global, arguments).await,
            Command::Aside(command) => node::aside::run(&cli.global, command).await,
            Command::Demo(arguments) => demo::run(&cli.global, arguments).await,
            Command::Facts => node::facts::print(),
            // Done above, without threads.
            Command::ReadPdf => Exit::Failed,
            Command::Client(command) => cli::run(&cli.global, command).await,
        }
    });
    // Reads of standard input can't be cancelled; nobody waits for them.
    runtime.shutdown_background();
    exit.into()
}

/// What a service sets up that other commands need not: its log, its open files, and its end.
fn prepare_service(verbose: u8) {
    let usual = match verbose {
        // What the resolver warns of is told with what to do about it, where it matters.
        0 => "info,hickory_net=error,hickory_resolver=error,hickory_proto=error",
        1 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("STERNA_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    // A demonstration that is killed must not leave its nodes behind.
    if std::env::var_os("STERNA_END_WITH_PARENT").is_some() {
        let _ = set_parent_process_death_signal(Some(Signal::TERM));
    }
}

#[allow(clippy::print_stderr)]
fn fail(message: &str) -> ExitCode {
    eprintln!("sterna: {message}");
    ExitCode::FAILURE
}
