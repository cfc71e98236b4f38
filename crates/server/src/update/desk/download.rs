//! Brings a version: every server asks the repository itself and verifies all of it, so that none has to believe
//! another one. No service is touched.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use sterna_base::{Version, atomic_file};
use sterna_cluster::update::TaskFinding;
use tokio::process::Command;

use super::super::repository::{self, Offered, RepositoryError};
use super::{Bench, Progress};

/// Bytes that stay free beside a version that is brought.
const SPARE_BYTES: u64 = 64 * 1024 * 1024;

/// What half-brought versions are called; the next one that is brought removes them.
const HALF: &str = ".half-";

impl From<RepositoryError> for TaskFinding {
    fn from(error: RepositoryError) -> Self {
        TaskFinding::blocks(error.to_string(), error.remedy())
    }
}

pub(super) async fn run(bench: &Bench, progress: &Progress, version: Version) -> Result<(), TaskFinding> {
    let programs = bench.handover.programs();
    let row = bench.directory.read(|reader| reader.update()).await;
    let row = row.map_err(|error| TaskFinding::blocks(error.to_string(), "Look at the directory: sterna check."))?;
    let (repository, seen) = row.map_or((None, None), |found| (found.value.repository, found.value.listed_at));
    let Some(repository) = repository else {
        // Without a repository versions are installed by hand.
        let usable = programs.facts(version).await.map(drop);
        return usable.map_err(|error| TaskFinding::blocks(error.to_string(), INSTALL));
    };
    let catalogue = repository::read(&repository, seen, bench.directory.now()).await?;
    let offered = catalogue.version(version).ok_or_else(|| {
        let says = format!("{} has no version {version} for {}", repository.url, repository::architecture());
        TaskFinding::blocks(says, "Prepare again (sterna update prepare): it may have been withdrawn meanwhile.")
    })?;
    progress.at(0, offered.bytes);
    if programs.path(version).is_file() && is_signed(programs.path(version), offered).await {
        progress.at(offered.bytes, offered.bytes);
        return usable(bench, version).await;
    }
    let folder = programs.own_folder().to_owned();
    let kept = kept(bench, version).map_err(|error| on_disk(&folder, &error))?;
    let half = folder.join(format!("{HALF}{version}"));
    let package = half.join("package.deb");
    let (into, needed, fresh) = (folder.clone(), offered.bytes + offered.installed_bytes + SPARE_BYTES, half.clone());
    on_the_side(&folder, move || {
        prepare(&into, &kept, needed)?;
        std::fs::create_dir(&fresh)
    })
    .await?;
    let brought = async {
        let (told, total) = (progress.clone(), offered.bytes);
        repository::fetch(&repository, offered, &package, move |done| told.at(done, total)).await?;
        let unpacked = half.join("unpacked");
        unpack(&package, &unpacked).await?;
        let (brought, place) = (unpacked.join(format!("usr/lib/sterna/{version}")), folder.join(version.to_string()));
        on_the_side(&folder, move || take_in(&brought, &place)).await
    }
    .await;
    if let Err(error) = tokio::fs::remove_dir_all(&half).await {
        tracing::warn!(%error, folder = %half.display(), "what is left of a download can't be removed");
    }
    brought?;
    usable(bench, version).await
}

const INSTALL: &str = "Install it there, or say where versions come from: sterna update repository URL --key FILE.";

fn on_disk(place: &Path, error: &io::Error) -> TaskFinding {
    TaskFinding::blocks(format!("{}: {error}", place.display()), "Make room there, and download again.")
}

/// Work on the disk, where it holds nobody else up.
async fn on_the_side(place: &Path, work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<(), TaskFinding> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other).and_then(|done| done);
    done.map_err(|error| on_disk(place, &error))
}

/// The versions that stay: the one that comes, the one that runs, and those that a start could go back to.
fn kept(bench: &Bench, version: Version) -> io::Result<Vec<Version>> {
    let decided = bench.handover.record().decided()?;
    Ok([version, sterna_base::version::own()].into_iter().chain(decided).collect())
}

async fn usable(bench: &Bench, version: Version) -> Result<(), TaskFinding> {
    let facts = bench.handover.programs().facts(version).await;
    facts.map(drop).map_err(|error| TaskFinding::blocks(error.to_string(), "Look at what it says, and download again."))
}

/// Whether the program that is there is the one that the repository has.
async fn is_signed(path: PathBuf, offered: &Offered) -> bool {
    let Some(wanted) = offered.program_sha256.clone() else { return true };
    let hashed = tokio::task::spawn_blocking(move || repository::sha256_of_file(&path)).await;
    matches!(hashed, Ok(Ok(hash)) if hash == wanted)
}

/// Makes the folder, removes what earlier tries left and versions that nobody goes back to, and looks whether there is
/// room.
fn prepare(folder: &Path, kept: &[Version], needed: u64) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_old = name.parse::<Version>().is_ok_and(|version| !kept.contains(&version));
        if name.starts_with(HALF) || is_old {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    let disk = rustix::fs::statvfs(folder)?;
    let free = disk.f_bavail * disk.f_frsize;
    match free < needed {
        true => Err(io::Error::other(format!("{} MB are free, and {} MB are needed", free >> 20, needed >> 20))),
        false => Ok(()),
    }
}

async fn unpack(package: &Path, into: &Path) -> Result<(), TaskFinding> {
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.arg("--extract").arg(package).arg(into).stdin(Stdio::null()).kill_on_drop(true);
    let said = dpkg.output().await.map_err(|error| {
        TaskFinding::blocks(format!("dpkg-deb can't be run: {error}"), "It is part of Debian's package dpkg.")
    })?;
    match said.status.success() {
        true => Ok(()),
        false => {
            let cause = String::from_utf8_lossy(&said.stderr).trim().to_owned();
            Err(TaskFinding::blocks(
                format!("the package can't be unpacked: {cause}"),
                "Make room, and download again.",
            ))
        }
    }
}

/// Puts the version in its place: durable before it is there, and there at once.
fn take_in(unpacked: &Path, place: &Path) -> io::Result<()> {
    let program = unpacked.join("sterna");
    std::fs::File::open(&program)?.sync_all()?;
    atomic_file::sync_folder(unpacked)?;
    match place.exists() {
        false => std::fs::rename(unpacked, place)?,
        // The version that runs may be the one that is replaced: at no moment it may not be there. What it was goes
        // with the rest of the download.
        true => match rustix::fs::renameat_with(CWD, unpacked, CWD, place, RenameFlags::EXCHANGE) {
            // Some file systems over the network have no such thing; the old one is aside for a moment then.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                std::fs::rename(place, unpacked.with_extension("before"))?;
                std::fs::rename(unpacked, place)?;
            }
            exchanged => exchanged?,
        },
    }
    atomic_file::sync_folder(place.parent().unwrap_or(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(folder: &Path, says: &str) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("sterna"), says).unwrap();
        folder.to_owned()
    }

    #[test]
    fn a_version_is_replaced_at_once_and_nobody_else_goes() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("0.2.0");
        let says = || std::fs::read_to_string(place.join("sterna")).unwrap();
        let half = folder.path().join(".half-0.2.0");
        take_in(&program(&half.join("unpacked"), "new"), &place).unwrap();
        assert_eq!(says(), "new");
        let brought = program(&half.join("unpacked"), "newer");
        take_in(&brought, &place).unwrap();
        assert_eq!(says(), "newer");
        // What was there goes with the rest of the download.
        assert_eq!(std::fs::read_to_string(brought.join("sterna")).unwrap(), "new");

        for version in ["0.1.0", "0.1.1", "0.3.0"] {
            program(&folder.path().join(version), "old");
        }
        std::fs::write(folder.path().join("notes"), "somebody's own").unwrap();
        let kept: Vec<Version> = ["0.1.1", "0.2.0", "0.3.0"].map(|version| version.parse().unwrap()).to_vec();
        prepare(folder.path(), &kept, 0).unwrap();
        let mut left: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["0.1.1", "0.2.0", "0.3.0", "notes"]);
        assert!(prepare(folder.path(), &kept, u64::MAX).is_err());
    }
}
