//! What SEARCH and SORT answer: the plain lists, and the results of RETURN (RFC 4731, 5182, 5267, 9394).

use bytes::BufMut;
use sterna_base::{Modseq, Uid, UidValidity};
use sterna_formats::imap::command::{PartialRange, SearchReturn};
use sterna_formats::imap::write::{self, number};

use super::search::Program;
use crate::imap::picture::Picked;
use crate::imap::reply::Fail;
use crate::imap::session::Session;

/// Writes the answer, and keeps what SAVE asks for. The messages stand in the order of the result: that of the mailbox,
/// or of SORT.
pub fn respond(
    session: &mut Session,
    command: &'static str,
    uid: bool,
    returns: Option<SearchReturn>,
    found: &[Picked],
    scores: Option<Vec<u8>>,
    has_modseq: bool,
) -> Result<(), Fail> {
    let numbers: Vec<u32> = found.iter().map(|picked| if uid { picked.uid.0 } else { picked.sequence }).collect();
    let modseq = highest_modseq(returns, found).filter(|_| has_modseq);
    let is_plain = returns.is_none() && !(command == "SEARCH" && session.enabled.rev2);
    if let Some(returns) = returns.filter(|returns| returns.save) {
        session.selected()?.saved = saved(returns, found);
        if returns == (SearchReturn { save: true, ..SearchReturn::default() }) {
            return Ok(());
        }
    }
    let tag = session.tag.clone();
    let out = &mut session.io.output;
    if is_plain {
        plain(command, &numbers, modseq, out);
    } else {
        let returns = returns.unwrap_or(SearchReturn { all: true, ..SearchReturn::default() });
        correlator(&tag, None, out);
        extended(uid, returns, &numbers, scores.as_deref(), modseq, out);
    }
    Ok(())
}

/// The scores of these messages, in their order, if they are asked for.
pub async fn scores(
    session: &mut Session,
    program: &Program,
    returns: Option<SearchReturn>,
    found: &[Picked],
) -> Result<Option<Vec<u8>>, Fail> {
    if !returns.is_some_and(|returns| returns.relevancy) {
        return Ok(None);
    }
    let scores = program.relevancy(session, found).await?;
    Ok(Some(found.iter().map(|picked| scores.get(&picked.uid).copied().unwrap_or(1)).collect()))
}

/// The same for one of several mailboxes, by UID (RFC 7377 section 2.1).
pub fn of_mailbox(
    session: &mut Session,
    (mailbox, uid_validity): (&str, UidValidity),
    returns: Option<SearchReturn>,
    found: &[Picked],
    scores: Option<Vec<u8>>,
    has_modseq: bool,
) -> Result<(), Fail> {
    let modseq = highest_modseq(returns, found).filter(|_| has_modseq);
    let returns = returns.unwrap_or(SearchReturn { all: true, ..SearchReturn::default() });
    if returns.save {
        session.selected()?.saved = saved(returns, found);
        if returns == (SearchReturn { save: true, ..SearchReturn::default() }) {
            return Ok(());
        }
    }
    let numbers: Vec<u32> = found.iter().map(|picked| picked.uid.0).collect();
    let (tag, utf8) = (session.tag.clone(), session.enabled.utf8);
    let out = &mut session.io.output;
    correlator(&tag, Some((mailbox, uid_validity, utf8)), out);
    extended(true, returns, &numbers, scores.as_deref(), modseq, out);
    Ok(())
}

/// `* ESEARCH (TAG ..)`, with the mailbox where that is not the selected one.
pub fn correlator(tag: &str, of: Option<(&str, UidValidity, bool)>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* ESEARCH (TAG ");
    write::string(tag.as_bytes(), false, out);
    if let Some((mailbox, uid_validity, utf8)) = of {
        out.extend_from_slice(b" MAILBOX ");
        write::mailbox(mailbox, utf8, out);
        out.extend_from_slice(format!(" UIDVALIDITY {uid_validity}").as_bytes());
    }
    out.put_u8(b')');
}

fn plain(command: &str, numbers: &[u32], modseq: Option<Modseq>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* ");
    out.extend_from_slice(command.as_bytes());
    for found in numbers {
        out.put_u8(b' ');
        number(u64::from(*found), out);
    }
    if let Some(modseq) = modseq {
        out.extend_from_slice(format!(" (MODSEQ {modseq})").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn extended(
    uid: bool,
    returns: SearchReturn,
    numbers: &[u32],
    scores: Option<&[u8]>,
    modseq: Option<Modseq>,
    out: &mut Vec<u8>,
) {
    if uid {
        out.extend_from_slice(b" UID");
    }
    let mut end = |name: &str, number: Option<&u32>| {
        if let Some(number) = number {
            out.extend_from_slice(format!(" {name} {number}").as_bytes());
        }
    };
    // The ends of a result of SORT are those of its order (RFC 5267 section 3.1).
    end("MIN", numbers.first().filter(|_| returns.min));
    end("MAX", numbers.last().filter(|_| returns.max));
    if returns.count {
        out.extend_from_slice(format!(" COUNT {}", numbers.len()).as_bytes());
    }
    if returns.all && !numbers.is_empty() {
        out.extend_from_slice(b" ALL ");
        write::sequence_set(numbers.iter().copied(), out);
    }
    if let Some(range) = returns.partial {
        out.extend_from_slice(format!(" PARTIAL ({range} ").as_bytes());
        match slice(range, numbers) {
            [] => out.extend_from_slice(b"NIL"),
            some => write::sequence_set(some.iter().copied(), out),
        }
        out.put_u8(b')');
    }
    if let Some(scores) = scores {
        // Of what PARTIAL shows, when that is asked for instead of ALL.
        let shown = returns.partial.map_or(scores, |range| slice(range, scores));
        out.extend_from_slice(b" RELEVANCY ");
        write::list(shown, out, |score, out| number(u64::from(*score), out));
    }
    if let Some(modseq) = modseq {
        out.extend_from_slice(format!(" MODSEQ {modseq}").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// The part of a result that a range of positions names: from the start, or from the end.
pub fn slice<T>(range: PartialRange, all: &[T]) -> &[T] {
    let clip = |position: u32| (position as usize).min(all.len());
    let (low, high) = (clip(range.low - 1), clip(range.high));
    if range.from_end { &all[all.len() - high..all.len() - low] } else { &all[low..high] }
}

/// Those that the answer names one by one; all when it names all of them, or counts them.
fn named(returns: SearchReturn, found: &[Picked]) -> Option<Vec<Picked>> {
    let SearchReturn { min, max, all, count, partial, .. } = returns;
    if all || count || !(min || max || partial.is_some()) {
        return None;
    }
    let mut named: Vec<Picked> = partial.map(|range| slice(range, found).to_vec()).unwrap_or_default();
    named.extend(found.first().filter(|_| min));
    named.extend(found.last().filter(|_| max));
    Some(named)
}

/// Of the messages that the answer names (RFC 4731 section 3.2).
fn highest_modseq(returns: Option<SearchReturn>, found: &[Picked]) -> Option<Modseq> {
    let named = returns.and_then(|returns| named(returns, found));
    named.as_deref().unwrap_or(found).iter().map(|picked| picked.modseq).max()
}

/// RFC 5182 section 2.1 and RFC 9394 section 3.2: MIN, MAX and PARTIAL save only what they name.
fn saved(returns: SearchReturn, found: &[Picked]) -> Vec<Uid> {
    let named = named(returns, found);
    let mut uids: Vec<Uid> = named.as_deref().unwrap_or(found).iter().map(|picked| picked.uid).collect();
    uids.sort_unstable();
    uids.dedup();
    uids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_from_either_end() {
        let all = [1, 2, 3, 4, 5];
        for (low, high, from_end, expected) in [
            (1, 2, false, &[1, 2][..]),
            (4, 9, false, &[4, 5]),
            (6, 9, false, &[]),
            (1, u32::MAX, false, &all),
            (1, 2, true, &[4, 5]),
            (5, 9, true, &[1]),
            (6, 9, true, &[]),
        ] {
            assert_eq!(slice(PartialRange { low, high, from_end, reversed: false }, &all), expected, "{low}:{high}");
        }
    }
}
