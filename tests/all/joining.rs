//! Machines that join, and what those that may not are told: by the real program, as an administrator reads it.

use std::fs;
use std::process::Output;
use std::time::Duration;

use sterna_testkit::installation::{Installation, Place, errors};
use sterna_testkit::time::off_by;
use sterna_testkit::wait::until;

/// How long a refused node may take to say so in its log.
const SAID_WITHIN: Duration = Duration::from_secs(20);

fn main_node() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main", Place::default());
    installation
}

fn join(installation: &mut Installation, node: &str, token: &str, place: Place) -> Output {
    let main = installation.node("main").at.cluster.to_string();
    installation.init(node, "data", place, &["--join", &main, "--token", token])
}

/// The join failed, said all of this in one line, and left no half node behind.
fn is_refused(installation: &Installation, node: &str, output: &Output, texts: &[&str]) {
    let said = errors(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for text in texts {
        assert!(said.contains(text), "{text:?} is not in {said:?}");
    }
    assert!(!said.contains("panicked"), "{said}");
    let half = installation.folder().join(node).join("sterna.toml");
    assert!(!half.exists(), "{node} is half a node");
}

#[test]
fn each_wrong_token_is_told_what_is_wrong_with_it_and_what_to_do() {
    let mut installation = main_node();
    let token = installation.token(&[]);
    assert!(join(&mut installation, "alpha", &token, Place::default()).status.success());
    let used = join(&mut installation, "beta", &token, Place::default());
    is_refused(&installation, "beta", &used, &["the token was used by node", "make a new one", "sterna server invite"]);

    // A main node whose folder came back from a backup doesn't know the tokens it made since.
    let book = installation.node("main").dir.join("cluster/tokens.json");
    let old = fs::read(&book).unwrap();
    let forgotten = installation.token(&[]);
    installation.stop("main");
    fs::write(&book, old).unwrap();
    installation.serve("main");
    let wrong = join(&mut installation, "beta", &forgotten, Place::default());
    is_refused(&installation, "beta", &wrong, &["not one of this installation", "sterna server invite"]);

    let mut mistyped = installation.token(&[]);
    let last = if mistyped.ends_with('a') { 'b' } else { 'a' };
    mistyped.pop();
    mistyped.push(last);
    let refused = join(&mut installation, "beta", &mistyped, Place::default());
    is_refused(&installation, "beta", &refused, &["mistyped", "copy the whole line"]);

    let nonsense = join(&mut installation, "beta", "please", Place::default());
    is_refused(&installation, "beta", &nonsense, &["this is no join token"]);

    // After all that, a good one is still good.
    let token = installation.token(&[]);
    assert!(join(&mut installation, "beta", &token, Place::default()).status.success());
}

#[test]
fn an_expired_token_says_since_when() {
    let (Some(later), Some(here)) = (off_by("+3h"), off_by("+3h")) else { return };
    let mut installation = main_node();
    let token = installation.token(&["--minutes", "60"]);
    installation.stop("main");
    installation.put("main", later);
    installation.serve("main");
    let expired = join(&mut installation, "alpha", &token, here);
    let texts = ["the token expired 2 h 0 min ago", "make a new one", "sterna server invite"];
    is_refused(&installation, "alpha", &expired, &texts);
}

#[test]
fn a_clock_that_is_a_day_off_is_named_with_the_way_to_set_it() {
    // An hour more than a day: how long the join takes must not matter for what is said.
    for (offset, told) in [("+25h", "ahead of"), ("-25h", "behind")] {
        let (Some(off), mut installation) = (off_by(offset), main_node()) else { return };
        let token = installation.token(&[]);
        let refused = join(&mut installation, "alpha", &token, off);
        let texts = ["this machine's clock is 1 d", told, "the main node's", "timedatectl", "with the same token"];
        is_refused(&installation, "alpha", &refused, &texts);
        // As it says: the same token is good once the clock is.
        let joined = join(&mut installation, "alpha", &token, Place::default());
        assert!(joined.status.success(), "{}", errors(&joined));
    }
}

#[test]
fn a_token_of_another_installation_does_not_reach_the_wrong_main_node() {
    let (mut ours, theirs) = (main_node(), main_node());
    let refused = join(&mut ours, "alpha", &theirs.token(&[]), Place::default());
    let texts = ["could not prove that it made the token", "check the address, or make a new token"];
    is_refused(&ours, "alpha", &refused, &texts);
}

#[test]
fn an_address_where_nobody_answers_is_named() {
    let mut installation = main_node();
    let token = installation.token(&[]);
    installation.stop("main");
    let refused = join(&mut installation, "alpha", &token, Place::default());
    let main = installation.node("main").at.cluster.to_string();
    is_refused(&installation, "alpha", &refused, &["can't be reached", &main, "check the address", "firewall"]);
}

#[test]
fn a_node_with_a_certificate_of_another_installation_is_kept_out_and_says_why() {
    let (mut ours, mut theirs) = (main_node(), main_node());
    for installation in [&mut ours, &mut theirs] {
        installation.join_and_serve("alpha", "data", Place::default());
        installation.stop("alpha");
    }
    let [ours_at, theirs_at] = [&ours, &theirs].map(|installation| installation.node("alpha").dir.join("cluster"));
    let kept = ["node.pem", "node.json"].map(|file| (file, fs::read(ours_at.join(file)).unwrap()));

    // A certificate that isn't its own: it doesn't start.
    fs::copy(theirs_at.join("node.pem"), ours_at.join("node.pem")).unwrap();
    assert!(ours.try_serve("alpha").is_some_and(|ended| !ended.success()));
    let log = ours.node("alpha").log();
    let line = log.lines().last().unwrap_or_default();
    assert!(line.contains("the certificate is not that of") && line.ends_with("restore it from a backup"), "{line}");

    // One that belongs to it, but not to this installation: nobody talks to it, and it says so.
    fs::copy(theirs_at.join("node.json"), ours_at.join("node.json")).unwrap();
    ours.serve("alpha");
    until("the node says why it is alone", SAID_WITHIN, || {
        ours.node("alpha").log()[log.len()..].contains("not from this installation's authority").then_some(())
    });
    ours.stop("alpha");
    kept.iter().for_each(|(file, bytes)| fs::write(ours_at.join(file), bytes).unwrap());
}

#[test]
fn a_folder_with_a_node_in_it_is_not_set_up_again() {
    let mut installation = Installation::new();
    assert!(installation.init("main", "main,data,edge", Place::default(), &[]).status.success());
    let again = installation.init("main", "main,data,edge", Place::default(), &[]);
    assert!(!again.status.success());
    assert!(errors(&again).contains("already"), "{}", errors(&again));
}
