//! `sterna trace`

use clap::Args;
use serde_json::Value;

use super::client::{CliError, path};
use super::exit::Exit;
use super::output;
use super::resource::Session;
use super::{GlobalArgs, Output};

/// What is asked for.
#[derive(Clone, Debug, Args)]
pub struct TraceArgs {
    /// An address (of the sender or of a recipient), a Message-ID, or the id of a message
    text: String,
    /// How far to look back: a number with s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = seconds)]
    since: u64,
    /// Most messages
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Only messages to or from this account
    #[arg(long, value_name = "ADDRESS")]
    account: Option<String>,
}

fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || "a number with s, m, h or d, such as 36h".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(number.saturating_mul(factor))
}

pub(super) async fn run(session: &Session<'_>, global: &GlobalArgs, args: TraceArgs) -> Result<Exit, CliError> {
    let (since, limit) = (args.since.to_string(), args.limit.to_string());
    let parameters = [
        ("text", Some(&*args.text)),
        ("since_seconds", Some(&*since)),
        ("limit", Some(&*limit)),
        ("account", args.account.as_deref()),
    ];
    let answer = session.client.get(&path(&["trace"], &parameters)).await?;
    let messages = answer["messages"].as_array().map_or(&[][..], Vec::as_slice);
    match global.format() {
        Output::Table => print(messages)?,
        _ => drop(session.show(&answer)?),
    }
    for edge in answer["not_asked"].as_array().into_iter().flatten() {
        let name = edge.as_str().unwrap_or_default();
        session.say(&format!("{name} was not asked: look there, or ask the main node when it answers again\n"));
    }
    if messages.is_empty() {
        session.say("nothing is known of it; look further back with --since, or at the log of who sent it\n");
        return Ok(Exit::NothingToDo);
    }
    Ok(Exit::Done)
}

/// A timeline for each message, the latest message first.
fn print(messages: &[Value]) -> Result<(), CliError> {
    for message in messages {
        output::line(&head(message))?;
        for event in message["events"].as_array().into_iter().flatten() {
            output::line(&format!("  {}", line(event)))?;
        }
        output::line("")?;
    }
    Ok(())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn head(message: &Value) -> String {
    let at = text(message, "at");
    let Some(id) = message["id"].as_str() else {
        return format!("{at}  refused at {}", text(message, "edge"));
    };
    let sender = match text(message, "sender") {
        "" => "<>",
        sender => sender,
    };
    let (origin, edge, size) = (text(message, "origin"), text(message, "edge"), &message["size_bytes"]);
    let message_id = message["message_id"].as_str().map(|id| format!("  {id}")).unwrap_or_default();
    format!("{at}  {id}{message_id}\n  from {sender}, handed in by {origin} at {edge}, {size} bytes")
}

fn line(event: &Value) -> String {
    let mut line = format!("{}  {}", text(event, "at"), text(event, "what"));
    let recipient = text(event, "recipient");
    let mut add = |before: &str, text: &str| {
        if !text.is_empty() {
            line.push_str(before);
            line.push_str(text);
        }
    };
    add("  ", recipient);
    let destination = text(event, "destination");
    add(" -> ", if destination.eq_ignore_ascii_case(recipient) { "" } else { destination });
    add(" on ", text(event, "server"));
    add(" by ", text(event, "host"));
    add(": ", text(event, "detail"));
    add("; next try ", text(event, "next"));
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(
            (seconds("90s"), seconds("2m"), seconds("36h"), seconds("7d")),
            (Ok(90), Ok(120), Ok(129_600), Ok(604_800))
        );
        for bad in ["", "d", "7", "7w", "-1d", "é"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_event_is_a_line() {
        let event = json!({
            "at": "T", "what": "deferred", "recipient": "zoe@far.test", "destination": "domain:far.test",
            "host": "mx.far.test", "detail": "450 4.2.1 later", "next": "U",
        });
        assert_eq!(
            line(&event),
            "T  deferred  zoe@far.test -> domain:far.test by mx.far.test: 450 4.2.1 later; next try U"
        );
        let event = json!({
            "at": "T", "what": "delivered", "recipient": "ana@demo.test", "destination": "ana@demo.test",
            "server": "alpha",
        });
        assert_eq!(line(&event), "T  delivered  ana@demo.test on alpha");
    }
}
