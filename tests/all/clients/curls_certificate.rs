//! curl logs in by a certificate.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use sterna_testkit::binary::have;
use sterna_testkit::installation::{Installation, succeeded};

const ANA: &str = "ana@tern.test";

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    succeeded(arguments, &output);
}

/// An authority, and a certificate of it for this address, in files of these names.
fn certify(folder: &Path, authority: &str, address: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let files = |name: &str| format!("-keyout {name}.key -out {name}");
    openssl(folder, &format!("req -x509 {key} {}.pem -subj /CN={authority} -days 30", files(authority)));
    let user = format!("{authority}-user");
    openssl(folder, &format!("req {key} {}.csr -subj /CN=User", files(&user)));
    fs::write(folder.join("names"), format!("subjectAltName=email:{address}\n")).unwrap();
    let signed = format!("-CA {authority}.pem -CAkey {authority}.key -set_serial 7 -days 10 -extfile names");
    openssl(folder, &format!("x509 -req -in {user}.csr {signed} -out {user}.pem"));
}

/// Asks for a mailbox's state with a certificate in place of a password.
fn examine(installation: &Installation, folder: &Path, user: &str) -> Output {
    let at = installation.node("main").at;
    let file = |end: &str| folder.join(format!("{user}.{end}"));
    Command::new("curl")
        .args(["--silent", "--show-error", "--insecure", "--max-time", "60", "--login-options", "AUTH=EXTERNAL"])
        .args(["--user", &format!("{ANA}:"), "--request", "EXAMINE INBOX"])
        .arg("--cert")
        .arg(file("pem"))
        .arg("--key")
        .arg(file("key"))
        .arg(format!("imaps://{}:{}/", at.host, at.ports.imaps))
        .output()
        .unwrap()
}

#[test]
fn a_certificate_of_a_known_authority_is_enough() {
    if !have(&["openssl", "curl"]) {
        return;
    }
    let mut installation = Installation::standard();
    let folder = installation.folder().join("certificates");
    fs::create_dir(&folder).unwrap();
    certify(&folder, "people", ANA);
    certify(&folder, "strangers", ANA);
    assert!(!examine(&installation, &folder, "people-user").status.success(), "nobody asks for certificates yet");
    installation.stop("main");
    let path = installation.folder().join("main/sterna.toml");
    let config = fs::read_to_string(&path).unwrap();
    let ca = folder.join("people.pem");
    fs::write(&path, format!("{config}\n[client_certificates]\nca = {:?}\n", ca.display().to_string())).unwrap();
    installation.serve("main");
    let text = succeeded("curl", &examine(&installation, &folder, "people-user"));
    assert!(text.contains("* 0 EXISTS"), "{text}");
    assert!(!examine(&installation, &folder, "strangers-user").status.success(), "of another authority");
    // Whoever shows none logs in as ever.
    installation.node("main").at.login(ANA).unwrap();
}
