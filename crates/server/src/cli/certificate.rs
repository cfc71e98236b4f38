//! `sterna certificate`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::resource::{DeleteArgs, Fields, Session, WriteArgs};

const COLUMNS: &[Column] =
    &[("NAME", "name"), ("FOR", "names"), ("ISSUER", "issuer"), ("FROM", "not_before"), ("UNTIL", "not_after")];

/// See to the certificates that clients see
#[derive(Debug, Subcommand)]
pub enum CertificateCommand {
    /// List the certificates of the installation
    List,
    /// Show how the asking for certificates stands, and which names are left out
    Status,
    /// Let a certificate authority issue certificates, and renew them, by itself (ACME)
    Enable(EnableArgs),
    /// Ask for a certificate at once: after something was mended
    Renew,
    /// Ask for no more certificates; the one that is there stays
    Disable(WriteArgs),
    /// Delete a certificate; clients see the one of each server's own files then
    Remove {
        /// Which
        #[arg(default_value = "acme")]
        name: String,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

/// How names can be proved
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Challenge {
    /// By a certificate at port 443
    #[value(name = "tls-alpn-01")]
    TlsAlpn,
    /// By a document at port 80
    #[value(name = "http-01")]
    Http,
}

/// Which authority, and as whom.
#[derive(Debug, Args)]
pub struct EnableArgs {
    /// letsencrypt, letsencrypt-staging (nobody trusts those), or the https:// URL of an ACME directory
    #[arg(long, default_value = "letsencrypt")]
    directory: String,
    /// The address that the authority may write to
    #[arg(long, value_name = "ADDRESS")]
    contact: Option<String>,
    /// You have read the authority's terms of service and agree to them
    #[arg(long)]
    agree_to_terms: bool,
    /// A name besides those of the services; may be repeated
    #[arg(long = "also", value_name = "NAME")]
    names: Vec<String>,
    /// How names are proved, in the order of trying; may be repeated
    #[arg(long = "challenge", value_enum)]
    challenges: Vec<Challenge>,
    /// What an authority that knows its customers calls you
    #[arg(long, value_name = "ID", requires = "eab_key_file")]
    eab_key_id: Option<String>,
    /// A file with the key that it gave you, in base64url
    #[arg(long, value_name = "FILE", requires = "eab_key_id")]
    eab_key_file: Option<PathBuf>,
    /// Certificates to trust when it is asked, in a PEM file: for an authority of your own
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// See [`WriteArgs`].
    #[command(flatten)]
    write: WriteArgs,
}

pub(super) async fn run(session: &Session<'_>, command: CertificateCommand) -> Result<Exit, CliError> {
    match command {
        CertificateCommand::List => session.list(&["certificates"], &[], COLUMNS).await,
        CertificateCommand::Status => session.get(&["acme"]).await,
        CertificateCommand::Enable(args) => enable(session, args).await,
        CertificateCommand::Renew => {
            let answer = session.client.send(Method::POST, &path(&["acme", "orders"], &[]), Some(&json!({}))).await?;
            session.say("it is asked for; see sterna certificate status\n");
            Ok(if answer.changed { Exit::Done } else { Exit::NothingToDo })
        }
        CertificateCommand::Disable(write) => {
            let path = path(&["acme"], &[write.parameter()]);
            let answer = session.client.send(Method::DELETE, &path, None).await?;
            session.written(&answer, &write)
        }
        CertificateCommand::Remove { name, delete } => {
            let question = format!("Delete the certificate {name}? Its key can't be had again.");
            session.delete(&["certificates", &name], &question, &delete).await
        }
    }
}

async fn enable(session: &Session<'_>, args: EnableArgs) -> Result<Exit, CliError> {
    let account = match (args.eab_key_id, &args.eab_key_file) {
        (Some(key_id), Some(file)) => Some(json!({ "key_id": key_id, "key": read(file)?.trim() })),
        _ => None,
    };
    let roots = args.roots.as_ref().map(read).transpose()?;
    let challenges: Vec<String> = args
        .challenges
        .iter()
        .map(|one| match one {
            Challenge::TlsAlpn => "tls-alpn-01".to_owned(),
            Challenge::Http => "http-01".to_owned(),
        })
        .collect();
    let body = Fields::default()
        .add("directory", Some(args.directory))
        .add("contact", args.contact)
        .add("terms_agreed", Some(Value::Bool(args.agree_to_terms)))
        .add("external_account", account)
        .add("roots", roots)
        .list("names", &args.names)
        .list("challenges", &challenges);
    session.put(&["acme"], body.0, &args.write).await
}

fn read(file: &PathBuf) -> Result<String, CliError> {
    std::fs::read_to_string(file).map_err(|error| CliError::Usage(format!("{} can't be read: {error}", file.display())))
}
