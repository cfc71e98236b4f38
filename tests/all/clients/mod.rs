//! Real clients read what real clients delivered, on both data servers.

mod curl_and_swaks;
mod curls_certificate;
mod curls_pop3;
mod fetchmail;
mod getmail;
mod himalaya;
mod interimap;
mod mbsync;
mod neomutt;
mod offlineimap;
mod pythons_imapclient;
mod pythons_imaplib;
mod pythons_poplib;
mod thunderbird;

use std::fs;
use std::path::Path;
use std::process::Command;

use sterna_testkit::demo::{Demo, User};
use sterna_testkit::imap::Imap;

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}{errors}");
    text
}

/// Messages in a Maildir and its folders.
fn count_messages(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count_messages(&path) } else { usize::from(is_message(&path)) }).sum()
}

fn is_message(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with("new") || folder.ends_with("cur"))
}

fn login(demo: &Demo, user: &User) -> Imap {
    let at = &demo.at.imap;
    Imap::login(&at.host, at.port, &user.address, &user.password).unwrap()
}
