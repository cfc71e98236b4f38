//! External contacts by the API and by the command line.

use std::fs;

use serde_json::json;

use super::{Node, code};
use crate::cli::Exit;
use crate::cli::client::path;

async fn find(node: &Node, parameters: &[(&str, Option<&str>)]) -> (Vec<String>, Option<String>) {
    let page = node.client.get(&path(&["contacts"], parameters)).await.unwrap();
    let addresses = page["items"].as_array().unwrap().iter().map(|item| item["address"].as_str().unwrap().to_owned());
    (addresses.collect(), page["next"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn contacts_are_kept_by_a_domain_and_known_by_its_groups() {
    let node = Node::main().await;
    node.post("domains", json!({"name": "other.test"})).await.unwrap();
    let eve = json!({"address": "eve@far.test", "domain": "demo.test", "display_name": "Eve", "phone": "+49 1"});
    let made = node.post("contacts", eve.clone()).await.unwrap();
    assert_eq!((&made.body["domain"], &made.body["kind"]), (&json!("demo.test"), &json!("contact")));
    assert_eq!(code(node.post("contacts", eve).await), (409, "taken".to_owned()));
    for (body, status) in [
        (json!({"address": "ana@demo.example", "domain": "demo.test"}), 422),
        (json!({"address": "x@far.test"}), 400),
        (json!({"domain": "demo.test"}), 400),
        (json!({"address": "x@far.test", "domain": "nowhere.test"}), 404),
        (json!({"address": "x@far.test", "domain": "demo.test", "phone": "1".repeat(65)}), 422),
        (json!({"address": "x@far.test", "domain": "demo.test", "note": "a\nb"}), 422),
        (json!({"address": "x@far.test", "domain": "demo.test", "unit": "/"}), 422),
    ] {
        assert_eq!(code(node.post("contacts", body.clone()).await).0, status, "{body}");
    }
    node.post("groups", json!({"address": "team@demo.test", "members": ["eve@far.test"]})).await.unwrap();
    let members = node.get(&["groups", "team@demo.test", "members"]).await.unwrap();
    assert_eq!(
        (&members["items"][0]["address"], &members["items"][0]["kind"]),
        (&json!("eve@far.test"), &json!("contact"))
    );
    let shown = node.get(&["contacts", "eve@far.test"]).await.unwrap();
    assert_eq!(shown["groups"], json!(["team@demo.test"]));
    node.patch(&["contacts", "eve@far.test"], json!({"address": "eve@near.test"})).await.unwrap();
    let members = node.get(&["groups", "team@demo.test", "members"]).await.unwrap();
    assert_eq!(members["items"][0]["address"], "eve@near.test");
    assert!(!node.patch(&["contacts", "eve@near.test"], json!({"phone": "+49 1"})).await.unwrap().changed);
    // Two domains may know one person; then it is said which is meant.
    node.post("contacts", json!({"address": "eve@near.test", "domain": "other.test"})).await.unwrap();
    let said = node.client.get(&path(&["contacts", "eve@near.test"], &[])).await;
    let Err(crate::cli::client::CliError::Refused(problem)) = said else { panic!("{said:?}") };
    assert_eq!((problem.status, problem.code.as_str()), (409, "ambiguous"));
    let of_other = path(&["contacts", "eve@near.test"], &[("domain", Some("other.test"))]);
    assert_eq!(node.client.get(&of_other).await.unwrap()["domain"], "other.test");
    // A domain that comes here says whom it has.
    let near = node.post("domains", json!({"name": "near.test"})).await.unwrap();
    assert_eq!(near.body["contacts_inside"], 2);
}

#[tokio::test]
async fn listings_of_contacts_come_in_pages_and_find() {
    let node = Node::main().await;
    node.post("domains", json!({"name": "other.test"})).await.unwrap();
    for (n, domain) in ["other.test", "demo.test", "demo.test", "other.test", "demo.test"].into_iter().enumerate() {
        let body = json!({"address": format!("p{n}@far.test"), "domain": domain, "organisation": format!("Works {n}")});
        node.post("contacts", body).await.unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let (found, next) = find(&node, &[("limit", Some("2")), ("after", after.as_deref())]).await;
        seen.extend(found);
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, ["p1@far.test", "p2@far.test", "p4@far.test", "p0@far.test", "p3@far.test"]);
    assert_eq!(find(&node, &[("domain", Some("other.test"))]).await.0, ["p0@far.test", "p3@far.test"]);
    assert_eq!(find(&node, &[("text", Some("works 4"))]).await.0, ["p4@far.test"]);
    let bad = node.client.get(&path(&["contacts"], &[("after", Some("x"))])).await;
    assert!(bad.is_err());
}

#[tokio::test]
async fn commands_and_files_know_contacts() {
    let node = Node::main().await;
    let file = node.folder.path().join("all.toml");
    let text = "[[domains]]\nname = \"demo.test\"\n\n[[contacts]]\naddress = \"eve@far.test\"\ndomain = \"demo.test\"\n\
        display_name = \"Eve\"\n\n[[groups]]\naddress = \"team@demo.test\"\nmembers = [\"eve@far.test\"]\n";
    fs::write(&file, text).unwrap();
    let name = file.to_str().unwrap();
    let steps: [(&[&str], Exit); 12] = [
        (&["contact", "create", "max@far.test", "--name", "Max", "--dry-run"], Exit::Done),
        (&["contact", "show", "max@far.test"], Exit::Failed),
        (&["contact", "create", "max@far.test", "--name", "Max"], Exit::Done),
        (&["contact", "create", "max@far.test", "--if-not-exists"], Exit::NothingToDo),
        (&["contact", "set", "max@far.test", "--organisation", "Far Ltd", "--domain", "demo.test"], Exit::Done),
        (&["contact", "set", "max@far.test", "--organisation", "Far Ltd"], Exit::NothingToDo),
        (&["contact", "list", "--domain", "demo.test"], Exit::Done),
        (&["apply", name], Exit::Done),
        (&["apply", name], Exit::NothingToDo),
        (&["snapshot"], Exit::Done),
        (&["contact", "delete", "max@far.test", "--yes"], Exit::Done),
        (&["contact", "get", "max@far.test"], Exit::Failed),
    ];
    for (words, expected) in steps {
        assert_eq!(node.run(words).await, expected, "{words:?}");
    }
    // Somebody changed what the file says.
    node.patch(&["contacts", "eve@far.test"], json!({"display_name": "Other"})).await.unwrap();
    assert_eq!(node.run(&["apply", name]).await, Exit::Done);
    assert_eq!(node.get(&["contacts", "eve@far.test"]).await.unwrap()["display_name"], "Eve");
    let members = node.get(&["groups", "team@demo.test", "members"]).await.unwrap();
    assert_eq!(members["items"].as_array().map(Vec::len), Some(1));
}
