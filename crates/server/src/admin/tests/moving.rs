//! Moves, drains, standby copies and failovers as an administrator asks for them. Who makes the copies is played by the
//! tests: they submit the requests that the main node's driver would.

use std::time::Duration;

use futures_util::StreamExt;
use sterna_base::JobId;
use sterna_directory::request::JobChange;
use sterna_directory::{CopyPurpose, JobState, Server};

use super::*;
use crate::admin::job_events::follow;

const GAMMA: NodeId = NodeId([0xc; 16]);
/// How often a test looks how far a job is.
const LOOK: Duration = Duration::from_millis(10);
const GIB: u64 = 1024 * 1024 * 1024;

impl Node {
    /// A main node with three data servers, and ana, ben and eve on alpha.
    async fn with_people() -> (Self, [AccountId; 3]) {
        let node = Node::main().await;
        let roles = Roles { data: true, ..Roles::default() };
        let request = Request::PutServer { id: GAMMA, name: "gamma".into(), address: "gamma:1".into(), roles };
        node.state.directory.submit(request).await.unwrap();
        let ids = [
            node.account("ana@demo.test", "alpha").await,
            node.account("ben@demo.test", "alpha").await,
            node.account("eve@demo.test", "alpha").await,
        ];
        node.log();
        (node, ids)
    }

    async fn job(&self, body: Value) -> Result<Answer, CliError> {
        self.post("jobs", body).await
    }

    async fn dry_run(&self, body: Value) -> Result<Value, CliError> {
        let at = path(&["jobs"], &[("dry_run", Some("true"))]);
        Ok(self.client.send(Method::POST, &at, Some(&body)).await?.body)
    }

    async fn submit(&self, request: Request) {
        self.state.directory.submit(request).await.unwrap();
    }

    /// What the driver does, without any copying.
    async fn carry_out(&self, account: AccountId) {
        self.submit(Request::StartMove { account }).await;
        let deadline = self.state.directory.now().plus_ms(2_000);
        self.submit(Request::CutOver { account, deadline }).await;
        let row = self.state.directory.read(move |reader| reader.move_of(account)).await.unwrap().unwrap().value;
        self.submit(Request::CommitMove { account, epoch: row.epoch.unwrap() }).await;
    }

    async fn place(&self, account: AccountId) -> NodeId {
        self.state.directory.placement(account).await.unwrap().unwrap().server
    }

    async fn server(&self, id: NodeId) -> Server {
        self.state.directory.server(id).await.unwrap().unwrap()
    }
}

fn to_beta(accounts: &[&str]) -> Value {
    json!({"kind": "move", "which": {"accounts": accounts}, "to": "beta"})
}

fn problem(result: Result<Answer, CliError>) -> crate::admin::problem::Problem {
    match result {
        Err(CliError::Refused(problem)) => *problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_move_is_planned_shown_and_begun() {
    let (node, [ana, ..]) = Node::with_people().await;
    node.servers.bytes.store(3 * GIB, Relaxed);
    let plan = node.dry_run(to_beta(&["ana@demo.test", "ben@demo.test"])).await.unwrap();
    assert_eq!((&plan["job"], &plan["bytes"], &plan["unknown_sizes"]), (&Value::Null, &json!(6 * GIB), &json!(0)));
    assert_eq!(plan["moves"][0]["address"], "ana@demo.test");
    assert_eq!((&plan["moves"][0]["from"], &plan["moves"][0]["to"]), (&json!("alpha"), &json!("beta")));
    assert!(node.get(&["jobs"]).await.unwrap()["items"].as_array().unwrap().is_empty(), "a dry run does nothing");

    let begun = node.job(to_beta(&["ana@demo.test", "ben@demo.test"])).await.unwrap();
    let id = begun.body["job"]["id"].as_u64().unwrap().to_string();
    assert!(begun.changed && begun.body["job"]["what"] == "move 2 accounts to beta", "{:?}", begun.body);
    node.carry_out(ana).await;
    let job = node.get(&["jobs", &id]).await.unwrap();
    assert_eq!((&job["done"], &job["left"], &job["state"]), (&json!(1), &json!(1), &json!("running")));
    assert_eq!((&job["bytes_left"], &job["bytes_total"]), (&json!(3 * GIB), &json!(3 * GIB)), "seen first now");
    assert_eq!(node.place(ana).await, BETA);
    let copies = node.get(&["accounts", "ana@demo.test", "copies"]).await.unwrap();
    assert_eq!((&copies["items"][0]["server"], &copies["items"][0]["purpose"]), (&json!("alpha"), &json!("kept")));
    let place = node.get(&["accounts", "ana@demo.test", "where"]).await.unwrap();
    assert_eq!(
        (&place["server"], &place["copies"], &place["moving_to"]),
        (&json!("beta"), &json!(["alpha"]), &Value::Null)
    );

    assert_eq!(node.run(&["job", "pause", &id]).await, Exit::Done);
    assert_eq!(node.run(&["job", "pause", &id]).await, Exit::NothingToDo);
    assert_eq!(node.run(&["job", "get", &id]).await, Exit::Done);
    assert_eq!(node.run(&["job", "list", "--active"]).await, Exit::Done);
    assert_eq!(node.run(&["job", "moves", &id]).await, Exit::Done);
    assert_eq!(node.run(&["job", "resume", &id]).await, Exit::Done);
    assert_eq!(node.run(&["job", "log", &id]).await, Exit::Done);
    let log = node.get(&["jobs", &id, "log"]).await.unwrap();
    let words: Vec<&str> = log["items"].as_array().unwrap().iter().map(|line| line["what"].as_str().unwrap()).collect();
    assert_eq!(words, ["resumed", "paused", "moved", "begun"]);
    let moved = &log["items"][2];
    assert_eq!(
        (&moved["address"], &moved["from"], &moved["to"]),
        (&json!("ana@demo.test"), &json!("alpha"), &json!("beta"))
    );
    assert!(moved["cut_over_ms"].is_u64() && moved["started_at"].is_string(), "{moved}");
    assert_eq!(log["items"][3]["says"], "move 2 accounts to beta");
    let path =
        path(&["jobs", &id, "log"], &[("limit", Some("1")), ("after", moved["number"].to_string().as_str().into())]);
    assert_eq!(node.client.get(&path).await.unwrap()["items"][0]["what"], "begun");
    assert_eq!(node.run(&["job", "log", "99"]).await, Exit::Failed);
    assert_eq!(node.run(&["job", "get", "99"]).await, Exit::Failed);

    let back = node.job(json!({"kind": "move", "which": {"accounts": ["ana@demo.test"]}, "back": true})).await.unwrap();
    assert_eq!(back.body["job"]["what"], "move ana@demo.test back");
    let never = node.job(json!({"kind": "move", "which": {"accounts": ["eve@demo.test"]}, "back": true})).await;
    assert_eq!(problem(never).code, "no-copy");
}

#[tokio::test]
async fn bad_targets_are_refused_and_nothing_is_begun() {
    let (node, [ana, ..]) = Node::with_people().await;
    let ask = |to: &str| json!({"kind": "move", "which": {"accounts": ["ana@demo.test"]}, "to": to});
    assert_eq!(code(node.job(ask("nowhere")).await), (404, "no-such".into()));
    let nobody = json!({"kind": "move", "which": {"accounts": ["nobody@demo.test"]}, "to": "beta"});
    assert_eq!(code(node.job(nobody).await), (404, "no-such".into()));
    assert_eq!(code(node.job(json!({"kind": "move", "which": {}, "to": "beta"})).await), (400, "malformed".into()));
    assert_eq!(code(node.job(json!({"kind": "move", "which": {"domain": "demo.test"}})).await).0, 400);

    let there = node.job(ask("alpha")).await.unwrap();
    assert!(!there.changed && there.body["there"] == json!(["ana@demo.test"]), "equal to the source: {there:?}");

    *node.servers.beta_is_down.lock().unwrap() = true;
    let down = problem(node.job(ask("beta")).await);
    assert!(down.code == "server-unreachable" && down.detail.contains("connection refused"), "{down:?}");
    *node.servers.beta_is_down.lock().unwrap() = false;

    node.servers.beta_is_older.store(1, Relaxed);
    assert_eq!(problem(node.job(ask("beta")).await).code, "older-version");
    node.servers.beta_is_older.store(0, Relaxed);

    node.servers.free.store(2 * GIB, Relaxed);
    node.clock.advance_ms(3_600_000);
    node.servers.bytes.store(GIB + 1, Relaxed);
    let full = problem(node.job(ask("beta")).await);
    assert!(full.code == "no-space" && full.detail.contains("2.0 GiB free"), "{full:?}");
    node.servers.free.store(0, Relaxed);

    *node.servers.alpha_is_down.lock().unwrap() = true;
    let lost = problem(node.job(ask("beta")).await);
    assert!(lost.code == "server-unreachable" && lost.remedy.contains("sterna server failover"), "{lost:?}");
    *node.servers.alpha_is_down.lock().unwrap() = false;

    let first = node.job(ask("beta")).await.unwrap().body["job"]["id"].clone();
    let again = problem(node.job(ask("gamma")).await);
    assert!(again.code == "moving" && again.detail.contains(&format!("job {first}")), "two administrators: {again:?}");
    let domain = json!({"kind": "move", "which": {"domain": "demo.test"}, "to": "gamma"});
    let rest = node.job(domain).await.unwrap().body;
    assert_eq!((&rest["job"]["total"], &rest["refused"][0]["code"]), (&json!(2), &json!("moving")), "the rest moves");
    assert_eq!(node.place(ana).await, ALPHA, "it is served where it was");
    assert_eq!(node.state.directory.check().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn accounts_are_selected_by_domain_form_and_server() {
    let (node, _) = Node::with_people().await;
    node.account("amy@demo.test", "gamma").await;
    let count = async |which: Value| {
        let plan = node.dry_run(json!({"kind": "move", "which": which, "to": "beta"})).await.unwrap();
        plan["moves"].as_array().unwrap().len()
    };
    assert_eq!(count(json!({"domain": "demo.example"})).await, 4, "by an alias of the domain, too");
    assert_eq!(count(json!({"pattern": "A*@demo.test"})).await, 2);
    assert_eq!(count(json!({"pattern": "a*@*", "from": "alpha"})).await, 1);
    assert_eq!(count(json!({"from": "alpha"})).await, 3);
    assert_eq!(count(json!({"accounts": ["ana@demo.test", "ana@demo.example"]})).await, 1, "each once");
    let group = json!({"address": "team@demo.test", "members": ["ana@demo.test"]});
    node.post("groups", group).await.unwrap();
    assert_eq!(code(node.job(to_beta(&["team@demo.test"])).await), (422, "invalid".into()));
    assert_eq!(count(json!({"pattern": "*"})).await, 4, "a group has no mailbox");
}

#[tokio::test]
async fn a_drained_server_is_empty_and_can_be_removed() {
    let (node, _) = Node::with_people().await;
    let moved = node.account("zoe@demo.test", "gamma").await;
    assert_eq!(node.run(&["server", "drain", "gamma", "--dry-run"]).await, Exit::Done);
    assert!(!node.server(GAMMA).await.draining);
    let body = json!({"kind": "drain", "server": "gamma"});
    let begun = node.job(body).await.unwrap().body;
    assert_eq!((&begun["job"]["total"], &begun["job"]["kind"]), (&json!(1), &json!("drain")));
    assert!(node.server(GAMMA).await.draining);
    let shown = node.get(&["servers", "gamma"]).await.unwrap();
    assert_eq!((&shown["draining"], &shown["moves_out"], &shown["answers"]), (&json!(true), &json!(1), &json!(true)));
    assert_eq!(code(node.job(json!({"kind": "move", "which": {"from": "alpha"}, "to": "gamma"})).await).1, "no-server");
    let full = node.client.send(Method::DELETE, &path(&["servers", "gamma"], &[]), None).await;
    let full = problem(full);
    assert!(full.code == "in-use" && full.detail.contains("zoe@demo.test"), "{full:?}");
    assert!(full.remedy.contains("sterna server drain gamma"), "{full:?}");

    node.carry_out(moved).await;
    let kept = problem(node.client.send(Method::DELETE, &path(&["servers", "gamma"], &[]), None).await);
    assert!(kept.detail.contains("it holds 1 copy (zoe@demo.test)"), "{kept:?}");
    assert!(kept.remedy.contains("sterna account release zoe@demo.test --on gamma"), "{kept:?}");
    assert_eq!(node.run(&["account", "release", "zoe@demo.test", "--on", "gamma"]).await, Exit::Usage, "it asks");
    assert_eq!(node.run(&["account", "release", "zoe@demo.test", "--on", "gamma", "--yes"]).await, Exit::Done);
    assert!(node.log().contains(&format!("delete {moved} on gamma")));
    assert_eq!(node.run(&["server", "remove", "gamma", "--yes"]).await, Exit::Done);
    assert_eq!(node.run(&["server", "list"]).await, Exit::Done);
    assert_eq!(node.state.directory.check().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_drain_can_be_undone() {
    let (node, [ana, ..]) = Node::with_people().await;
    let begun = node.job(json!({"kind": "drain", "server": "alpha"})).await.unwrap().body;
    let id: sterna_base::JobId = begun["job"]["id"].to_string().parse().unwrap();
    node.carry_out(ana).await;
    assert_eq!(node.run(&["server", "drain", "alpha", "--undo"]).await, Exit::Done);
    assert!(!node.server(ALPHA).await.draining);
    let job = node.state.directory.read(move |reader| reader.job(id)).await.unwrap().unwrap().value;
    assert_eq!((job.state, job.done), (JobState::Aborting, 1), "what has moved stays where it is");
    let again = Request::SetJob { id, change: JobChange::Resume };
    assert!(node.state.directory.submit(again).await.is_err());
    assert_eq!(node.run(&["server", "drain", "alpha", "--undo"]).await, Exit::NothingToDo);
}

#[tokio::test]
async fn standby_copies_take_over_and_the_loss_is_said() {
    let (node, [ana, ben, eve]) = Node::with_people().await;
    assert_eq!(node.run(&["account", "standby", "ana@demo.test", "--on", "beta"]).await, Exit::Done);
    assert_eq!(node.run(&["account", "standby", "ana@demo.test", "--on", "beta"]).await, Exit::NothingToDo);
    let one = ["account", "standby", "ben@demo.test", "--on", "beta", "--durability", "1"];
    assert_eq!(node.run(&one).await, Exit::Done);
    assert_eq!(node.run(&["account", "standby", "ana@demo.test", "--on", "alpha"]).await, Exit::Usage);
    assert_eq!(node.run(&["server", "standby", "alpha"]).await, Exit::Done);
    let listed = node.get(&["servers", "alpha", "standby"]).await.unwrap();
    assert_eq!((&listed["items"][1]["durability"], &listed["items"][1]["lag"]), (&json!(1), &json!(0)));

    let body = json!({"kind": "failover", "server": "alpha", "to": "beta"});
    let alive = problem(node.job(body.clone()).await);
    assert!(alive.code == "server-answers" && alive.remedy.contains("account move --from alpha"), "{alive:?}");
    *node.servers.alpha_is_down.lock().unwrap() = true;
    node.servers.behind.store(4, Relaxed);
    let before = node.dry_run(body.clone()).await.unwrap();
    assert_eq!((&before["behind"], &before["changes_lost"]), (&json!(2), &json!(8)));
    assert_eq!(
        (&before["refused"][0]["address"], &before["refused"][0]["code"]),
        (&json!("eve@demo.test"), &json!("no-standby"))
    );
    assert_eq!(node.run(&["server", "failover", "alpha", "--to", "beta"]).await, Exit::Usage, "it asks");
    node.servers.is_incomplete.store(true, Relaxed);
    let nobody = node.dry_run(body.clone()).await.unwrap();
    let refused = nobody["refused"].as_array().unwrap().iter().find(|one| one["address"] == "ana@demo.test").unwrap();
    assert!(refused["code"] == "copy-incomplete" && refused["reason"].as_str().unwrap().contains("bring alpha back"));
    let forced = node.run(&["server", "failover", "alpha", "--to", "beta", "--force", "--yes"]).await;
    assert_eq!(forced, Exit::Failed, "what is missing can't be forced");
    assert_eq!(node.place(ana).await, ALPHA);
    node.servers.is_incomplete.store(false, Relaxed);
    let done = node.run(&["server", "failover", "alpha", "--to", "beta", "--yes"]).await;
    assert_eq!(done, Exit::Failed, "eve has no standby copy, and is not served");
    assert_eq!((node.place(ana).await, node.place(ben).await, node.place(eve).await), (BETA, BETA, ALPHA));
    let copy = node.state.directory.read(move |reader| reader.copy(ana, ALPHA)).await.unwrap().unwrap().value;
    assert!(matches!(copy.purpose, CopyPurpose::Standby { .. }), "the lost server follows when it comes back");
    assert_eq!(node.state.directory.check().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_copy_is_dropped_only_as_what_it_is() {
    let (node, [ana, ..]) = Node::with_people().await;
    assert_eq!(node.run(&["server", "standby", "alpha", "--on", "beta"]).await, Exit::Done);
    let wrong = ["account", "release", "ana@demo.test", "--on", "beta", "--yes"];
    assert_eq!(node.run(&wrong).await, Exit::Failed, "a standby copy is not released");
    let remove = ["account", "standby", "ana@demo.test", "--on", "beta", "--remove"];
    assert_eq!(node.run(&remove).await, Exit::Usage, "it asks");
    assert_eq!(node.run(&[&remove[..], &["--yes"]].concat()).await, Exit::Done);
    assert!(node.log().contains(&format!("delete {ana} on beta")));
    let all = ["server", "standby", "alpha", "--on", "beta", "--remove", "--yes"];
    assert_eq!((node.run(&all).await, node.run(&all).await), (Exit::Done, Exit::NothingToDo));
    assert_eq!(node.state.directory.check().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_failover_that_was_interrupted_is_finished() {
    let (node, [ana, ..]) = Node::with_people().await;
    assert_eq!(node.run(&["account", "standby", "ana@demo.test", "--on", "beta"]).await, Exit::Done);
    let new = sterna_directory::request::NewJob {
        id: None,
        kind: sterna_directory::JobKind::Failover,
        what: "fail over".into(),
        moves: vec![(ana, BETA)],
        by: String::new(),
    };
    node.submit(Request::BeginJob(new)).await;
    crate::admin::failover::finish(&node.state).await.unwrap();
    assert_eq!(node.place(ana).await, BETA);
    let jobs = node.get(&["jobs"]).await.unwrap();
    assert_eq!((&jobs["items"][0]["state"], &jobs["items"][0]["done"]), (&json!("done"), &json!(1)));
}

#[tokio::test]
async fn what_failed_is_told_tried_again_or_put_away() {
    let (node, [ana, ben, _]) = Node::with_people().await;
    let begun = node.job(to_beta(&["ana@demo.test", "ben@demo.test"])).await.unwrap().body;
    let id = begun["job"]["id"].to_string();
    for account in [ana, ben] {
        node.submit(Request::FailMove { account, reason: "its disk is full".into() }).await;
    }
    let status = node.get(&["status"]).await.unwrap();
    let told = status["problems"][0]["what"].as_str().unwrap();
    assert!(told.starts_with("2 accounts of job 1") && told.ends_with("ana@demo.test: its disk is full"), "{told}");
    assert_eq!(node.run(&["job", "follow", &id]).await, Exit::Failed, "it is over, and nothing moved");
    assert_eq!(node.run(&["job", "retry", &id]).await, Exit::Done);
    let job = node.get(&["jobs", &id]).await.unwrap();
    assert_eq!((&job["state"], &job["left"], &job["failed"]), (&json!("running"), &json!(2), &json!(0)));
    assert_eq!(node.run(&["job", "pause", &id]).await, Exit::Done);
    let status = node.get(&["status"]).await.unwrap();
    assert!(status["problems"][0]["what"].as_str().unwrap().contains("is paused, with 2 accounts left"), "{status}");
    assert_eq!(node.run(&["job", "resume", &id]).await, Exit::Done);
    for account in [ana, ben] {
        node.submit(Request::FailMove { account, reason: "again".into() }).await;
    }
    assert_eq!(node.run(&["job", "dismiss", &id]).await, Exit::Done);
    assert_eq!(node.run(&["job", "dismiss", &id]).await, Exit::NothingToDo);
    let log = node.get(&["jobs", &id, "log"]).await.unwrap();
    let last: Vec<_> =
        log["items"].as_array().unwrap()[..4].iter().map(|line| (&line["what"], &line["says"])).collect();
    let (put_away, ended) = (json!("put-away"), json!("ended"));
    let reason = json!("an administrator said so");
    assert_eq!(last[..3], [(&put_away, &reason), (&put_away, &reason), (&ended, &json!(""))]);
    assert_eq!(last[3], (&json!("failed"), &json!("again")));
    assert_eq!(node.get(&["status"]).await.unwrap()["problems"], json!([]));
    assert_eq!(node.state.directory.check().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_plan_that_is_no_longer_true_is_not_done() {
    let (node, [ana, ben, _]) = Node::with_people().await;
    let one = |account: AccountId, from: &str| json!({"account": account, "from": from, "to": "beta"});
    let stale = json!({"kind": "rebalance", "moves": [one(ana, "alpha"), one(ben, "gamma")]});
    assert_eq!(problem(node.job(stale).await).code, "plan-changed");
    let begun = node.job(json!({"kind": "rebalance", "moves": [one(ana, "alpha")]})).await.unwrap().body;
    let id = begun["job"]["id"].clone();
    let more = json!({"kind": "rebalance", "moves": [one(ben, "alpha")], "job": id});
    assert_eq!(node.job(more).await.unwrap().body["job"]["total"], 2);
}

#[tokio::test]
async fn loads_are_brought_into_balance_by_a_plan_that_is_shown_first() {
    let (node, ids) = Node::with_people().await;
    node.servers.bytes.store(GIB, Relaxed);
    let plan = node.dry_run(json!({"kind": "rebalance"})).await.unwrap();
    let moves = plan["moves"].as_array().unwrap();
    assert_eq!(moves.len(), 2, "three accounts, three servers: {plan}");
    assert!(moves.iter().all(|one| one["from"] == "alpha" && one["to"] != "alpha"), "{plan}");
    assert_eq!(node.run(&["server", "rebalance", "--dry-run"]).await, Exit::Done);
    assert_eq!(node.run(&["server", "rebalance"]).await, Exit::Usage, "it asks");
    assert_eq!(node.run(&["server", "rebalance", "--yes", "--detach"]).await, Exit::Done);
    for account in ids {
        let moving = node.state.directory.read(move |reader| reader.move_of(account)).await.unwrap();
        if moving.is_some() {
            node.carry_out(account).await;
        }
    }
    assert_eq!(node.run(&["server", "rebalance", "--yes"]).await, Exit::NothingToDo);
}

#[tokio::test]
async fn accounts_that_come_to_a_server_with_a_standby_have_one() {
    let (node, _) = Node::with_people().await;
    let body = json!({"on": "beta", "durability": 2});
    let at = path(&["servers", "alpha", "standby"], &[]);
    let put = node.client.send(Method::PUT, &at, Some(&body)).await.unwrap();
    assert_eq!((put.changed, &put.body["accounts"], &put.body["durability"]), (true, &json!(3), &json!(2)));
    assert!(!node.client.send(Method::PUT, &at, Some(&body)).await.unwrap().changed);
    let shown = node.get(&["servers", "alpha"]).await.unwrap();
    assert_eq!((&shown["standby"], &shown["standby_durability"]), (&json!("beta"), &json!(2)));
    node.account("zoe@demo.test", "alpha").await;
    let copies = node.get(&["accounts", "zoe@demo.test", "copies"]).await.unwrap();
    assert_eq!((&copies["items"][0]["server"], &copies["items"][0]["purpose"]), (&json!("beta"), &json!("standby")));
    assert_eq!((&copies["items"][0]["stage"], &copies["items"][0]["refused"]), (&json!("seeding"), &Value::Null));
    let beta = problem(node.client.send(Method::DELETE, &path(&["servers", "beta"], &[]), None).await);
    assert!(beta.detail.contains("it holds 4 copies") && beta.remedy.contains("--remove"), "{beta:?}");
    *node.servers.beta_is_down.lock().unwrap() = true;
    assert_eq!(code(node.client.send(Method::PUT, &at, Some(&body)).await).0, 503);
    // That nothing waits for it any longer can be said of a server that is away.
    assert!(node.client.send(Method::PUT, &at, Some(&json!({"on": "beta"}))).await.unwrap().changed);
}

#[tokio::test]
async fn how_far_a_job_is_is_told_until_it_is_over() {
    let (node, [ana, ben, _]) = Node::with_people().await;
    let begun = node.job(to_beta(&["ana@demo.test", "ben@demo.test"])).await.unwrap();
    let id: JobId = begun.body["job"]["id"].as_u64().unwrap().to_string().parse().unwrap();
    let first = node.state.progress(id).await.unwrap();
    let mut told = std::pin::pin!(follow(node.state.clone(), id, first, LOOK));
    let mut done_left = Vec::new();
    for account in [None, Some(ana), Some(ben)] {
        if let Some(account) = account {
            node.carry_out(account).await;
        }
        let told = told.next().await.unwrap();
        let job: Value = serde_json::from_str(&told.text).unwrap();
        done_left.push((job["done"].as_u64().unwrap(), job["left"].as_u64().unwrap(), told.is_over));
    }
    assert_eq!(done_left, [(0, 2, false), (1, 1, false), (2, 0, true)]);
    assert_eq!(told.next().await, None, "what is over tells no more");
}
