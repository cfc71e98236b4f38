//! ESMTP parameters of MAIL and RCPT (RFC 5321 section 4.1.2 `esmtp-param`).

use super::limits::{ENVID_BYTES_MAX, ORCPT_BYTES_MAX, PARAMS_MAX};

/// Why a parameter was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// No such parameter here: 555 (RFC 5321 section 4.1.1.11).
    #[error("unknown parameter {0}")]
    Unknown(String),
    /// Its value is not what its RFC says: 501.
    #[error("invalid value of {0}")]
    Invalid(&'static str),
    /// It came twice: 501.
    #[error("{0} given twice")]
    Repeated(&'static str),
    /// More than [`PARAMS_MAX`].
    #[error("too many parameters")]
    TooMany,
}

/// BODY (RFC 6152, RFC 3030).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Body {
    /// Not said, or `7BIT`. Eight-bit content is taken all the same: nothing here would break it.
    #[default]
    SevenBit,
    /// `8BITMIME`
    EightBitMime,
    /// `BINARYMIME`: only BDAT can carry it.
    BinaryMime,
}

/// RET (RFC 3461 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// `FULL`
    Full,
    /// `HDRS`
    Headers,
}

/// Parameters of MAIL.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MailParams {
    /// SIZE (RFC 1870), bytes.
    pub size: Option<u64>,
    /// BODY.
    pub body: Body,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// RET.
    pub ret: Option<Ret>,
    /// ENVID (RFC 3461 section 4.4), decoded.
    pub envid: Option<String>,
    /// AUTH (RFC 4954 section 5), decoded; `<>` is empty.
    pub auth: Option<String>,
}

/// Parameters of RCPT.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RcptParams {
    /// NOTIFY (RFC 3461 section 4.1), in upper case, as a list.
    pub notify: Option<String>,
    /// ORCPT (RFC 3461 section 4.2), as given.
    pub orcpt: Option<String>,
}

/// `esmtp-keyword` and `esmtp-value` of each parameter.
fn split(text: &str) -> Result<Vec<(String, Option<&str>)>, ParamError> {
    let mut params = Vec::new();
    for param in text.split(' ').filter(|param| !param.is_empty()) {
        if params.len() == PARAMS_MAX {
            return Err(ParamError::TooMany);
        }
        let (keyword, value) = match param.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (param, None),
        };
        let keyword_char = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let value_valid = value.is_none_or(|v| !v.is_empty() && v.chars().all(|c| c > ' ' && c != '\x7f'));
        if keyword.is_empty() || !keyword.bytes().all(keyword_char) || !value_valid {
            return Err(ParamError::Invalid("a parameter"));
        }
        params.push((keyword.to_ascii_uppercase(), value));
    }
    Ok(params)
}

fn set<T>(name: &'static str, slot: &mut Option<T>, value: Option<T>) -> Result<(), ParamError> {
    if slot.is_some() {
        return Err(ParamError::Repeated(name));
    }
    *slot = Some(value.ok_or(ParamError::Invalid(name))?);
    Ok(())
}

impl MailParams {
    /// Reads what follows the reverse-path.
    ///
    /// # Errors
    /// [`ParamError`].
    pub fn parse(text: &str) -> Result<Self, ParamError> {
        let (mut params, mut body, mut smtputf8) = (MailParams::default(), None, None);
        for (keyword, value) in split(text)? {
            match &*keyword {
                "SIZE" => set("SIZE", &mut params.size, value.and_then(size))?,
                "BODY" => set("BODY", &mut body, value.and_then(parse_body))?,
                "SMTPUTF8" => set("SMTPUTF8", &mut smtputf8, value.is_none().then_some(true))?,
                "RET" => set("RET", &mut params.ret, value.and_then(parse_ret))?,
                "ENVID" => set("ENVID", &mut params.envid, value.and_then(|v| xtext(v, ENVID_BYTES_MAX)))?,
                "AUTH" => set("AUTH", &mut params.auth, value.and_then(parse_auth))?,
                _ => return Err(ParamError::Unknown(keyword)),
            }
        }
        params.body = body.unwrap_or_default();
        params.smtputf8 = smtputf8.unwrap_or_default();
        Ok(params)
    }
}

impl RcptParams {
    /// Reads what follows the forward-path.
    ///
    /// # Errors
    /// [`ParamError`].
    pub fn parse(text: &str) -> Result<Self, ParamError> {
        let mut params = RcptParams::default();
        for (keyword, value) in split(text)? {
            match &*keyword {
                "NOTIFY" => set("NOTIFY", &mut params.notify, value.and_then(parse_notify))?,
                "ORCPT" => set("ORCPT", &mut params.orcpt, value.and_then(parse_orcpt))?,
                _ => return Err(ParamError::Unknown(keyword)),
            }
        }
        Ok(params)
    }
}

/// `size-value`: at most twenty digits. A number that doesn't fit is larger than any limit, so it saturates.
fn size(value: &str) -> Option<u64> {
    let digits = (1..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| value.parse().unwrap_or(u64::MAX))
}

fn parse_body(value: &str) -> Option<Body> {
    match &*value.to_ascii_uppercase() {
        "7BIT" => Some(Body::SevenBit),
        "8BITMIME" => Some(Body::EightBitMime),
        "BINARYMIME" => Some(Body::BinaryMime),
        _ => None,
    }
}

fn parse_ret(value: &str) -> Option<Ret> {
    match &*value.to_ascii_uppercase() {
        "FULL" => Some(Ret::Full),
        "HDRS" => Some(Ret::Headers),
        _ => None,
    }
}

fn parse_auth(value: &str) -> Option<String> {
    if value == "<>" { Some(String::new()) } else { xtext(value, ORCPT_BYTES_MAX) }
}

/// `NEVER`, or a list of the others, each once.
fn parse_notify(value: &str) -> Option<String> {
    let value = value.to_ascii_uppercase();
    let parts: Vec<&str> = value.split(',').collect();
    let known = parts.iter().all(|part| matches!(*part, "SUCCESS" | "FAILURE" | "DELAY"));
    let distinct = parts.iter().enumerate().all(|(n, part)| !parts[..n].contains(part));
    (value == "NEVER" || (known && distinct)).then_some(value)
}

/// `addr-type ";" xtext`; a `utf-8` address has an encoding of its own (RFC 6533 section 3), which is kept as it is.
fn parse_orcpt(value: &str) -> Option<String> {
    let (kind, address) = value.split_once(';')?;
    let kind_valid = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let valid = kind_valid
        && value.len() <= ORCPT_BYTES_MAX
        && !address.is_empty()
        && (kind.eq_ignore_ascii_case("utf-8") || xtext(address, ORCPT_BYTES_MAX).is_some());
    valid.then(|| value.to_owned())
}

/// `xtext` (RFC 3461 section 4), decoded; only printable ASCII may come out of it.
fn xtext(value: &str, bytes_max: usize) -> Option<String> {
    if value.len() > bytes_max {
        return None;
    }
    let hex = |digit: Option<u8>| match digit? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    let (mut text, mut bytes) = (String::with_capacity(value.len()), value.bytes());
    while let Some(byte) = bytes.next() {
        let decoded = match byte {
            b'+' => hex(bytes.next())? * 16 + hex(bytes.next())?,
            b'=' => return None,
            b'!'..=b'~' => byte,
            _ => return None,
        };
        if !(b' '..=b'~').contains(&decoded) {
            return None;
        }
        text.push(char::from(decoded));
    }
    Some(text)
}

/// A text as `xtext` (RFC 3461 section 4), for parameters that are sent to another server.
pub fn to_xtext(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if !matches!(byte, b'+' | b'=') => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("+{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_one_parameter_and_decoded_again() {
        for text in ["id1", "a+b", "a=b", "a BODY=BINARYMIME", "+20", "~!"] {
            let encoded = to_xtext(text);
            assert!(!encoded.contains([' ', '=']), "{encoded}");
            assert_eq!(xtext(&encoded, ENVID_BYTES_MAX).as_deref(), Some(text));
        }
        assert_eq!(to_xtext("a b+c"), "a+20b+2Bc");
    }

    #[test]
    fn mail_parameters() {
        let params = MailParams::parse(" SIZE=1000 BODY=8bitmime smtputf8 RET=HDRS ENVID=a+2Bb AUTH=<>").unwrap();
        let expected = MailParams {
            size: Some(1000),
            body: Body::EightBitMime,
            smtputf8: true,
            ret: Some(Ret::Headers),
            envid: Some("a+b".into()),
            auth: Some(String::new()),
        };
        assert_eq!(params, expected);
        assert_eq!(MailParams::parse("SIZE=99999999999999999999").unwrap().size, Some(u64::MAX));
    }

    #[test]
    fn rcpt_parameters() {
        let params = RcptParams::parse("notify=success,failure ORCPT=rfc822;a+40b").unwrap();
        assert_eq!(params.notify.as_deref(), Some("SUCCESS,FAILURE"));
        assert_eq!(params.orcpt.as_deref(), Some("rfc822;a+40b"));
    }

    #[test]
    fn wrong_values() {
        for text in ["SIZE=", "SIZE", "SIZE=1x", "BODY=9BIT", "SMTPUTF8=1", "RET=ALL", "ENVID=a+2", "ENVID=a+0A", "=1"]
        {
            assert!(matches!(MailParams::parse(text), Err(ParamError::Invalid(_))), "{text}");
        }
        for text in ["NOTIFY=NEVER,DELAY", "NOTIFY=DELAY,DELAY", "NOTIFY=", "ORCPT=x", "ORCPT=;x", "ORCPT=rfc822;"] {
            assert!(matches!(RcptParams::parse(text), Err(ParamError::Invalid(_))), "{text}");
        }
        assert_eq!(MailParams::parse("SIZE=1 SIZE=1"), Err(ParamError::Repeated("SIZE")));
        assert_eq!(MailParams::parse("XFOO=1"), Err(ParamError::Unknown("XFOO".into())));
        assert_eq!(RcptParams::parse(&"A ".repeat(PARAMS_MAX + 1)), Err(ParamError::TooMany));
    }
}
