//! The end of a trial that failed: the version before runs again, unless it can't read any more what is on the disk.

use std::path::Path;

use anyhow::{Context, Result};
use sterna_base::{Version, version};
use sterna_directory::{Directory, StorageError};

use super::handover::Handover;
use crate::cli::Exit;
use crate::node::directory_file;

/// The version before would not start: going back would only hide the cause.
#[derive(Debug, thiserror::Error)]
#[error(
    "version {back} reads the directory up to format {knows}, and it has format {has} since version {own} opened it"
)]
struct NoWayBack {
    back: Version,
    own: Version,
    knows: i64,
    has: i64,
}

/// The version on trial can't serve for this cause; the version that runs next.
///
/// # Errors
/// When there is no way back, or the record can't be written.
pub async fn give_up(handover: &Handover, folder: &Path, back: Version, cause: String) -> Result<Version> {
    let (record, own) = (handover.record(), version::own());
    let unwritten = "the record of the version that runs here";
    if let Err(no_way) = way_back(handover, folder, back).await {
        record.stay(own).context(unwritten)?;
        return Err(anyhow::Error::new(no_way).context(format!("version {own} can't serve here: {cause}")));
    }
    tracing::error!(version = %own, %back, cause, "this version can't serve here; the one of before does");
    record.give_up(own, back).context(unwritten)?;
    Ok(back)
}

/// Only the directory keeps a node from starting; an account that was opened by the version on trial waits for one that
/// can read it. A version that can't be asked is tried.
async fn way_back(handover: &Handover, folder: &Path, back: Version) -> Result<(), NoWayBack> {
    let Ok(facts) = handover.programs().facts(back).await else { return Ok(()) };
    let path = directory_file(folder);
    let found = tokio::task::spawn_blocking(move || Directory::format_of(&path)).await;
    let Ok(Ok(has)) = found else { return Ok(()) };
    let knows = facts.directory_format;
    if has > knows { Err(NoWayBack { back, own: version::own(), knows, has }) } else { Ok(()) }
}

/// How a node ends that could not serve. Where a format has moved on, starting again and again doesn't help, and what
/// does is said.
#[allow(clippy::print_stderr)]
pub fn exit_of(error: &anyhow::Error, folder: &Path) -> Exit {
    let record = folder.join("version");
    let restore = "or restore a backup of before the update";
    let newer = |cause: &StorageError| matches!(cause, StorageError::NewerFormat { .. });
    if error.chain().any(|cause| cause.is::<NoWayBack>()) {
        eprintln!(
            "sterna serve: mend the cause and start the service again; or install a later version, write its number into \
             {}, and start the service again; {restore}",
            record.display()
        );
        Exit::BadConfig
    } else if error.chain().filter_map(|cause| cause.downcast_ref()).any(newer) {
        eprintln!(
            "sterna serve: a later version has written here; write its number into {} and start the service again, \
             {restore}",
            record.display()
        );
        Exit::BadConfig
    } else {
        Exit::Failed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sterna_base::SystemClock;
    use sterna_directory::Mode;

    use super::*;
    use crate::update::programs::tests::{programs, says};
    use crate::update::record::{Record, Start};

    /// A node's folder with a directory, and this version on trial after one that knows formats up to `knows`.
    fn on_trial(knows: i64) -> (tempfile::TempDir, Handover, Version) {
        let back = "0.0.1".parse::<Version>().unwrap();
        let (folder, programs) = programs(&[("0.0.1", &says("0.0.1", knows))]);
        drop(Directory::open(&directory_file(folder.path()), Mode::Copy, Arc::new(SystemClock)).unwrap());
        let record = Record::of(folder.path());
        record.begin_trial(back, version::own()).unwrap();
        (folder, Handover::among(programs, record), back)
    }

    #[tokio::test]
    async fn the_version_of_before_runs_again_while_it_can_read_what_is_there() {
        let (folder, handover, back) = on_trial(sterna_directory::FORMAT);
        let next = give_up(&handover, folder.path(), back, "no disk".to_owned()).await.unwrap();
        assert_eq!(next, back);
        let record = handover.record();
        assert_eq!((record.decided().unwrap(), record.failed().unwrap()), (Some(back), Some(version::own())));
    }

    #[tokio::test]
    async fn a_format_that_has_moved_keeps_the_version_and_says_what_to_do() {
        let (folder, handover, back) = on_trial(sterna_directory::FORMAT - 1);
        let error = give_up(&handover, folder.path(), back, "no disk".to_owned()).await.unwrap_err();
        let said = format!("{error:#}");
        assert!(
            said.contains("can't serve here: no disk") && said.contains("0.0.1 reads the directory up to"),
            "{said}"
        );
        assert_eq!(exit_of(&error, folder.path()), Exit::BadConfig);
        let record = handover.record();
        assert_eq!(record.settle(version::own()).unwrap(), Start::Usual);
        assert_eq!((record.decided().unwrap(), record.failed().unwrap()), (Some(version::own()), Some(version::own())));
    }

    #[test]
    fn a_directory_of_a_later_version_is_no_reason_to_start_again_and_again() {
        let newer = Err::<(), _>(StorageError::NewerFormat { found: 9, known: 3 });
        let error = newer.context("the directory can't be opened").unwrap_err();
        assert_eq!(exit_of(&error, Path::new("/nowhere")), Exit::BadConfig);
        let other = anyhow::anyhow!("the address is taken");
        assert_eq!(exit_of(&other, Path::new("/nowhere")), Exit::Failed);
    }
}
