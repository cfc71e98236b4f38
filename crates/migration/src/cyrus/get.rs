//! What `sync_client` asks: answered from the mirror, as it was told before.

use super::dlist::{MapWriter, Value, put_atom};
use super::mailbox::list;
use super::mirror::{Fact, Known};
use super::session::{Reply, Session};

/// Answers a question.
///
/// # Errors
/// What to say instead.
pub async fn run(session: &mut Session<'_>, what: &str, argument: Option<&Value>) -> Result<(), Reply> {
    let argument = argument.ok_or(Reply::PROTOCOL)?;
    match what {
        "USER" => user(session, &argument.text()).await,
        "META" => meta(session, &argument.text()).await,
        "MAILBOXES" => {
            for name in argument.list().iter().map(Value::text) {
                let found = session.mirror.named(&name).await?;
                found.iter().for_each(|known| session.untagged("MAILBOX", &known.mailbox.write(None)));
            }
            Ok(())
        }
        "UNIQUEIDS" => {
            for id in argument.list().iter().map(Value::text) {
                let found = session.mirror.mailbox(&id).await?;
                found.iter().for_each(|known| session.untagged("MAILBOX", &known.mailbox.write(None)));
            }
            Ok(())
        }
        "FULLMAILBOX" => {
            let known = session.mirror.named(&argument.text()).await?.ok_or(Reply::NO_MAILBOX)?;
            let records = session.mirror.records(&known.mailbox.unique_id, None).await?;
            session.untagged("MAILBOX", &known.mailbox.write(Some(&records)));
            Ok(())
        }
        "QUOTA" => {
            let root = argument.text();
            let found = session.mirror.facts(Fact::Quota, &quota_owner(&root)).await?;
            let found = found.into_iter().find(|(name, _)| *name == root).ok_or(Reply::NO_QUOTA)?;
            session.untagged("QUOTA", &found.1);
            Ok(())
        }
        "SIEVE" => scripts(session, &argument.text()).await,
        // Annotations of mailboxes come with these.
        "ANNOTATION" => {
            let known = session.mirror.named(&argument.text()).await?.ok_or(Reply::NO_MAILBOX)?;
            for annotation in &known.mailbox.annotations {
                let map = MapWriter::default().text("MBOXNAME", &known.mailbox.name).text("ENTRY", &annotation.entry);
                let map = map.text("USERID", &annotation.user).text("VALUE", &annotation.value);
                session.untagged("ANNOTATION", &map.end());
            }
            Ok(())
        }
        "FETCH_SIEVE" => {
            let (user, name) = (argument.text_of("USERID")?, argument.text_of("FILENAME")?);
            let script = super::users::script(session, &user, &name).await?.ok_or(Reply::NO_MAILBOX)?;
            let mut out = Vec::new();
            put_atom(&mut out, &script);
            session.untagged("SIEVE", &out);
            Ok(())
        }
        _ => Err(Reply::PROTOCOL),
    }
}

/// Where a quota root's user is noted.
pub fn quota_owner(root: &str) -> String {
    super::names::read(root).map(|name| name.user()).unwrap_or_default()
}

async fn user(session: &mut Session<'_>, user: &str) -> Result<(), Reply> {
    let known: Vec<Known> = session.mirror.mailboxes(user).await?;
    known.iter().for_each(|known| session.untagged("MAILBOX", &known.mailbox.write(None)));
    for (_, body) in session.mirror.facts(Fact::Quota, user).await? {
        session.untagged("QUOTA", &body);
    }
    scripts(session, user).await?;
    meta(session, user).await
}

async fn scripts(session: &mut Session<'_>, user: &str) -> Result<(), Reply> {
    for (_, body) in session.mirror.facts(Fact::Script, user).await? {
        session.untagged("SIEVE", &body);
    }
    Ok(())
}

async fn meta(session: &mut Session<'_>, user: &str) -> Result<(), Reply> {
    for (_, body) in session.mirror.facts(Fact::Seen, user).await? {
        session.untagged("SEEN", &body);
    }
    let subscribed = session.mirror.facts(Fact::Subscription, user).await?;
    if !subscribed.is_empty() {
        let names = subscribed.into_iter().map(|(name, _)| {
            let mut out = Vec::new();
            put_atom(&mut out, name.as_bytes());
            out
        });
        session.untagged("LSUB", &list(names));
    }
    Ok(())
}
