//! `sterna file`

use std::path::PathBuf;

use clap::Subcommand;
use hyper::Method;
use serde_json::Value;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output::Column;
use super::prompt;
use super::resource::{CreateArgs, DeleteArgs, Fields, Session, WriteArgs};

const VERSIONS: &[Column] = &[
    ("VERSION", "version"),
    ("NAME", "name"),
    ("BYTES", "size"),
    ("WRITTEN", "written_at"),
    ("ENDED", "ended_at"),
    ("DELETED", "deleted"),
];

const LINKS: &[Column] = &[
    ("TOKEN", "token"),
    ("KIND", "kind"),
    ("NAME", "name"),
    ("EXPIRES", "expires_at"),
    ("PASSWORD", "password"),
    ("UPLOAD", "upload"),
    ("LABEL", "label"),
];

/// Bring back former versions of files, and look after links to files
#[derive(Debug, Subcommand)]
pub enum FileCommand {
    /// List the former versions of a file, or the deleted files of a folder
    Versions {
        /// Whose files: an address
        account: String,
        /// The file (reports/may.odt), or a folder with a slash at its end; / is all files
        path: String,
    },
    /// Give a file a former content again; what it has now becomes a version
    Restore {
        /// Whose files: an address
        account: String,
        /// The file
        path: String,
        /// The version, as `versions` lists it
        #[arg(value_name = "VERSION")]
        id: u32,
    },
    /// List the links into an account
    Links {
        /// Whose: an address
        account: String,
    },
    /// Make a link by which people without an account reach a file or a folder
    Link {
        /// Whose files: an address
        account: String,
        /// The file or the folder
        path: String,
        /// After how many days it ends; never when left out
        #[arg(long, value_name = "DAYS")]
        expires_days: Option<u32>,
        /// A file with the password that it asks for
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Let people put new files into the folder
        #[arg(long)]
        upload: bool,
        /// What it is called on its page
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
    },
    /// End a link
    Unlink {
        /// Whose: an address
        account: String,
        /// The link, as `links` lists it
        token: String,
        /// See [`DeleteArgs`].
        #[command(flatten)]
        delete: DeleteArgs,
    },
}

pub(super) async fn run(session: &Session<'_>, command: FileCommand) -> Result<Exit, CliError> {
    match command {
        FileCommand::Versions { account, path: of } => {
            session.list(&["accounts", &account, "files", "versions"], &[("path", Some(&of))], VERSIONS).await
        }
        FileCommand::Restore { account, path: of, id } => {
            let version = id.to_string();
            let parameters = [("path", Some(of.as_str())), ("version", Some(version.as_str()))];
            let path = path(&["accounts", &account, "files", "versions"], &parameters);
            let answer = session.client.send(Method::POST, &path, Some(&Value::Null)).await?;
            session.written(&answer, &WriteArgs::default())
        }
        FileCommand::Links { account } => session.list(&["accounts", &account, "files", "links"], &[], LINKS).await,
        FileCommand::Link { account, path, expires_days, password_file, upload, label } => {
            let password = password_file.map(|file| prompt::new_password(Some(&file))).transpose()?;
            let password = password.map(|password| password.expose().to_owned());
            let fields = Fields::default()
                .add("path", Some(path))
                .add("password", password)
                .add("expires_days", expires_days)
                .add("upload", Some(upload))
                .add("label", label);
            session.create(&["accounts", &account, "files", "links"], fields.0, &CreateArgs::default()).await
        }
        FileCommand::Unlink { account, token, delete } => {
            let question = "End the link? Whoever has it reaches nothing any more.";
            session.delete(&["accounts", &account, "files", "links", &token], question, &delete).await
        }
    }
}
