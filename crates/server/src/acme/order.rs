//! One order (RFC 8555 section 7.4), from the account to the certificate; and what the authority says of renewal.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use instant_acme::{
    Account, AccountBuilder, AuthorizationStatus, CertificateIdentifier, ChallengeStatus, ChallengeType, Error,
    ExternalAccountKey, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sterna_base::Timestamp;
use sterna_directory::acme::{ACME, Acme, Certificate, Challenge, ChallengeKind};
use sterna_mailflow::auth::keys;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::http::{Authority, ToldToWait, Unreachable};
use super::state::Settings;
use super::{Runner, SEALED_ACCOUNT, SEALED_FOR, SEALED_KEY, due};
use crate::node::{certificate, signing};

/// How long a whole order may take.
const ORDER_TIMEOUT: Duration = Duration::from_secs(600);

/// How long the authority may look for the answers, and then work on the certificate.
const POLL: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(500)).backoff(1.5).timeout(Duration::from_secs(180));

/// The shortest and the longest time until the authority is asked again when to renew, in milliseconds.
const ASK_AGAIN_MS: std::ops::RangeInclusive<i64> = 3600 * 1000..=due::ASK_AGAIN_MS;

/// Why there is no certificate, and what to do.
#[derive(Debug, Default)]
pub struct Trouble {
    /// What happened.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// How long the authority wants to be left alone, in milliseconds.
    pub retry_after_ms: Option<i64>,
    /// Names that it refused, each with why; the others can be asked for without them.
    pub refused: Vec<(String, String)>,
    /// Whether the same may go well at once: it was about a nonce.
    pub is_passing: bool,
    /// Whether the authority doesn't know the account any more.
    pub forgets_account: bool,
}

/// Orders that are begun one after another because nonces were refused, or the account.
const TRIES: usize = 4;

/// What to do when there is nothing to do.
const BY_ITSELF: &str = "It is tried again by itself; to try at once: sterna certificate renew";

impl Trouble {
    /// With a remedy.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Trouble { what: what.into(), remedy: remedy.into(), ..Trouble::default() }
    }

    fn own(error: impl ToString) -> Self {
        let remedy = "Look at signing.secret in the folder of the main node, and at its disk.";
        Trouble::new(format!("the key can't be kept: {}", error.to_string()), remedy)
    }

    fn of(error: &Error) -> Self {
        match error {
            Error::Api(problem) => {
                let kind = problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next()).unwrap_or_default();
                let said = problem.detail.as_deref().unwrap_or("no reason");
                let remedy = match kind {
                    "rateLimited" => "Its limits are counted by the hour or the week; it is tried again by itself.",
                    "externalAccountRequired" => {
                        "Set what the authority gave you: sterna config set acme.eab-key-id ID, and acme.eab-key KEY"
                    }
                    "userActionRequired" => "Read the authority's new terms of service at the address it names.",
                    "invalidContact" | "unsupportedContact" => {
                        "Give another address: sterna config set acme.contact ADDRESS"
                    }
                    "caa" => "A CAA record in DNS forbids this authority; add it there, or take the record out.",
                    "rejectedIdentifier" => "It doesn't issue for one of the names: see sterna certificate status",
                    _ => BY_ITSELF,
                };
                Trouble {
                    forgets_account: kind == "accountDoesNotExist",
                    is_passing: kind == "badNonce",
                    ..Trouble::new(format!("the certificate authority says: {said} ({kind})"), remedy)
                }
            }
            Error::Other(cause) if cause.is::<Unreachable>() => Trouble::new(
                cause.to_string(),
                "See whether acme.directory is right and this node reaches it; it is tried again by itself.",
            ),
            Error::Timeout(_) => Trouble::new("the certificate authority did not finish the order in time", BY_ITSELF),
            other => Trouble::new(
                format!("the certificate authority can't be understood: {other}"),
                "See whether acme.directory is the URL of an ACME directory; it is tried again by itself.",
            ),
        }
    }
}

/// Orders a certificate for these names.
pub(super) async fn order(
    runner: &Runner,
    settings: &Settings,
    acme: &mut Acme,
    former: Option<&Certificate>,
    names: &[String],
) -> Result<Certificate, Trouble> {
    let told = ToldToWait::default();
    let ordering = async {
        let mut tries = 0;
        loop {
            tries += 1;
            match ordered(runner, settings, acme, former, names, told.clone()).await {
                // Another account does as well: the authority was set up anew, or forgets those that are not used.
                Err(trouble) if trouble.forgets_account && tries < TRIES => acme.sealed_account = None,
                Err(trouble) if trouble.is_passing && tries < TRIES => {}
                ordered => return ordered,
            }
        }
    };
    let late = || Trouble::new("the certificate authority did not finish the order in time", BY_ITSELF);
    let ordered = tokio::time::timeout(ORDER_TIMEOUT, ordering).await.unwrap_or_else(|_| Err(late()));
    let told = told.lock().take();
    ordered.map_err(|trouble| Trouble { retry_after_ms: told, ..trouble })
}

async fn ordered(
    runner: &Runner,
    settings: &Settings,
    acme: &mut Acme,
    former: Option<&Certificate>,
    names: &[String],
    told: ToldToWait,
) -> Result<Certificate, Trouble> {
    let text = |error: Error| Trouble::of(&error);
    let account = account(runner, settings, acme, told).await?;
    let identifiers: Vec<Identifier> = names.iter().cloned().map(Identifier::Dns).collect();
    let mut order = begun(&account, &identifiers, former, acme).await.map_err(text)?;
    let preferred = preferred(&settings.challenges, acme.failures);
    let challenges = challenges(&mut order, &preferred).await?;
    if !challenges.is_empty() {
        let kinds: Vec<(String, ChallengeKind)> =
            challenges.iter().map(|challenge| (challenge.name.clone(), challenge.kind)).collect();
        let published = runner.publish(acme, challenges).await;
        published.map_err(|error| Trouble::new(error.to_string(), "Look at the disk of the main node."))?;
        say_ready(&mut order, &kinds).await.map_err(text)?;
    }
    match order.poll_ready(&POLL).await {
        Ok(OrderStatus::Ready | OrderStatus::Valid | OrderStatus::Processing) => {}
        Ok(OrderStatus::Pending | OrderStatus::Invalid) | Err(Error::Api(_)) => {
            return Err(refusals(&mut order, names).await);
        }
        Err(error) => return Err(text(error)),
    }
    let key = order.finalize().await.map_err(text)?;
    let chain = order.poll_certificate(&POLL).await.map_err(text)?;
    sealed(runner, &settings.directory, chain, &key, names).await
}

/// The account, made when there is none, or none that is still known.
async fn account(runner: &Runner, settings: &Settings, acme: &mut Acme, told: ToldToWait) -> Result<Account, Trouble> {
    let builder = builder(runner, settings, told).await?;
    if let Some(sealed) = acme.sealed_account.clone() {
        let opened = with_secret(runner, move |secret| keys::open(secret, SEALED_FOR, SEALED_ACCOUNT, &sealed)).await?;
        let credentials = serde_json::from_slice(&opened).map_err(Trouble::own)?;
        return builder.from_credentials(credentials).await.map_err(|error| Trouble::of(&error));
    }
    let contact = settings.contact.as_ref().map(|address| format!("mailto:{address}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let external = match &settings.external_account {
        Some((id, key)) => {
            let text = key.expose().trim();
            let key = URL_SAFE_NO_PAD.decode(text).or_else(|_| URL_SAFE.decode(text));
            let unreadable =
                |_| Trouble::new("acme.eab-key is not in base64url", "Set it as the authority gave it to you.");
            Some(ExternalAccountKey::new(id.clone(), &key.map_err(unreadable)?))
        }
        None => None,
    };
    let made = builder.create(&new, settings.directory.clone(), external.as_ref()).await;
    let (account, credentials) = made.map_err(|error| Trouble::of(&error))?;
    let plain = serde_json::to_vec(&credentials).map_err(Trouble::own)?;
    let sealed = with_secret(runner, move |secret| keys::seal(secret, SEALED_FOR, SEALED_ACCOUNT, &plain)).await?;
    acme.sealed_account = Some(sealed);
    Ok(account)
}

async fn builder(runner: &Runner, settings: &Settings, told: ToldToWait) -> Result<AccountBuilder, Trouble> {
    let (roots, dns) = (settings.roots.clone(), runner.tools.dns.clone());
    let made = tokio::task::spawn_blocking(move || Authority::new(roots.as_deref(), dns, told)).await;
    let made = made.map_err(Trouble::own)?;
    let authority = made.map_err(|text| Trouble::new(text, "Install the package ca-certificates; see acme.roots."))?;
    Ok(Account::builder_with_http(Box::new(authority)))
}

async fn with_secret<T: Send + 'static>(
    runner: &Runner,
    with: impl FnOnce(&signing::SealingSecret) -> Result<T, keys::KeyError> + Send + 'static,
) -> Result<T, Trouble> {
    let folder = runner.tools.folder.clone();
    let done = move || with(&signing::made(&folder).map_err(Trouble::own)?).map_err(Trouble::own);
    tokio::task::spawn_blocking(done).await.map_err(Trouble::own)?
}

/// The order; as one that replaces the former certificate where the authority has a use for that (RFC 9773 section 5).
async fn begun(
    account: &Account,
    identifiers: &[Identifier],
    former: Option<&Certificate>,
    acme: &Acme,
) -> Result<Order, Error> {
    let former = former.filter(|_| acme.renews_as_told).and_then(leaf);
    let replaced = former.as_ref().and_then(|leaf| CertificateIdentifier::try_from(leaf).ok());
    if let Some(replaced) = replaced {
        match account.new_order(&NewOrder::new(identifiers).replaces(replaced.into_owned())).await {
            Ok(order) => return Ok(order),
            Err(Error::Api(problem)) if problem.r#type.as_deref().is_some_and(|kind| kind.ends_with("rateLimited")) => {
                return Err(Error::Api(problem));
            }
            // It was replaced already, is unknown there, or the authority has no use for that: an order like any other
            // does as well.
            Err(error) => tracing::debug!(%error, "the order does not say what it replaces"),
        }
    }
    account.new_order(&NewOrder::new(identifiers)).await
}

fn leaf(certificate: &Certificate) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(certificate.chain.as_bytes()).ok()
}

/// The ways of proving a name: after each failure the next one comes first.
fn preferred(kinds: &[ChallengeKind], failures: u32) -> Vec<ChallengeKind> {
    let mut kinds = kinds.to_vec();
    if !kinds.is_empty() {
        let by = usize::try_from(failures).unwrap_or_default() % kinds.len();
        kinds.rotate_left(by);
    }
    kinds
}

fn type_of(kind: ChallengeKind) -> ChallengeType {
    match kind {
        ChallengeKind::Http => ChallengeType::Http01,
        ChallengeKind::TlsAlpn => ChallengeType::TlsAlpn01,
    }
}

/// What is to be answered: one challenge for each name that is not proved yet.
async fn challenges(order: &mut Order, preferred: &[ChallengeKind]) -> Result<Vec<Challenge>, Trouble> {
    let mut found = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(|error| Trouble::of(&error))?;
        let name = authorization.identifier().to_string();
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            other => {
                let what =
                    format!("the certificate authority begins with an authorisation for {name} that is {other:?}");
                return Err(Trouble::new(what, BY_ITSELF));
            }
        }
        let offers = |kind: &ChallengeKind| authorization.challenges.iter().any(|one| one.r#type == type_of(*kind));
        let Some(kind) = preferred.iter().copied().find(offers) else {
            let what = format!("the certificate authority offers no way of proving {name} that is set");
            return Err(Trouble::new(what, "Allow another: sterna config set acme.challenges 'tls-alpn-01 http-01'"));
        };
        let Some(challenge) = authorization.challenge(type_of(kind)) else { continue };
        let key_authorization = challenge.key_authorization().as_str().to_owned();
        found.push(Challenge { name, kind, token: challenge.token.clone(), key_authorization });
    }
    Ok(found)
}

async fn say_ready(order: &mut Order, kinds: &[(String, ChallengeKind)]) -> Result<(), Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        let name = authorization.identifier().to_string();
        let Some((_, kind)) = kinds.iter().find(|(known, _)| *known == name) else { continue };
        if let Some(mut challenge) = authorization.challenge(type_of(*kind)) {
            challenge.set_ready().await?;
        }
    }
    Ok(())
}

/// Which names were refused, and why. If some were proved, the next order goes without those that were not.
async fn refusals(order: &mut Order, names: &[String]) -> Trouble {
    let mut refused = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        // What is known is of before the authority looked.
        let _ = authorization.refresh().await;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let is_bad = |status| matches!(status, ChallengeStatus::Invalid);
        let failed = authorization.challenges.iter().find(|challenge| is_bad(challenge.status));
        if let Some(error) = failed.and_then(|challenge| challenge.error.as_ref()) {
            let why = error.detail.clone().unwrap_or_else(|| error.to_string());
            refused.push((authorization.identifier().to_string(), why));
        }
    }
    let Some((name, why)) = refused.first() else {
        let said =
            order.state().error.as_ref().map_or("it expired", |error| error.detail.as_deref().unwrap_or("no reason"));
        return Trouble::new(format!("the certificate authority gave the order up: {said}"), BY_ITSELF);
    };
    let remedy = format!(
        "See that {name} leads to an edge from outside and that its port 443 (tls-alpn-01) or 80 (http-01) is open \
         there, then: sterna certificate renew"
    );
    let trouble = Trouble::new(format!("the certificate authority could not see that {name} is ours: {why}"), remedy);
    // Were all refused, then not because of one of them.
    let refused = if refused.len() < names.len() { refused } else { Vec::new() };
    Trouble { refused, ..trouble }
}

/// The certificate as it is kept, if it is what was asked for.
async fn sealed(
    runner: &Runner,
    directory: &str,
    chain: String,
    key: &str,
    names: &[String],
) -> Result<Certificate, Trouble> {
    let wrong = |what: String| Trouble::new(format!("the certificate authority issued {what}"), BY_ITSELF);
    let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).map_err(Trouble::own)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
    let parsed = parsed.map_err(|error| wrong(format!("what is no certificate: {error}")))?;
    let facts = parsed.first().and_then(facts).ok_or_else(|| wrong("what is no certificate".to_owned()))?;
    if let Some(name) = names.iter().find(|name| !facts.names.contains(name)) {
        return Err(wrong(format!("a certificate that is not for {name}")));
    }
    let now = runner.tools.directory.now();
    if facts.not_after <= now {
        return Err(wrong("a certificate that is over".to_owned()));
    }
    let plain = key.secret_pkcs8_der().to_vec();
    let fits = certificate::certified(parsed, PrivateKeyDer::from(key));
    fits.map_err(|error| wrong(format!("a certificate for another key: {error}")))?;
    let sealed_key = with_secret(runner, move |secret| keys::seal(secret, SEALED_FOR, SEALED_KEY, &plain)).await?;
    Ok(Certificate {
        name: ACME.to_owned(),
        names: facts.names,
        chain,
        sealed_key,
        issuer: facts.issuer,
        directory: directory.to_owned(),
        not_before: facts.not_before,
        not_after: facts.not_after,
    })
}

/// What a certificate says of itself.
struct Facts {
    names: Vec<String>,
    issuer: String,
    not_before: Timestamp,
    not_after: Timestamp,
}

fn facts(certificate: &CertificateDer<'static>) -> Option<Facts> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let alternative = parsed.subject_alternative_name().ok()??;
    let names = alternative.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    let validity = parsed.validity();
    Some(Facts {
        names,
        issuer: parsed.issuer().iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or("?").to_owned(),
        not_before: Timestamp::from_seconds(validity.not_before.timestamp()),
        not_after: Timestamp::from_seconds(validity.not_after.timestamp()),
    })
}

/// When the authority wants the certificate renewed (RFC 9773), and after how many milliseconds to ask again; `None`
/// when it doesn't say.
pub(super) async fn renewal(
    runner: &Runner,
    settings: &Settings,
    acme: &Acme,
    certificate: &Certificate,
) -> Option<(Timestamp, i64)> {
    acme.sealed_account.as_ref()?;
    let asking = async {
        let account = account(runner, settings, &mut acme.clone(), ToldToWait::default()).await.ok()?;
        let leaf = leaf(certificate)?;
        let id = CertificateIdentifier::try_from(&leaf).ok()?;
        account.renewal_info(&id).await.ok()
    };
    let (info, again) = tokio::time::timeout(ORDER_TIMEOUT, asking).await.ok()??;
    let at = |time: i128| Timestamp(i64::try_from(time / 1_000_000).unwrap_or(i64::MAX));
    let window = info.suggested_window;
    let (start, end) = (at(window.start.unix_timestamp_nanos()), at(window.end.unix_timestamp_nanos()));
    let again_ms = i64::try_from(again.as_millis()).unwrap_or(i64::MAX);
    let renew_at = due::within(start, end, certificate).min(due::renew_at_latest(certificate));
    Some((renew_at, again_ms.clamp(*ASK_AGAIN_MS.start(), *ASK_AGAIN_MS.end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_of_proving_take_turns() {
        let both = [ChallengeKind::TlsAlpn, ChallengeKind::Http];
        assert_eq!(preferred(&both, 0)[0], ChallengeKind::TlsAlpn);
        assert_eq!(preferred(&both, 1)[0], ChallengeKind::Http);
        assert_eq!(preferred(&both, 2)[0], ChallengeKind::TlsAlpn);
        assert!(preferred(&[], 3).is_empty());
    }

    #[test]
    fn every_trouble_says_what_to_do() {
        let problem = |kind: &str| -> Error {
            let text = format!("{{\"type\":\"urn:ietf:params:acme:error:{kind}\",\"detail\":\"no\",\"status\":400}}");
            Error::Api(serde_json::from_str(&text).unwrap())
        };
        let of = |kind: &str| Trouble::of(&problem(kind));
        assert!(of("rateLimited").remedy.contains("limits"));
        assert!(of("externalAccountRequired").remedy.contains("acme.eab-key"));
        assert!(of("accountDoesNotExist").forgets_account && !of("malformed").forgets_account);
        let away = Error::Other(Box::<dyn std::error::Error + Send + Sync>::from("x"));
        for error in [problem("serverInternal"), Error::Str("nonce"), away] {
            let trouble = Trouble::of(&error);
            assert!(!trouble.what.is_empty() && !trouble.remedy.is_empty(), "{trouble:?}");
        }
    }
}
