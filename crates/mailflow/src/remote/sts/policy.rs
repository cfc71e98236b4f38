//! Policies and their records (RFC 8461 section 3).

/// Longest policy, in bytes (section 3.3 suggests it).
pub const POLICY_BYTES_MAX: usize = 64 * 1024;

/// Patterns of one policy that are looked at.
const PATTERNS_MAX: usize = 100;

/// Longest time that a policy holds, in seconds: a year and a day.
const MAX_AGE_SECONDS_MAX: u64 = 31_557_600;

/// Longest id (section 3.1).
const ID_BYTES_MAX: usize = 32;

/// What a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is sent to who doesn't satisfy it.
    Enforce,
    /// Failures are reported, and nothing else follows.
    Testing,
    /// There is none any more.
    None,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What it is for.
    pub mode: Mode,
    /// Its mail exchangers: names, or `*.` and a name.
    pub patterns: Vec<String>,
    /// How long it holds after it was fetched, in seconds.
    pub max_age_seconds: u64,
    /// Its lines as they came, for reports.
    pub lines: Vec<String>,
}

impl Policy {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (mut version, mut mode, mut max_age) = (None, None, None);
        let (mut patterns, mut lines) = (Vec::new(), Vec::new());
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or("a line of it has no colon")?;
            let value = value.trim();
            match name.trim() {
                // Of what is there twice the first counts (section 3.2).
                "version" if version.is_none() => version = Some(value),
                "mode" if mode.is_none() => mode = Some(value),
                "max_age" if max_age.is_none() => max_age = Some(value),
                "mx" if patterns.len() < PATTERNS_MAX => {
                    patterns.push(value.trim_end_matches('.').to_ascii_lowercase())
                }
                _ => continue,
            }
            lines.push(line.to_owned());
        }
        if version != Some("STSv1") {
            return Err("its version is not STSv1");
        }
        let mode = match mode {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            _ => return Err("its mode is not enforce, testing or none"),
        };
        let digits = max_age.filter(|age| age.len() <= 10 && age.bytes().all(|byte| byte.is_ascii_digit()));
        let max_age = digits.and_then(|age| age.parse::<u64>().ok()).ok_or("its max_age is no number of seconds")?;
        if mode != Mode::None && patterns.is_empty() {
            return Err("it names no mx");
        }
        Ok(Policy { mode, patterns, max_age_seconds: max_age.min(MAX_AGE_SECONDS_MAX), lines })
    }

    /// Whether a mail exchanger is one of those that it names (section 4.1).
    pub fn names(&self, host: &str) -> bool {
        let is_meant = |pattern: &String| match pattern.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
            None => host.eq_ignore_ascii_case(pattern),
        };
        self.patterns.iter().any(is_meant)
    }
}

/// The id of a domain's policy, from its TXT records (section 3.1); `None` when there is not exactly one that is good.
pub fn id(records: &[String]) -> Option<String> {
    let is_version = |record: &&String| record.split(';').next().is_some_and(|first| first.trim() == "v=STSv1");
    let mut ours = records.iter().filter(is_version);
    let (Some(record), None) = (ours.next(), ours.next()) else { return None };
    let fields = record.split(';').filter_map(|field| field.split_once('='));
    let id = fields.map(|(name, value)| (name.trim(), value.trim())).find(|(name, _)| *name == "id")?.1;
    let good = !id.is_empty() && id.len() <= ID_BYTES_MAX && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    good.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "version: STSv1\r\nmode: enforce\r\nmx: mx.a.test\r\nmx:*.B.test\r\nfuture: x\r\nmax_age: 604800\r\n";

    #[test]
    fn policies_name_exchangers() {
        let policy = Policy::parse(TEXT).unwrap();
        assert_eq!((policy.mode, policy.max_age_seconds, policy.lines.len()), (Mode::Enforce, 604_800, 5));
        for (host, is_named) in [
            ("MX.a.test", true),
            ("one.b.test", true),
            ("b.test", false),
            ("one.two.b.test", false),
            ("a.test", false),
            ("xmx.a.test", false),
        ] {
            assert_eq!(policy.names(host), is_named, "{host}");
        }
        assert_eq!(Policy::parse("version: STSv1\nmode: none\nmax_age: 0\n").unwrap().mode, Mode::None);
    }

    #[test]
    fn what_is_no_policy_is_none() {
        for (from, to) in [
            ("STSv1", "STSv2"),
            ("enforce", "Enforced"),
            ("604800", "-1"),
            ("604800", "99999999999"),
            ("max_age", "maxage"),
            ("mx: mx.a.test\r\nmx:*.B.test\r\n", ""),
            ("future: x", "<html>"),
        ] {
            assert!(Policy::parse(&TEXT.replace(from, to)).is_err(), "{to}");
        }
        assert!(Policy::parse("").is_err());
    }

    #[test]
    fn records_have_an_id() {
        let records = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(id(&records(&["v=STSv1; id=20260101T0;"])).as_deref(), Some("20260101T0"));
        assert_eq!(id(&records(&["v=spf1 -all", "v=STSv1;id=1"])).as_deref(), Some("1"));
        for bad in [&["v=STSv1; id="][..], &["v=STSv1"], &["v=STSv1; id=a b"], &["v=STSv1; id=1", "v=STSv1; id=2"], &[]]
        {
            assert_eq!(id(&records(bad)), None, "{bad:?}");
        }
    }
}
