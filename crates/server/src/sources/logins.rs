//! Passwords of people who come from a source, checked by binding to it as them (RFC 4513 section 5.1.3).
//!
//! A few connections to each source are kept and bound again and again. A source that doesn't answer is left alone for
//! a while after some failures: everybody would wait for its time limit otherwise.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ldap3::Ldap;
use parking_lot::Mutex;
use sterna_base::Secret;
use sterna_directory::Source;
use sterna_directory::auth::bind::{BindAnswer, BindCheck};
use tokio::sync::Semaphore;

use super::ldap::connect::{self, INVALID_CREDENTIALS, LdapFailure};

/// Binds to one source at the same time; further ones wait for their turn.
const BINDS_MAX: usize = 16;
/// Connections to one source that are kept.
const IDLE_MAX: usize = 4;
/// How long a connection that nobody uses is good.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// Log-ins that wait for their turn at one source; further ones are told to try later.
const WAITING_MAX: usize = 256;
/// How long one log-in waits for its turn; those before it may be slow, and that is no failure of its own.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one bind may take, the connection to the server counted.
const BIND_TIMEOUT: Duration = Duration::from_secs(10);
/// Failures in a row after which a source is left alone.
const FAILURES_MAX: u32 = 3;
/// For how long.
const LEFT_ALONE: Duration = Duration::from_secs(15);
/// `invalidCredentials`, `invalidDNSyntax`, `noSuchObject`, `inappropriateAuthentication`, `unwillingToPerform`,
/// `constraintViolation`: answers to a bind that are about who binds, not about the server.
const WRONG_CODES: [u32; 6] = [INVALID_CREDENTIALS, 34, 32, 48, 53, 19];
/// `busy`, `unavailable`: answers that are about the server. Any other one may be about one entry, and whoever makes a
/// server say it must not switch the source off for everybody.
const AWAY_CODES: [u32; 2] = [51, 52];

/// Checks passwords.
#[derive(Default)]
pub struct SourceLogins {
    pools: Mutex<HashMap<String, Arc<Pool>>>,
}

/// The connections to one source.
struct Pool {
    /// Which servers, and how they are reached: another configuration is another pool.
    of: (Vec<String>, bool, String),
    turns: Semaphore,
    waiting: Semaphore,
    idle: Mutex<Vec<(Instant, Ldap)>>,
    breaker: Mutex<Breaker>,
}

/// What came of one log-in.
enum Outcome {
    /// Whether the password is right.
    Answered(bool),
    /// The source doesn't work: it counts as a failure of its.
    Away(String),
    /// Nobody knows, and it says nothing of the source.
    Unknown(String),
}

/// Counts failures.
#[derive(Default)]
struct Breaker {
    failures: u32,
    closed_until: Option<Instant>,
    cause: String,
}

impl Breaker {
    /// Why the source isn't asked now. After its time one may try; the others wait for what that one finds.
    fn refuses(&mut self, now: Instant) -> Option<String> {
        let until = self.closed_until?;
        if now < until {
            return Some(format!("left alone for a moment after failures: {}", self.cause));
        }
        self.closed_until = Some(now + LEFT_ALONE);
        None
    }

    fn succeeded(&mut self) {
        *self = Breaker::default();
    }

    fn failed(&mut self, cause: &str, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.cause = cause.to_owned();
        if self.failures >= FAILURES_MAX {
            self.closed_until = Some(now + LEFT_ALONE);
        }
    }
}

impl SourceLogins {
    fn pool(&self, source: &Source) -> Arc<Pool> {
        let of = (source.urls.clone(), source.start_tls, source.ca.clone());
        let mut pools = self.pools.lock();
        match pools.get(&source.name) {
            Some(pool) if pool.of == of => pool.clone(),
            _ => {
                let turns = Semaphore::new(BINDS_MAX);
                let waiting = Semaphore::new(BINDS_MAX + WAITING_MAX);
                let pool = Arc::new(Pool { of, turns, waiting, idle: Mutex::default(), breaker: Mutex::default() });
                pools.insert(source.name.clone(), pool.clone());
                pool
            }
        }
    }
}

impl Pool {
    /// A kept connection that is still open.
    fn kept(&self) -> Option<Ldap> {
        let mut idle = self.idle.lock();
        while let Some((since, mut ldap)) = idle.pop() {
            if since.elapsed() < IDLE_TIME && !ldap.is_closed() {
                return Some(ldap);
            }
        }
        None
    }

    fn keep(&self, ldap: Ldap) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push((Instant::now(), ldap));
        }
    }

    /// Binds when it is its turn.
    async fn in_turn(&self, source: &Source, dn: &str, password: &Secret) -> Outcome {
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return Outcome::Unknown("too many log-ins wait for it".to_owned());
        };
        let Ok(Ok(_turn)) = tokio::time::timeout(TURN_TIMEOUT, self.turns.acquire()).await else {
            return Outcome::Unknown(format!("no turn within {} s", TURN_TIMEOUT.as_secs()));
        };
        match tokio::time::timeout(BIND_TIMEOUT, self.bind(source, dn, password)).await {
            Ok(Ok(answer)) => Outcome::Answered(answer),
            Ok(Err(error)) => match &error {
                LdapFailure::Refused { code, .. } if !AWAY_CODES.contains(code) => Outcome::Unknown(error.to_string()),
                _ => Outcome::Away(error.to_string()),
            },
            Err(_) => Outcome::Away(format!("no answer within {} s", BIND_TIMEOUT.as_secs())),
        }
    }

    async fn bind(&self, source: &Source, dn: &str, password: &Secret) -> Result<bool, LdapFailure> {
        // The server may have closed a kept connection just now: then a new one answers.
        if let Some(ldap) = self.kept()
            && let Ok(answer) = self.bind_on(ldap, dn, password).await
        {
            return Ok(answer);
        }
        let (ldap, _) = connect::connect(source).await?;
        self.bind_on(ldap, dn, password).await
    }

    async fn bind_on(&self, mut ldap: Ldap, dn: &str, password: &Secret) -> Result<bool, LdapFailure> {
        let answer = match connect::bind(&mut ldap, dn, password).await {
            Ok(()) => true,
            Err(LdapFailure::Refused { code, .. }) if WRONG_CODES.contains(&code) => false,
            Err(error) => return Err(error),
        };
        self.keep(ldap);
        Ok(answer)
    }
}

#[async_trait]
impl BindCheck for SourceLogins {
    async fn check(&self, source: &Source, dn: &str, password: &Secret) -> BindAnswer {
        // RFC 4513 section 5.1.1: a bind without a name is anonymous, and succeeds with any password.
        if dn.is_empty() || password.expose().is_empty() {
            return BindAnswer::Wrong;
        }
        let pool = self.pool(source);
        if let Some(cause) = pool.breaker.lock().refuses(Instant::now()) {
            return BindAnswer::Unavailable(cause);
        }
        // In a task of its own: what a server says may be anything, and a session must outlive it.
        let (asked, source, dn, password) = (pool.clone(), source.clone(), dn.to_owned(), password.clone());
        let outcome = tokio::spawn(async move { asked.in_turn(&source, &dn, &password).await }).await;
        match outcome.unwrap_or_else(|_| Outcome::Unknown("the server's answer can't be read".to_owned())) {
            Outcome::Answered(answer) => {
                pool.breaker.lock().succeeded();
                if answer { BindAnswer::Right } else { BindAnswer::Wrong }
            }
            Outcome::Away(cause) => {
                pool.breaker.lock().failed(&cause, Instant::now());
                BindAnswer::Unavailable(cause)
            }
            Outcome::Unknown(cause) => BindAnswer::Unavailable(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_fails_is_left_alone_and_tried_by_one() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES_MAX {
            assert_eq!(breaker.refuses(start), None);
            breaker.failed("refused", start);
        }
        assert!(breaker.refuses(start).is_some_and(|cause| cause.contains("refused")));
        let later = start + LEFT_ALONE;
        assert_eq!(breaker.refuses(later), None, "one tries");
        assert!(breaker.refuses(later).is_some(), "the others wait");
        breaker.succeeded();
        assert_eq!(breaker.refuses(later), None);
    }

    fn source() -> Source {
        let kind = sterna_directory::SourceKind::OpenLdap;
        Source {
            name: "ldap".into(),
            kind,
            domain: sterna_base::DomainId(1),
            urls: vec!["ldap://127.0.0.1:1".into()],
            start_tls: false,
            ca: String::new(),
            bind_dn: String::new(),
            password_sealed: String::new(),
            base: "dc=test".into(),
            user_filter: kind.user_filter().to_owned(),
            group_base: String::new(),
            group_filter: String::new(),
            mapping: sterna_directory::Mapping::preset(kind),
            logins: true,
            outage_minutes: 0,
            adopt: false,
            every_minutes: 10,
            full_every_hours: 24,
            removals_percent_max: 10,
            enabled: true,
            created_at: sterna_base::Timestamp(0),
        }
    }

    #[tokio::test]
    async fn strangers_in_the_queue_switch_no_source_off() {
        let (logins, source, password) = (SourceLogins::default(), source(), Secret::new("sesame"));
        assert_eq!(logins.check(&source, "", &password).await, BindAnswer::Wrong, "that would be anonymous");
        let pool = logins.pool(&source);
        let all = u32::try_from(BINDS_MAX + WAITING_MAX).unwrap();
        let queue = pool.waiting.acquire_many(all).await.unwrap();
        for _ in 0..=FAILURES_MAX {
            let answer = logins.check(&source, "uid=ana", &password).await;
            assert!(matches!(answer, BindAnswer::Unavailable(cause) if cause.contains("too many")));
        }
        assert_eq!(pool.breaker.lock().failures, 0);
        drop(queue);
        // Nobody listens there: that is one.
        assert!(matches!(logins.check(&source, "uid=ana", &password).await, BindAnswer::Unavailable(_)));
        assert_eq!(pool.breaker.lock().failures, 1);
    }
}
