//! The scripts of one account.

use std::sync::Arc;

use bytes::Bytes;
use sterna_account::scripts::{self, SCRIPT_BYTES_MAX, SCRIPTS_MAX, ScriptError, ScriptLimits, Scripts};
use sterna_account::{Account, AccountError};

use super::client::{Listed, Session};
use crate::imap::client::{Credentials, Source};
use crate::limits::{RETRY_WAIT, TRIES_MAX};
use crate::run::report::{ImportError, Mode, Report};

/// Says why a script can't run here, if it can't.
pub type ScriptCheck = Arc<dyn Fn(&[u8]) -> Result<(), String> + Send + Sync>;

/// Any script of another server that is not longer than scripts can be.
const LIMITS: ScriptLimits = ScriptLimits { script_bytes: SCRIPT_BYTES_MAX, scripts: SCRIPTS_MAX as u64 };

/// An account to be imported.
#[derive(Clone)]
pub struct SieveImport {
    /// From where.
    pub source: Source,
    /// As whom.
    pub who: Credentials,
    /// Into what.
    pub account: Arc<dyn Account>,
    /// Who knows what runs here.
    pub check: ScriptCheck,
    /// What for.
    pub mode: Mode,
    /// Where people are told.
    pub report: Report,
}

impl SieveImport {
    /// Imports them. One that can't run here is kept, told, and not switched on.
    ///
    /// # Errors
    /// [`ImportError`]; what came before stays.
    pub async fn run(&self) -> Result<(), ImportError> {
        // Scripts are few and small: a connection that breaks begins anew.
        let (mut tries, mut wait) = (1, RETRY_WAIT);
        loop {
            match self.all().await {
                Err(error) if error.is_temporary() && tries < TRIES_MAX => tokio::time::sleep(wait).await,
                done => return done,
            }
            tries += 1;
            wait *= 2;
        }
    }

    async fn all(&self) -> Result<(), ImportError> {
        let mut session = Session::open(&self.source, &self.who).await?;
        let listed = session.list().await?;
        self.report.with(|report| {
            report.folders = 1;
            report.compared = 0;
            report.damaged.clear();
        });
        let mut active = None;
        for script in &listed {
            let text = session.text(&script.name).await?;
            let runs = self.take(script, text).await?;
            if script.is_active && runs {
                active = Some(script.own_name());
            }
        }
        session.close().await;
        if self.mode != Mode::Sweep {
            self.switch(&listed, active.as_deref()).await?;
        }
        self.report.with(|report| report.folders_done = 1);
        Ok(())
    }

    /// Keeps a script; whether it can run here.
    async fn take(&self, there: &Listed, text: Bytes) -> Result<bool, ImportError> {
        let (account, name) = (self.account.as_ref(), &there.own_name());
        let here = scripts::text(account, name).await?;
        let is_same = here.as_ref() == Some(&text);
        if here.is_some() && !is_same && self.mode == Mode::Sweep {
            self.report.note(format!("{name}: what is here is other, and stays"));
            return Ok(true);
        }
        let length = text.len() as u64;
        let fault = (self.check)(&text).err();
        if !is_same {
            match scripts::put(account, name, text, LIMITS).await {
                Ok(()) => {}
                Err(ScriptError::Account(error)) => return Err(error.into()),
                Err(error) => {
                    self.report.damaged(format!("{name}: it can't be kept here: {error}"));
                    return Ok(false);
                }
            }
            self.report.with(|report| {
                report.messages += 1;
                report.bytes += length;
            });
        }
        self.report.with(|report| report.compared += 1);
        if let Some(fault) = &fault {
            self.report.damaged(format!("{name}: it is kept, and can't run here: {fault}"));
        }
        Ok(fault.is_none())
    }

    /// Lets that one run which runs there. One that only is here goes on where nothing runs there.
    async fn switch(&self, listed: &[Listed], active: Option<&str>) -> Result<(), ImportError> {
        let account = self.account.as_ref();
        let here = Scripts::read(account).await?;
        let runs = here.active().map(|script| script.name.as_str());
        let is_from_there = runs.is_none_or(|runs| listed.iter().any(|script| script.own_name() == runs));
        if runs == active || (active.is_none() && !is_from_there) {
            return Ok(());
        }
        match scripts::activate(account, active).await {
            Ok(()) => Ok(()),
            Err(ScriptError::Account(error)) => Err(error.into()),
            Err(error) => Err(ImportError::Account(AccountError::Unavailable(error.to_string()))),
        }
    }
}
