//! What a script says by itself, before the interpreter reads it: the interpreter passes over some of what RFC 5228
//! and its extensions ask for, as the comparison with Debian's Pigeonhole shows (`tests/pigeonhole.rs`).
//!
//! - `require` stands before everything else (RFC 5228 section 3.2), also for comparators (section 2.7.3);
//! - `vacation-seconds` brings `vacation` with it (RFC 6131 section 2), and `ihave` what it asks for (RFC 5463 section
//!   4);
//! - without `variables` a `${` is text, and with it match variables are known everywhere (RFC 5229 section 3);
//! - a variable that a block sets is there after it (RFC 5229 section 3).

use std::collections::BTreeSet;

use serde_json::Value;
use sterna_account::service::ScriptFault;

use super::matches;
use super::program::EXTENSIONS;
use super::words::{self, Kind, Token};

/// Stands in a `${` that is text while the interpreter reads it: a character that no program writes.
const TEXT_MARK: &str = "\u{10FFFD}";

/// Comparators that need no `require`.
const COMPARATORS_KNOWN: [&str; 2] = ["i;octet", "i;ascii-casemap"];

/// Commands that set a variable: their first string is its name.
const SETTING: [&str; 2] = ["set", "extracttext"];

/// What a script asks for.
#[derive(Default)]
struct Asked<'a> {
    required: BTreeSet<&'a str>,
    /// By `ihave`.
    wanted: BTreeSet<&'a str>,
    comparators: Vec<(&'a str, usize)>,
    /// Variables that commands set, and those that scripts share (RFC 6609 section 3.4).
    set: BTreeSet<String>,
    global: BTreeSet<String>,
}

impl Asked<'_> {
    fn has(&self, name: &str) -> bool {
        self.required.contains(name) || self.wanted.contains(name)
    }
}

/// The script as the interpreter understands it, with every line where it was.
///
/// # Errors
/// What is wrong with it.
pub fn prepare(text: &[u8]) -> Result<Vec<u8>, ScriptFault> {
    let tokens: Vec<Token<'_>> = words::tokens(text).collect();
    let asked = asked(&tokens)?;
    for (name, line) in &asked.comparators {
        let extension = format!("comparator-{name}");
        if !COMPARATORS_KNOWN.contains(name) && !asked.has(&extension) {
            let text = format!("The comparator \"{name}\" needs require \"{extension}\"");
            return Err(ScriptFault { line: *line as u64, text });
        }
    }
    let mut more: Vec<&str> = asked.wanted.difference(&asked.required).copied().collect();
    more.retain(|name| EXTENSIONS.contains(name));
    if asked.has("vacation-seconds") && !asked.has("vacation") {
        more.push("vacation");
    }
    let mut prepared = Vec::with_capacity(text.len() + matches::TEST.len());
    if asked.has("variables") {
        prepared.extend_from_slice(matches::TEST.as_bytes());
        // The interpreter gives a variable to the block that sets it first.
        let own: Vec<&String> = asked.set.difference(&asked.global).collect();
        if !own.is_empty() {
            prepared.extend_from_slice(b"require \"variables\"; ");
        }
        for name in own {
            prepared.extend_from_slice(format!("set \"{name}\" \"\"; ").as_bytes());
        }
    }
    for name in more {
        prepared.extend_from_slice(format!("require \"{name}\"; ").as_bytes());
    }
    let is_encoded = asked.has("encoded-character");
    for token in &tokens {
        if token.kind == Kind::Text && !asked.has("variables") {
            without_variables(token.text, is_encoded, &mut prepared);
        } else {
            prepared.extend_from_slice(token.text);
        }
    }
    Ok(prepared)
}

/// Undoes in a compiled script, or in what is said of it, what [`prepare`] has put into texts.
pub fn restore(program: &mut Value) {
    match program {
        Value::String(text) if text.contains(TEXT_MARK) => *text = text.replace(TEXT_MARK, ""),
        Value::Array(elements) => elements.iter_mut().for_each(restore),
        Value::Object(members) => members.values_mut().for_each(restore),
        _ => {}
    }
}

/// See [`restore`].
pub fn restored(said: &str) -> String {
    said.replace(TEXT_MARK, "")
}

fn asked<'a>(tokens: &[Token<'a>]) -> Result<Asked<'a>, ScriptFault> {
    let mut asked = Asked::default();
    let (mut is_start, mut is_past_require) = (true, false);
    // Whose strings come.
    let mut list: Option<&str> = None;
    let mut before: Option<&Token<'a>> = None;
    for token in tokens.iter().filter(|token| token.kind != Kind::Blank) {
        let word = token.word();
        match token.kind {
            Kind::Word if is_start && word.eq_ignore_ascii_case("require") => {
                if is_past_require {
                    let text = "\"require\" must stand before all other commands".to_owned();
                    return Err(ScriptFault { line: token.line as u64, text });
                }
                list = Some("require");
            }
            Kind::Word => {
                is_past_require |= is_start;
                let is_tag = before.is_some_and(|before| before.text == b":");
                list = match () {
                    () if is_start && SETTING.iter().any(|known| word.eq_ignore_ascii_case(known)) => Some("set"),
                    () if is_start && word.eq_ignore_ascii_case("global") => Some("global"),
                    // `set :lower "name"`, `extracttext :first 10 "name"`
                    () if is_tag && list == Some("set") => list,
                    () if list == Some("set") && word.bytes().all(|byte| byte.is_ascii_digit()) => list,
                    () if word.eq_ignore_ascii_case("ihave") => Some("ihave"),
                    () if is_tag && word.eq_ignore_ascii_case("comparator") => Some("comparator"),
                    () => None,
                };
            }
            Kind::Text => match list {
                Some("require") => drop(asked.required.insert(token.quoted())),
                Some("ihave") => drop(asked.wanted.insert(token.quoted())),
                Some("set") => {
                    asked.set.extend(variable(token.quoted()));
                    list = None;
                }
                Some("global") => asked.global.extend(variable(token.quoted())),
                Some(_) => {
                    asked.comparators.push((token.quoted(), token.line));
                    list = None;
                }
                None => {}
            },
            Kind::Other if token.text == b":" && list == Some("set") => {}
            Kind::Other if !matches!(token.text, b"[" | b"]" | b",") => list = None,
            Kind::Other | Kind::Blank => {}
        }
        is_start = matches!(token.text, b";" | b"{" | b"}");
        before = Some(token);
    }
    Ok(asked)
}

/// The name of a variable, if a script can have such a one of its own.
fn variable(name: &str) -> Option<String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_good = name.bytes().all(is_name) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    is_good.then(|| name.to_ascii_lowercase())
}

/// A string in which no variables are looked for.
fn without_variables(string: &[u8], is_encoded: bool, prepared: &mut Vec<u8>) {
    let mut rest = string;
    while let Some(at) = memchr::memmem::find(rest, b"${") {
        let (before, after) = rest.split_at(at + 1);
        prepared.extend_from_slice(before);
        let is = |name: &[u8]| after.get(1..=name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
        if !(is_encoded && (is(b"hex:") || is(b"unicode:"))) {
            prepared.extend_from_slice(TEXT_MARK.as_bytes());
        }
        rest = after;
    }
    prepared.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(text: &str) -> Result<String, (u64, String)> {
        let prepared = prepare(text.as_bytes()).map_err(|fault| (fault.line, fault.text))?;
        Ok(String::from_utf8(prepared).unwrap().replace(TEXT_MARK, "<>").replace(matches::TEST, ""))
    }

    #[test]
    fn what_is_in_order_stays_as_it_is() {
        for text in [
            "",
            "require [\"fileinto\", \"variables\"];\r\n# ${c}\nfileinto \"${a}\";",
            "require \"a\";\nrequire \"b\"; if header :comparator \"i;octet\" \"a\" \"b\" { keep; }",
            "require \"encoded-character\"; keep \"${hex:41}\"",
            "keep text:\n.\n",
            "keep \"",
        ] {
            assert_eq!(prepared(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn variables_are_there_from_the_beginning() {
        let first = |text: &str| {
            let script = format!("require [\"variables\", \"include\", \"extracttext\"]; {text}");
            prepared(&script).unwrap().replace(&script, "")
        };
        let declared = "require \"variables\"; set \"a\" \"\"; set \"b_1\" \"\"; ";
        assert_eq!(first("if true { set \"A\" \"x\"; } set :lower :quotewildcard \"b_1\" \"y\";"), declared);
        assert_eq!(first("extracttext :first 10 \"a\"; set :length \"b_1\" \"a\"; set \"a\" \"z\";"), declared);
        assert_eq!(
            first("global [\"a\", \"c\"]; set \"a\" \"x\"; set \"x.y\" \"\"; set \"1\" \"\"; set \"${a}\" \"\";"),
            ""
        );
    }

    #[test]
    fn the_rest_is_put_in_order_or_refused() {
        let seconds = "require \"vacation-seconds\";\nkeep;";
        assert_eq!(prepared(seconds).unwrap(), format!("require \"vacation\"; {seconds}"));
        let ihave = "require \"ihave\"; if ihave [\"fileinto\", \"none\"] { fileinto \"x\"; }";
        assert_eq!(prepared(ihave).unwrap(), format!("require \"fileinto\"; {ihave}"));
        assert_eq!(prepared("keep \"a${b}$\";").unwrap(), "keep \"a$<>{b}$\";");
        assert_eq!(prepared("keep;\nrequire \"a\";").unwrap_err().0, 2);
        assert_eq!(prepared("if true {\nrequire \"a\"; }").unwrap_err().0, 2);
        let numeric = "if header :value \"gt\"\n:comparator \"i;ascii-numeric\" \"a\" \"1\" { keep; }";
        assert_eq!(prepared(numeric).unwrap_err().0, 2);
        assert!(prepared(&format!("require [\"comparator-i;ascii-numeric\"];{numeric}")).is_ok());
    }
}
