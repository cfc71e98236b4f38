//! `sterna import sieve` from Debian's Cyrus: scripts come with their names, and the one that runs there runs here.

use std::fs;
use std::net::Ipv4Addr;

use serde_json::Value;
use sterna_testkit::binary;
use sterna_testkit::cyrus::{ADMIN, Cyrus};
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, errors};
use sterna_testkit::raw::Raw;

const ANA: &str = "ana@tern.test";

const VACATION: &str = "require \"vacation\";\r\nvacation :days 3 \"Ich bin \u{fc}ber Land.\";\r\n";
const LISTS: &str = "require \"fileinto\";\r\nif header :contains \"List-Id\" \"terns\" { fileinto \"Terns\"; }\r\n";

/// Says something to Cyrus, and waits for the end of its answer.
fn tell(sieve: &mut Raw, text: &str) {
    sieve.send(text.as_bytes()).unwrap();
    loop {
        let line = sieve.line().unwrap().unwrap_or_else(|| panic!("{text}: it ended"));
        assert!(!line.starts_with("NO") && !line.starts_with("BYE"), "{text}: {line}");
        if line.starts_with("OK") {
            return;
        }
    }
}

fn import(installation: &Installation, port: u16, more: &[&str]) -> (Option<i32>, Value, String) {
    let file = installation.folder().join("source-password");
    fs::write(&file, "x").unwrap();
    let (file, port) = (file.to_string_lossy(), port.to_string());
    let first = ["--json", "import", "sieve", "--host", "127.0.0.1", "--port", &port, "--encryption", "none"];
    let who = ["--login", "ana", "--to", ANA, "--password-file", &file];
    let output = installation.admin("main", &[&first[..], &who, more].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let value: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text} {}", errors(&output)));
    (output.status.code(), value["accounts"][0].clone(), errors(&output))
}

/// Names of the scripts here, the one that runs with a star.
fn scripts(installation: &Installation) -> Vec<String> {
    let listed = installation.admin_ok("main", &["--json", "sieve", "list", ANA]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let name = |script: &Value| {
        let star = if script["active"] == true { "*" } else { "" };
        format!("{}{star}", script["name"].as_str().unwrap())
    };
    listed.as_array().unwrap().iter().map(name).collect()
}

#[test]
fn scripts_come_with_their_names_and_the_one_that_runs() {
    if !binary::have_root() {
        return;
    }
    let cyrus = Cyrus::start(1, ("nobody", "x"));
    let mut admin = Imap::login("127.0.0.1", cyrus.port, ADMIN, "x").unwrap();
    assert!(admin.command("CREATE user/ana").unwrap().ok());
    let mut there = Raw::connect(Ipv4Addr::LOCALHOST.into(), cyrus.managesieve).unwrap();
    tell(&mut there, "");
    // "\0ana\0x"
    tell(&mut there, "AUTHENTICATE \"PLAIN\" \"AGFuYQB4\"\r\n");
    for (name, text) in [("Abwesend \u{fc}", VACATION), ("lists", LISTS)] {
        tell(&mut there, &format!("PUTSCRIPT {{{}+}}\r\n{name} {{{}+}}\r\n{text}\r\n", name.len(), text.len()));
    }
    tell(&mut there, "SETACTIVE \"lists\"\r\n");

    let installation = Installation::standard();
    let (code, done, said) = import(&installation, cyrus.managesieve, &[]);
    assert_eq!((code, &done["messages"]), (Some(0), &Value::from(2)), "{done} {said}");
    assert_eq!(scripts(&installation), ["Abwesend \u{fc}", "lists*"]);
    let shown = installation.admin_ok("main", &["--json", "sieve", "show", ANA, "Abwesend \u{fc}"]);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["text"], VACATION);

    // Once more nothing comes; what changed there comes, and what runs.
    let (code, done, _) = import(&installation, cyrus.managesieve, &[]);
    assert_eq!((code, &done["messages"]), (Some(0), &Value::from(0)), "{done}");
    tell(&mut there, "SETACTIVE \"=?UTF-8?Q?Abwesend_=C3=BC?=\"\r\n");
    let (code, done, _) = import(&installation, cyrus.managesieve, &["--sweep"]);
    assert_eq!((code, scripts(&installation)[1].as_str()), (Some(0), "lists*"), "{done}");
    let (code, done, _) = import(&installation, cyrus.managesieve, &[]);
    assert_eq!((code, scripts(&installation)[0].as_str()), (Some(0), "Abwesend \u{fc}*"), "{done}");

    // What runs there, and can't here, is kept and named, and what ran stays.
    let odd = "require \"imap4flags\";\r\nrequire \"vnd.cyrus.log\";\r\nlog \"x\";\r\n";
    tell(&mut there, &format!("PUTSCRIPT \"odd\" {{{}+}}\r\n{odd}\r\n", odd.len()));
    tell(&mut there, "SETACTIVE \"odd\"\r\n");
    let (code, done, said) = import(&installation, cyrus.managesieve, &[]);
    let damaged = done["damaged"][0].as_str().unwrap_or_default();
    assert!(code == Some(1) && damaged.contains("odd: it is kept, and can't run here"), "{done} {said}");
    let refused = import(&installation, cyrus.port, &[]);
    assert!(refused.0 == Some(1) && refused.1["error"].to_string().contains("as expected"), "{refused:?}");
}
