//! `sterna setting`

use clap::Subcommand;

use super::client::CliError;
use super::exit::Exit;
use super::output::Column;
use super::resource::{Fields, Session, WriteArgs};

const COLUMNS: &[Column] = &[("NAME", "name"), ("VALUE", "value"), ("DEFAULT", "default")];

/// Look at and change what holds for the whole installation
#[derive(Debug, Subcommand)]
pub enum SettingCommand {
    /// List the settings
    List,
    /// Show a setting
    Get {
        /// Its name
        name: String,
    },
    /// Change a setting; a domain's own comes before it (sterna domain set)
    Set {
        /// Its name
        name: String,
        /// Its value; '' goes back to the default
        value: String,
        /// See [`WriteArgs`].
        #[command(flatten)]
        write: WriteArgs,
    },
}

pub(super) async fn run(session: &Session<'_>, command: SettingCommand) -> Result<Exit, CliError> {
    match command {
        SettingCommand::List => session.list(&["settings"], &[], COLUMNS).await,
        SettingCommand::Get { name } => session.get(&["settings", &name]).await,
        SettingCommand::Set { name, value, write } => {
            let fields = Fields::default().clearable("value", Some(&value));
            session.set(&["settings", &name], fields.0, &write).await
        }
    }
}
