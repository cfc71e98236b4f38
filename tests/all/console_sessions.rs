//! Who may use a session of the console: the browser that signed in, from pages of this host, and nobody who guesses.

use sterna_testkit::http::{Answer, Http};
use sterna_testkit::installation::{Doors, Installation, PASSWORD, Place};

const ADA: &str = "ada@tern.test";
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn ask(at: Doors, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut http = Http::connect(at.host, at.ports.http, None).unwrap();
    http.request(method, path, headers, body).unwrap()
}

fn sign_in(at: Doors, cookie: &str, password: &str) -> Answer {
    let body = format!(r#"{{"login": "{ADA}", "password": "{password}"}}"#);
    ask(at, "POST", "/api/v1/session", &[JSON, ("Cookie", cookie)], &body)
}

#[test]
fn a_session_is_for_who_signed_in_and_for_pages_of_this_host() {
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ADA, "main");
    installation.admin_ok("main", &["user", "set", ADA, "--admin", "yes"]);
    let at = installation.node("main").at;

    // A session that somebody else chose before is none afterwards (fixation).
    let chosen = format!("sterna-session={}", "0".repeat(64));
    let answer = sign_in(at, &chosen, PASSWORD);
    assert_eq!(answer.status, 201, "{answer:?}");
    let set = answer.header("set-cookie").unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    let cookie = set.split(';').next().unwrap().to_owned();
    assert_ne!(cookie, chosen);
    assert_eq!(ask(at, "GET", "/api/v1/users", &[("Cookie", &chosen)], "").status, 401);
    assert_eq!(ask(at, "GET", "/api/v1/users", &[("Cookie", &cookie)], "").status, 200);

    // Other sites' pages send forms and scripts with it, and change nothing.
    let domain = r#"{"name": "evil.test"}"#;
    for (name, value) in [
        ("Origin", "https://evil.test"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let answer = ask(at, "POST", "/api/v1/domains", &[JSON, ("Cookie", &cookie), (name, value)], domain);
        assert_eq!(answer.status, 403, "{name}: {value}: {answer:?}");
    }
    for kind in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"] {
        let headers = [("Content-Type", kind), ("Cookie", &*cookie)];
        let answer = ask(at, "POST", "/api/v1/domains", &headers, domain);
        assert!((400..500).contains(&answer.status), "{kind}: {answer:?}");
    }
    assert!(!installation.admin_ok("main", &["--output", "ndjson", "domain", "list"]).contains("evil"));

    // Whoever ends it has ended it, and no address leads away from this host.
    for path in ["/admin//evil.test", "/admin/?next=https://evil.test", "//evil.test/admin/", "/setup?lang=//evil.test"]
    {
        let answer = ask(at, "GET", path, &[("Cookie", &cookie)], "");
        let to = answer.header("location").unwrap_or_default();
        assert!(to.is_empty() || (to.starts_with('/') && !to.starts_with("//")), "{path} leads to {to}");
    }
    let ended = ask(at, "DELETE", "/api/v1/session", &[JSON, ("Cookie", &cookie)], "");
    assert!((200..300).contains(&ended.status), "{ended:?}");
    assert_eq!(ask(at, "GET", "/api/v1/users", &[("Cookie", &cookie)], "").status, 401);

    // Who guesses waits.
    let guesses: Vec<u16> = (0..30).map(|n| sign_in(at, "", &format!("wrong number {n}")).status).collect();
    assert!(guesses.iter().all(|status| matches!(status, 401 | 429)), "{guesses:?}");
    assert!(guesses.contains(&429), "{guesses:?}");
}
