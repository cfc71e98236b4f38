//! Disks that become full in the middle of a move: it is said clearly, and the account is served where it was.

use sterna_testkit::disk::Disk;
use sterna_testkit::installation::errors;
use sterna_testkit::ledger::uid_status;
use sterna_testkit::moving::ShowLogs;
use sterna_testkit::wait::until;

use crate::moving_stage::{BEN, SERVED_WITHIN, Setting, Stage, play};

/// More than a target must have left, or nothing would be moved there. It costs nothing as long as nobody uses it.
const DISK_BYTES: usize = 2 * 1024 * 1024 * 1024;

/// The disk becomes full when the node is at this step of a move.
fn fills(stage: &mut Stage<'_>, disk: &Disk, node: &str, failpoint: &str) {
    stage.begin_and_stand(node, failpoint);
    disk.fill();
    stage.installation.thaw(node);
}

/// The administrator who looks at the move finds the cause.
fn is_said(stage: &Stage<'_>) {
    let _show = ShowLogs(stage.installation);
    until("the move says that the disk is full", SERVED_WITHIN, || {
        stage.installation.trouble_of_moves().contains("disk is full").then_some(())
    });
    assert_eq!(stage.installation.server_of(BEN).as_deref(), Some("beta"));
}

#[test]
fn a_target_with_a_full_disk_leaves_the_account_where_it_was_and_goes_on_when_there_is_room() {
    let Some(disk) = Disk::new(DISK_BYTES) else { return };
    play(Setting { disk: Some(("alpha", &disk)), ..Setting::PLAIN }, |stage| {
        disk.fill();
        let refused = stage.installation.admin("main", &["account", "move", BEN, "--to", "alpha"]);
        assert!(!refused.status.success() && errors(&refused).contains("free"), "{}", errors(&refused));
        disk.free();

        fills(stage, &disk, "alpha", "store-made");
        is_said(stage);
        stage.is_served("while the target is full");
        disk.free();
        stage.arrives();

        for failpoint in ["target-applied", "target-readying"] {
            fills(stage, &disk, "alpha", failpoint);
            is_said(stage);
            stage.is_served("while the target is full");
            disk.free();
            stage.stayed();
        }
    });
}

#[test]
fn a_source_with_a_full_disk_at_the_seal_is_read_and_has_its_account_back() {
    let Some(disk) = Disk::new(DISK_BYTES) else { return };
    play(Setting { disk: Some(("beta", &disk)), ..Setting::PLAIN }, |stage| {
        for failpoint in ["source-sealing", "source-sealed"] {
            fills(stage, &disk, "beta", failpoint);
            // What little a seal needs may fit into files that are there: then the account leaves the full server.
            until("ben is read while the source is full", SERVED_WITHIN, || {
                uid_status(&mut stage.login()?, "INBOX").map(drop)
            });
            disk.free();
            stage.is_served("when there is room");
            stage.keeps_what_it_had();
            stage.home();
        }
    });
}
