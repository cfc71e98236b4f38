//! Joining: every refusal, the one-time use of tokens across restarts, and renewal.

use std::sync::Arc;

use sterna_base::{Clock, ManualClock};
use sterna_cluster::join::{JoinError, JoinRefused, JoinToken, TokenGrant, join};
use sterna_cluster::limits::{CERTIFICATE_LIFETIME_MS, TOKEN_LIFETIME_MS};
use sterna_cluster::renew::renew_if_due;
use sterna_cluster::{ControlClient, Identity, NodeRole};

use crate::support::*;

const DAY_MS: i64 = 24 * 3600 * 1000;

async fn refusal(installation: &Installation, token: JoinToken, clock: ManualClock) -> JoinRefused {
    let options = installation.options(token, "alpha");
    match join(folder().path(), &options, Arc::new(clock)).await {
        Err(JoinError::Refused(refused)) => refused,
        other => panic!("{:?}", other.map(|_| "joined")),
    }
}

#[tokio::test]
async fn a_node_joins_and_is_known_by_its_certificate() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    let control = ControlClient::new(installation.main.peers.clone());
    let status = control.status(node.id()).await.unwrap();
    assert_eq!((status.node, status.accounts), (node.id(), 0));
    let again = Identity::load(node.folder.path()).unwrap();
    assert_eq!(again.name(), node.identity.name());
    assert_eq!(again.name().installation, installation.main.identity.name().installation);
}

#[tokio::test]
async fn keys_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let installation = Installation::new().await;
    installation.token().await;
    let folder = installation.main.folder.path().join("cluster");
    for file in ["node.pem", "authority.pem", "tokens.json"] {
        let mode = std::fs::metadata(folder.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let text = std::fs::read_to_string(folder.join("tokens.json")).unwrap();
    assert!(text.contains("hash") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_wrong_used_or_expired_token_is_told_apart() {
    let installation = Installation::new().await;
    let real = installation.token().await;
    let other = Installation::new().await.token().await;
    let mut bytes = other;
    (bytes.authority, bytes.main) = (real.authority, real.main);
    assert_eq!(refusal(&installation, bytes, installation.clock.clone()).await, JoinRefused::WrongToken);

    let options = installation.options(real.clone(), "alpha");
    let first = folder();
    let joined = installation.try_join(first.path().to_owned(), &options).await.unwrap();
    let by = joined.identity.node();
    let used = JoinRefused::TokenUsed { by };
    assert_eq!(refusal(&installation, real.clone(), installation.clock.clone()).await, used);

    let late = installation.token().await;
    installation.clock.advance_ms(TOKEN_LIFETIME_MS + 90 * 60_000);
    let expired = refusal(&installation, late, installation.clock.clone()).await;
    assert_eq!(expired, JoinRefused::TokenExpired { ago_ms: 90 * 60_000 });
    assert!(expired.to_string().contains("1 h 30 min"), "{expired}");
    assert_eq!(refusal(&installation, real, installation.clock.clone()).await, used);

    let second = installation.try_join(first.path().to_owned(), &options).await;
    assert!(matches!(second, Err(JoinError::AlreadyJoined)));
}

#[tokio::test]
async fn a_token_stays_used_when_the_main_node_starts_again() {
    let mut installation = Installation::new().await;
    let token = installation.token().await;
    let options = installation.options(token.clone(), "alpha");
    let joined = installation.try_join(folder().path().to_owned(), &options).await.unwrap();
    installation.restart_main().await;
    let refused = refusal(&installation, token, installation.clock.clone()).await;
    assert_eq!(refused, JoinRefused::TokenUsed { by: joined.identity.node() });
    // An open one stays open, and the authority is the same.
    let open = installation.token().await;
    installation.restart_main().await;
    let options = installation.options(open, "beta");
    installation.try_join(folder().path().to_owned(), &options).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_a_day_off_is_recognised_both_ways() {
    let installation = Installation::new().await;
    let token = installation.token().await;
    for ahead_ms in [DAY_MS, -DAY_MS, 6 * 60_000, 40 * 365 * DAY_MS] {
        let wrong = ManualClock::at(installation.clock.now().plus_ms(ahead_ms));
        let refused = refusal(&installation, token.clone(), wrong).await;
        assert_eq!(refused, JoinRefused::Clock { ahead_ms });
        assert!(refused.to_string().contains("timedatectl"));
    }
    let slightly = ManualClock::at(installation.clock.now().plus_ms(4 * 60_000));
    let folder = folder();
    join(folder.path(), &installation.options(token, "alpha"), Arc::new(slightly)).await.unwrap();
}

#[tokio::test]
async fn mistakes_in_the_request_leave_the_token_good() {
    let installation = Installation::new().await;
    installation.add_node("taken").await;
    let token = installation.token().await;
    let folder = folder();
    let good = installation.options(token, "beta");
    let mut wrong = good.clone();
    wrong.name = "taken".to_owned();
    let refused = installation.try_join(folder.path().to_owned(), &wrong).await.err().unwrap();
    assert!(matches!(&refused, JoinError::Refused(JoinRefused::NameTaken(name)) if name == "taken"), "{refused}");
    for name in ["", "no spaces", "ÄÖ", &"x".repeat(64)] {
        wrong.name = name.to_owned();
        let refused = installation.try_join(folder.path().to_owned(), &wrong).await.err().unwrap();
        assert!(matches!(refused, JoinError::Refused(JoinRefused::Invalid(_))), "{name:?}: {refused}");
    }
    wrong = good.clone();
    wrong.roles = [NodeRole::Main].into();
    let refused = installation.try_join(folder.path().to_owned(), &wrong).await.err().unwrap();
    assert!(matches!(refused, JoinError::Refused(JoinRefused::Invalid(_))), "{refused}");
    let joined = installation.try_join(folder.path().to_owned(), &good).await.unwrap();
    assert!(joined.warnings[0].contains("can't reach this machine at 127.0.0.1:9"), "{:?}", joined.warnings);
}

#[tokio::test]
async fn an_address_that_leads_back_gives_no_warning() {
    let installation = Installation::new().await;
    let free = std::net::TcpListener::bind(ANYWHERE).unwrap().local_addr().unwrap();
    let mut options = installation.options(installation.token().await, "alpha");
    options.address = free.to_string();
    options.listen = Some(free);
    let joined = installation.try_join(folder().path().to_owned(), &options).await.unwrap();
    assert_eq!(joined.warnings, Vec::<String>::new());
    // Another machine at that address: the main node itself.
    let mut options = installation.options(installation.token().await, "beta");
    options.address = installation.main.address.to_string();
    options.listen = Some(std::net::TcpListener::bind(ANYWHERE).unwrap().local_addr().unwrap());
    let joined = installation.try_join(folder().path().to_owned(), &options).await.unwrap();
    assert_eq!(joined.warnings.len(), 1);
}

#[tokio::test]
async fn the_secret_is_not_sent_to_a_server_that_did_not_make_the_token() {
    let (ours, theirs) = (Installation::new().await, Installation::new().await);
    let mut options = ours.options(ours.token().await, "alpha");
    options.main_address = theirs.main.address.to_string();
    let error = ours.try_join(folder().path().to_owned(), &options).await.err().unwrap();
    assert!(matches!(&error, JoinError::NotTheMain { .. }), "{error}");
    // A node of the right installation that isn't the main one.
    let data = ours.add_node("beta").await;
    options.main_address = data.address.to_string();
    let error = ours.try_join(folder().path().to_owned(), &options).await.err().unwrap();
    assert!(matches!(&error, JoinError::NotTheMain { .. }), "{error}");
    options.main_address = "127.0.0.1:1".to_owned();
    let error = ours.try_join(folder().path().to_owned(), &options).await.err().unwrap();
    assert!(matches!(&error, JoinError::Unreachable { .. }), "{error}");
    assert!(ours.desk.tokens().iter().any(|token| token.used.is_none()));
}

#[tokio::test]
async fn a_certificate_is_renewed_in_its_second_half_and_used_at_once() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    let control = ControlClient::new(installation.main.peers.clone());
    control.ping(node.id()).await.unwrap();
    assert!(!renew_if_due(&node.peers, &installation.clock).await.unwrap());
    let before = node.identity.not_after();
    installation.clock.advance_ms(CERTIFICATE_LIFETIME_MS * 6 / 10);
    assert!(renew_if_due(&node.peers, &installation.clock).await.unwrap());
    assert!(node.identity.not_after() > before);
    assert_eq!(Identity::load(node.folder.path()).unwrap().not_after(), node.identity.not_after());
    assert!(renew_if_due(&installation.main.peers, &installation.clock).await.unwrap());
    // Past the end of the first certificates only the new ones are believed.
    installation.clock.advance_ms(CERTIFICATE_LIFETIME_MS / 2);
    let fresh = sterna_cluster::Peers::new(
        installation.main.identity.clone(),
        installation.world.clone(),
        Arc::new(installation.clock.clone()),
    );
    ControlClient::new(fresh).ping(node.id()).await.unwrap();
}

#[tokio::test]
async fn a_node_that_was_off_for_months_gets_its_certificate_renewed_and_nothing_else_before() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    installation.clock.advance_ms(3 * CERTIFICATE_LIFETIME_MS);
    let own = installation.main.identity.clone();
    assert!(installation.desk.renew_own(&own).unwrap());
    assert!(!installation.desk.renew_own(&own).unwrap());
    let error = ControlClient::new(node.peers.clone()).ping(installation.main.id()).await.unwrap_err();
    assert!(error.to_string().contains("has expired"), "{error}");
    assert!(renew_if_due(&node.peers, &installation.clock).await.unwrap());
    let fresh = sterna_cluster::Peers::new(
        node.identity.clone(),
        installation.world.clone(),
        Arc::new(installation.clock.clone()),
    );
    ControlClient::new(fresh).ping(installation.main.id()).await.unwrap();
}

#[tokio::test]
async fn a_removed_node_can_not_renew() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    installation.world.nodes.lock().remove(&node.id());
    installation.clock.advance_ms(CERTIFICATE_LIFETIME_MS * 6 / 10);
    let error = renew_if_due(&node.peers, &installation.clock).await.unwrap_err();
    assert!(error.to_string().contains("not in the directory"), "{error}");
}

#[tokio::test]
async fn an_interrupted_join_goes_on_with_the_same_token() {
    let installation = Installation::new().await;
    let options = installation.options(installation.token().await, "alpha");
    let folder = folder();
    let files = folder.path().join("cluster");
    sterna_cluster::identity::PendingKey::for_joining(folder.path()).unwrap();
    let pending = std::fs::read(files.join("joining.json")).unwrap();
    let first = installation.try_join(folder.path().to_owned(), &options).await.unwrap();
    assert!(!files.join("joining.json").exists());
    // As if the machine had gone down before the answer arrived.
    std::fs::remove_file(files.join("node.json")).unwrap();
    std::fs::write(files.join("joining.json"), pending).unwrap();
    let second = installation.try_join(folder.path().to_owned(), &options).await.unwrap();
    assert_eq!(second.identity.node(), first.identity.node());
}

#[tokio::test]
async fn a_token_gives_a_name_and_limits_roles_and_can_be_revoked() {
    let installation = Installation::new().await;
    let roles = [NodeRole::Edge].into();
    let grant = TokenGrant { name: Some("gate".to_owned()), roles, lifetime_ms: TOKEN_LIFETIME_MS, replaces: None };
    let (token, _) = installation.desk.issue_token(grant.clone()).await.unwrap();
    let mut options = installation.options(token, "alpha");
    let folder = folder();
    let refused = installation.try_join(folder.path().to_owned(), &options).await.err().unwrap();
    assert!(matches!(refused, JoinError::Refused(JoinRefused::Roles)), "{refused}");
    options.roles = [NodeRole::Edge].into();
    let joined = installation.try_join(folder.path().to_owned(), &options).await.unwrap();
    assert_eq!(joined.name, "gate");
    assert_eq!(installation.world.nodes.lock()[&joined.identity.node()].name, "gate");

    let (token, entry) = installation.desk.issue_token(grant).await.unwrap();
    assert_eq!(installation.desk.open_tokens(), std::slice::from_ref(&entry));
    assert!(installation.desk.revoke_token(&entry.id).await.unwrap());
    assert!(!installation.desk.revoke_token(&entry.id).await.unwrap());
    assert_eq!(refusal(&installation, token, installation.clock.clone()).await, JoinRefused::WrongToken);
    let used = installation.desk.tokens();
    assert!(!installation.desk.revoke_token(&used[0].id).await.unwrap());
}

#[tokio::test]
async fn a_node_id_that_is_known_is_refused() {
    let installation = Installation::new().await;
    let folder = folder();
    let (node, _) = sterna_cluster::identity::PendingKey::for_joining(folder.path()).unwrap();
    installation.world.set_address(node, "before", "127.0.0.1:1");
    let options = installation.options(installation.token().await, "alpha");
    let refused = installation.try_join(folder.path().to_owned(), &options).await.err().unwrap();
    assert!(matches!(refused, JoinError::Refused(JoinRefused::NodeKnown(known)) if known == node), "{refused}");
}
