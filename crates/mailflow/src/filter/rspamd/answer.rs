//! What rspamd says about a message (the JSON of `/checkv2`), as much of it as we use.

use serde_json::Value;

use crate::filter::Change;

/// Fields that rspamd may want put in or taken out of one message.
const FIELDS_MAX: usize = 200;

/// Symbols that are told of a message: those that weigh most.
const SYMBOLS_MAX: usize = 20;

/// See the module.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What it wants done: "no action", "greylist", "add header", "rewrite subject", "soft reject", "reject", or a name
    /// that its administrator made up.
    pub action: String,
    /// How much speaks for spam.
    pub score: f64,
    /// From which score on it is spam.
    pub required: f64,
    /// What spoke for or against it, the weightiest first.
    pub symbols: Vec<(String, f64)>,
    /// The reply for its sender.
    pub text: Option<String>,
    /// What it wants instead of a refusal: "discard" or "quarantine".
    pub instead: Option<String>,
    /// The Subject field.
    pub subject: Subject,
    /// Fields to be put in.
    pub added: Vec<Change>,
    /// Fields to be taken out.
    pub removed: Vec<Change>,
    /// Whether its administrator wants such messages not looked at.
    pub is_skipped: bool,
}

/// What becomes of the Subject field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// It stays.
    Kept,
    /// It is another one.
    New(String),
}

impl Answer {
    /// From JSON.
    ///
    /// # Errors
    /// What is missing.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(json).map_err(|error| format!("no JSON: {error}"))?;
        if let Some(error) = json["error"].as_str() {
            return Err(error.to_owned());
        }
        let action = json["action"].as_str().ok_or("no action in the answer")?.to_owned();
        let score = json["score"].as_f64().unwrap_or(0.0);
        // Where there are thresholds, spam begins where it is marked, not only where it is refused.
        let marked = json["thresholds"]["add header"].as_f64();
        let required = marked.or_else(|| json["required_score"].as_f64()).unwrap_or(0.0);
        let subject = match json["subject"].as_str() {
            Some(subject) if action == "rewrite subject" => Subject::New(subject.to_owned()),
            _ => Subject::Kept,
        };
        let milter = &json["milter"];
        Ok(Answer {
            score,
            required,
            symbols: symbols(&json["symbols"]),
            text: json["messages"]["smtp_message"].as_str().map(str::to_owned),
            instead: milter["reject"].as_str().map(str::to_owned),
            subject,
            added: added(&milter["add_headers"]),
            removed: removed(&milter["remove_headers"]),
            is_skipped: json["is_skipped"].as_bool().unwrap_or(false),
            action,
        })
    }

    /// Whether it calls the message spam.
    pub fn is_spam(&self) -> bool {
        matches!(&*self.action, "add header" | "rewrite subject" | "reject" | "quarantine" | "discard")
    }

    /// The value of X-Spam-Status, which people's rules read (RFC 5235, by `sieve::spam`).
    pub fn status(&self) -> String {
        let (word, score) = (if self.is_spam() { "Yes" } else { "No" }, self.score);
        let symbols: Vec<&str> = self.symbols.iter().map(|(name, _)| name.as_str()).collect();
        let symbols = if symbols.is_empty() { "none".to_owned() } else { symbols.join(",\n\t") };
        format!("{word}, score={score:.2} required={:.2}\n\ttests={symbols}", self.required)
    }

    /// For traces.
    pub fn in_short(&self) -> String {
        if self.is_skipped {
            return format!("{}, skipped", self.action);
        }
        let symbols: Vec<String> = self.symbols.iter().map(|(name, score)| format!("{name} ({score:.2})")).collect();
        format!("{}, {:.2} of {:.2}: {}", self.action, self.score, self.required, symbols.join(" "))
    }
}

fn symbols(json: &Value) -> Vec<(String, f64)> {
    let score = |symbol: &Value| symbol["score"].as_f64().unwrap_or(0.0);
    let is_name = |name: &str| !name.is_empty() && name.len() <= 100 && name.bytes().all(|b| b.is_ascii_graphic());
    let all = json.as_object().into_iter().flatten().map(|(name, symbol)| (name.clone(), score(symbol)));
    let mut all: Vec<(String, f64)> = all.filter(|(name, score)| is_name(name) && *score != 0.0).collect();
    all.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then_with(|| a.0.cmp(&b.0)));
    all.truncate(SYMBOLS_MAX);
    all
}

/// One value, or an array of them; each a text, or an object with a text and a place.
fn each(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |values| values.iter().collect())
}

fn added(json: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, values) in json.as_object().into_iter().flatten() {
        for value in each(values) {
            let text = value.as_str().or_else(|| value["value"].as_str());
            let place = value["order"].as_i64().and_then(|order| usize::try_from(order).ok());
            let Some(value) = text.map(|text| format!(" {text}")) else { continue };
            changes.push(match place {
                Some(at) => Change::Insert { at, name: name.clone(), value },
                None => Change::Append { name: name.clone(), value },
            });
        }
    }
    changes.truncate(FIELDS_MAX);
    changes
}

fn removed(json: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, numbers) in json.as_object().into_iter().flatten() {
        for number in each(numbers) {
            let name = name.clone();
            changes.push(match number.as_i64() {
                None | Some(0) => Change::Remove { name },
                Some(number) => Change::Replace { name, number, value: String::new() },
            });
        }
    }
    changes.truncate(FIELDS_MAX);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(json: &str) -> Answer {
        Answer::read(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_score_and_its_reasons_are_told() {
        let json = r#"{"action": "add header", "score": 7.125, "required_score": 15, "thresholds": {"add header": 6},
            "symbols": {"A": {"score": 2.0}, "B": {"score": 5.125}, "C": {"score": 0}, "D\r\n": {"score": 9}}}"#;
        let found = answer(json);
        assert_eq!(found.status(), "Yes, score=7.12 required=6.00\n\ttests=B,\n\tA");
        assert_eq!(found.in_short(), "add header, 7.12 of 6.00: B (5.12) A (2.00)");
        assert!(found.is_spam() && found.text.is_none());
        let forced = answer(r#"{"action": "reject", "score": 0, "required_score": 15, "symbols": []}"#);
        assert_eq!(forced.status(), "Yes, score=0.00 required=15.00\n\ttests=none");
    }

    #[test]
    fn headers_come_in_every_form() {
        let json = r#"{"action": "no action", "milter": {
            "add_headers": {"X-A": "a", "X-B": {"value": "b", "order": 1}, "X-C": ["c", {"value": "d"}, 7]},
            "remove_headers": {"X-D": 0, "X-E": [1, -1]}}}"#;
        let found = answer(json);
        let added: Vec<String> = found.added.iter().map(|change| format!("{change:?}")).collect();
        assert_eq!(
            added,
            [
                r#"Append { name: "X-A", value: " a" }"#,
                r#"Insert { at: 1, name: "X-B", value: " b" }"#,
                r#"Append { name: "X-C", value: " c" }"#,
                r#"Append { name: "X-C", value: " d" }"#,
            ]
        );
        let removed: Vec<String> = found.removed.iter().map(|change| format!("{change:?}")).collect();
        assert_eq!(
            removed,
            [
                r#"Remove { name: "X-D" }"#,
                r#"Replace { name: "X-E", number: 1, value: "" }"#,
                r#"Replace { name: "X-E", number: -1, value: "" }"#,
            ]
        );
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for json in ["", "[]", "{}", "nonsense", r#"{"error": "no such thing"}"#, r#"{"action": 1}"#] {
            assert!(Answer::read(json.as_bytes()).is_err(), "{json}");
        }
        let odd = answer(r#"{"action": "x", "symbols": 1, "milter": [], "messages": [], "subject": 1, "score": "y"}"#);
        assert!(!odd.is_spam() && odd.added.is_empty() && odd.subject == Subject::Kept);
    }
}
