//! `/api/v1/certificates`: what the listeners of all edges show, and `/api/v1/acme`: from where it comes by itself.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_base::{Modseq, Timestamp};
use sterna_directory::acme::{ACME, Acme, Certificate, Failure, LeftOut};
use sterna_directory::{Reader, Request, RequestError, Scope, StorageError, settings};

use super::answer::{Begun, NoContent};
use super::doors::AdminState;
use super::findings::Finding;
use super::input::{Body, By, Params};
use super::problem::Problem;
use super::view::{self, Page, Resource, time};

/// How often it is tried to tell the main node that a certificate is wanted, while it writes what it does.
const TRIES: usize = 5;

/// A certificate of the installation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Certificate")]
pub(super) struct CertificateView {
    name: String,
    /// What it is for.
    names: Vec<String>,
    issuer: String,
    /// The ACME directory of its authority.
    directory: String,
    not_before: String,
    not_after: String,
    /// It and those between it and its root, in PEM.
    chain: String,
}

impl From<Certificate> for CertificateView {
    fn from(certificate: Certificate) -> Self {
        let Certificate { name, names, issuer, directory, not_before, not_after, chain, .. } = certificate;
        CertificateView {
            name,
            names,
            issuer,
            directory,
            not_before: time(not_before),
            not_after: time(not_after),
            chain,
        }
    }
}

/// How the asking for certificates stands.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Acme")]
pub(super) struct AcmeView {
    /// "off", "terms" (they are not agreed to), "failing", "waiting" (it is about to begin, or under way), "good".
    state: &'static str,
    /// As it is set: a name, or the URL of a directory.
    directory: Option<String>,
    contact: Option<String>,
    terms_agreed: bool,
    /// Names besides those of the services.
    names: Vec<String>,
    /// How names are proved.
    challenges: Vec<String>,
    external_account: Option<String>,
    failures: u32,
    failure: Option<FailureView>,
    /// Nothing is ordered before.
    not_before: Option<String>,
    renew_at: Option<String>,
    /// Whether the authority says so itself (RFC 9773).
    renews_as_told: bool,
    /// Names that the certificate isn't for, each with why.
    left_out: Vec<LeftOutView>,
}

/// Why there is no new certificate.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AcmeFailure")]
struct FailureView {
    what: String,
    remedy: String,
    at: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AcmeLeftOut")]
struct LeftOutView {
    name: String,
    why: String,
    /// When it is asked for again, where the authority refused it.
    again_at: Option<String>,
}

/// The body of PUT. What is not there is not set any more, but for the keys, which nobody can read.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AcmeChange")]
pub(super) struct AcmeBody {
    /// "letsencrypt", "letsencrypt-staging", or the URL of a directory.
    directory: String,
    /// An address.
    contact: Option<String>,
    /// That the authority's terms of service were read and are agreed to.
    terms_agreed: bool,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    challenges: Vec<String>,
    /// As whom the authority knows the installation; both or none.
    external_account: Option<ExternalAccount>,
    /// Certificates in PEM that are trusted when it is asked.
    roots: Option<String>,
}

/// What an authority gives to its customers (RFC 8555 section 7.3.4).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AcmeExternalAccount")]
struct ExternalAccount {
    key_id: String,
    /// In base64url.
    key: String,
}

/// What the directory says.
struct Said {
    acme: Acme,
    directory: Option<String>,
    contact: Option<String>,
    has_agreed: bool,
    names: Option<String>,
    challenges: Option<String>,
    external_account: Option<String>,
    has_certificate: bool,
    modseq: Modseq,
}

fn said(reader: &Reader<'_>) -> Result<Said, StorageError> {
    let get = |name| reader.setting_for(None, name);
    Ok(Said {
        acme: reader.acme()?.map(|found| found.value).unwrap_or_default(),
        directory: get(settings::ACME_DIRECTORY)?,
        contact: get(settings::ACME_CONTACT)?,
        has_agreed: get(settings::ACME_TERMS)?.is_some(),
        names: get(settings::ACME_NAMES)?,
        challenges: get(settings::ACME_CHALLENGES)?,
        external_account: get(settings::ACME_EAB_KEY_ID)?,
        has_certificate: reader.certificate(ACME)?.is_some(),
        modseq: reader.head()?.modseq,
    })
}

impl From<Said> for AcmeView {
    fn from(said: Said) -> Self {
        let words = |text: Option<String>| text.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let acme = said.acme;
        let state = match () {
            () if said.directory.is_none() => "off",
            () if !said.has_agreed => "terms",
            () if acme.failure.is_some() => "failing",
            () if !said.has_certificate || acme.wanted => "waiting",
            () => "good",
        };
        AcmeView {
            state,
            directory: said.directory,
            contact: said.contact,
            terms_agreed: said.has_agreed,
            names: words(said.names),
            challenges: words(said.challenges.or_else(|| Some("tls-alpn-01 http-01".to_owned()))),
            external_account: said.external_account,
            failures: acme.failures,
            failure: acme.failure.map(|Failure { what, remedy, at }| FailureView { what, remedy, at: time(at) }),
            not_before: acme.not_before.map(time),
            renew_at: acme.renew_at.map(time),
            renews_as_told: acme.renews_as_told,
            left_out: acme.left_out.into_iter().map(LeftOutView::from).collect(),
        }
    }
}

impl From<LeftOut> for LeftOutView {
    fn from(LeftOut { name, why, again_at }: LeftOut) -> Self {
        LeftOutView { name, why, again_at: again_at.map(time) }
    }
}

pub(super) async fn list(State(state): State<AdminState>) -> Result<Json<Page<CertificateView>>, Problem> {
    let found = state.directory.read(|reader| reader.certificate(ACME)).await?;
    Ok(Json(Page { items: found.into_iter().map(|found| found.value.into()).collect(), next: None }))
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    params: Params,
) -> Result<NoContent, Problem> {
    let known = name.clone();
    if state.directory.read(move |reader| reader.certificate(&known)).await?.is_none() {
        return Err(Problem::no_such("certificate", &name));
    }
    state.write(Request::DeleteCertificate { name }, params.dry_run).await?;
    Ok(view::no_content())
}

pub(super) async fn get(State(state): State<AdminState>) -> Result<Resource<AcmeView>, Problem> {
    let said = state.directory.read(said).await?;
    let modseq = said.modseq;
    Ok(Resource::read(said.into(), modseq))
}

/// Sets all of it. The main node begins at once.
pub(super) async fn put(
    State(state): State<AdminState>,
    params: Params,
    By(by): By,
    Body(body): Body<AcmeBody>,
) -> Result<Resource<AcmeView>, Problem> {
    if !body.terms_agreed {
        let detail = "certificate authorities issue only to those who agree to their terms of service";
        let remedy = "Read them at the authority, then say that you agree (“terms_agreed”).";
        return Err(Problem::new(StatusCode::CONFLICT, "terms", "The terms are not agreed to", detail, remedy));
    }
    let joined = |words: &[String]| Some(words.join(" ")).filter(|text| !text.is_empty());
    let mut values = vec![
        (settings::ACME_CONTACT, body.contact.filter(|contact| !contact.is_empty())),
        (settings::ACME_TERMS, Some("agreed".to_owned())),
        (settings::ACME_NAMES, joined(&body.names)),
        (settings::ACME_CHALLENGES, joined(&body.challenges)),
        (settings::ACME_ROOTS, body.roots.filter(|roots| !roots.is_empty())),
    ];
    if let Some(ExternalAccount { key_id, key }) = body.external_account {
        values.push((settings::ACME_EAB_KEY_ID, Some(key_id)));
        values.push((settings::ACME_EAB_KEY, Some(key)));
    }
    // Last: from then on it is asked.
    values.push((settings::ACME_DIRECTORY, Some(body.directory)));
    write_settings(&state, values, by, params.dry_run).await
}

/// Asks no more. The certificate is shown until it is deleted.
pub(super) async fn turn_off(
    State(state): State<AdminState>,
    params: Params,
    By(by): By,
) -> Result<Resource<AcmeView>, Problem> {
    write_settings(&state, vec![(settings::ACME_DIRECTORY, None)], by, params.dry_run).await
}

async fn write_settings(
    state: &AdminState,
    values: Vec<(&str, Option<String>)>,
    by: String,
    dry_run: bool,
) -> Result<Resource<AcmeView>, Problem> {
    let request = |name: &str, value: Option<String>| Request::PutSetting {
        expect: None,
        scope: Scope::System,
        name: name.to_owned(),
        value,
        by: by.clone(),
    };
    // All of them or none: nothing is written before all are good.
    for (name, value) in &values {
        state.write(request(name, value.clone()), true).await?;
    }
    let mut changed = false;
    for (name, value) in values {
        changed |= state.write(request(name, value), dry_run).await?.changed;
    }
    let said = state.directory.read(said).await?;
    let modseq = said.modseq;
    Ok(Resource::read(said.into(), modseq).changed(changed))
}

/// Wants a certificate at once: somebody has mended what was wrong, or the key may be in wrong hands.
pub(super) async fn order(State(state): State<AdminState>, params: Params) -> Result<Begun<AcmeView>, Problem> {
    for _ in 0..TRIES {
        let read = |reader: &Reader<'_>| Ok::<_, StorageError>((reader.acme()?, said(reader)?));
        let (found, now) = state.directory.read(read).await?;
        if now.directory.is_none() {
            let detail = "no certificates are asked for";
            let remedy = "Name a certificate authority first (sterna certificate enable).";
            return Err(Problem::new(StatusCode::CONFLICT, "acme-off", "There is nobody to ask", detail, remedy));
        }
        let expect = found.as_ref().map(|found| found.modseq);
        let mut acme = found.map(|found| found.value).unwrap_or_default();
        (acme.wanted, acme.not_before) = (true, None);
        acme.left_out.retain(|one| one.again_at.is_none());
        match state.write(Request::PutAcme { acme, expect }, params.dry_run).await {
            Ok(done) => {
                let view = AcmeView::from(state.directory.read(said).await?);
                let body = Resource::read(view, done.modseq).changed(done.changed);
                return Ok(Resource { status: StatusCode::ACCEPTED, ..body }.into());
            }
            Err(problem) if problem.status == StatusCode::PRECONDITION_FAILED => {}
            Err(problem) => return Err(problem),
        }
    }
    Err(Problem::from(RequestError::Changed { expected: Modseq(0), found: Modseq(0) }))
}

/// What an administrator should know of it.
pub(super) fn findings(reader: &Reader<'_>, now: Timestamp) -> Result<Vec<Finding>, StorageError> {
    let said = said(reader)?;
    if said.directory.is_none() {
        return Ok(Vec::new());
    }
    let refused = said.acme.left_out.iter().filter(|one| one.again_at.is_some());
    let mut found: Vec<Finding> = refused
        .map(|LeftOut { name, why, .. }| {
            let what = format!("the certificate for clients is without {name}: the authority refused it ({why})");
            let remedy = format!(
                "See that {name} leads to an edge from outside, with port 443 or 80 open there, then: sterna \
                 certificate renew; it is tried again by itself within a day."
            );
            Finding::of_installation(what, remedy)
        })
        .collect();
    let Some(failure) = said.acme.failure else { return Ok(found) };
    let next = match said.acme.not_before.filter(|next| *next > now) {
        Some(next) if said.has_agreed => format!("; the next try is at {}", time(next)),
        _ => String::new(),
    };
    let what = format!("there is no new certificate for clients since {}: {}{next}", time(failure.at), failure.what);
    found.push(Finding::of_installation(what, failure.remedy));
    Ok(found)
}
