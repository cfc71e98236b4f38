//! Which parts a message has, by its BODYSTRUCTURE.

use super::wire::{Response, Value};

/// What a number of a part leads to.
#[derive(PartialEq, Eq)]
pub enum Place {
    Nothing,
    Leaf,
    /// A multipart, or a message with parts of its own.
    Nested,
}

/// What a number leads to in a structure, as [`Value::canonical`] shows it (RFC 9051 section 6.4.5).
pub fn place(structure: &str, numbers: &[usize]) -> Place {
    let root = parsed(structure);
    let is = |numbers: &[usize]| root.as_ref().is_some_and(|root| is_in(root, numbers));
    match (is(numbers), is(&[numbers, &[1]].concat())) {
        (false, _) => Place::Nothing,
        (true, false) => Place::Leaf,
        (true, true) => Place::Nested,
    }
}

/// Whether two structures are the same but for the line end before a boundary: it belongs to the boundary (RFC 2046
/// section 5.1.1), and Dovecot counts it with messages that end with a multipart.
pub fn alike(sterna: &str, dovecot: &str) -> bool {
    parsed(sterna).zip(parsed(dovecot)).is_some_and(|(sterna, dovecot)| same(&sterna, &dovecot))
}

fn parsed(structure: &str) -> Option<Value> {
    Response::parse(format!("STRUCTURE {structure}\r\n").as_bytes()).values.get(1).cloned()
}

fn same(sterna: &Value, dovecot: &Value) -> bool {
    const SIZE: usize = 6;
    const LINES: usize = 9;
    let (Value::List(ours), Value::List(theirs)) = (sterna, dovecot) else { return sterna == dovecot };
    let more = |at: usize, by: u64| theirs[at].number() == ours[at].number().map(|number| number + by);
    let is_longer = is_message(sterna) && is_message(dovecot) && more(SIZE, 2) && more(LINES, 1);
    ours.len() == theirs.len()
        && (0..ours.len()).all(|at| is_longer && (at == SIZE || at == LINES) || same(&ours[at], &theirs[at]))
}

/// The parts of a part: those of a multipart, of the message inside, or its one text.
fn is_in(part: &Value, numbers: &[usize]) -> bool {
    let Some((first, deeper)) = numbers.split_first() else { return true };
    match children(part) {
        Some(children) => children.get(first - 1).is_some_and(|child| below(child, deeper)),
        None => *first == 1 && below(part, deeper),
    }
}

/// What a part that a number led to contains: only multiparts and messages have parts of their own.
fn below(part: &Value, numbers: &[usize]) -> bool {
    match (numbers.is_empty(), children(part), is_message(part)) {
        (true, ..) => true,
        (false, Some(_), _) => is_in(part, numbers),
        (false, None, true) => is_in(&part.list()[8], numbers),
        (false, None, false) => false,
    }
}

fn is_message(part: &Value) -> bool {
    part.list().first() == Some(&Value::Text(b"message".to_vec()))
        && part.list().get(8).is_some_and(|body| matches!(body, Value::List(_)))
}

/// The parts of a multipart.
fn children(part: &Value) -> Option<&[Value]> {
    let count = part.list().iter().take_while(|value| matches!(value, Value::List(_))).count();
    (count > 0).then(|| &part.list()[..count])
}
