//! What `sync_client` tells: mailboxes and their records.

use super::arrive::{ArriveError, Arriving};
use super::dlist::{Malformed, Value};
use super::doors::Arrival;
use super::mailbox::{Mailbox, Record};
use super::mirror::{Fact, Known, sums};
use super::names::{self, Name};
use super::session::{Reply, Session};
use super::users;
use crate::target::folders::Folders;

/// GUIDs of one RESERVE; `sync_client` asks for 8192.
const GUIDS_MAX: usize = 100_000;

impl From<ArriveError> for Reply {
    fn from(error: ArriveError) -> Self {
        tracing::warn!(%error, "a mailbox of the old server was not brought");
        match error {
            ArriveError::NoSuchMessage(_) | ArriveError::Changed(_) => Reply::CHECKSUM,
            _ => Reply::IO,
        }
    }
}

/// Does what is told.
///
/// # Errors
/// What to say instead.
pub async fn run(session: &mut Session<'_>, what: &str, argument: Option<&Value>) -> Result<(), Reply> {
    if what == "FORCE" {
        return Err(Reply::PROTOCOL);
    }
    let argument = argument.ok_or(Reply::PROTOCOL)?;
    match what.strip_prefix("LOCAL_").unwrap_or(what) {
        // Nothing is enabled: scripts come one by one, and mailboxes go by their names.
        "CAPABILITIES" => {
            session.untagged("ENABLED", b"()");
            Ok(())
        }
        // Their contents were taken while they came.
        "MESSAGE" => Ok(()),
        "RESERVE" => reserve(session, argument).await,
        "MAILBOX" => mailbox(session, argument).await,
        "RENAME" => rename(session, argument).await,
        "UNMAILBOX" => delete(session, &argument.text()).await,
        "EXPUNGE" => expunge(session, argument).await,
        "ANNOTATION" | "UNANNOTATION" => annotation(session, argument, what == "ANNOTATION").await,
        "QUOTA" | "UNQUOTA" | "SUB" | "UNSUB" | "SEEN" | "SIEVE" | "UNSIEVE" | "ACTIVATE_SIEVE"
        | "UNACTIVATE_SIEVE" | "UNUSER" => users::run(session, what, argument).await,
        _ => Err(Reply::PROTOCOL),
    }
}

/// The account of a user, into which something may be brought.
pub async fn arrival(session: &Session<'_>, user: &str) -> Result<Arrival, Reply> {
    let arrival = session.users.arrival(user).await.map_err(|cause| {
        tracing::warn!(user, cause, "a user of the old server has no account here");
        Reply::NO_USER
    })?;
    if !arrival.is_closed {
        let address = &arrival.address;
        tracing::warn!(user, address, "the old server tells of a user who works here already: nothing is brought");
        return Err(Reply::NOT_ALLOWED);
    }
    Ok(arrival)
}

/// Which messages are there already.
async fn reserve(session: &mut Session<'_>, argument: &Value) -> Result<(), Reply> {
    let guids = argument.get("GUID").ok_or(Reply::PROTOCOL)?.list();
    if guids.len() > GUIDS_MAX {
        return Err(Reply::PROTOCOL);
    }
    let mut owners: Vec<String> = Vec::new();
    for name in argument.get("MBOXNAME").map_or(&[][..], Value::list) {
        owners.extend(names::read(&name.text()).map(|name| name.user()));
    }
    owners.sort_unstable();
    owners.dedup();
    let mut missing = Vec::new();
    for guid in guids.iter().map(|guid| guid.text().to_ascii_lowercase()) {
        let mut is_here = session.staging.get(&guid)?.is_some();
        // A batch may be of several users: each account needs its own.
        if !is_here && owners.len() == 1 {
            is_here = session.mirror.content(&owners[0], &guid).await?.is_some();
        }
        if !is_here {
            missing.push(guid.into_bytes());
        }
    }
    session.untagged("MISSING", &super::mailbox::list(missing.into_iter()));
    Ok(())
}

/// A mailbox as it is now, with the records that changed.
async fn mailbox(session: &mut Session<'_>, argument: &Value) -> Result<(), Reply> {
    let mut told = Mailbox::read(argument)?;
    let records = argument.get("RECORD").map_or(&[][..], Value::list);
    let records: Vec<Record> = records.iter().map(Record::read).collect::<Result<_, Malformed>>()?;
    let name = names::read(&told.name).ok_or(Reply::PROTOCOL)?;
    let known = session.mirror.mailbox(&told.unique_id).await?;
    let is_elsewhere = match &known {
        Some(known) => known.mailbox.name != told.name,
        None => session.mirror.named(&told.name).await?.is_some(),
    };
    if is_elsewhere {
        return Err(Reply::MOVED);
    }
    // First the sums: what doesn't agree must not come into the account.
    let before = session.mirror.records(&told.unique_id, Some(records.iter().map(|one| one.uid).collect())).await?;
    let mut after = known.as_ref().map_or_else(Default::default, |known| super::crc::Sums {
        basic: known.mailbox.sums.0,
        annotations: known.mailbox.sums.1,
    });
    if argument.get("SINCE_MODSEQ").is_some() {
        let small = |key| u32::try_from(argument.number_or_zero(key)?).map_err(|_| Malformed(key));
        let (basic, annotations) = (small("SINCE_CRC")?, small("SINCE_CRC_ANNOT")?);
        let since = argument.number_of("SINCE_MODSEQ")?;
        let is_same = known.as_ref().is_some_and(|known| known.mailbox.highest_modseq == since);
        if !is_same || !after.agree(basic, annotations) {
            return Err(Reply::CHECKSUM);
        }
    }
    before.iter().for_each(|record| after.toggle(record));
    records.iter().for_each(|record| after.toggle(record));
    if !after.agree(told.sums.0, told.sums.1) {
        return Err(Reply::CHECKSUM);
    }
    told.sums = (after.basic, after.annotations);
    let arrival = arrival(session, &name.user()).await?;
    let container = bring(session, &arrival, &name, &told, &records, known.as_ref()).await?;
    session.mirror.put(Known { mailbox: told, user: name.user(), container }, records).await?;
    session.staging_is_old = true;
    Ok(())
}

async fn bring(
    session: &Session<'_>,
    arrival: &Arrival,
    name: &Name,
    told: &Mailbox,
    records: &[Record],
    known: Option<&Known>,
) -> Result<Option<sterna_base::ContainerId>, Reply> {
    if name.is_deleted {
        return Ok(None);
    }
    let user = name.user();
    if name.is_special() {
        if told.last_uid > 0 {
            session.mirror.trouble(&user, format!("{}: it is no mailbox of mail, and stays behind", told.name)).await?;
        }
        return Ok(None);
    }
    let arriving = arriving(session, arrival, &user);
    let known = known.and_then(|known| known.container);
    let Some(id) = arriving.folder(name, told, known).await? else { return Ok(None) };
    arriving.records(id, told, records).await?;
    Ok(Some(id))
}

fn arriving<'a>(session: &'a Session<'_>, arrival: &'a Arrival, user: &'a str) -> Arriving<'a> {
    Arriving { arrival, user, mirror: session.mirror, users: session.users, staging: &session.staging }
}

/// A mailbox has another name; below `DELETED` it is only kept until it expires, and is deleted here.
async fn rename(session: &mut Session<'_>, argument: &Value) -> Result<(), Reply> {
    let (old, new) = (argument.text_of("OLDMBOXNAME")?, argument.text_of("NEWMBOXNAME")?);
    let mut known = session.mirror.named(&old).await?.ok_or(Reply::NO_MAILBOX)?;
    if old == new {
        return Ok(());
    }
    if session.mirror.named(&new).await?.is_some() {
        return Err(Reply::EXISTS);
    }
    let name = names::read(&new).ok_or(Reply::PROTOCOL)?;
    if known.user != name.user() {
        tracing::warn!(old, new, "a mailbox becomes somebody else's at the old server: it is brought anew");
        let arrival = arrival(session, &known.user).await?;
        if let Some(id) = known.container {
            arriving(session, &arrival, &known.user).delete(id).await?;
        }
        return Ok(session.mirror.forget(&known.mailbox.unique_id).await?);
    }
    let arrival = arrival(session, &known.user).await?;
    if let Some(id) = known.container {
        if name.is_deleted {
            arriving(session, &arrival, &known.user).delete(id).await?;
            known.container = None;
        } else {
            let account = arrival.account.as_ref();
            let mut folders = Folders::of(account).await.map_err(ArriveError::Account)?;
            let path = name.target().ok_or(Reply::NO_NAME)?;
            // What was below the old name is there already when its parent went before it.
            folders.rename(id, &path).await.map_err(ArriveError::Account)?;
        }
    }
    known.mailbox.name = new;
    if argument.get("PARTITION").is_some() {
        known.mailbox.partition = argument.text_of("PARTITION")?;
    }
    if argument.get("UIDVALIDITY").is_some() {
        known.mailbox.uid_validity = argument.small_of("UIDVALIDITY")?;
    }
    if name.is_deleted {
        known.mailbox.quota_root = None;
    }
    Ok(session.mirror.put(known, Vec::new()).await?)
}

async fn delete(session: &mut Session<'_>, name: &str) -> Result<(), Reply> {
    let known = session.mirror.named(name).await?.ok_or(Reply::NO_MAILBOX)?;
    if let Some(id) = known.container {
        let arrival = arrival(session, &known.user).await?;
        arriving(session, &arrival, &known.user).delete(id).await?;
    }
    Ok(session.mirror.forget(&known.mailbox.unique_id).await?)
}

/// Records that are expunged without their mailbox being told.
async fn expunge(session: &mut Session<'_>, argument: &Value) -> Result<(), Reply> {
    let known = session.mirror.named(&argument.text_of("MBOXNAME")?).await?.ok_or(Reply::NO_MAILBOX)?;
    let uids = argument.get("UID").ok_or(Reply::PROTOCOL)?.list().iter();
    let uids: Vec<u32> = uids.filter_map(|uid| uid.text().parse().ok()).collect();
    let mut records = session.mirror.records(&known.mailbox.unique_id, Some(uids)).await?;
    records.retain(|record| !record.is_expunged());
    records.iter_mut().for_each(|record| record.flags.push("\\Expunged".to_owned()));
    let arrival = arrival(session, &known.user).await?;
    if let Some(id) = known.container {
        arriving(session, &arrival, &known.user).records(id, &known.mailbox, &records).await?;
    }
    let unique_id = known.mailbox.unique_id.clone();
    session.mirror.put(known.clone(), records).await?;
    let all = session.mirror.records(&unique_id, None).await?;
    let sums = sums(all.iter());
    let mailbox = Mailbox { sums: (sums.basic, sums.annotations), ..known.mailbox.clone() };
    Ok(session.mirror.put(Known { mailbox, ..known }, Vec::new()).await?)
}

/// An annotation of a mailbox, without its mailbox being told.
async fn annotation(session: &mut Session<'_>, argument: &Value, is_set: bool) -> Result<(), Reply> {
    let mut known = session.mirror.named(&argument.text_of("MBOXNAME")?).await?.ok_or(Reply::NO_MAILBOX)?;
    let (entry, user) = (argument.text_of("ENTRY")?, argument.get("USERID").map(Value::text).unwrap_or_default());
    known.mailbox.annotations.retain(|known| known.entry != entry || known.user != user);
    if is_set {
        let value = argument.get("VALUE").and_then(Value::bytes).map(|bytes| bytes.to_vec()).unwrap_or_default();
        known.mailbox.annotations.push(super::mailbox::Annotation { entry, user, modseq: 0, value });
    }
    let arrival = arrival(session, &known.user).await?;
    if let Some(id) = known.container {
        arriving(session, &arrival, &known.user).records(id, &known.mailbox, &[]).await?;
    }
    Ok(session.mirror.put(known, Vec::new()).await?)
}

/// Whether something of a user could not be brought.
pub async fn troubles(session: &Session<'_>, user: &str) -> Result<usize, Reply> {
    Ok(session.mirror.facts(Fact::Trouble, user).await?.len())
}
