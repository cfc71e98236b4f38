//! `sterna apply`.

use std::fs;

use serde_json::json;

use super::Node;
use crate::cli::Exit;

const FILE: &str = r#"
[settings]
"postmaster" = "ana@demo.test"

[[domains]]
name = "demo.test"
aliases = ["demo.example"]
description = "Everybody"
settings = { "retention-days" = 10 }

[[domains]]
name = "new.test"
servers = ["beta"]

[[users]]
address = "ana@demo.test"
aliases = ["anna@demo.test"]
display_name = "Ana"
unit = "sales"
server = "alpha"
password = "sesame"
quota_bytes = 5000
forward_to = ["zoe@far.test"]

[[users]]
address = "ben@new.test"

[[mailboxes]]
address = "info@demo.test"
senders = ["ana@demo.test"]

[[groups]]
address = "all@demo.test"
members = ["ana@demo.test", "ben@new.test"]

[[roles]]
name = "watcher"
permissions = ["servers:read"]

[[grants]]
user = "ana@demo.test"
role = "help-desk"
domain = "demo.test"
unit = "sales"
"#;

#[tokio::test]
async fn a_file_is_applied_once_and_changes_what_differs() {
    let node = Node::main().await;
    let file = node.folder.path().join("all.toml");
    let name = file.to_str().unwrap();
    fs::write(&file, FILE).unwrap();
    assert_eq!(node.run(&["apply", name, "--dry-run"]).await, Exit::Done);
    assert!(node.get(&["users", "ana@demo.test"]).await.is_err(), "a dry run makes nothing");
    assert_eq!(node.run(&["apply", name]).await, Exit::Done);
    assert_eq!(node.run(&["apply", name]).await, Exit::NothingToDo);
    let ana = node.get(&["users", "ana@demo.test"]).await.unwrap();
    assert_eq!((&ana["unit"], &ana["forward_to"]), (&json!("sales"), &json!(["zoe@far.test"])));
    let members = node.get(&["groups", "all@demo.test", "members"]).await.unwrap();
    assert_eq!(members["items"].as_array().unwrap().len(), 2);
    assert_eq!(node.get(&["settings", "postmaster"]).await.unwrap()["value"], "ana@demo.test");
    assert_eq!(node.get(&["grants"]).await.unwrap()["items"][0]["unit"], "sales");
    // Somebody changed what the file says, and what it doesn't mention.
    node.patch(&["users", "ana@demo.test"], json!({"display_name": "Other", "hidden": true})).await.unwrap();
    node.patch(&["groups", "all@demo.test", "members"], json!({"add": ["info@demo.test"]})).await.unwrap();
    assert_eq!(node.run(&["apply", name]).await, Exit::Done);
    let ana = node.get(&["users", "ana@demo.test"]).await.unwrap();
    assert_eq!((&ana["display_name"], &ana["hidden"]), (&json!("Ana"), &json!(true)));
    let members = node.get(&["groups", "all@demo.test", "members"]).await.unwrap();
    assert_eq!(members["items"].as_array().unwrap().len(), 2);
    assert_eq!(node.run(&["snapshot"]).await, Exit::Done);
}

#[tokio::test]
async fn a_file_that_means_nothing_is_refused() {
    let node = Node::main().await;
    let file = node.folder.path().join("bad.toml");
    for bad in ["[[usrs]]\naddress = 'x@demo.test'", "users = 3", "[[users]]\nname = 'x'", "[[users]]\naddress =", "{"]
    {
        fs::write(&file, bad).unwrap();
        assert_eq!(node.run(&["apply", file.to_str().unwrap()]).await, Exit::Usage, "{bad}");
    }
    assert_eq!(node.run(&["apply", "/nowhere/x.toml"]).await, Exit::Failed);
}

const SOURCES: &str = r#"
[settings]
"relay.password" = { file = "relay.secret" }

[[sources]]
name = "ldap"
kind = "open-ldap"
domain = "demo.test"
urls = ["ldaps://ldap.demo.test"]
bind_dn = "cn=reader,dc=demo"
base = "dc=demo"
every_minutes = 30
password_file = "ldap.password"

[[tokens]]
name = "entra"
permissions = ["people:write"]
domain = "demo.test"
days = 30
file = "entra.token"
"#;

#[tokio::test]
async fn sources_tokens_and_secrets_are_declared_by_files_beside_the_file() {
    let node = Node::main().await;
    let folder = node.folder.path();
    let beside = |name: &str| folder.join(name);
    let apply = |text: &str| {
        fs::write(beside("all.toml"), text).unwrap();
        let name = beside("all.toml");
        let node = &node;
        async move { node.run(&["apply", name.to_str().unwrap()]).await }
    };
    assert_ne!(apply(SOURCES).await, Exit::Done, "a secret is missing");
    for (name, secret) in [("relay.secret", "sesame\n"), ("ldap.password", "open\n")] {
        fs::write(beside(name), secret).unwrap();
    }
    assert_eq!(apply(SOURCES).await, Exit::Done);
    let source = node.get(&["sources", "ldap"]).await.unwrap();
    assert_eq!((&source["has_password"], &source["every_minutes"]), (&json!(true), &json!(30)));
    assert!(fs::read_to_string(beside("entra.token")).unwrap().starts_with("sterna_"));
    assert_eq!(apply(SOURCES).await, Exit::NothingToDo);

    // What is there stays when the files of the secrets are gone; another server is told the password again.
    for name in ["relay.secret", "ldap.password"] {
        fs::remove_file(beside(name)).unwrap();
    }
    assert_eq!(apply(SOURCES).await, Exit::NothingToDo);
    let other = SOURCES.replace("ldaps://ldap.demo.test", "ldaps://other.demo.test");
    assert_ne!(apply(&other).await, Exit::Done);
    fs::write(beside("ldap.password"), "open").unwrap();
    assert_eq!(apply(&other).await, Exit::Done);
    assert_eq!(node.get(&["sources", "ldap"]).await.unwrap()["urls"], json!(["ldaps://other.demo.test"]));
    // A password in the file itself is refused.
    assert_ne!(apply(&other.replace("password_file", "password")).await, Exit::Done);
}

#[tokio::test]
async fn tokens_of_people_and_ended_ones_are_not_what_a_file_declares() {
    let node = Node::main().await;
    let folder = node.folder.path();
    let apply = |text: String| {
        fs::write(folder.join("all.toml"), text).unwrap();
        let (name, node) = (folder.join("all.toml"), &node);
        async move { node.run(&["apply", name.to_str().unwrap()]).await }
    };
    let token = |name: &str, file: &str| {
        format!("[[tokens]]\nname = \"{name}\"\npermissions = [\"people:read\"]\ndays = 2\nfile = \"{file}\"\n")
    };
    assert_eq!(apply(token("backup", "a.token")).await, Exit::Done);
    let first = fs::read_to_string(folder.join("a.token")).unwrap();
    assert_eq!(apply(token("backup", "a.token")).await, Exit::NothingToDo);
    // It has ended: another is made.
    node.clock.advance_ms(3 * 24 * 3600 * 1000);
    assert_eq!(apply(token("backup", "a.token")).await, Exit::Done);
    assert_ne!(fs::read_to_string(folder.join("a.token")).unwrap(), first);
    // Of two with one file the second is refused, and the first isn't lost.
    assert_ne!(apply(token("one", "b.token") + &token("two", "b.token")).await, Exit::Done);
    // What has ended makes room.
    let made = node.get(&["api-tokens"]).await.unwrap();
    let named = |name: &str| made["items"].as_array().unwrap().iter().filter(|token| token["name"] == name).count();
    assert_eq!((named("backup"), named("one"), named("two")), (1, 1, 0), "{made}");
    assert!(fs::read_to_string(folder.join("b.token")).unwrap().starts_with("sterna_"));
}
