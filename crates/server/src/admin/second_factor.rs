//! `/api/v1/me/second-factor`: codes of an authenticator app besides the password. An administrator can take away what
//! somebody lost (`DELETE /api/v1/users/{user}/second-factor`), and sets up none for others.

use std::net::{IpAddr, Ipv6Addr};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_account::service::Login;
use sterna_base::AccountId;
use sterna_base::ids::random_bytes;
use sterna_directory::rights::{FactorUse, RECOVERY_CODES, SecondFactor};
use sterna_directory::{Reader, Request, StorageError, settings};
use sterna_mailflow::auth::keys;

use super::answer::{NoContent, Private};
use super::doors::AdminState;
use super::input::{Body, Params};
use super::principal::Principal;
use super::problem::Problem;
use super::{passkeys, resolve, sessions, totp, view};
use crate::node::signing;

/// What the sealed keys are called where DKIM keys have their domain: domains are numbers.
const SEALED_FOR: &str = "second-factor";

/// The code of a problem: that of the app or paper is none.
const WRONG: &str = "wrong-code";

/// What is to be typed or scanned into the app.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewSecondFactor")]
pub(super) struct NewFactor {
    /// The key, in base32.
    key: String,
    /// The same for a QR code.
    uri: String,
    /// The QR code as the path of an SVG picture: what is dark, in units of one module.
    qr_path: String,
    /// How many modules wide and high it is, with the bright border.
    qr_size: usize,
}

/// The body of PUT: the key that was shown, and what the app shows now.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SecondFactorConfirmation")]
pub(super) struct ConfirmBody {
    key: String,
    code: String,
    /// What the app shows that is in use so far, or a recovery code; where a second factor is set.
    current: Option<String>,
}

/// The body of DELETE of one's own.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SecondFactorRemoval")]
pub(super) struct RemoveBody {
    /// What the app shows, or a recovery code.
    code: Option<String>,
}

/// Codes that are good once each, should the app be lost.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecoveryCodes")]
pub(super) struct RecoveryView {
    recovery_codes: Vec<String>,
}

fn needed(code: &str, detail: &str) -> Problem {
    let remedy = "Use your passkey, or give the six digits that your authenticator app shows, or a recovery code.";
    Problem::new(StatusCode::UNAUTHORIZED, code, "A second factor is needed", detail, remedy)
}

fn unusable(error: impl ToString) -> Problem {
    let remedy = "Look at signing.secret in the folder of the main node, and at its disk.";
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Problem::new(status, "sealed-key", "The key can't be used", error.to_string(), remedy)
}

async fn opened(state: &AdminState, factor: &SecondFactor) -> Result<Vec<u8>, Problem> {
    let folder = state.dkim.as_ref().map(|tools| tools.folder.clone()).ok_or_else(Problem::not_recorded)?;
    let (sealed, account) = (factor.totp_sealed.clone(), factor.account.to_string());
    let opening = move || {
        let secret = signing::made(&folder).map_err(unusable)?;
        keys::open(&secret, SEALED_FOR, &account, &sealed).map_err(unusable)
    };
    tokio::task::spawn_blocking(opening).await.map_err(unusable)?
}

fn recovery_hash(code: &str) -> String {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    blake3::hash(plain.to_ascii_lowercase().as_bytes()).to_hex().to_string()
}

/// Whether somebody who knows the password may go on: they have no second factor, or prove it.
///
/// # Errors
/// 401 with `second-factor-needed` when there is no code, and with `wrong-code` when it is none; 429 when too many were
/// wrong lately.
pub(super) async fn check(state: &AdminState, login: &Login, peer: IpAddr, code: Option<&str>) -> Result<(), Problem> {
    let account = login.account;
    let read = move |reader: &Reader<'_>| {
        let asks = reader.setting_for(None, settings::PASSKEYS)?.as_deref() != Some("off");
        Ok::<_, StorageError>((reader.second_factor(account)?, asks && !reader.passkeys(account)?.is_empty()))
    };
    let factor = match state.directory.read(read).await? {
        (Some(factor), _) => factor,
        (None, false) => return Ok(()),
        (None, true) => return Err(needed("second-factor-needed", "the password is right; a passkey is needed, too")),
    };
    let Some(code) = code.filter(|code| !code.trim().is_empty()) else {
        return Err(needed("second-factor-needed", "the password is right; a code is needed, too"));
    };
    state.authentication.admit_code(account).map_err(sessions::refused)?;
    let proved = use_up(state, &factor, code).await;
    if proved.is_ok() || proved.as_ref().is_err_and(|problem| problem.code == WRONG) {
        state.authentication.note_code(account, &login.address, peer, proved.is_ok());
    }
    proved
}

/// Takes a code of the app, or a recovery code, once.
async fn use_up(state: &AdminState, factor: &SecondFactor, code: &str) -> Result<(), Problem> {
    let key = opened(state, factor).await?;
    let used = match totp::verify(&key, code, state.directory.now(), factor.last_step) {
        Some(step) => FactorUse::Totp { sealed: factor.totp_sealed.clone(), step },
        None => FactorUse::Recovery(recovery_hash(code)),
    };
    let request = Request::UseSecondFactor { account: factor.account, used };
    let wrong = |problem: Problem| match problem.code.as_str() {
        "invalid" => needed(WRONG, "the code is wrong, or was used already"),
        _ => problem,
    };
    state.write(request, false).await.map(drop).map_err(wrong)
}

/// Whoever changes a second factor that is set proves it: a session alone may have been stolen.
async fn prove(state: &AdminState, principal: &Principal, code: Option<&str>) -> Result<AccountId, Problem> {
    principal.must_be_present()?;
    let account = principal.own_account()?;
    let read = move |reader: &Reader<'_>| reader.second_factor(account);
    if state.directory.read(read).await?.is_none() {
        return Ok(account);
    }
    let login = Login { account, address: principal.name.clone(), is_sudo: false, app_password: None };
    let peer = principal.peer.unwrap_or(IpAddr::V6(Ipv6Addr::LOCALHOST));
    check(state, &login, peer, code).await?;
    Ok(account)
}

/// A new key. Nothing is kept until a code proves that the app has it.
pub(super) async fn begin(
    State(state): State<AdminState>,
    principal: Principal,
) -> Result<Private<NewFactor>, Problem> {
    principal.must_be_present()?;
    principal.own_account()?;
    let key = totp::new_key();
    let uri = totp::otpauth(&state.node.name, &principal.name, &key);
    let (qr_path, qr_size) = sterna_web::qr::path(&uri).unwrap_or_default();
    let body = NewFactor { key: totp::base32(&key), uri, qr_path, qr_size };
    Ok(Private(body))
}

/// Sets the second factor up, with recovery codes. From then on programs need app passwords.
pub(super) async fn confirm(
    State(state): State<AdminState>,
    principal: Principal,
    Body(body): Body<ConfirmBody>,
) -> Result<Private<RecoveryView>, Problem> {
    let account = prove(&state, &principal, body.current.as_deref()).await?;
    let key = totp::key_of(&body.key).ok_or_else(|| Problem::malformed("“key” is not a key that was given here"))?;
    let step = totp::verify(&key, &body.code, state.directory.now(), 0)
        .ok_or_else(|| needed(WRONG, "the app shows another code; is the clock of the device right?"))?;
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
    let folder = state.dkim.as_ref().map(|tools| tools.folder.clone()).ok_or_else(Problem::not_recorded)?;
    let whose = account.to_string();
    let sealing = move || {
        let secret = signing::made(&folder).map_err(unusable)?;
        keys::seal(&secret, SEALED_FOR, &whose, &key).map_err(unusable)
    };
    let totp_sealed = tokio::task::spawn_blocking(sealing).await.map_err(unusable)??;
    let factor = SecondFactor {
        account,
        totp_sealed,
        last_step: step,
        recovery: codes.iter().map(|code| recovery_hash(code)).collect(),
        created_at: state.directory.now(),
    };
    state.write(Request::SetSecondFactor { account, factor: Some(factor) }, false).await?;
    sessions::end_others(&state, &principal, account).await?;
    Ok(Private(RecoveryView { recovery_codes: codes }))
}

/// Ten letters and digits, in two groups.
fn recovery_code() -> String {
    let text = totp::base32(&random_bytes::<7>()).to_ascii_lowercase();
    format!("{}-{}", &text[..5], &text[5..10])
}

/// Removes one's own second factor.
pub(super) async fn remove_own(
    State(state): State<AdminState>,
    principal: Principal,
    Body(body): Body<RemoveBody>,
) -> Result<NoContent, Problem> {
    let account = prove(&state, &principal, body.code.as_deref()).await?;
    let removed = remove_of(&state, account, false).await?;
    sessions::end_others(&state, &principal, account).await?;
    Ok(removed)
}

/// Removes what somebody lost, passkeys included; they can sign in with the password alone, and set up another.
pub(super) async fn remove(
    State(state): State<AdminState>,
    Path(user): Path<String>,
    params: Params,
) -> Result<NoContent, Problem> {
    let account = state.directory.read(move |reader| resolve::user_id(reader, &user)).await?;
    let had_passkeys = passkeys::remove_all(&state, account, params.dry_run).await?;
    let removed = remove_of(&state, account, params.dry_run).await?;
    if !params.dry_run {
        sessions::end_all(&state, account).await?;
    }
    Ok(if had_passkeys { view::no_content() } else { removed })
}

async fn remove_of(state: &AdminState, account: AccountId, dry_run: bool) -> Result<NoContent, Problem> {
    let done = state.write(Request::SetSecondFactor { account, factor: None }, dry_run).await?;
    Ok(if done.changed { view::no_content() } else { view::nothing_changed() })
}
