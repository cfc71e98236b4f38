//! Sieve scripts, and what automatic answers remember, in an account.

use bytes::Bytes;
use sterna_account::answered::Answered;
use sterna_account::scripts::{self, ScriptError, ScriptLimits, Scripts};
use sterna_account::*;
use sterna_base::*;

use crate::watched::{NOW, accounts};

const LIMITS: ScriptLimits = ScriptLimits { script_bytes: 20, scripts: 2 };

fn names(scripts: &Scripts) -> Vec<(&str, bool)> {
    scripts.scripts.iter().map(|script| (script.name.as_str(), script.active)).collect()
}

#[tokio::test]
async fn one_is_active_whatever_is_done_to_it() {
    let (accounts, _, _) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    let account: &dyn Account = &*account;
    assert_eq!(Scripts::read(account).await.unwrap(), Scripts::default());
    assert!(matches!(scripts::activate(account, Some("a")).await, Err(ScriptError::NoSuchScript)));
    assert_eq!(Scripts::read(account).await.unwrap(), Scripts::default(), "what is refused makes nothing");
    for name in ["a", "b"] {
        scripts::put(account, name, Bytes::from_static(b"keep;"), LIMITS).await.unwrap();
    }
    scripts::activate(account, Some("a")).await.unwrap();
    assert_eq!(names(&Scripts::read(account).await.unwrap()), [("a", true), ("b", false)]);
    scripts::put(account, "a", Bytes::from_static(b"discard;"), LIMITS).await.unwrap();
    scripts::rename(account, "a", "c").await.unwrap();
    assert_eq!(names(&Scripts::read(account).await.unwrap()), [("b", false), ("c", true)]);
    assert_eq!(scripts::text(account, "c").await.unwrap().as_deref(), Some(&b"discard;"[..]));
    assert!(matches!(scripts::delete(account, "c").await, Err(ScriptError::Active)));
    scripts::activate(account, Some("b")).await.unwrap();
    assert_eq!(names(&Scripts::read(account).await.unwrap()), [("b", true), ("c", false)]);
    scripts::delete(account, "c").await.unwrap();
    scripts::activate(account, None).await.unwrap();
    assert_eq!(names(&Scripts::read(account).await.unwrap()), [("b", false)]);
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let (accounts, _, _) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    let account: &dyn Account = &*account;
    let put = |name: &'static str, text: &'static str| scripts::put(account, name, text.into(), LIMITS);
    assert!(matches!(put("a", "123456789012345678901").await, Err(ScriptError::TooLarge(20))));
    assert!(matches!(put("", "keep;").await, Err(ScriptError::InvalidName)));
    assert!(matches!(put("a\nb", "keep;").await, Err(ScriptError::InvalidName)));
    put("a", "keep;").await.unwrap();
    put("b", "keep;").await.unwrap();
    assert!(matches!(put("c", "keep;").await, Err(ScriptError::TooMany(2))));
    put("b", "stop;").await.unwrap();
    assert!(matches!(scripts::rename(account, "a", "b").await, Err(ScriptError::NameTaken)));
    assert!(matches!(scripts::rename(account, "x", "y").await, Err(ScriptError::NoSuchScript)));
    assert!(matches!(scripts::delete(account, "x").await, Err(ScriptError::NoSuchScript)));
}

#[tokio::test]
async fn what_was_answered_is_remembered_for_its_time() {
    let (accounts, _, _) = accounts(1, 10).await;
    let account = accounts.get(AccountId(1)).await.unwrap();
    let account: &dyn Account = &*account;
    let known = Answered::read(account, &["x".into(), "y".into()], NOW).await.unwrap();
    assert!(!known.contains("x") && !known.contains("y"));
    let steps = known.remember(account, &[("x".into(), NOW.plus_ms(1000))], NOW).await.unwrap();
    account.commit(OperationId::random(), steps.clone()).await.unwrap();
    let again = account.commit(OperationId::random(), steps).await;
    assert_eq!(again, Err(AccountError::Refused(CommitError::Unexpected)), "one of two that come at once");
    let known = Answered::read(account, &["x".into(), "y".into()], NOW).await.unwrap();
    assert!(known.contains("x") && !known.contains("y"));
    let late = NOW.plus_ms(1000);
    let known = Answered::read(account, &["x".into()], late).await.unwrap();
    assert!(!known.contains("x"));
    let steps = known.remember(account, &[("x".into(), late.plus_ms(1))], late).await.unwrap();
    account.commit(OperationId::random(), steps).await.unwrap();
    let found = account.containers().await.unwrap();
    let container = found.iter().find(|container| container.kind == ContainerKind::Answered).unwrap();
    assert_eq!(container.counts.items, 1, "what is over was tidied away");
}
