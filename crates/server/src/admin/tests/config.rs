//! Settings as administrators meet them.

use super::*;

#[tokio::test]
async fn settings_are_changed_looked_back_on_and_undone() {
    let node = Node::main().await;
    let value = async |name: &str, domain: &[(&str, Option<&str>)]| {
        let found = node.client.get(&path(&["settings", name], domain)).await.unwrap();
        (found["value"].clone(), found["from"].clone())
    };
    assert_eq!(node.run(&["config", "set", "retention-days", "30"]).await, Exit::Done);
    assert_eq!(node.run(&["config", "set", "retention-days", "30"]).await, Exit::NothingToDo);
    assert_eq!(node.run(&["config", "set", "retention-days", "9", "--domain", "demo.test"]).await, Exit::Done);
    let demo = [("domain", Some("demo.test"))];
    assert_eq!(value("retention-days", &[]).await, (json!("30"), json!("system")));
    assert_eq!(value("retention-days", &demo).await, (json!("9"), json!("domain")));
    assert_eq!(value("language", &demo).await, (json!("en"), json!("default")));
    let of_all = node.patch(&["settings", "relay.host"], json!({"value": "x.test"})).await.unwrap();
    assert!(of_all.changed);
    assert_eq!(node.run(&["config", "set", "relay.host", "x.test", "--domain", "demo.test"]).await, Exit::Usage);
    assert_eq!(node.run(&["config", "set", "relay.password", "sesame"]).await, Exit::Done);
    assert_eq!(value("relay.password", &[]).await.0, "(secret)");

    let changes = node.get(&["setting-changes"]).await.unwrap();
    assert!(!changes.to_string().contains("sesame"), "{changes}");
    let told: Vec<_> = changes["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["change"].as_u64().unwrap(), change["name"].as_str().unwrap(), change["domain"].as_str()))
        .collect();
    let expected = [
        (4, "relay.password", None),
        (3, "relay.host", None),
        (2, "retention-days", Some("demo.test")),
        (1, "retention-days", None),
    ];
    assert_eq!(told, expected, "the newest first");
    let own = node.client.get(&path(&["setting-changes"], &demo)).await.unwrap();
    assert_eq!(own["items"].as_array().map(Vec::len), Some(1));

    assert_eq!(node.run(&["config", "revert", "2", "--dry-run"]).await, Exit::Done);
    assert_eq!(value("retention-days", &demo).await.0, "9");
    assert_eq!(node.run(&["config", "revert", "2"]).await, Exit::Done);
    assert_eq!(value("retention-days", &demo).await, (json!("30"), json!("system")));
    assert_eq!(node.run(&["config", "revert", "2"]).await, Exit::Failed);
    for words in [&["list"][..], &["list", "--domain", "demo.test"], &["history"], &["history", "relay.host"]] {
        assert_eq!(node.run(&[&["config"], words].concat()).await, Exit::Done, "{words:?}");
    }
}

#[tokio::test]
async fn a_value_may_begin_with_a_hyphen() {
    let node = Node::main().await;
    let shown = async || node.get(&["settings", "plus-separators"]).await.unwrap()["value"].clone();
    assert_eq!(node.run(&["config", "set", "plus-separators", "-="]).await, Exit::Done);
    assert_eq!(shown().await, "-=");
    assert_eq!(node.run(&["config", "set", "plus-separators", "-", "--dry-run"]).await, Exit::Done);
    assert_eq!(shown().await, "-=", "options are options still");
    assert_eq!(node.run(&["config", "set", "plus-separators", "--", "-"]).await, Exit::Done);
    assert_eq!(shown().await, "-");
}
