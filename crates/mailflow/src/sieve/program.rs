//! A script, compiled. The interpreter's own program is changed before it runs:
//!
//! - `keep` becomes a `fileinto` of its own, because the interpreter forgets a `keep` when a `fileinto` follows;
//! - `vacation` and `notify` only say what should be sent, because the interpreter's own messages take line ends from
//!   what strangers wrote into their headers, and any sender that the script names;
//! - match variables are those of the last match ([`matches`]), and parts of addresses are divided by the separators of
//!   the owner's domain ([`subaddress`]).
//!
//! What is not in [`EXTENSIONS`] is refused when the script is checked, also where the interpreter would know it.

use std::sync::Arc;

use serde_json::{Value, json};
use sieve::compiler::ErrorType;
use sieve::compiler::grammar::Capability;
use sieve::{Compiler, Runtime};
use sterna_account::scripts::SCRIPT_BYTES_MAX;
use sterna_account::service::ScriptFault;

use super::limits::{FIELD_BYTES_MAX, INCLUDES_MAX, NESTING_MAX, STRING_BYTES_MAX};
use super::{matches, prepared, subaddress, words};

/// What scripts may require.
pub const EXTENSIONS: [&str; 37] = [
    "body",
    "comparator-i;ascii-casemap",
    "comparator-i;ascii-numeric",
    "comparator-i;octet",
    "copy",
    "date",
    "duplicate",
    "editheader",
    "enclose",
    "encoded-character",
    "enotify",
    "envelope",
    "environment",
    "ereject",
    "extracttext",
    "fileinto",
    "foreverypart",
    "ihave",
    "imap4flags",
    "include",
    "index",
    "mailbox",
    "mailboxid",
    "mime",
    "redirect-dsn",
    "regex",
    "reject",
    "relational",
    "replace",
    "spamtest",
    "spamtestplus",
    "special-use",
    "subaddress",
    "vacation",
    "vacation-seconds",
    "variables",
    "virustest",
];

/// The folder that stands for `keep`: no client can write such a name.
pub const KEEP: &str = "\u{1}keep";

/// The scheme of what `vacation` says.
pub const VACATION: &str = "x-sterna-vacation";

/// The scheme of what `notify` says, before the method that the script names.
pub const NOTIFY: &str = "x-sterna-notify";

/// Fields that scripts can't touch: they say where a message came from, and what it was taken for.
pub const PROTECTED_FIELDS: [&str; 6] =
    ["Auto-Submitted", "Received", "Return-Path", "Delivered-To", "Authentication-Results", "DKIM-Signature"];

/// A script that can run.
#[derive(Debug)]
pub struct Program {
    /// For the interpreter.
    pub(super) sieve: Arc<sieve::Sieve>,
    /// The scripts that it may include.
    pub includes: Vec<String>,
    /// Whether it looks at parts of addresses in fields.
    pub divides_fields: bool,
}

/// Compiles a script. Takes a while for a long one: not for async workers.
///
/// # Errors
/// What is wrong with it, and where.
pub fn compile(text: &[u8]) -> Result<Program, ScriptFault> {
    let fault = |line: usize, text: String| ScriptFault { line: line.max(1) as u64, text };
    if std::str::from_utf8(text).is_err() {
        let good = std::str::from_utf8(text).err().map_or(0, |error| error.valid_up_to());
        return Err(fault(line_of(text, good), "the script is not UTF-8".to_owned()));
    }
    if text.len() as u64 > SCRIPT_BYTES_MAX {
        return Err(fault(1, format!("the script is longer than {SCRIPT_BYTES_MAX} bytes")));
    }
    let prepared = prepared::prepare(text)?;
    let compiler = Compiler::new()
        .with_max_script_size(usize::MAX)
        .with_max_string_size(STRING_BYTES_MAX)
        .with_max_variable_name_size(64)
        .with_max_nested_blocks(NESTING_MAX)
        .with_max_nested_tests(NESTING_MAX)
        .with_max_header_size(FIELD_BYTES_MAX)
        .with_max_includes(INCLUDES_MAX);
    let compiled = std::panic::catch_unwind(|| compiler.compile(&prepared));
    let sieve = match compiled {
        Ok(Ok(sieve)) => sieve,
        Ok(Err(error)) => {
            // The line has its own place; the interpreter puts it at the end of its text.
            let said = prepared::restored(&error.to_string());
            let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(what, _)| what);
            return match error.error_type() {
                // It gives the line of the block for these.
                ErrorType::UnexpectedToken { expected, found } if expected == "command" => {
                    let line = words::line_of(text, found).unwrap_or(error.line_num());
                    Err(fault(line, format!("There is no command \"{found}\"")))
                }
                _ => Err(fault(error.line_num(), said.to_owned())),
            };
        }
        Err(_) => return Err(fault(1, "the script can't be read".to_owned())),
    };
    let unreadable = |_| fault(1, "the script can't be read".to_owned());
    let mut program = serde_json::to_value(&sieve).map_err(unreadable)?;
    prepared::restore(&mut program);
    ignore_case(&mut program);
    matches::change(&mut program);
    // Behind `ihave`, what nobody knows is never reached; elsewhere it would fail when mail comes.
    if find(&program, "Ihave").is_none()
        && let Some(unknown) = find(&program, "Invalid")
    {
        let line = unknown.get("line_num").and_then(Value::as_u64).unwrap_or(1);
        let name = unknown.get("name").and_then(Value::as_str).unwrap_or_default();
        return Err(ScriptFault { line: line.max(1), text: format!("There is no \"{name}\" here") });
    }
    let (mut includes, mut divides_fields) = (Vec::new(), false);
    if let Some(instructions) = program.get_mut("instructions").and_then(Value::as_array_mut) {
        for instruction in instructions {
            refuse_unknown(instruction, text)?;
            refuse_unreachable(instruction, text)?;
            change(instruction);
            divides_fields |= subaddress::change(instruction);
            if let Some(name) = included(instruction) {
                let name = name.map_err(|what| fault(line_with(text, "include"), what))?;
                includes.push(name);
            }
        }
    }
    let sieve = serde_json::from_value(program).map_err(unreadable)?;
    Ok(Program { sieve: Arc::new(sieve), includes, divides_fields })
}

/// The interpreter with what we offer.
pub(super) fn runtime() -> Runtime {
    let mut runtime = Runtime::new();
    for capability in Capability::all() {
        if !EXTENSIONS.contains(&capability.to_string().as_str()) {
            runtime.unset_capability(capability.clone());
        }
    }
    for name in PROTECTED_FIELDS {
        runtime.set_protected_header(name);
    }
    runtime.set_valid_notification_uri("mailto");
    runtime
}

fn refuse_unknown(instruction: &Value, text: &[u8]) -> Result<(), ScriptFault> {
    for capability in instruction.get("Require").and_then(Value::as_array).into_iter().flatten() {
        let Ok(capability) = serde_json::from_value::<Capability>(capability.clone()) else { continue };
        let name = match capability {
            Capability::Comparator(sieve::compiler::grammar::Comparator::Other(name)) => format!("comparator-{name}"),
            capability => capability.to_string(),
        };
        if !EXTENSIONS.contains(&name.as_str()) {
            let line = line_with(text, &format!("\"{name}\"")) as u64;
            return Err(ScriptFault { line, text: format!("There is no extension \"{name}\" here") });
        }
    }
    Ok(())
}

/// Whom nobody can write to, or tell, where the script says so itself (RFC 5228 section 4.2, RFC 5435 section 3.1).
fn refuse_unreachable(instruction: &Value, text: &[u8]) -> Result<(), ScriptFault> {
    let constant = |pointer: &str| instruction.pointer(pointer).and_then(Value::as_str);
    let line = |word: &str| words::line_of(text, word).unwrap_or(1) as u64;
    if let Some(address) = constant("/Redirect/address/Text").filter(|address| !is_address(address)) {
        return Err(ScriptFault { line: line("redirect"), text: format!("\"{address}\" is no address of mail") });
    }
    if let Some(method) = constant("/Notify/method/Text").filter(|method| !is_mailto(method)) {
        let text = format!("Nobody can be told by \"{method}\"; mailto: is what there is");
        return Err(ScriptFault { line: line("notify"), text });
    }
    Ok(())
}

fn is_address(text: &str) -> bool {
    let is_odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | ',');
    let is_plain = |local: &str| local.starts_with('"') || !local.contains(is_odd);
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && is_plain(local) && !domain.is_empty() && !domain.contains(is_odd)
    })
}

/// Whether this is a method to tell somebody by that we have.
pub(super) fn is_mailto(method: &str) -> bool {
    method.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("mailto:"))
}

/// The usual comparator is one without case, for regular expressions, too; the interpreter forgets it there.
fn ignore_case(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(ignore_case),
        Value::Object(members) => {
            let is_regex = members.get("match_type").is_some_and(|kind| kind.get("Regex").is_some());
            if is_regex && members.get("comparator").and_then(Value::as_str) == Some("AsciiCaseMap") {
                for key in members.get_mut("key_list").and_then(Value::as_array_mut).into_iter().flatten() {
                    if let Some(Value::String(expression)) = key.pointer_mut("/Regex/expr") {
                        expression.insert_str(0, "(?i)");
                    } else {
                        let mut parts = vec![json!({ "Text": "(?i)" })];
                        match key.get_mut("List").and_then(Value::as_array_mut) {
                            Some(list) => parts.append(list),
                            None => parts.push(key.take()),
                        }
                        *key = json!({ "List": parts });
                    }
                }
            }
            members.values_mut().for_each(ignore_case);
        }
        _ => {}
    }
}

fn change(instruction: &mut Value) {
    if let Some(keep) = instruction.get("Keep") {
        let flags = keep.get("flags").cloned().unwrap_or_else(|| json!([]));
        *instruction = json!({ "FileInto": {
            "copy": false, "create": false, "folder": { "Text": KEEP }, "flags": flags,
            "mailbox_id": null, "special_use": null,
        }});
    } else if let Some(vacation) = instruction.get("Vacation") {
        let subject = vacation.get("subject").filter(|subject| !subject.is_null()).cloned();
        let is_mime = vacation.get("mime").and_then(Value::as_bool) == Some(true);
        let options = json!([
            { "Text": if subject.is_some() { "subject" } else { "" } },
            subject.unwrap_or_else(|| json!({ "Text": "" })),
            { "Text": if is_mime { "mime" } else { "" } },
        ]);
        *instruction = json!({ "Notify": {
            "from": vacation.get("from"), "importance": null, "options": options, "message": vacation.get("reason"),
            "fcc": null, "method": { "Text": format!("{VACATION}:reply") },
        }});
    } else if let Some(method) = instruction.pointer_mut("/Notify/method") {
        let mut parts = vec![json!({ "Text": format!("{NOTIFY}:") })];
        match method.get_mut("List").and_then(Value::as_array_mut) {
            Some(list) => parts.append(list),
            None => parts.push(method.take()),
        }
        *method = json!({ "List": parts });
    }
}

/// The name of an included script; `Err` when it is one that can't be.
fn included(instruction: &Value) -> Option<Result<String, String>> {
    let include = instruction.get("Include")?;
    if include.get("location").and_then(Value::as_str) == Some("Global") {
        return Some(Err("There are no global scripts to include".to_owned()));
    }
    let name = include.pointer("/value/Text").and_then(Value::as_str);
    Some(name.map(str::to_owned).ok_or_else(|| "The name of an included script must be a constant".to_owned()))
}

/// The first member of this name, wherever it is.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members.get(name).or_else(|| members.values().find_map(|member| find(member, name))),
        Value::Array(elements) => elements.iter().find_map(|element| find(element, name)),
        _ => None,
    }
}

fn line_of(text: &[u8], at: usize) -> usize {
    1 + text[..at.min(text.len())].iter().filter(|&&byte| byte == b'\n').count()
}

fn line_with(text: &[u8], what: &str) -> usize {
    line_of(text, memchr::memmem::find(text, what.as_bytes()).unwrap_or(0))
}
