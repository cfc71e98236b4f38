//! What is asked of browsers, and what they answer, in the JSON forms of Web Authentication (sections 5.1.8 to 5.1.10,
//! 5.4 and 5.5), and the page that they are at.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::problem::Problem;
use super::super::sessions::From;
use super::challenges::CHALLENGE_MS_MAX;
use crate::webauthn::{ALGORITHMS, encode};

/// What signing in is asked with (section 5.1.10).
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PasskeyRequestOptions")]
pub struct RequestOptions {
    /// Good once, in base64url.
    challenge: String,
    /// The host.
    rp_id: String,
    /// In milliseconds.
    timeout: i64,
    /// "required" where the passkey is all that is asked for.
    user_verification: &'static str,
}

/// What a new passkey is asked for with (section 5.1.8).
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PasskeyCreationOptions")]
pub struct CreationOptions {
    rp: Rp,
    user: User,
    /// Good once, in base64url.
    challenge: String,
    pub_key_cred_params: Vec<Algorithm>,
    /// In milliseconds.
    timeout: i64,
    /// Those that are there already.
    exclude_credentials: Vec<Descriptor>,
    authenticator_selection: Selection,
    /// Who made the authenticator is not asked.
    attestation: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PasskeyHost")]
struct Rp {
    id: String,
    name: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PasskeyUser")]
struct User {
    id: String,
    name: String,
    display_name: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PasskeyAlgorithm")]
struct Algorithm {
    #[serde(rename = "type")]
    kind: &'static str,
    alg: i32,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PasskeyDescriptor")]
struct Descriptor {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PasskeySelection")]
struct Selection {
    resident_key: &'static str,
    require_resident_key: bool,
    user_verification: &'static str,
}

/// What a browser gave for signing in.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PasskeyAssertion")]
pub struct Assertion {
    /// The credential's id; all fields are base64url.
    pub id: String,
    /// What it says.
    pub response: AssertionResponse,
}

/// See [`Assertion`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PasskeyAssertionResponse")]
pub struct AssertionResponse {
    /// What the browser says.
    #[serde(rename = "clientDataJSON")]
    pub client_data: String,
    /// What the authenticator says.
    pub authenticator_data: String,
    /// What it signed with.
    pub signature: String,
    /// Whose passkey it is.
    #[serde(default)]
    pub user_handle: Option<String>,
}

/// What a browser gave for a new passkey.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PasskeyCredential")]
pub struct NewCredential {
    /// What it says.
    pub response: NewCredentialResponse,
}

/// See [`NewCredential`].
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "PasskeyCredentialResponse")]
pub struct NewCredentialResponse {
    /// What the browser says.
    #[serde(rename = "clientDataJSON")]
    pub client_data: String,
    /// What the authenticator says.
    pub attestation_object: String,
}

impl RequestOptions {
    /// For a challenge.
    pub fn new(challenge: &[u8], rp_id: String, must_verify: bool) -> Self {
        let user_verification = if must_verify { "required" } else { "preferred" };
        RequestOptions { challenge: encode(challenge), rp_id, timeout: CHALLENGE_MS_MAX, user_verification }
    }
}

impl CreationOptions {
    /// For somebody who has some already. The user's id says no more than a number.
    pub fn new(challenge: &[u8], rp_id: String, user: (&[u8], &str, &str), there: Vec<String>) -> Self {
        let (id, name, display_name) = user;
        let kind = "public-key";
        CreationOptions {
            rp: Rp { id: rp_id, name: "Sterna" },
            user: User { id: encode(id), name: name.to_owned(), display_name: display_name.to_owned() },
            challenge: encode(challenge),
            pub_key_cred_params: ALGORITHMS.map(|alg| Algorithm { kind, alg }).into(),
            timeout: CHALLENGE_MS_MAX,
            exclude_credentials: there.into_iter().map(|id| Descriptor { kind, id }).collect(),
            // Found by itself, so that nobody is told which passkeys a name has.
            authenticator_selection: Selection {
                resident_key: "required",
                require_resident_key: true,
                user_verification: "preferred",
            },
            attestation: "none",
        }
    }
}

/// The origin of the page that asks and its host. The door has seen to it that the page is of this host.
pub fn page(headers: &HeaderMap, uri: &Uri, from: From) -> Result<(String, String), Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = uri.authority().map(ToString::to_string).or_else(|| host.map(str::to_owned));
    let authority = authority.and_then(|authority| authority.parse::<axum::http::uri::Authority>().ok());
    let authority = authority.ok_or_else(|| Problem::malformed("the request names no host"))?;
    let host = authority.host().to_ascii_lowercase();
    if host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[') {
        let detail = "browsers keep passkeys for names, not for numbers";
        let remedy = "Open the console at its name, as in https://mail.example.org/admin/.";
        let title = "There are no passkeys here";
        return Err(Problem::new(StatusCode::CONFLICT, "passkeys-need-a-name", title, detail, remedy));
    }
    let (scheme, usual) = if from.encrypted { ("https", 443) } else { ("http", 80) };
    let origin = match authority.port_u16().filter(|port| *port != usual) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    };
    Ok((origin, host))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn page_of(host: &'static str, encrypted: bool) -> Result<(String, String), String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        let from = From { peer: [192, 0, 2, 1].into(), encrypted };
        page(&headers, &Uri::from_static("/api/v1/session"), from).map_err(|problem| problem.code)
    }

    #[test]
    fn the_page_is_the_one_that_was_asked_for() {
        let is = |origin: &str, host: &str| Ok((origin.to_owned(), host.to_owned()));
        assert_eq!(page_of("Mail.Tern.test:8443", true), is("https://mail.tern.test:8443", "mail.tern.test"));
        assert_eq!(page_of("mail.tern.test:443", true), is("https://mail.tern.test", "mail.tern.test"));
        assert_eq!(page_of("localhost:8080", false), is("http://localhost:8080", "localhost"));
        for number in ["192.0.2.1:8443", "[::1]:8443"] {
            assert_eq!(page_of(number, true), Err("passkeys-need-a-name".to_owned()), "{number}");
        }
        assert_eq!(page_of("a b", true), Err("malformed".to_owned()));
    }
}
