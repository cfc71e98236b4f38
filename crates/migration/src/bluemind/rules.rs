//! Forwards, absences and filters: rows in the old system, fields and Sieve scripts (RFC 5228) here.
//!
//! BlueMind 4 has a table for each; later all are rules, whose conditions and actions are JSON. What is active is
//! brought active; an absence that isn't is kept as a script that doesn't run.

use jiff::civil::DateTime;
use serde_json::{Value, json};
use sterna_formats::mail::html;

use super::dump::value;
use super::report::{Kind, Report};
use super::tables::{Row, Tables, TablesError};

/// The script with the filters.
pub const FILTERS: &str = "filters";

/// The script with the absence; the console knows it by this name.
pub const VACATION: &str = "vacation";

/// How the line begins in which the console finds the fields of an absence again.
const MARK: &str = "# absence: ";

/// Days after which the same sender is told again.
const AGAIN_DAYS: u32 = 7;

/// A forward.
pub struct Forwarding {
    /// To whom.
    pub to: Vec<String>,
    /// Whether a copy stays here.
    pub keeps_copy: bool,
}

/// The scripts of somebody, and which one runs.
#[derive(Debug, Default)]
pub struct Scripts {
    /// Names and texts.
    pub scripts: Vec<(&'static str, String)>,
    /// The name of the one that runs.
    pub active: Option<&'static str>,
}

/// The active forward of a mailbox.
///
/// # Errors
/// [`TablesError`]
pub fn forwarding(directory: &Tables, item: &str) -> Result<Option<Forwarding>, TablesError> {
    let query = "SELECT * FROM t_mailfilter_forwarding WHERE item_id = ?";
    for row in directory.rows("t_mailfilter_forwarding", query, &[item])? {
        let to = addresses(row.required("email").split(',').map(str::to_owned));
        if row.is("active") && !to.is_empty() {
            return Ok(Some(Forwarding { to, keeps_copy: row.is("local_copy") }));
        }
    }
    for row in rules(directory, item)?.iter().filter(|row| row.text("type") == Some("FORWARD") && row.is("active")) {
        let Some(action) = action(row, "REDIRECT") else { continue };
        let named = action["emails"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let to = addresses(named.map(str::to_owned));
        if !to.is_empty() {
            return Ok(Some(Forwarding { to, keeps_copy: action["keepCopy"] == true }));
        }
    }
    Ok(None)
}

fn addresses(found: impl Iterator<Item = String>) -> Vec<String> {
    found.map(|address| address.trim().to_lowercase()).filter(|address| address.contains('@')).collect()
}

/// The filters and the absence of a mailbox as scripts.
///
/// # Errors
/// [`TablesError`]
pub fn scripts(directory: &Tables, item: &str, address: &str, report: &mut Report) -> Result<Scripts, TablesError> {
    let mut scripts = Scripts::default();
    let (mut blocks, mut needs) = (Vec::new(), Needs::default());
    for row in rules(directory, item)?.iter().filter(|row| row.text("type").is_none_or(|kind| kind == "GENERIC")) {
        match block(row, &mut needs) {
            Ok(block) => {
                blocks.push(block);
                report.written(Kind::Filters);
            }
            Err(reason) => report.left_out(Kind::Filters, format!("{address}: {reason}")),
        }
    }
    if !blocks.is_empty() {
        let text = format!("{}{}", needs.line(), blocks.concat());
        scripts.scripts.push((FILTERS, text.replace('\n', "\r\n")));
        scripts.active = Some(FILTERS);
    }
    if let Some(absence) = absence(directory, item)? {
        let text = absence.script(scripts.active);
        scripts.scripts.push((VACATION, text));
        if absence.is_active {
            scripts.active = Some(VACATION);
        }
        report.written(Kind::Vacations);
    }
    Ok(scripts)
}

fn rules(directory: &Tables, item: &str) -> Result<Vec<Row>, TablesError> {
    let query = "SELECT * FROM t_mailfilter_rule WHERE item_id = ? ORDER BY CAST(row_idx AS INTEGER)";
    directory.rows("t_mailfilter_rule", query, &[item])
}

/// An action of a rule in JSON.
fn action(row: &Row, name: &str) -> Option<Value> {
    let actions: Value = serde_json::from_str(row.get("actions")?).ok()?;
    actions.as_array()?.iter().find(|action| action["name"] == name).cloned()
}

/// An absence.
struct Absence {
    is_active: bool,
    from: String,
    until: String,
    subject: String,
    text: String,
}

impl Absence {
    /// A text: plain, or what can be read of HTML.
    fn text(plain: Option<&str>, html: Option<&str>) -> String {
        match (plain.map(str::trim).filter(|text| !text.is_empty()), html) {
            (Some(plain), _) => plain.to_owned(),
            (None, Some(html)) => html::text(html, html::Titles::LeftOut).trim().to_owned(),
            (None, None) => String::new(),
        }
    }

    /// The script, exactly as the console writes it and finds its fields again; the rules of another script go on.
    fn script(&self, others: Option<&str>) -> String {
        let Absence { from, until, subject, text, .. } = self;
        let on = |sign: &str, day: &str| format!("currentdate :value \"{sign}\" \"date\" {}", quoted(day));
        let mut days = Vec::new();
        days.extend((!from.is_empty()).then(|| on("ge", from)));
        days.extend((!until.is_empty()).then(|| on("le", until)));
        let mut needs = vec!["vacation"];
        needs.extend(if days.is_empty() { &[][..] } else { &["date", "relational"] });
        needs.extend(others.map(|_| "include"));
        let needs: Vec<String> = needs.into_iter().map(quoted).collect();
        let reply = format!("vacation :days {AGAIN_DAYS} :subject {} {};", quoted(subject), quoted(text));
        let fields = [
            ("from", json!(from)),
            ("until", json!(until)),
            ("subject", json!(subject)),
            ("text", json!(text)),
            ("others", json!(others)),
        ];
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let mut lines = vec![
            format!("{MARK}{{{}}}", fields.join(",")),
            format!("require [{}];", needs.join(", ")),
            if days.is_empty() { reply } else { format!("if allof ({}) {{ {reply} }}", days.join(", ")) },
        ];
        lines.extend(others.map(|others| format!("include :personal :optional {};", quoted(others))));
        lines.push(String::new());
        lines.join("\n").replace("\r\n", "\n").replace('\n', "\r\n")
    }
}

fn absence(directory: &Tables, item: &str) -> Result<Option<Absence>, TablesError> {
    let query = "SELECT * FROM t_mailfilter_vacation WHERE item_id = ?";
    if let Some(row) = directory.rows("t_mailfilter_vacation", query, &[item])?.first() {
        let text = Absence::text(row.get("body_plain"), row.get("body_html"));
        let (from, until) = (first_day(row.get("start_date")), last_day(row.get("end_date")));
        let (is_active, subject) = (row.is("active"), row.required("subject").to_owned());
        return Ok(Some(Absence { is_active, from, until, subject, text }).filter(|absence| !absence.text.is_empty()));
    }
    for row in rules(directory, item)?.iter().filter(|row| row.text("type") == Some("VACATION")) {
        let Some(action) = action(row, "REPLY") else { continue };
        let conditions: Value =
            row.get("conditions").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let range = conditions.as_array().into_iter().flatten().map(|condition| &condition["filter"]);
        let range =
            range.into_iter().find(|filter| filter["lowerBound"].is_string() || filter["upperBound"].is_string());
        let bound = |name: &str| range.and_then(|range| range[name].as_str());
        let absence = Absence {
            is_active: row.is("active"),
            from: first_day(bound("lowerBound")),
            until: last_day(bound("upperBound")),
            subject: action["subject"].as_str().unwrap_or_default().to_owned(),
            text: Absence::text(action["plainBody"].as_str(), action["htmlBody"].as_str()),
        };
        return Ok(Some(absence).filter(|absence| !absence.text.is_empty()));
    }
    Ok(None)
}

fn first_day(text: Option<&str>) -> String {
    text.and_then(value::time).map(|time| time.date().to_string()).unwrap_or_default()
}

/// The last day of an absence that ends at a moment: one that ends at midnight doesn't reach into the next day.
fn last_day(text: Option<&str>) -> String {
    let last = |time: DateTime| time.checked_sub(jiff::Span::new().seconds(1)).unwrap_or(time).date().to_string();
    text.and_then(value::time).map(last).unwrap_or_default()
}

/// A string of Sieve (RFC 5228 section 2.4.2).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The extensions that a script needs.
#[derive(Default)]
struct Needs(std::collections::BTreeSet<&'static str>);

impl Needs {
    fn line(&self) -> String {
        let names: Vec<String> = self.0.iter().map(|name| quoted(name)).collect();
        if names.is_empty() { String::new() } else { format!("require [{}];\n", names.join(", ")) }
    }
}

/// A rule of BlueMind 4: conditions that must all hold, actions, and the end of the script.
fn block(row: &Row, needs: &mut Needs) -> Result<String, String> {
    let name = row.text("name").unwrap_or("a filter").replace(['\r', '\n'], " ");
    let Some(criteria) = row.get("criteria") else {
        return Err(format!("“{name}” is a filter of BlueMind 5, whose form isn't read: write it anew"));
    };
    let tests = criteria.lines().filter(|line| !line.trim().is_empty()).map(|line| test(line, needs));
    let tests: Vec<String> = tests.collect::<Result<_, _>>()?;
    let mut actions = Vec::new();
    let mut flag = |flag: &str, needs: &mut Needs| {
        needs.0.insert("imap4flags");
        actions.push(format!("addflag {};", quoted(flag)));
    };
    if row.is("star") {
        flag("\\Flagged", needs);
    }
    if row.is("mark_read") {
        flag("\\Seen", needs);
    }
    if row.is("delete_it") {
        flag("\\Deleted", needs);
    }
    let forwards = addresses(row.required("forward").split(',').map(str::to_owned));
    for address in &forwards {
        needs.0.insert("copy");
        actions.push(format!("redirect :copy {};", quoted(address)));
    }
    match row.text("deliver") {
        Some(folder) => {
            needs.0.extend(["fileinto", "mailbox"]);
            actions.push(format!("fileinto :create {};", quoted(folder)));
        }
        None if row.is("discard") || (!forwards.is_empty() && !row.is("forward_with_copy")) => {
            actions.push("discard;".to_owned());
        }
        None => {}
    }
    actions.push("stop;".to_owned());
    let condition = match tests.as_slice() {
        [] => "true".to_owned(),
        [one] => one.clone(),
        several => format!("allof ({})", several.join(", ")),
    };
    // A rule that was switched off is kept for whoever wants it again.
    let condition = if row.is("active") { condition } else { format!("allof (false, {condition})") };
    Ok(format!("# {name}\nif {condition} {{\n    {}\n}}\n", actions.join("\n    ")))
}

/// One line of the conditions: `FROM:CONTAINS: value`.
fn test(line: &str, needs: &mut Needs) -> Result<String, String> {
    let unknown = || format!("a condition isn't known: {line}");
    let (field, rest) = line.split_once(':').ok_or_else(unknown)?;
    let (comparison, value) = rest.split_once(": ").or_else(|| rest.split_once(':')).ok_or_else(unknown)?;
    let value = quoted(value.trim_end());
    let is_body = field.eq_ignore_ascii_case("body");
    let headers = match field.to_ascii_uppercase().as_str() {
        "TO" => "[\"to\", \"cc\"]".to_owned(),
        name => quoted(&name.to_ascii_lowercase()),
    };
    let compare = |how: &str, needs: &mut Needs| {
        if is_body {
            needs.0.insert("body");
            return format!("body :text :{how} {value}");
        }
        format!("header :{how} {headers} {value}")
    };
    Ok(match comparison.trim() {
        "EXISTS" => format!("exists {headers}"),
        "DOESNOTEXIST" => format!("not exists {headers}"),
        "IS" => compare("is", needs),
        "ISNOT" => format!("not {}", compare("is", needs)),
        "CONTAINS" => compare("contains", needs),
        "DOESNOTCONTAIN" => format!("not {}", compare("contains", needs)),
        "MATCHES" => compare("matches", needs),
        "DOESNOTMATCH" => format!("not {}", compare("matches", needs)),
        _ => return Err(unknown()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_become_tests() {
        let mut needs = Needs::default();
        let tested = |line: &str, needs: &mut Needs| test(line, needs).unwrap();
        assert_eq!(tested("SUBJECT:CONTAINS: a \"b\"", &mut needs), r#"header :contains "subject" "a \"b\"""#);
        assert_eq!(tested("TO:ISNOT: a@x.test", &mut needs), r#"not header :is ["to", "cc"] "a@x.test""#);
        assert_eq!(tested("X-Spam-Flag:EXISTS: ", &mut needs), r#"exists "x-spam-flag""#);
        assert!(needs.0.is_empty());
        assert_eq!(tested("BODY:MATCHES: *x*", &mut needs), r#"body :text :matches "*x*""#);
        assert_eq!(needs.line(), "require [\"body\"];\n");
        assert!(test("SUBJECT:SOUNDSLIKE: x", &mut needs).is_err() && test("nothing", &mut needs).is_err());
    }

    #[test]
    fn an_absence_is_written_as_the_console_writes_it() {
        let absence = Absence {
            is_active: true,
            from: "2026-08-01".to_owned(),
            until: last_day(Some("2026-08-15 00:00:00")),
            subject: "Away \"now\"".to_owned(),
            text: "Back\nsoon".to_owned(),
        };
        let expected = concat!(
            r##"# absence: {"from":"2026-08-01","until":"2026-08-14","subject":"Away \"now\"","text":"Back\nsoon","others":"filters"}"##,
            "\r\nrequire [\"vacation\", \"date\", \"relational\", \"include\"];\r\n",
            r#"if allof (currentdate :value "ge" "date" "2026-08-01", currentdate :value "le" "date" "2026-08-14") "#,
            "{ vacation :days 7 :subject \"Away \\\"now\\\"\" \"Back\r\nsoon\"; }\r\n",
            "include :personal :optional \"filters\";\r\n",
        );
        assert_eq!(absence.script(Some(FILTERS)), expected);
    }
}
