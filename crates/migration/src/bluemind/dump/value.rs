//! Values as PostgreSQL writes them: arrays (PostgreSQL manual, 8.15.6), hstore (F.18), booleans and times.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};

/// The elements of `{a,"b c",NULL}`; `None` when it is no array of one dimension.
pub fn array(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let (mut found, mut rest) = (Vec::new(), inner);
    if inner.is_empty() {
        return Some(found);
    }
    loop {
        let (value, is_quoted, after) = element(rest, &[','])?;
        found.push((is_quoted || !value.eq_ignore_ascii_case("NULL")).then_some(value));
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None if after.is_empty() => return Some(found),
            None => return None,
        }
    }
}

/// The elements of an array that are something.
pub fn texts(text: Option<&str>) -> Vec<String> {
    text.and_then(array).unwrap_or_default().into_iter().flatten().collect()
}

/// The pairs of `"a"=>"b", "c"=>NULL`, without those that have no value.
pub fn hstore(text: &str) -> BTreeMap<String, String> {
    let (mut found, mut rest) = (BTreeMap::new(), text.trim_start());
    while let Some((key, _, after)) = element(rest, &['=']).filter(|_| !rest.is_empty()) {
        let Some(after) = after.trim_start().strip_prefix("=>") else { break };
        let Some((value, is_quoted, after)) = element(after.trim_start(), &[',']) else { break };
        if is_quoted || !value.eq_ignore_ascii_case("NULL") {
            found.insert(key, value);
        }
        let Some(after) = after.trim_start().strip_prefix(',') else { break };
        rest = after.trim_start();
    }
    found
}

/// One element, quoted or up to one of these signs; whether it was quoted, and what is left.
fn element<'t>(text: &'t str, ends: &[char]) -> Option<(String, bool, &'t str)> {
    let mut value = String::new();
    let quoted = text.strip_prefix('"');
    let mut signs = quoted.unwrap_or(text).char_indices();
    while let Some((at, sign)) = signs.next() {
        match (sign, quoted) {
            ('\\', _) => value.push(signs.next()?.1),
            ('"', Some(text)) => return Some((value, true, &text[at + 1..])),
            (sign, None) if ends.contains(&sign) => return Some((value.trim_end().to_owned(), false, &text[at..])),
            (sign, _) => value.push(sign),
        }
    }
    quoted.is_none().then(|| (value.trim_end().to_owned(), false, ""))
}

/// `t` or `f`.
pub fn is_true(text: Option<&str>) -> bool {
    text == Some("t")
}

/// `2026-03-29 02:30:00.5`, of no zone.
pub fn time(text: &str) -> Option<DateTime> {
    text.parse().ok()
}

/// `2026-03-29`.
pub fn date(text: &str) -> Option<Date> {
    text.parse().ok()
}
