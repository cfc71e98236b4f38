//! `spamtest` and `virustest` (RFC 5235): what filters wrote into the header. Whoever filters must take such fields of
//! strangers away first, as all that write them do.

use sieve::{SpamStatus, VirusStatus};
use sterna_formats::mail::{Field, fields};

/// The score at which filters call a message spam, when they don't say.
const REQUIRED: f64 = 5.0;

/// What the fields say; unknown when there are none.
pub fn status(message: &[u8]) -> (SpamStatus, VirusStatus) {
    let (mut spam, mut virus) = (SpamStatus::Unknown, VirusStatus::Unknown);
    for field in fields(message) {
        spam = of_spam(&field).unwrap_or(spam);
        virus = of_virus(&field).unwrap_or(virus);
    }
    (spam, virus)
}

fn of_spam(field: &Field<'_>) -> Option<SpamStatus> {
    let value = || String::from_utf8_lossy(&field.unfolded()).to_ascii_lowercase();
    if field.is(b"X-Spam-Flag") {
        return Some(if value().starts_with("yes") { SpamStatus::Spam } else { SpamStatus::Ham });
    }
    if field.is(b"X-Spam-Status") {
        let value = value();
        // Filters that refuse mail at one score and mark it at another tell the former.
        if value.starts_with("yes") {
            return Some(SpamStatus::Spam);
        }
        let required = number_after(&value, "required=").unwrap_or(REQUIRED);
        return Some(match number_after(&value, "score=") {
            Some(score) => of_score(score, required),
            None => SpamStatus::Ham,
        });
    }
    if field.is(b"X-Spamd-Result") {
        // `default: False [3.20 / 15.00];`
        let value = value();
        let inside = value.split_once('[').and_then(|(_, rest)| rest.split_once(']'))?.0;
        let (score, required) = inside.split_once('/')?;
        return Some(of_score(score.trim().parse().ok()?, required.trim().parse().ok()?));
    }
    None
}

fn of_virus(field: &Field<'_>) -> Option<VirusStatus> {
    if !field.is(b"X-Virus-Status") && !field.is(b"X-Virus-Scan") {
        return None;
    }
    let value = String::from_utf8_lossy(&field.unfolded()).to_ascii_lowercase();
    let is_clean = value.starts_with("clean") || value.starts_with("no");
    Some(if is_clean { VirusStatus::Clean } else { VirusStatus::Virus })
}

fn of_score(score: f64, required: f64) -> SpamStatus {
    if score <= 0.0 || required <= 0.0 {
        return SpamStatus::Ham;
    }
    if score >= required { SpamStatus::Spam } else { SpamStatus::MaybeSpam(score / required) }
}

fn number_after(value: &str, name: &str) -> Option<f64> {
    let rest = &value[value.find(name)? + name.len()..];
    let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(rest.len());
    rest[..end].parse().ok()
}
