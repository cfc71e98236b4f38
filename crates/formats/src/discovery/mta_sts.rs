//! The policy by which a domain asks other servers for TLS (RFC 8461 section 3).

/// How strict it is (RFC 8461 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Mail that can't be sent with valid TLS is not sent.
    Enforce,
    /// It is sent, and reported.
    Testing,
    /// There is no policy any more: for those who remember one.
    None,
}

impl Mode {
    /// As the policy says it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Mode::Enforce, Mode::Testing, Mode::None].into_iter().find(|mode| mode.name() == name)
    }
}

/// How long others keep it: two weeks. A policy that is taken back (`none`) need not be remembered for longer than the
/// others did, and a day is the least that the RFC finds useful.
const MAX_AGE_SECONDS: u32 = 14 * 24 * 3600;
const MAX_AGE_OF_NONE_SECONDS: u32 = 24 * 3600;

/// A policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy<'a> {
    /// How strict it is.
    pub mode: Mode,
    /// The domain's exchangers.
    pub exchangers: &'a [String],
}

impl Policy<'_> {
    /// What is served at `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`.
    pub fn text(&self) -> String {
        let mut text = format!("version: STSv1\r\nmode: {}\r\n", self.mode.name());
        if self.mode != Mode::None {
            for exchanger in self.exchangers {
                text.push_str(&format!("mx: {exchanger}\r\n"));
            }
        }
        let age = if self.mode == Mode::None { MAX_AGE_OF_NONE_SECONDS } else { MAX_AGE_SECONDS };
        text.push_str(&format!("max_age: {age}\r\n"));
        text
    }

    /// What DNS says, so that others know when to fetch it again (section 3.1): another text has another id, and the
    /// same one always the same, whichever node is asked.
    pub fn record(&self) -> String {
        // FNV-1a: ids have to differ, not to withstand anybody.
        let hash = self
            .text()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        format!("v=STSv1; id={hash:016x};")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_text_has_another_id() {
        let exchangers = ["mx.tern.test".to_owned(), "mx2.tern.test".to_owned()];
        let policy = |mode| Policy { mode, exchangers: &exchangers };
        assert_eq!(
            policy(Mode::Enforce).text(),
            "version: STSv1\r\nmode: enforce\r\nmx: mx.tern.test\r\nmx: mx2.tern.test\r\nmax_age: 1209600\r\n"
        );
        assert_eq!(policy(Mode::None).text(), "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n");
        let record = policy(Mode::Enforce).record();
        assert_eq!(record, policy(Mode::Enforce).record());
        assert_ne!(record, policy(Mode::Testing).record());
        assert_ne!(record, Policy { mode: Mode::Enforce, exchangers: &exchangers[..1] }.record());
        let id = record.strip_prefix("v=STSv1; id=").and_then(|rest| rest.strip_suffix(';')).unwrap();
        assert!(id.len() <= 32 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(Mode::from_name("off"), None);
        assert_eq!(Mode::from_name("testing"), Some(Mode::Testing));
    }
}
