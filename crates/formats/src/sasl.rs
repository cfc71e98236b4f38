//! Messages of SCRAM (RFC 5802 section 7) and of OAUTHBEARER (RFC 7628 section 3), and passwords in their normal form
//! (SASLprep, RFC 4013).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use unicode_normalization::UnicodeNormalization;

/// A message that is none, or that asks for what nobody has: what the client's error is called (RFC 5802 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScramError(pub &'static str);

const INVALID: ScramError = ScramError("invalid-encoding");

/// What a client says of channel binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelBinding<'a> {
    /// `n`: it has none.
    None,
    /// `y`: it has some, and believes that the server has none.
    NotOffered,
    /// `p=..`: it binds by this.
    By(&'a str),
}

/// `client-first-message`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFirst<'a> {
    /// `gs2-cbind-flag`
    pub binding: ChannelBinding<'a>,
    /// `authzid`
    pub authorize: Option<String>,
    /// `username`
    pub user: String,
    /// The client's part of the nonce.
    pub nonce: &'a str,
    /// `gs2-header`
    pub header: &'a str,
    /// `client-first-message-bare`
    pub bare: &'a str,
}

impl<'a> ClientFirst<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// [`ScramError`]
    pub fn parse(message: &'a str) -> Result<Self, ScramError> {
        let (flag, rest) = message.split_once(',').ok_or(INVALID)?;
        let (authorize, bare) = rest.split_once(',').ok_or(INVALID)?;
        let binding = match flag {
            "n" => ChannelBinding::None,
            "y" => ChannelBinding::NotOffered,
            flag => ChannelBinding::By(flag.strip_prefix("p=").filter(|name| !name.is_empty()).ok_or(INVALID)?),
        };
        let authorize = match authorize {
            "" => None,
            authorize => Some(name(authorize.strip_prefix("a=").ok_or(INVALID)?)?),
        };
        if bare.starts_with("m=") {
            return Err(ScramError("extensions-not-supported"));
        }
        let mut attributes = bare.split(',');
        let user = attributes.next().and_then(|first| first.strip_prefix("n=")).ok_or(INVALID)?;
        let nonce = attributes.next().and_then(|second| second.strip_prefix("r=")).ok_or(INVALID)?;
        // Further ones are extensions, which may be passed over.
        let is_printable = |byte: u8| (0x21..0x7f).contains(&byte);
        if nonce.is_empty() || !nonce.bytes().all(is_printable) {
            return Err(INVALID);
        }
        let header = &message[..message.len() - bare.len()];
        Ok(ClientFirst { binding, authorize, user: name(user)?, nonce, header, bare })
    }
}

/// `saslname`: a comma is `=2C`, an equals sign `=3D`.
fn name(text: &str) -> Result<String, ScramError> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('=') {
        name.push_str(&rest[..at]);
        name.push(match rest.get(at..at + 3) {
            Some("=2C") => ',',
            Some("=3D") => '=',
            _ => return Err(ScramError("invalid-username-encoding")),
        });
        rest = &rest[at + 3..];
    }
    name.push_str(rest);
    if name.is_empty() || name.contains('\0') { Err(INVALID) } else { Ok(name) }
}

/// `client-final-message`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFinal<'a> {
    /// `cbind-input`: the header, and what binds the channel.
    pub binding: Vec<u8>,
    /// The whole nonce.
    pub nonce: &'a str,
    /// `ClientProof`
    pub proof: Vec<u8>,
    /// `client-final-message-without-proof`
    pub without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// [`ScramError`]
    pub fn parse(message: &'a str) -> Result<Self, ScramError> {
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(INVALID)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|first| first.strip_prefix("c=")).ok_or(INVALID)?;
        let nonce = attributes.next().and_then(|second| second.strip_prefix("r=")).ok_or(INVALID)?;
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| INVALID);
        Ok(ClientFinal { binding: decode(binding)?, nonce, proof: decode(proof)?, without_proof })
    }
}

/// What a client says with a bearer token.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearer<'a> {
    /// Who it wants to be, if it says so.
    pub user: Option<String>,
    /// The token.
    pub token: &'a str,
}

impl<'a> Bearer<'a> {
    /// Reads `n,a=user,` and key/value pairs (RFC 7628 section 3.1).
    ///
    /// # Errors
    /// [`ScramError`]
    pub fn parse_oauthbearer(message: &'a str) -> Result<Self, ScramError> {
        let (header, pairs) = message.split_once('\u{1}').ok_or(INVALID)?;
        let user = header.strip_prefix("n,").or_else(|| header.strip_prefix("y,")).ok_or(INVALID)?;
        let user = match user.strip_suffix(',').ok_or(INVALID)? {
            "" => None,
            user => Some(name(user.strip_prefix("a=").ok_or(INVALID)?)?),
        };
        Ok(Bearer { user, token: token(pairs)? })
    }

    /// Reads the message of XOAUTH2, which has no RFC: `user=` and the same pairs.
    ///
    /// # Errors
    /// [`ScramError`]
    pub fn parse_xoauth2(message: &'a str) -> Result<Self, ScramError> {
        let (user, pairs) = message.split_once('\u{1}').ok_or(INVALID)?;
        let user = user.strip_prefix("user=").filter(|user| !user.is_empty()).ok_or(INVALID)?;
        Ok(Bearer { user: Some(user.to_owned()), token: token(pairs)? })
    }
}

/// Of the pair `auth`; others (host, port) say nothing that counts here.
fn token(pairs: &str) -> Result<&str, ScramError> {
    let pairs = pairs.strip_suffix("\u{1}\u{1}").ok_or(INVALID)?;
    let auth = pairs.split('\u{1}').find_map(|pair| pair.strip_prefix("auth=")).ok_or(INVALID)?;
    let (scheme, token) = auth.split_once(' ').ok_or(INVALID)?;
    let is_b64token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let token = token.trim_matches(' ');
    let is_bearer = scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty() && token.bytes().all(is_b64token);
    if is_bearer { Ok(token) } else { Err(INVALID) }
}

/// A password in its normal form; `None` when it can't have one, because something in it is prohibited.
pub fn saslprep(password: &str) -> Option<String> {
    if password.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Some(password.to_owned());
    }
    let mapped = password.chars().filter(|c| !is_nothing(*c)).map(|c| if is_space(c) { ' ' } else { c });
    let normal: String = mapped.nfkc().collect();
    let is_prohibited = |c: char| {
        c.is_control()
            || matches!(c, '\u{340}' | '\u{341}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{206a}'..='\u{206f}' | '\u{fff9}'..='\u{fffd}')
            || matches!(c, '\u{2ff0}'..='\u{2ffb}' | '\u{e000}'..='\u{f8ff}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
            || matches!(c, '\u{f0000}'..='\u{10ffff}')
            || u32::from(c) & 0xfffe == 0xfffe
            || ('\u{fdd0}'..='\u{fdef}').contains(&c)
    };
    (!normal.is_empty() && !normal.chars().any(is_prohibited)).then_some(normal)
}

/// Commonly mapped to nothing (RFC 3454 table B.1).
fn is_nothing(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180d}' | '\u{200b}'..='\u{200d}' | '\u{2060}')
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Spaces that are no ASCII (RFC 3454 table C.1.2).
fn is_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_messages_are_read() {
        let first = ClientFirst::parse("n,,n=user,r=fyko").unwrap();
        assert_eq!((first.binding, first.authorize, first.user.as_str()), (ChannelBinding::None, None, "user"));
        assert_eq!((first.nonce, first.header, first.bare), ("fyko", "n,,", "n=user,r=fyko"));
        let first = ClientFirst::parse("p=tls-exporter,a=b=2Cc,n=d=3D,r=x,ext=1").unwrap();
        assert_eq!((first.binding, first.authorize.as_deref()), (ChannelBinding::By("tls-exporter"), Some("b,c")));
        assert_eq!((first.user.as_str(), first.header), ("d=", "p=tls-exporter,a=b=2Cc,"));
        for (bad, error) in [
            ("", INVALID),
            ("n,", INVALID),
            ("x,,n=a,r=b", INVALID),
            ("p=,,n=a,r=b", INVALID),
            ("n,b,n=a,r=b", INVALID),
            ("n,,a,r=b", INVALID),
            ("n,,n=a", INVALID),
            ("n,,n=a,r=", INVALID),
            ("n,,n=,r=b", INVALID),
            ("n,,n=a=2c,r=b", ScramError("invalid-username-encoding")),
            ("n,,n=a=,r=b", ScramError("invalid-username-encoding")),
            ("n,,m=x,n=a,r=b", ScramError("extensions-not-supported")),
        ] {
            assert_eq!(ClientFirst::parse(bad), Err(error), "{bad}");
        }
    }

    #[test]
    fn final_messages_are_read() {
        let last = ClientFinal::parse("c=biws,r=ab,x=y,p=AAEC").unwrap();
        assert_eq!((last.binding.as_slice(), last.nonce, last.proof.as_slice()), (&b"n,,"[..], "ab", &[0, 1, 2][..]));
        assert_eq!(last.without_proof, "c=biws,r=ab,x=y");
        for bad in ["", "c=biws,r=ab", "c=!,r=ab,p=AAEC", "r=ab,c=biws,p=AAEC", "c=biws,r=ab,p=%"] {
            assert_eq!(ClientFinal::parse(bad), Err(INVALID), "{bad}");
        }
    }

    #[test]
    fn bearer_tokens_are_read() {
        let message =
            "n,a=user@example.com,\u{1}host=server.example.com\u{1}port=143\u{1}auth=Bearer vF9dft4qmT=\u{1}\u{1}";
        let bearer = Bearer::parse_oauthbearer(message).unwrap();
        assert_eq!((bearer.user.as_deref(), bearer.token), (Some("user@example.com"), "vF9dft4qmT="));
        let bearer = Bearer::parse_oauthbearer("n,,\u{1}auth=bearer x\u{1}\u{1}").unwrap();
        assert_eq!((bearer.user, bearer.token), (None, "x"));
        let bearer = Bearer::parse_xoauth2("user=ana@x.test\u{1}auth=Bearer x.y\u{1}\u{1}").unwrap();
        assert_eq!((bearer.user.as_deref(), bearer.token), (Some("ana@x.test"), "x.y"));
        for bad in [
            "",
            "n,,",
            "n,a=,\u{1}auth=Bearer x\u{1}\u{1}",
            "p=x,,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,,\u{1}auth=Bearer x\u{1}",
            "n,,\u{1}auth=Bearer \u{1}\u{1}",
            "n,,\u{1}auth=Bearer a b\u{1}\u{1}",
            "n,,\u{1}auth=Basic x\u{1}\u{1}",
            "n,,\u{1}\u{1}",
        ] {
            assert!(Bearer::parse_oauthbearer(bad).is_err(), "{bad:?}");
        }
        assert!(Bearer::parse_xoauth2("user=\u{1}auth=Bearer x\u{1}\u{1}").is_err());
    }

    #[test]
    fn passwords_have_one_form() {
        // The examples of RFC 4013 section 3.
        for (password, expected) in [
            ("I\u{ad}X", Some("IX")),
            ("user", Some("user")),
            ("USER", Some("USER")),
            ("\u{aa}", Some("a")),
            ("\u{2168}", Some("IX")),
            ("\u{7}", None),
            ("a\u{a0}b", Some("a b")),
            ("e\u{301}", Some("\u{e9}")),
            ("\u{ad}", None),
        ] {
            assert_eq!(saslprep(password).as_deref(), expected, "{password:?}");
        }
    }
}
