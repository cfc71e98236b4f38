//! People from a list.

use serde_json::{Value, json};

use super::Node;
use crate::cli::Exit;

async fn import(node: &Node, csv: &str, dry_run: bool, partial: bool) -> Value {
    let path = if dry_run { "/api/v1/people-imports?dry_run=true" } else { "/api/v1/people-imports" };
    let body = json!({ "csv": csv, "partial": partial });
    node.client.send(hyper::Method::POST, path, Some(&body)).await.unwrap().body
}

#[tokio::test]
async fn a_list_is_tried_and_then_made_whole() {
    let node = Node::main().await;
    let list = "E-Mail;Name;Alias;Login;Passwort;Kontingent\n\
        ana@demo.test;\"Lima; Ana\";a.lima@demo.test;ana;sesame;5G\nben@demo.example;Ben;;;;\n";
    let tried = import(&node, list, true, false).await;
    assert_eq!((&tried["created"], &tried["done"], &tried["errors"]), (&json!(2), &json!(false), &json!([])));
    assert!(node.get(&["users", "ana@demo.test"]).await.is_err(), "it was a try");
    assert_eq!(import(&node, list, false, false).await["created"], 2);
    let ana = node.get(&["users", "ana@demo.test"]).await.unwrap();
    assert_eq!(
        (&ana["display_name"], &ana["login"], &ana["has_password"]),
        (&json!("Lima; Ana"), &json!("ana"), &json!(true))
    );
    assert_eq!((&ana["aliases"], &ana["quota_bytes"]), (&json!(["a.lima@demo.test"]), &json!(5_u64 << 30)));
    assert!(node.get(&["users", "ben@demo.test"]).await.is_ok());
    let again = import(&node, list, false, false).await;
    assert_eq!((&again["created"], &again["existing"]), (&json!(0), &json!(2)), "again is no harm");
}

#[tokio::test]
async fn what_is_wrong_is_told_by_its_line_and_nobody_is_made() {
    let node = Node::main().await;
    let list = "address,name,login,quota\nzoe@demo.test,Zoe,,\nnobody,N,,\nx@nowhere.test,X,,\nzoe@demo.test,Z,,\n\
        y@demo.test,Y,not a login,\nw@demo.test,W,,lots\n,empty,,\n";
    let refused = import(&node, list, false, false).await;
    let lines: Vec<u64> = refused["errors"].as_array().unwrap().iter().map(|e| e["line"].as_u64().unwrap()).collect();
    assert_eq!(lines.len(), 6, "{refused}");
    for line in 3..=8 {
        assert!(lines.contains(&line), "{line}: {refused}");
    }
    assert!(node.get(&["users", "zoe@demo.test"]).await.is_err());
    let partial = import(&node, list, false, true).await;
    assert_eq!((&partial["created"], &partial["done"]), (&json!(1), &json!(true)));
    assert!(node.get(&["users", "zoe@demo.test"]).await.is_ok());
}

#[tokio::test]
async fn the_command_line_sends_long_lists_in_parts() {
    let node = Node::main().await;
    let file = node.folder.path().join("list.csv");
    let path = file.to_str().unwrap();
    let people: String = (0..230).map(|n| format!("p{n}@demo.test\tPerson {n}\n")).collect();
    std::fs::write(&file, format!("\u{feff}email\tname\n{people}")).unwrap();
    assert_eq!(node.run(&["user", "import", path, "--dry-run"]).await, Exit::Done);
    assert!(node.get(&["users", "p7@demo.test"]).await.is_err());
    assert_eq!(node.run(&["user", "import", path]).await, Exit::Done);
    assert!(node.get(&["users", "p229@demo.test"]).await.is_ok());
    assert_eq!(node.run(&["user", "import", path]).await, Exit::NothingToDo);
    std::fs::write(&file, b"address\nJ\xfcrgen@demo.test\n").unwrap();
    assert_eq!(node.run(&["user", "import", path]).await, Exit::Usage);
    std::fs::write(&file, "address\nq@demo.test\nwrong\n").unwrap();
    assert_eq!(node.run(&["user", "import", path]).await, Exit::Failed);
    assert!(node.get(&["users", "q@demo.test"]).await.is_err(), "all or nobody");
}
