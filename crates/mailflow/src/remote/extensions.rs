//! What a server said to EHLO.

/// The service extensions that matter to a client (RFC 5321 section 4.1.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 6152.
    pub eight_bit: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 1870: whether SIZE may be said.
    pub size: bool,
    /// RFC 1870: the largest message, if the server says it.
    pub size_bytes_max: Option<u64>,
    /// RFC 4954: the mechanisms, in upper case.
    pub auth: Vec<String>,
}

/// Mechanisms of one server that are remembered.
const MECHANISMS_MAX: usize = 32;

impl Extensions {
    /// From the lines of the reply; the first is the greeting.
    pub fn of(lines: &[String]) -> Self {
        let mut found = Extensions::default();
        for line in lines.iter().skip(1) {
            let mut words = line.split_ascii_whitespace();
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "PIPELINING" => found.pipelining = true,
                "STARTTLS" => found.starttls = true,
                "8BITMIME" => found.eight_bit = true,
                "SMTPUTF8" => found.smtputf8 = true,
                "DSN" => found.dsn = true,
                "SIZE" => {
                    found.size = true;
                    found.size_bytes_max = words.next().and_then(|most| most.parse().ok()).filter(|most| *most > 0);
                }
                "AUTH" => found.auth = words.take(MECHANISMS_MAX).map(str::to_ascii_uppercase).collect(),
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_from_the_lines() {
        let lines = ["mx.example.org", "SIZE 1000", "pipelining", "AUTH plain LOGIN", "X-OTHER", "DSN"];
        let found = Extensions::of(&lines.map(str::to_owned));
        let expected = Extensions {
            pipelining: true,
            dsn: true,
            size: true,
            size_bytes_max: Some(1000),
            auth: vec!["PLAIN".into(), "LOGIN".into()],
            ..Extensions::default()
        };
        assert_eq!(found, expected);
        assert_eq!(Extensions::of(&["a".into(), "SIZE 0".into()]).size_bytes_max, None);
    }
}
