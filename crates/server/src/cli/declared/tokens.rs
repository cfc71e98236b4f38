//! Tokens of programs in files that declare, and which of those that there are count.

use std::collections::HashSet;

use serde_json::Value;
use sterna_base::Timestamp;

use super::without_nothing;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Whether a token is the installation's own and good: one of a person is theirs, and one that has ended opens nothing.
pub(super) fn is_good(token: &Value) -> bool {
    token["user"].is_null() && token["expired"] != true
}

fn instant(value: &Value) -> Option<Timestamp> {
    let at: jiff::Timestamp = value.as_str()?.parse().ok()?;
    Some(Timestamp(at.as_millisecond()))
}

/// Tokens as a file declares them, each with a file of its own.
pub(super) fn declared_tokens(tokens: &[Value]) -> Vec<Value> {
    let mut files = HashSet::new();
    let mut declared = Vec::new();
    for token in tokens {
        let name = token["name"].as_str().unwrap_or_default();
        let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let numbered = (2..).map(|number| format!("{plain}-{number}.token"));
        let mut free = std::iter::once(format!("{plain}.token")).chain(numbered);
        // Some systems have one file for both cases of a letter.
        let file = free.find(|file| files.insert(file.to_ascii_lowercase()));
        let good_ms =
            instant(&token["expires_at"]).zip(instant(&token["created_at"])).map(|(end, start)| end.0 - start.0);
        declared.push(without_nothing(serde_json::json!({
            "name": name,
            "permissions": token["permissions"],
            "domain": token["domain"],
            // As long as it was good when it was made, and not a day more.
            "days": good_ms.map(|ms| (ms / DAY_MS).max(1)),
            "file": file,
        })));
    }
    declared
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_are_declared_for_as_long_as_they_were_good_each_with_its_file() {
        let token = |name: &str, end: &str| json!({"name": name, "permissions": ["people:read"], "created_at": "2026-01-01T00:00:00Z", "expires_at": end});
        let all = [
            token("backup a", "2026-01-08T00:00:00Z"),
            token("backup-a", "2028-01-01T00:00:00Z"),
            token("Backup a", "2026-01-01T01:00:00Z"),
        ];
        let declared = declared_tokens(&all);
        let of = |field: &str| declared.iter().map(|token| token[field].clone()).collect::<Vec<_>>();
        assert_eq!(of("file"), ["backup-a.token", "backup-a-2.token", "Backup-a-3.token"]);
        assert_eq!(of("days"), [json!(7), json!(730), json!(1)]);
    }
}
