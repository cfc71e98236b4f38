//! What `sync_client` tells about users besides their mailboxes: quotas, subscriptions, scripts, what they have seen.

use bytes::Bytes;
use sterna_account::first_containers::{SUBSCRIPTIONS, subscription};
use sterna_account::scripts::{self, ScriptLimits};
use sterna_account::{ContainerKind, Mutation, container_named};
use sterna_base::OperationId;

use super::apply::arrival;
use super::arrive::ArriveError;
use super::dlist::{MapWriter, Value};
use super::get::quota_owner;
use super::mirror::Fact;
use super::names;
use super::session::{Reply, Session};
use super::staging::sha1;
use crate::target::folders::Folders;

/// Scripts are taken as they are: they ran there.
const LIMITS: ScriptLimits =
    ScriptLimits { script_bytes: scripts::SCRIPT_BYTES_MAX, scripts: scripts::SCRIPTS_MAX as u64 };

/// What Cyrus appends to the names of scripts.
const ENDING: &str = ".script";

/// Does what is told.
///
/// # Errors
/// What to say instead.
pub async fn run(session: &mut Session<'_>, what: &str, argument: &Value) -> Result<(), Reply> {
    let user = || argument.text_of("USERID");
    match what {
        "QUOTA" => {
            let root = argument.text_of("ROOT")?;
            let Value::Map(pairs) = argument else { return Err(Reply::PROTOCOL) };
            let map = pairs
                .iter()
                .fold(MapWriter::default(), |map, (key, value)| map.text(&String::from_utf8_lossy(key), value.text()));
            Ok(session.mirror.set_fact(Fact::Quota, &quota_owner(&root), &root, Some(map.end())).await?)
        }
        "UNQUOTA" => {
            let root = argument.text_of("ROOT").unwrap_or_else(|_| argument.text());
            Ok(session.mirror.set_fact(Fact::Quota, &quota_owner(&root), &root, None).await?)
        }
        "SUB" | "UNSUB" => subscribe(session, &user()?, &argument.text_of("MBOXNAME")?, what == "SUB").await,
        "SEEN" => {
            let mut map = MapWriter::default().text("UNIQUEID", argument.text_of("UNIQUEID")?);
            for key in ["LASTREAD", "LASTUID", "LASTCHANGE"] {
                map = map.number(key, argument.number_of(key)?);
            }
            let body = map.text("SEENUIDS", argument.text_of("SEENUIDS")?).end();
            Ok(session.mirror.set_fact(Fact::Seen, &user()?, &argument.text_of("UNIQUEID")?, Some(body)).await?)
        }
        "SIEVE" => put_script(session, &user()?, argument).await,
        "UNSIEVE" => {
            let (user, file) = (user()?, argument.text_of("FILENAME")?);
            let arrival = arrival(session, &user).await?;
            let account = arrival.account.as_ref();
            match scripts::delete(account, script_name(&file)).await {
                Err(scripts::ScriptError::Active) => {
                    scripts::activate(account, None).await.map_err(|error| script_reply(&error))?;
                    scripts::delete(account, script_name(&file)).await.map_err(|error| script_reply(&error))?;
                }
                Ok(()) | Err(scripts::ScriptError::NoSuchScript) => {}
                Err(error) => return Err(script_reply(&error)),
            }
            Ok(session.mirror.set_fact(Fact::Script, &user, &file, None).await?)
        }
        "ACTIVATE_SIEVE" => activate(session, &user()?, Some(argument.text_of("FILENAME")?)).await,
        "UNACTIVATE_SIEVE" => activate(session, &user()?, None).await,
        // Accounts are deleted by administrators of this server only.
        "UNUSER" => {
            let user = argument.text();
            tracing::warn!(user, "the old server deleted a user; the account here stays");
            for known in session.mirror.mailboxes(&user).await? {
                session.mirror.forget(&known.mailbox.unique_id).await?;
            }
            Ok(())
        }
        _ => Err(Reply::PROTOCOL),
    }
}

async fn subscribe(session: &mut Session<'_>, user: &str, mailbox: &str, is_on: bool) -> Result<(), Reply> {
    let name = names::read(mailbox).ok_or(Reply::PROTOCOL)?;
    if name.user() == user && !name.is_special() && !name.is_deleted {
        let arrival = arrival(session, user).await?;
        let account = arrival.account.as_ref();
        let known = session.mirror.named(mailbox).await?.and_then(|known| known.container);
        let path = match known {
            Some(id) => Some(Folders::of(account).await.map_err(ArriveError::Account)?.path(id)),
            None => name.target().map(|path| path.join("/")),
        };
        if let Some(path) = path {
            let container = container_named(account, ContainerKind::Subscriptions, SUBSCRIPTIONS).await;
            let container = container.map_err(ArriveError::Account)?.id;
            let step = match is_on {
                true => subscription(container, path),
                false => Mutation::Remove { container, name: path },
            };
            account.commit(OperationId::random(), vec![step]).await.map_err(ArriveError::Account)?;
        }
    }
    let body = is_on.then(Vec::new);
    Ok(session.mirror.set_fact(Fact::Subscription, user, mailbox, body).await?)
}

fn script_name(file: &str) -> &str {
    file.strip_suffix(ENDING).unwrap_or(file)
}

fn script_reply(error: &scripts::ScriptError) -> Reply {
    tracing::warn!(%error, "a script of the old server was not brought");
    Reply::IO
}

async fn put_script(session: &mut Session<'_>, user: &str, argument: &Value) -> Result<(), Reply> {
    let (file, updated) = (argument.text_of("FILENAME")?, argument.number_of("LAST_UPDATE")?);
    let content = argument.get("CONTENT").and_then(Value::bytes).cloned().ok_or(Reply::PROTOCOL)?;
    // The compiled form is made anew where it is needed.
    if !file.ends_with(ENDING) {
        return Ok(());
    }
    let arrival = arrival(session, user).await?;
    let text = content.clone();
    scripts::put(arrival.account.as_ref(), script_name(&file), text, LIMITS)
        .await
        .map_err(|error| script_reply(&error))?;
    let body = fact(&file, updated, &content, is_active(session, user, &file).await?);
    Ok(session.mirror.set_fact(Fact::Script, user, &file, Some(body)).await?)
}

fn fact(file: &str, updated: u64, content: &Bytes, is_active: bool) -> Vec<u8> {
    let map = MapWriter::default().text("FILENAME", file).number("LAST_UPDATE", updated);
    map.text("GUID", sha1(content)).number("ISACTIVE", u64::from(is_active)).end()
}

async fn is_active(session: &Session<'_>, user: &str, file: &str) -> Result<bool, Reply> {
    let all = session.mirror.facts(Fact::Script, user).await?;
    let found = all.into_iter().find(|(name, _)| name == file);
    Ok(found.is_some_and(|(_, body)| body.ends_with(b"ISACTIVE 1)")))
}

async fn activate(session: &mut Session<'_>, user: &str, file: Option<String>) -> Result<(), Reply> {
    // Cyrus names the compiled form, or neither.
    let name = file.as_deref().map(|file| file.strip_suffix(".bc").map_or(script_name(file), script_name).to_owned());
    let arrival = arrival(session, user).await?;
    let activated = scripts::activate(arrival.account.as_ref(), name.as_deref()).await;
    activated.map_err(|error| script_reply(&error))?;
    let wanted = name.map(|name| format!("{name}{ENDING}"));
    for (file, body) in session.mirror.facts(Fact::Script, user).await? {
        let text = String::from_utf8_lossy(&body).into_owned();
        let start = text.trim_end_matches(['0', '1', ')']).to_owned();
        let body = format!("{start}{})", u8::from(Some(&file) == wanted.as_ref()));
        session.mirror.set_fact(Fact::Script, user, &file, Some(body.into_bytes())).await?;
    }
    Ok(())
}

/// A script's text.
///
/// # Errors
/// What to say instead.
pub async fn script(session: &Session<'_>, user: &str, file: &str) -> Result<Option<Bytes>, Reply> {
    let arrival = session.users.arrival(user).await.map_err(|_| Reply::NO_USER)?;
    let found = scripts::text(arrival.account.as_ref(), script_name(file)).await;
    found.map_err(|error| ArriveError::Account(error).into())
}
