//! Checking log-ins.
//!
//! A log-in costs one argon2id hash on a bounded number of blocking threads. Successes are remembered for a short while
//! by a keyed hash of the password, because mail clients open many connections; the memory is worth nothing once the
//! user's row changes. Unknown logins are verified against a dummy hash, so that they take as long as known ones.

pub mod bearer;
pub mod bind;
mod external;
mod scram;
pub mod sudo;
pub(crate) mod table;
mod tally;
pub mod throttle;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use sterna_account::scram::KEY_BYTES;
use sterna_account::service::{
    Authenticator, BearerAttempt, ExternalAttempt, Login, LoginAttempt, LoginError, ScramAttempt, ScramChallenge,
};
use sterna_base::ids::random_bytes;
use sterna_base::{AccountId, Modseq, Secret, Timestamp};
use tokio::sync::Semaphore;

use self::bearer::Introspection;
use self::bind::{BindCheck, Checked};
use self::scram::ScramSetting;
use self::sudo::SudoRecord;
use self::table::Table;
pub use self::tally::LoginTally;
use self::throttle::{LoginKey, Peer, Throttle};
use crate::model::{PasswordHash, Scram};
use crate::password::{self, PasswordCost, PasswordError};
use crate::rights::{AppPassword, hash_of_app_password};
use crate::{Directory, Reader, StorageError};

/// How long a success is remembered, in milliseconds.
pub const SUCCESS_MS_MAX: i64 = 5 * 60 * 1000;
/// Longest login that is looked at, in bytes: an address (RFC 5321 section 4.5.3.1) has at most 320.
pub const LOGIN_BYTES_MAX: usize = 320;
/// Log-ins that wait for a hash at the same time; further ones are told to try later.
pub const WAITING_MAX: usize = 1024;
/// How long a source isn't asked again for the same wrong password from the same place, in milliseconds: programs that
/// repeat an old one would lock people out there.
const WRONG_AT_SOURCE_MS: u64 = 10 * 60 * 1000;
/// How long nothing at all is looked up for a log-in that just succeeded, in milliseconds: programs that speak HTTP log
/// in with every request.
const JUST_NOW_MS: i64 = 10 * 1000;
/// Successes remembered in one generation of the table.
const SUCCESSES_MAX: usize = 32 * 1024;

/// Checks log-ins against a directory.
pub struct Authentication {
    directory: Directory,
    cost: PasswordCost,
    dummy: PasswordHash,
    /// Fresh for each start of the program: what is remembered means nothing outside.
    key: [u8; 32],
    hashing: Arc<Semaphore>,
    waiting: Semaphore,
    issuer: Option<Arc<dyn Introspection>>,
    sources: Option<Arc<dyn BindCheck>>,
    sudo: Option<Arc<dyn SudoRecord>>,
    throttle: Mutex<Throttle>,
    successes: Mutex<Table<AccountId, Success>>,
    /// What succeeded just now, by name, password and protocol.
    just_now: Mutex<Table<blake3::Hash, JustNow>>,
    /// What sources said of passwords, for when they don't answer.
    outages: Mutex<Table<AccountId, Success>>,
    /// What the settings said in the directory's state of then: every connection asks.
    offers: Mutex<Option<(Modseq, Offers)>>,
    tally: LoginTally,
}

/// What is offered besides passwords.
#[derive(Clone, Copy)]
struct Offers {
    scram: bool,
    bearer: bool,
}

struct Success {
    proof: blake3::Hash,
    until: Timestamp,
}

/// A success that is known to be one as long as the directory is what it was.
struct JustNow {
    modseq: Modseq,
    until: Timestamp,
    login: Login,
}

/// What a log-in needs to know of a user.
struct Known {
    account: AccountId,
    modseq: Modseq,
    hash: Option<PasswordHash>,
    scram: Option<Scram>,
    address: String,
    open: bool,
    /// Whether only app passwords are good for programs: who has a second factor would lose it to them otherwise.
    second_factor: bool,
    app_passwords: Vec<AppPassword>,
    /// Who checks the password, if it isn't this installation.
    checked: Option<Checked>,
}

/// The protocol by which the console logs people in: the one that asks for a second factor, too.
pub const CONSOLE: &str = "console";

/// Whether a protocol that an app password is good for is the one that is spoken. People send by what they call SMTP.
fn is_meant(good: &str, protocol: &str) -> bool {
    good == protocol || (good == "smtp" && protocol == "submission")
}

impl Known {
    /// Whether the user's own password is good there.
    fn takes_password(&self, protocol: &str) -> bool {
        !self.second_factor || protocol == CONSOLE
    }

    /// The app password that this is, if it is one, and good there.
    fn app_password(&self, password: &Secret, protocol: &str, now: Timestamp) -> Option<&AppPassword> {
        if self.app_passwords.is_empty() || protocol == CONSOLE {
            return None;
        }
        let hash = hash_of_app_password(password.expose())?;
        self.app_passwords.iter().find(|found| {
            found.kept_hash() == hash
                && found.expires_at.is_none_or(|at| now < at)
                && (found.protocols.is_empty() || found.protocols.iter().any(|good| is_meant(good, protocol)))
        })
    }

    /// Until when it is the same app passwords that are good: the next end of one.
    fn app_passwords_end(&self, now: Timestamp) -> Timestamp {
        let ends = self.app_passwords.iter().filter_map(|found| found.expires_at).filter(|at| now < *at);
        ends.min().unwrap_or(now.plus_ms(JUST_NOW_MS))
    }
}

impl Authentication {
    /// For this directory. `cost` is what new hashes cost; `concurrency` is how many run at once, best the number of
    /// cores (each takes `cost.memory_kib`).
    ///
    /// # Errors
    /// When the cost is not allowed.
    pub fn new(directory: Directory, cost: PasswordCost, concurrency: usize) -> Result<Self, PasswordError> {
        let nobody = Secret::new(blake3::Hash::from(random_bytes::<32>()).to_hex().as_str());
        Ok(Authentication {
            directory,
            cost,
            dummy: password::hash(&nobody, cost)?,
            key: random_bytes(),
            hashing: Arc::new(Semaphore::new(concurrency.max(1))),
            waiting: Semaphore::new(WAITING_MAX),
            issuer: None,
            sources: None,
            sudo: None,
            throttle: Mutex::new(Throttle::new()),
            successes: Mutex::new(Table::new(SUCCESSES_MAX)),
            just_now: Mutex::new(Table::new(SUCCESSES_MAX)),
            outages: Mutex::new(Table::new(SUCCESSES_MAX)),
            offers: Mutex::default(),
            tally: LoginTally::default(),
        })
    }

    /// How many log-ins there were, by what became of them.
    pub fn tally(&self) -> &LoginTally {
        &self.tally
    }

    /// Writes down who works as somebody else; without it nobody does.
    #[must_use]
    pub fn with_sudo(mut self, record: Arc<dyn SudoRecord>) -> Self {
        self.sudo = Some(record);
        self
    }

    /// Hashes a new password, on a blocking thread, within the same bounds as log-ins; and makes what SCRAM needs of
    /// it, if the installation keeps that ([`crate::settings::SCRAM`]).
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn hash(&self, password: Secret) -> Result<(PasswordHash, Option<Scram>), PasswordError> {
        let cost = self.cost;
        let keeps = self.scram_setting().await.map_err(|_| PasswordError::Failed)? != ScramSetting::Off;
        let hash = move || {
            let hash = password::hash(&password, cost)?;
            Ok((hash, keeps.then(|| password::scram(&password, cost)).flatten()))
        };
        self.blocking(hash).await.ok_or(PasswordError::Failed)?
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let permit = Arc::clone(&self.hashing).acquire_owned().await.ok()?;
        let task = tokio::task::spawn_blocking(move || {
            // Held by the work, not by the waiter: a session that goes away doesn't free a core that is still busy.
            let _permit = permit;
            work()
        });
        task.await.ok()
    }

    async fn look_up(&self, login: &str) -> Result<Option<Known>, StorageError> {
        let login = login.to_owned();
        self.directory
            .read(move |reader| {
                let Some(user) = reader.user_by_login(&login)? else { return Ok::<_, StorageError>(None) };
                let Some(domain) = reader.domain(user.value.entry.address.domain)? else { return Ok(None) };
                let entry = &user.value.entry;
                let mut app_passwords = Vec::new();
                for found in reader.app_passwords(entry.id)?.into_iter().map(|found| found.value) {
                    if reader.app_password_holds(&found)? {
                        app_passwords.push(found);
                    }
                }
                Ok(Some(Known {
                    second_factor: reader.has_second_factor(entry.id)?,
                    checked: bind::checked(reader, entry.id)?,
                    app_passwords,
                    account: entry.id,
                    modseq: user.modseq,
                    address: format!("{}@{}", entry.address.local, domain.value.name),
                    open: !entry.suspended && !domain.value.suspended,
                    hash: user.value.password_hash,
                    scram: user.value.scram,
                }))
            })
            .await
    }

    /// The name that is tried and its key, unless it is too early to try again.
    fn admit(&self, login: &str, peer: Peer) -> Result<(String, LoginKey), LoginError> {
        let name = login.trim().to_lowercase();
        if name.len() > LOGIN_BYTES_MAX {
            return Err(LoginError::Invalid);
        }
        let key = self.login_key(&name);
        match self.throttle.lock().wait_ms(key, peer, self.directory.now()) {
            0 => Ok((name, key)),
            wait_ms => Err(LoginError::TooMany { wait_ms }),
        }
    }

    async fn offers(&self) -> Result<Offers, StorageError> {
        let modseq = *self.directory.watch().borrow();
        let known = self.offers.lock().filter(|(of, _)| *of == modseq);
        if let Some((_, offers)) = known {
            return Ok(offers);
        }
        let read = |reader: &Reader<'_>| Ok::<_, StorageError>((scram::scram_setting(reader)?, bearer::oauth(reader)?));
        let (scram, oauth) = self.directory.read(read).await?;
        let bearer = self.issuer.is_some() && oauth.is_some();
        let offers = Offers { scram: scram == ScramSetting::Offer, bearer };
        *self.offers.lock() = Some((modseq, offers));
        Ok(offers)
    }

    fn login_key(&self, login: &str) -> LoginKey {
        let hash = blake3::keyed_hash(&self.key, login.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&hash.as_bytes()[..16]);
        key
    }

    /// Binds a password to a user's row: another modseq, another proof.
    fn proof(&self, account: AccountId, modseq: Modseq, password: &Secret) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&account.0.to_le_bytes()).update(&modseq.0.to_le_bytes()).update(password.expose().as_bytes());
        hasher.finalize()
    }

    fn is_remembered(&self, account: AccountId, proof: &blake3::Hash, now: Timestamp) -> bool {
        // blake3::Hash compares in constant time.
        self.successes.lock().get(&account).is_some_and(|success| success.proof == *proof && now < success.until)
    }

    /// What a log-in is remembered by while nothing changes in the directory.
    fn just_now_key(&self, name: &str, attempt: &LoginAttempt<'_>) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in [name, attempt.protocol, attempt.password.expose()] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.finalize()
    }

    /// Whose log-in this is, if the same one was good just now and nothing changed in the directory since.
    fn was_just_now(&self, key: &blake3::Hash, modseq: Modseq, now: Timestamp) -> Option<Login> {
        let just_now = self.just_now.lock();
        just_now.get(key).filter(|found| found.modseq == modseq && now < found.until).map(|found| found.login.clone())
    }

    /// Where a second factor is asked for next, the password alone is no success yet.
    fn note_success(&self, known: &Known, protocol: &str, key: LoginKey, peer: Peer, now: Timestamp) {
        if !(known.second_factor && protocol == CONSOLE) {
            self.throttle.lock().success(key, peer, now);
        }
    }

    /// Whether it is too early to look at another code of an account's second factor.
    ///
    /// # Errors
    /// [`LoginError::TooMany`].
    pub fn admit_code(&self, account: AccountId) -> Result<(), LoginError> {
        match self.throttle.lock().code_wait_ms(account, self.directory.now()) {
            0 => Ok(()),
            wait_ms => Err(LoginError::TooMany { wait_ms }),
        }
    }

    /// Counts a code of somebody who knew the password: from wherever wrong ones come, they are counted together.
    pub fn note_code(&self, account: AccountId, login: &str, peer: std::net::IpAddr, is_right: bool) {
        let now = self.directory.now();
        let key = self.login_key(&login.trim().to_lowercase());
        let mut throttle = self.throttle.lock();
        throttle.note_code(account, is_right, now);
        match is_right {
            true => throttle.success(key, Peer::of(peer), now),
            false => drop(throttle.failure(key, Peer::of(peer), u64::try_from(now.0).unwrap_or_default(), now)),
        }
    }

    async fn fail(&self, attempt: &ScramAttempt<'_>, login: LoginKey, wrong: u64) -> LoginError {
        let now = self.directory.now();
        let delay_ms = self.throttle.lock().failure(login, Peer::of(attempt.peer), wrong, now);
        tracing::info!(login = attempt.login, peer = %attempt.peer, protocol = attempt.protocol, "log-in refused");
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        LoginError::Invalid
    }
}

/// What is remembered of a wrong attempt, so that the same one again is known.
fn wrong(hash: &blake3::Hash) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

impl Authentication {
    /// A log-in with a password: the user's, or an app password.
    async fn check_password(&self, attempt: LoginAttempt<'_>) -> Result<Login, LoginError> {
        let (peer, now) = (Peer::of(attempt.peer), self.directory.now());
        let (name, key) = self.admit(attempt.login, peer)?;
        // Read before anything is looked up: what changes meanwhile makes what is remembered worth nothing.
        let directory_modseq = *self.directory.watch().borrow();
        let just_now = self.just_now_key(&name, &attempt);
        if attempt.protocol != CONSOLE
            && let Some(login) = self.was_just_now(&just_now, directory_modseq, now)
        {
            self.throttle.lock().success(key, peer, now);
            return Ok(login);
        }
        let remember = |login: Login, until: Timestamp| {
            let until = until.min(now.plus_ms(JUST_NOW_MS));
            let found = JustNow { modseq: directory_modseq, until, login: login.clone() };
            self.just_now.lock().insert(just_now, found);
            Ok(login)
        };
        let known = self.look_up(&name).await.map_err(|error| LoginError::Unavailable(error.to_string()))?;
        let (account, modseq) = known.as_ref().map_or_else(Default::default, |known| (known.account, known.modseq));
        let proof = self.proof(account, modseq, attempt.password);
        if let Some(known) = &known
            && known.open
            && let Some(found) = known.app_password(attempt.password, attempt.protocol, now)
        {
            self.throttle.lock().success(key, peer, now);
            if found.sudo.is_some() {
                // Never remembered: each use is written down.
                self.note_sudo(found, &attempt).await?;
                let (address, app_password) = (known.address.clone(), Some(found.id.clone()));
                return Ok(Login { account, address, is_sudo: true, app_password });
            }
            let app_password = Some(found.id.clone());
            return remember(
                Login { account, address: known.address.clone(), is_sudo: false, app_password },
                known.app_passwords_end(now),
            );
        }
        if let Some(known) = &known
            && known.open
            && known.takes_password(attempt.protocol)
            // Whose source was deleted has no row that changed, and nobody who says yes any more.
            && (known.hash.is_some() || known.checked.is_some())
            && self.is_remembered(account, &proof, now)
        {
            self.note_success(known, attempt.protocol, key, peer, now);
            let until = self.successes.lock().get(&account).map_or(now, |success| success.until);
            return remember(
                Login { account, address: known.address.clone(), is_sudo: false, app_password: None },
                until,
            );
        }
        // A password can become right at a source without a change here: it is asked for again after a while.
        let wrong = match known.as_ref().is_some_and(|known| known.checked.is_some()) {
            true => {
                let turn = (modseq.0 << 24) ^ (now.0.unsigned_abs() / WRONG_AT_SOURCE_MS);
                wrong(&self.proof(account, Modseq(turn), attempt.password))
            }
            false => wrong(&proof),
        };
        if self.throttle.lock().is_known_wrong(key, peer, wrong) {
            return Err(LoginError::Invalid);
        }
        let at_source = known.as_ref().and_then(|known| Some((known, known.checked.as_ref()?)));
        let verified = match at_source {
            // Nobody is asked for whom nothing would come of it.
            Some((known, _)) if !known.open => false,
            Some((known, checked)) => {
                let guess = bind::Guess { password: attempt.password, key, peer };
                self.verify_at_source(known, checked, guess, now).await?
            }
            None => self.verify(&known, attempt.password).await?,
        };
        match known {
            Some(known) if verified && known.open && known.takes_password(attempt.protocol) => {
                let success = Success { proof, until: now.plus_ms(SUCCESS_MS_MAX) };
                self.successes.lock().insert(account, success);
                self.note_success(&known, attempt.protocol, key, peer, now);
                self.note_outdated(&known);
                Ok(Login { account, address: known.address, is_sudo: false, app_password: None })
            }
            // The right password at the wrong door: it is no guess, and the console must go on taking it from there.
            Some(known) if verified && known.open => {
                let LoginAttempt { protocol, peer, .. } = attempt;
                tracing::info!(login = known.address, %peer, protocol, "an app password is needed: there is a second factor");
                Err(LoginError::Invalid)
            }
            _ => {
                let LoginAttempt { login, protocol, peer, .. } = attempt;
                Err(self.fail(&ScramAttempt { login, protocol, peer }, key, wrong).await)
            }
        }
    }
}

#[async_trait]
impl Authenticator for Authentication {
    async fn authenticate(&self, attempt: LoginAttempt<'_>) -> Result<Login, LoginError> {
        self.tally.note(self.check_password(attempt).await)
    }

    async fn offers_bearer(&self) -> bool {
        self.offers().await.is_ok_and(|offers| offers.bearer)
    }

    async fn bearer(&self, attempt: BearerAttempt<'_>) -> Result<Login, LoginError> {
        self.tally.note(self.check_bearer(&attempt).await)
    }

    async fn external(&self, attempt: ExternalAttempt<'_>) -> Result<Login, LoginError> {
        self.tally.note(self.check_external(&attempt).await)
    }

    async fn offers_scram(&self) -> bool {
        self.offers().await.is_ok_and(|offers| offers.scram)
    }

    async fn scram_challenge(&self, attempt: &ScramAttempt<'_>) -> Result<ScramChallenge, LoginError> {
        self.challenge(attempt).await
    }

    async fn scram_verify(
        &self,
        attempt: &ScramAttempt<'_>,
        auth_message: &[u8],
        proof: &[u8],
    ) -> Result<(Login, [u8; KEY_BYTES]), LoginError> {
        self.tally.note(self.verify_scram(attempt, auth_message, proof).await)
    }
}

impl Authentication {
    /// Verifies against the user's hash, or against the dummy: then the answer is no, as late as ever.
    async fn verify(&self, known: &Option<Known>, password: &Secret) -> Result<bool, LoginError> {
        let _waiting = self
            .waiting
            .try_acquire()
            .map_err(|_| LoginError::Unavailable("too many log-ins wait for their password check".to_owned()))?;
        let hash = known.as_ref().and_then(|known| known.hash.clone());
        let real = hash.is_some();
        let (hash, password) = (hash.unwrap_or_else(|| self.dummy.clone()), password.clone());
        let verified = self
            .blocking(move || password::verify(&password, &hash))
            .await
            .ok_or_else(|| LoginError::Unavailable("the node is stopping".to_owned()))?;
        Ok(verified && real)
    }

    /// The hash can only be made again where the directory is written, so on other nodes this is a note for the log.
    fn note_outdated(&self, known: &Known) {
        if known.hash.as_ref().is_some_and(|hash| password::is_outdated(hash, self.cost)) {
            tracing::info!(address = known.address, "the password's hash has other parameters than those in use");
        }
    }
}
