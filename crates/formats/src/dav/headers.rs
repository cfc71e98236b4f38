//! Headers of WebDAV (RFC 4918 section 10) and conditions of HTTP (RFC 9110 section 13).

/// How deep a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The resource itself.
    Zero,
    /// It and what is directly in it.
    One,
    /// Everything below it.
    Infinity,
}

impl Depth {
    /// From the header; `None` when it is none of the three.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "0" => Some(Depth::Zero),
            "1" => Some(Depth::One),
            text if text.eq_ignore_ascii_case("infinity") => Some(Depth::Infinity),
            _ => None,
        }
    }
}

/// Longest time a lock is given, in seconds: one that is left behind hinders nobody for longer.
pub const LOCK_TIMEOUT_S_MAX: u64 = 3600;

/// Shortest time a lock is given, in seconds.
pub const LOCK_TIMEOUT_S_MIN: u64 = 10;

/// How long a lock is to be held, in seconds (RFC 4918 section 10.7).
pub fn timeout_s(text: Option<&str>) -> u64 {
    let seconds = |wish: &str| {
        let wish = wish.trim();
        let prefix = wish.get(..7).filter(|prefix| prefix.eq_ignore_ascii_case("second-"));
        prefix.and_then(|_| wish[7..].parse::<u64>().ok())
    };
    let wished = text.unwrap_or_default().split(',').find_map(seconds);
    wished.unwrap_or(LOCK_TIMEOUT_S_MAX).clamp(LOCK_TIMEOUT_S_MIN, LOCK_TIMEOUT_S_MAX)
}

/// A list of entity tags, or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// Anything at all.
    Any,
    /// One of these, with their quotes.
    List(Vec<String>),
}

impl Tags {
    /// From `If-Match` or `If-None-Match`. What is no tag matches none.
    pub fn parse(text: &str) -> Self {
        if text.trim() == "*" {
            return Tags::Any;
        }
        Tags::List(text.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect())
    }

    /// Whether the tag of what exists is meant (strongly compared).
    pub fn match_strongly(&self, tag: Option<&str>) -> bool {
        match (self, tag) {
            (_, None) => false,
            (Tags::Any, Some(_)) => true,
            (Tags::List(tags), Some(tag)) => tags.iter().any(|given| given == tag),
        }
    }

    /// The same, weakly compared.
    pub fn match_weakly(&self, tag: Option<&str>) -> bool {
        match (self, tag) {
            (_, None) => false,
            (Tags::Any, Some(_)) => true,
            (Tags::List(tags), Some(tag)) => tags.iter().any(|given| given.strip_prefix("W/").unwrap_or(given) == tag),
        }
    }
}

/// Longest `If` header that is looked at, in bytes.
pub const IF_BYTES_MAX: usize = 16 * 1024;

/// The `If` header (RFC 4918 section 10.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct If {
    /// In their order; one of them must hold.
    pub lists: Vec<IfList>,
}

/// One parenthesis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IfList {
    /// What it is about, as given; `None` is the resource of the request.
    pub resource: Option<String>,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
}

/// One condition of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Whether `Not` stands before it.
    pub not: bool,
    /// What must be so.
    pub state: State,
}

/// A state of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is locked by this token.
    Token(String),
    /// It has this entity tag, with its quotes.
    Tag(String),
}

impl If {
    /// From its text; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > IF_BYTES_MAX {
            return None;
        }
        let (mut rest, mut lists, mut resource) = (text.trim_start(), Vec::new(), None);
        while !rest.is_empty() {
            if let Some(tagged) = rest.strip_prefix('<') {
                let (uri, after) = tagged.split_once('>')?;
                resource = Some(uri.to_owned());
                rest = after.trim_start();
                if !rest.starts_with('(') {
                    return None;
                }
                continue;
            }
            let (conditions, after) = list(rest.strip_prefix('(')?)?;
            lists.push(IfList { resource: resource.clone(), conditions });
            rest = after.trim_start();
        }
        (!lists.is_empty()).then_some(If { lists })
    }

    /// Every token in it: the locks that the client says it knows of.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.lists.iter().flat_map(|list| &list.conditions).filter_map(|condition| match &condition.state {
            State::Token(token) if !condition.not => Some(token.as_str()),
            _ => None,
        })
    }
}

fn list(text: &str) -> Option<(Vec<Condition>, &str)> {
    let (mut rest, mut conditions) = (text.trim_start(), Vec::new());
    loop {
        if let Some(after) = rest.strip_prefix(')') {
            return (!conditions.is_empty()).then_some((conditions, after));
        }
        let not = rest.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("not"));
        if not {
            rest = rest[3..].trim_start();
        }
        let (state, after) = if let Some(token) = rest.strip_prefix('<') {
            let (token, after) = token.split_once('>')?;
            (State::Token(token.to_owned()), after)
        } else {
            let (tag, after) = rest.strip_prefix('[')?.split_once(']')?;
            (State::Tag(tag.trim().to_owned()), after)
        };
        conditions.push(Condition { not, state });
        rest = after.trim_start();
    }
}

/// What `Prefer` asks for (RFC 7240, RFC 8144).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefer {
    /// `return=minimal`: leave out what was not found.
    pub minimal: bool,
    /// `return=representation`: give back what was written.
    pub representation: bool,
    /// `depth-noroot`: leave out the resource itself.
    pub no_root: bool,
}

impl Prefer {
    /// From the header; and from Brief, which says the same in older clients.
    pub fn parse(prefer: Option<&str>, brief: Option<&str>) -> Self {
        let mut found = Prefer { minimal: brief.is_some_and(|brief| brief.trim() == "t"), ..Prefer::default() };
        for wish in prefer.unwrap_or_default().split([',', ';']) {
            match wish.trim().to_ascii_lowercase().as_str() {
                "return=minimal" | "return-minimal" => found.minimal = true,
                "return=representation" => found.representation = true,
                "depth-noroot" => found.no_root = true,
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
    fn conditions_of_the_rfc() {
        let parsed = If::parse("(<urn:uuid:1> [\"I am an ETag\"]) (Not <urn:uuid:2>)").unwrap();
        assert_eq!(parsed.lists.len(), 2);
        assert_eq!(parsed.tokens().collect::<Vec<_>>(), ["urn:uuid:1"]);
        assert_eq!(parsed.lists[0].conditions[1].state, State::Tag("\"I am an ETag\"".into()));
        let tagged = If::parse("</r1> (<urn:uuid:1> [W/\"A\"]) ([\"B\"]) <http://x/r2> (<DAV:no-lock>)").unwrap();
        let of: Vec<_> = tagged.lists.iter().map(|list| list.resource.as_deref().unwrap()).collect();
        assert_eq!(of, ["/r1", "/r1", "http://x/r2"]);
        for bad in ["", "()", "(", "<a>", "(<a>", "([a)", "x", "(Not)", "(é)"] {
            assert_eq!(If::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_and_tags() {
        assert_eq!(timeout_s(Some("Infinite, Second-4100000000")), LOCK_TIMEOUT_S_MAX);
        assert_eq!(timeout_s(Some("Second-60")), 60);
        assert_eq!(timeout_s(Some("Second-0")), LOCK_TIMEOUT_S_MIN);
        assert_eq!(timeout_s(None), LOCK_TIMEOUT_S_MAX);
        let tags = Tags::parse("\"a\", W/\"b\"");
        assert!(tags.match_strongly(Some("\"a\"")) && !tags.match_strongly(Some("\"b\"")));
        assert!(tags.match_weakly(Some("\"b\"")) && !tags.match_weakly(None) && !Tags::Any.match_strongly(None));
        assert_eq!(Depth::parse("Infinity"), Some(Depth::Infinity));
        assert_eq!(Depth::parse("2"), None);
        let prefer = Prefer::parse(Some("return=minimal, depth-noroot"), None);
        assert!(prefer.minimal && prefer.no_root && !prefer.representation);
    }
}
