//! `/api/v1/users/{user}/sudo` and `/api/v1/me/sudo`: an administrator works as a user for a bounded time, and the user
//! sees it (decision 63).
//!
//! What is given is an app password with an end and a reason. It reads mail and groupware as the user's own programs
//! do, sends nothing, changes no credential, and opens the user's own things in this API for reading only.

use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::Bytes;
use mail_builder::MessageBuilder;
use mail_builder::headers::raw::Raw;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sterna_account::container::ContainerKind;
use sterna_account::{AccountError, CommitError, Content, FlagSet, Mutation, NewItem};
use sterna_base::ids::random_hex;
use sterna_base::{AccountId, OperationId, Timestamp};
use sterna_directory::rights::{AppPassword, NewAppPassword, Rights, Sudo, hash_of_app_password};
use sterna_directory::{Reader, Request, settings};
use sterna_web::i18n::Lang;

use super::answer::{Made, NoContent};
use super::doors::AdminState;
use super::input::{Body, Params};
use super::principal::{Principal, Via};
use super::problem::Problem;
use super::records::AuditFilter;
use super::view::{Page, time};
use super::{app_passwords, resolve, view};

/// What every token of this kind begins with.
pub(super) const PREFIX: &str = "sternasudo_";

/// How long it is good when nobody says.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(3600);

/// How long it is good at most: a day's work.
const LIFETIME_MAX: Duration = Duration::from_secs(8 * 3600);

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

/// What it is good for. Nothing is sent in somebody's name, also not by a script that goes on afterwards.
const PROTOCOLS: [&str; 2] = ["imap", "dav"];

/// Uses that a user is shown at once: so many of what was begun and of log-ins, and so many of what was looked at.
const USES_SHOWN: usize = 200;

/// Requests with one token in a minute: each is a line that the user reads.
const REQUESTS_PER_MINUTE_MAX: u32 = 60;

/// How long the user's mailbox may take to take the notice.
const NOTICE_WAIT: Duration = Duration::from_secs(10);

/// Somebody works as a user.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Sudo")]
pub(super) struct SudoView {
    id: String,
    /// As whom.
    user: String,
    /// Who does.
    by: String,
    reason: String,
    protocols: Vec<String>,
    created_at: String,
    expires_at: String,
    /// For mail programs, with the user's address as login; only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    /// For this API, as a bearer token; only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// The body of POST.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewSudo")]
pub(super) struct SudoBody {
    /// Why; the user reads it.
    reason: String,
    /// How long, in seconds; an hour without it, eight hours at most.
    lifetime_seconds: Option<u64>,
}

/// What a user is told of those who worked as them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OwnSudo")]
pub(super) struct OwnView {
    /// Who can at present.
    open: Vec<SudoView>,
    /// What was done, the newest first: when it was begun, and each use of it. What was looked at through the API
    /// never pushes out when it was begun and who logged in.
    uses: Vec<UseView>,
    /// What to give as `after` for older ones, if there are any; some may come once more.
    next: Option<String>,
}

/// One line of the record.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SudoUse")]
struct UseView {
    at: String,
    /// “A as B” where A worked as B, A where A began or ended it.
    who: String,
    /// `POST` and the like, or `LOGIN`.
    method: String,
    /// Of what; of a log-in the protocol.
    path: String,
    peer: String,
    /// What was sent, with the reason.
    body: String,
}

fn shown(user: &str, found: AppPassword) -> Option<SudoView> {
    let Sudo { by, reason, .. } = found.sudo?;
    Some(SudoView {
        id: found.id,
        user: user.to_owned(),
        by,
        reason,
        protocols: found.protocols,
        created_at: time(found.created_at),
        expires_at: found.expires_at.map(time).unwrap_or_default(),
        password: None,
        token: None,
    })
}

async fn open_of(state: &AdminState, account: AccountId) -> Result<Vec<SudoView>, Problem> {
    let now = state.directory.now();
    let read = move |reader: &Reader<'_>| {
        let entry = reader.entry(account)?;
        let address = entry.map(|entry| reader.address_text(&entry.value.entry().address)).transpose()?.flatten();
        let user = address.unwrap_or_default();
        let found = reader.app_passwords(account)?.into_iter().map(|found| found.value);
        let open = found.filter(|found| found.expires_at.is_none_or(|at| now < at));
        Ok::<_, Problem>(open.filter_map(|found| shown(&user, found)).collect())
    };
    state.directory.read(read).await
}

/// Who can work as a user at present.
pub(super) async fn list(
    State(state): State<AdminState>,
    Path(user): Path<String>,
) -> Result<Json<Page<SudoView>>, Problem> {
    let account = state.directory.read(move |reader| resolve::user_id(reader, &user)).await?;
    Ok(Json(Page { items: open_of(&state, account).await?, next: None }))
}

/// Lets whoever asks work as a user, and tells the user.
pub(super) async fn create(
    State(state): State<AdminState>,
    Path(user): Path<String>,
    principal: Principal,
    Body(body): Body<SudoBody>,
) -> Result<Made<SudoView>, Problem> {
    principal.must_be_present()?;
    // Nothing is recorded where there are no records, and then nobody works as anybody.
    state.records.as_ref().ok_or_else(Problem::not_recorded)?;
    let reason = body.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX || reason.chars().any(char::is_control) {
        let text = format!("“reason” must say why, in one line of at most {REASON_CHARS_MAX} characters");
        return Err(Problem::malformed(text));
    }
    let lifetime = body.lifetime_seconds.map_or(LIFETIME_DEFAULT, Duration::from_secs);
    if lifetime.is_zero() || lifetime > LIFETIME_MAX {
        return Err(Problem::malformed(format!("it is good for at most {} seconds", LIFETIME_MAX.as_secs())));
    }
    let rights = principal.rights.clone();
    let (account, address, language) = state
        .directory
        .read(move |reader: &Reader<'_>| {
            let account = resolve::user_id(reader, &user)?;
            if !rights.covers(&reader.granted(account)?) {
                return Err(super::policy::above());
            }
            let entry = reader.entry(account)?.ok_or_else(|| Problem::no_such("user", &user))?;
            let address = reader.address_text(&entry.value.entry().address)?.unwrap_or_default();
            let domain = reader.domain_of(account)?;
            let language = reader.setting_for(domain.as_ref(), settings::LANGUAGE)?;
            Ok::<_, Problem>((account, address, language))
        })
        .await?;
    if principal.account == Some(account) {
        return Err(Problem::malformed("you are that user"));
    }
    let now = state.directory.now();
    let expires_at = now.plus_ms(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
    let lang = language.as_deref().and_then(Lang::from_tag).unwrap_or_default();
    let notice = Notice { by: &principal.name, to: &address, reason: &reason, until: expires_at, now, lang };
    // First the notice: should it be all that happens, nothing was read.
    notice.leave(&state, account).await?;
    let letters = app_passwords::random_letters();
    let (id, password) = (random_hex::<6>(), app_passwords::in_groups(&letters));
    let new = NewAppPassword {
        account,
        id: id.clone(),
        name: format!("sudo: {}", principal.name),
        hash: hash_of_app_password(&password).unwrap_or_default(),
        protocols: PROTOCOLS.map(str::to_owned).to_vec(),
        expires_at: Some(expires_at),
        sudo: Some(Sudo { by: principal.name.clone(), account: principal.account, reason, hash: String::new() }),
    };
    state.write(Request::CreateAppPassword(new), false).await?;
    let open = open_of(&state, account).await?.into_iter().find(|found| found.id == id);
    let mut made = open.ok_or_else(|| Problem::no_such("sudo", &id))?;
    made.token = Some(format!("{PREFIX}{account}_{id}_{letters}"));
    made.password = Some(password);
    Ok(Made::from(view::Resource::made(made, format!("/api/v1/users/{account}/sudo/{id}"))).private())
}

/// Ends it before its time.
pub(super) async fn delete(
    State(state): State<AdminState>,
    Path((user, id)): Path<(String, String)>,
    params: Params,
) -> Result<NoContent, Problem> {
    let account = state.directory.read(move |reader| resolve::user_id(reader, &user)).await?;
    end(&state, account, id, params.dry_run).await
}

/// What the user sees: who can, and what was done.
pub(super) async fn own(
    State(state): State<AdminState>,
    principal: Principal,
    params: Params,
) -> Result<Json<OwnView>, Problem> {
    let account = principal.own_account()?;
    let records = state.records.clone().ok_or_else(Problem::not_recorded)?;
    let before = params.after.as_deref().map(str::parse).transpose();
    let before = before.map_err(|_| Problem::malformed("“after” is not the “next” of an answer"))?;
    let (mut lines, mut next) = (Vec::new(), None);
    for looking in [false, true] {
        let (subject, looking, limit) = (Some(account), Some(looking), USES_SHOWN);
        let filter = AuditFilter { before, subject, sudo: true, done: true, looking, limit, ..AuditFilter::default() };
        let found = records.audit(filter).await?;
        if found.len() == USES_SHOWN {
            next = next.max(found.last().map(|line| line.number));
        }
        lines.extend(found);
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.number));
    let uses = lines.into_iter().map(|line| UseView {
        at: time(line.at),
        who: line.who,
        method: line.method,
        path: line.path,
        peer: line.peer,
        body: line.body,
    });
    let next = next.map(|number: i64| number.to_string());
    Ok(Json(OwnView { open: open_of(&state, account).await?, uses: uses.collect(), next }))
}

/// The user ends it.
pub(super) async fn delete_own(
    State(state): State<AdminState>,
    principal: Principal,
    Path(id): Path<String>,
    params: Params,
) -> Result<NoContent, Problem> {
    end(&state, principal.own_account()?, id, params.dry_run).await
}

async fn end(state: &AdminState, account: AccountId, id: String, dry_run: bool) -> Result<NoContent, Problem> {
    let asked = id.clone();
    let read = move |reader: &Reader<'_>| {
        let found = reader.app_passwords(account)?.into_iter().map(|found| found.value);
        Ok::<_, Problem>(found.into_iter().any(|found| found.id == asked && found.sudo.is_some()))
    };
    if !state.directory.read(read).await? {
        return Err(Problem::no_such("sudo", &id));
    }
    state.write(Request::DeleteAppPassword { account, id }, dry_run).await?;
    Ok(view::no_content())
}

/// Who comes with a token of this kind; nobody administers with it.
///
/// # Errors
/// [`Problem`] 401 when it is none, or none any more.
pub(super) async fn principal_of(state: &AdminState, text: &str) -> Result<Principal, Problem> {
    // Other nodes write nothing down, and so nobody works as anybody there.
    state.records.as_ref().ok_or_else(Problem::not_recorded)?;
    let mut parts = text.strip_prefix(PREFIX).unwrap_or_default().splitn(3, '_');
    let mut part = || parts.next().map(str::to_owned).ok_or_else(Problem::not_signed_in);
    let (account, id, letters) = (part()?, part()?, part()?);
    let account: AccountId = account.parse().map_err(|_| Problem::not_signed_in())?;
    let hash = hash_of_app_password(&letters).ok_or_else(Problem::not_signed_in)?;
    let now = state.directory.now();
    let read = move |reader: &Reader<'_>| {
        let found = reader.app_passwords(account)?.into_iter().map(|found| found.value).find(|found| found.id == id);
        let found = found.ok_or_else(Problem::not_signed_in)?;
        let same = |kept: &str| blake3::Hash::from_hex(kept).ok() == blake3::Hash::from_hex(&hash).ok();
        let is_good =
            same(found.kept_hash()) && found.expires_at.is_some_and(|at| now < at) && reader.is_open(account)?;
        let sudo = found.sudo.as_ref().filter(|_| is_good).ok_or_else(Problem::not_signed_in)?;
        if !reader.app_password_holds(&found)? {
            return Err(Problem::not_signed_in());
        }
        let entry = reader.entry(account)?.ok_or_else(Problem::not_signed_in)?;
        let user = reader.address_text(&entry.value.entry().address)?.unwrap_or_default();
        let name = format!("{} as {user}", sudo.by);
        let (rights, via) = (Rights::default(), Via::Sudo(found.id.clone()));
        Ok(Principal { name, account: Some(account), rights, via, peer: None })
    };
    let principal = state.directory.read(read).await?;
    if let Via::Sudo(id) = &principal.via
        && !state.memory.sudo_pace.is_within(id, now)
    {
        let (title, detail) = ("Too many requests", format!("{REQUESTS_PER_MINUTE_MAX} in a minute: each is recorded"));
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", title, detail, "Wait a minute."));
    }
    Ok(principal)
}

/// How many requests each token of this kind has made in the present minute.
#[derive(Default)]
pub(super) struct Pace(Mutex<HashMap<String, (i64, u32)>>);

impl Pace {
    /// Counts one more; whether it is within the bound.
    fn is_within(&self, id: &str, now: Timestamp) -> bool {
        let minute = now.0.div_euclid(60_000);
        let mut counts = self.0.lock();
        counts.retain(|_, (of, _)| *of == minute);
        let (_, count) = counts.entry(id.to_owned()).or_insert((minute, 0));
        *count = count.saturating_add(1);
        *count <= REQUESTS_PER_MINUTE_MAX
    }
}

/// Takes away what has ended, or no longer holds; sessions that were opened with it end with it.
pub(super) async fn sweep(state: &AdminState) -> Result<(), Problem> {
    let now = state.directory.now();
    let over = state.directory.read(move |reader: &Reader<'_>| reader.sudos_over(now)).await.map_err(Problem::from)?;
    for (account, id) in over {
        state.directory.submit(Request::DeleteAppPassword { account, id }).await?;
    }
    Ok(())
}

/// What the user finds in the inbox.
struct Notice<'a> {
    by: &'a str,
    to: &'a str,
    reason: &'a str,
    until: Timestamp,
    now: Timestamp,
    lang: Lang,
}

impl Notice<'_> {
    /// Puts it there, past all scripts: who is told must not depend on what they filter.
    async fn leave(&self, state: &AdminState, account: AccountId) -> Result<(), Problem> {
        let content = Content::Inline(Bytes::from(self.composed().map_err(|error| untold(&error.to_string()))?));
        let left = async {
            let handle = state.provision.open(account).await?;
            let path = ["INBOX".to_owned()];
            let inbox = handle.containers_on_path(ContainerKind::Mail, &path).await?;
            let Some(inbox) = inbox.last().map(|found| found.id) else { return Ok(false) };
            let flags = FlagSet::default();
            let item = NewItem { content, summary: None, internal_date: None, flags, name: None, object_uid: None };
            handle.commit(OperationId::random(), vec![Mutation::Append { container: inbox, item }]).await?;
            Ok::<_, AccountError>(true)
        };
        match tokio::time::timeout(NOTICE_WAIT, left).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(untold("the account has no INBOX")),
            Ok(Err(AccountError::Refused(CommitError::OverQuota))) => Err(full()),
            Ok(Err(error)) => Err(untold(&error.to_string())),
            Err(_) => Err(untold("the data server did not answer in time")),
        }
    }

    fn composed(&self) -> std::io::Result<Vec<u8>> {
        let host = self.to.rsplit_once('@').map_or("localhost", |(_, host)| host);
        let until = time(self.until);
        MessageBuilder::new()
            .from(format!("postmaster@{host}"))
            .to(self.to)
            .subject(sterna_web::notices::sudo_subject(self.lang))
            .message_id(format!("{}@{host}", OperationId::random()))
            .date(self.now.seconds())
            .text_body(sterna_web::notices::sudo_text(self.lang, self.by, self.to, self.reason, &until))
            .header("Auto-Submitted", Raw::new("auto-generated"))
            .write_to_vec()
    }
}

fn full() -> Problem {
    let (title, detail) = ("The mailbox is full", "nobody works as somebody who doesn't learn of it, and has no room");
    let remedy = "Raise the quota for a while (sterna user set ADDRESS --quota SIZE), and take it back afterwards.";
    Problem::new(StatusCode::CONFLICT, "mailbox-full", title, detail, remedy)
}

fn untold(cause: &str) -> Problem {
    let (title, remedy) =
        ("The user can't be told", "Try again when the account's data server answers (sterna status).");
    let detail = format!("nobody works as somebody who doesn't learn of it: {cause}");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "user-not-told", title, detail, remedy)
}
