//! What is left behind: stores that are to be deleted, stores that nobody names, and jobs that are over.

use sterna_base::{AccountId, Epoch, NodeId};
use sterna_directory::{JOB_KEPT_MS, Request, RowKind};

use crate::common::{ALPHA, BETA, Main};
use crate::move_calls::*;
use crate::move_steps::{self, GAMMA};

fn epochs(main: &Main) -> Vec<(AccountId, NodeId, Option<Epoch>)> {
    let stores = main.core.reader().pending_stores(None, 100).unwrap();
    stores.into_iter().map(|store| (store.account, store.server, store.epoch)).collect()
}

#[test]
fn a_store_is_deleted_up_to_the_epoch_that_was_handed_out() {
    let mut main = move_steps::main_with_accounts();
    move_to(&mut main, ANA, BETA);
    main.submit(Request::DropCopy { account: ANA, server: ALPHA }).unwrap();
    assert_eq!(epochs(&main), [(ANA, ALPHA, Some(Epoch(2)))]);
    main.submit(Request::StoreGone { account: ANA, server: ALPHA }).unwrap();

    // The target of a cut-over may have taken its epoch already.
    begin(&mut main, &[(BEN, GAMMA)]);
    start(&mut main, BEN).unwrap();
    assert_eq!(cut_over(&mut main, BEN).unwrap(), Epoch(2));
    main.submit(Request::DeleteEntry { id: BEN, kind: RowKind::User, expect: None }).unwrap();
    assert_eq!(epochs(&main), [(BEN, ALPHA, Some(Epoch(2))), (BEN, GAMMA, Some(Epoch(2)))]);
    assert_well(&main);
}

#[test]
fn a_store_that_nobody_names_goes_only_if_its_account_lives_elsewhere() {
    let mut main = move_steps::main_with_accounts();
    let drop = |main: &mut Main, account, server| main.submit(Request::DropStore { account, server });
    assert_eq!(code(drop(&mut main, AccountId(999), BETA)), "no-such", "it may be all that is left of it");
    assert_eq!(code(drop(&mut main, ANA, ALPHA)), "in-use", "she lives there");
    begin(&mut main, &[(ANA, BETA)]);
    assert_eq!(code(drop(&mut main, ANA, BETA)), "moving", "she is about to");
    standby(&mut main, BEN, GAMMA).unwrap();
    assert_eq!(code(drop(&mut main, BEN, GAMMA)), "in-use", "it is his standby copy");
    drop(&mut main, BEN, BETA).unwrap();
    assert!(!drop(&mut main, BEN, BETA).unwrap().changed);
    assert_eq!(epochs(&main), [(BEN, BETA, Some(Epoch(1)))]);
    assert_well(&main);
}

#[test]
fn a_job_is_forgotten_a_month_after_its_end() {
    let mut main = move_steps::main_with_accounts();
    move_to(&mut main, ANA, BETA);
    let failed = begin(&mut main, &[(BEN, GAMMA)]);
    main.submit(Request::FailMove { account: BEN, reason: "its disk is full".into() }).unwrap();
    main.clock.advance_ms(JOB_KEPT_MS - HOUR_MS);
    main.submit(Request::PruneJobs).unwrap();
    assert_eq!(main.core.reader().jobs(None, 10).unwrap().len(), 2);
    main.clock.advance_ms(2 * HOUR_MS);
    main.submit(Request::PruneJobs).unwrap();
    let left: Vec<_> = main.core.reader().jobs(None, 10).unwrap().into_iter().map(|job| job.id).collect();
    assert_eq!(left, [failed], "what failed in it is still to be tried again");
    main.submit(Request::AbortMove { account: BEN, retry: false, reason: "dismissed".into() }).unwrap();
    main.submit(Request::PruneJobs).unwrap();
    assert!(main.core.reader().jobs(None, 10).unwrap().is_empty());
    assert!(!main.submit(Request::PruneJobs).unwrap().changed);
    assert_well(&main);
    assert!(begin(&mut main, &[(BEN, GAMMA)]) > failed, "no id is given twice");
}
