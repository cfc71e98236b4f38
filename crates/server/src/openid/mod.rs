//! Signing in to the console with OpenID Connect: the authorization code flow with PKCE (OpenID Connect Core 1.0
//! section 3.1, RFC 7636, RFC 9700). The provider says who somebody is; what they may do is known here, and nobody is
//! made or granted anything by it.

pub mod provider;
pub mod sign_in;
pub mod token;

use std::collections::HashMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use sterna_base::ids::random_bytes;
use sterna_base::{Secret, Timestamp};
use sterna_directory::settings::{
    EXTERNAL_URL, OPENID_CLAIM, OPENID_CLIENT_ID, OPENID_CLIENT_SECRET, OPENID_ISSUER, OPENID_SCOPES,
};
use sterna_directory::{Reader, StorageError};

use crate::network::Network;
use provider::{Client, Provider};

/// Sign-ins that were begun and not ended; further ones are told to wait.
const BEGUN_MAX: usize = 10_000;

/// Those of one network: the oldest makes room.
const BEGUN_PER_NETWORK_MAX: usize = 200;

/// How long a sign-in may take at the provider, in milliseconds.
const BEGUN_MS_MAX: i64 = 10 * 60 * 1000;

/// Longest path of the console that somebody comes back to, in bytes.
const TO_BYTES_MAX: usize = 500;

/// Where the console is, and everybody comes back to.
pub const CONSOLE: &str = "/admin/";

/// Whom to ask, as the settings say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The provider, and who we are there.
    pub client: Client,
    /// Which claim has the user's address or log-in.
    pub claim: String,
    /// What is asked for.
    pub scopes: String,
    /// Where people reach us; `None` is where this request came in.
    pub external_url: Option<String>,
}

/// The settings; `None` when there is no provider.
///
/// # Errors
/// When the directory can't be read.
pub fn settings(reader: &Reader<'_>) -> Result<Option<Settings>, StorageError> {
    let setting = |name| reader.setting_for(None, name);
    let (Some(issuer), Some(id)) = (setting(OPENID_ISSUER)?, setting(OPENID_CLIENT_ID)?) else { return Ok(None) };
    let secret = setting(OPENID_CLIENT_SECRET)?.map(Secret::new);
    Ok(Some(Settings {
        client: Client { issuer, id, secret },
        claim: setting(OPENID_CLAIM)?.unwrap_or_else(|| "email".to_owned()),
        scopes: setting(OPENID_SCOPES)?.unwrap_or_else(|| "openid email profile".to_owned()),
        external_url: setting(EXTERNAL_URL)?,
    }))
}

/// A sign-in that was begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// What the ID token must have in it.
    pub nonce: String,
    /// What proves that the code is ours (RFC 7636).
    pub verifier: String,
    /// Hash of the cookie of the browser that began it.
    pub browser: blake3::Hash,
    /// Where the provider sends people back.
    pub redirect_uri: String,
    /// The provider that it was begun with.
    pub issuer: String,
    /// Where in the console it goes on.
    pub to: String,
    network: Network,
    at: Timestamp,
}

/// Sign-ins that are under way, and what is known of the provider.
#[derive(Default)]
pub struct OpenId {
    /// The provider.
    pub provider: Provider,
    begun: Mutex<HashMap<String, Begun>>,
}

fn random() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<32>())
}

impl OpenId {
    /// Begins a sign-in: its state, what is remembered of it, and the browser's cookie. `None` when too many are under
    /// way.
    pub fn begin(
        &self,
        issuer: &str,
        redirect_uri: String,
        to: &str,
        peer: IpAddr,
        now: Timestamp,
    ) -> Option<(String, Begun, String)> {
        let (state, cookie) = (random(), random());
        let begun = Begun {
            nonce: random(),
            verifier: random(),
            browser: blake3::hash(cookie.as_bytes()),
            redirect_uri,
            issuer: issuer.to_owned(),
            to: console_path(to),
            network: Network::of(peer),
            at: now,
        };
        let mut all = self.begun.lock();
        if all.len() >= BEGUN_MAX {
            all.retain(|_, begun| now.0 - begun.at.0 < BEGUN_MS_MAX);
        }
        // Whoever begins many loses their own, and nobody else's.
        let of_network = || all.iter().filter(|(_, one)| one.network == begun.network);
        if of_network().count() >= BEGUN_PER_NETWORK_MAX {
            let oldest = of_network().min_by_key(|(_, one)| one.at).map(|(state, _)| state.clone());
            oldest.into_iter().for_each(|oldest| drop(all.remove(&oldest)));
        }
        if all.len() >= BEGUN_MAX {
            return None;
        }
        all.insert(state.clone(), begun.clone());
        Some((state, begun, cookie))
    }

    /// What was begun with this state by this browser; a state is good once, whatever comes of it.
    pub fn end(&self, state: &str, cookie: Option<&str>, now: Timestamp) -> Option<Begun> {
        let mut all = self.begun.lock();
        let browser = blake3::hash(cookie?.as_bytes());
        // Whoever has a state and not its browser doesn't end it for the one who has. Hashes compare in constant time.
        if all.get(state)?.browser != browser {
            return None;
        }
        all.remove(state).filter(|begun| now.0 - begun.at.0 < BEGUN_MS_MAX)
    }
}

/// A path of the console, and never of anywhere else.
fn console_path(to: &str) -> String {
    let is_ours = to.starts_with(CONSOLE)
        && to.len() <= TO_BYTES_MAX
        && to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && !to.contains("//")
        && !to.contains("/..");
    if is_ours && !to.starts_with("/admin/openid") { to.to_owned() } else { CONSOLE.to_owned() }
}

/// The challenge of a verifier (RFC 7636 section 4.2).
fn challenge(verifier: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.as_ref())
}
