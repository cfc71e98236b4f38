//! What is known of where a message is from. The queue remembers it, so that a message that waited is treated as one
//! that did not.

/// What was found out of a message on its way in, besides what was written into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Whether it has results of ours that were verified: what is sent on is sealed then (ARC, RFC 8617).
    pub is_verified: bool,
    /// Whether the sender logged in, so that the reverse-path is one that they may send with.
    pub is_submitted: bool,
    /// Who answers for it.
    pub vouched: Vouched,
}

/// Who answers for it that a message is from whom it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Vouched {
    /// Nobody, or it is not known any more.
    #[default]
    Nobody,
    /// These domains, in small letters.
    Domains(Vec<String>),
    /// Whoever handed it in is trusted to have looked: LMTP, hosts that may relay, users.
    Host,
}

impl Vouched {
    /// Whether an author's own domain answers for it, or one below that, which only its owner can make.
    pub fn is_by(&self, domain: &str) -> bool {
        let is_own =
            |known: &String| known == domain || known.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        match self {
            Vouched::Nobody => false,
            Vouched::Domains(domains) => !domain.is_empty() && domains.iter().any(is_own),
            Vouched::Host => true,
        }
    }
}
