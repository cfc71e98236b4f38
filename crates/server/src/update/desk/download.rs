//! Brings a version: every server asks the repository itself and verifies all of it, so that none has to believe
//! another one. No service is touched.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

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
    prepare(&folder, offered).map_err(|error| on_disk(&folder, &error))?;
    let half = folder.join(format!("{HALF}{version}"));
    let package = half.join("package.deb");
    std::fs::create_dir(&half).map_err(|error| on_disk(&half, &error))?;
    let brought = async {
        let (told, total) = (progress.clone(), offered.bytes);
        repository::fetch(&repository, offered, &package, move |done| told.at(done, total)).await?;
        let unpacked = half.join("unpacked");
        unpack(&package, &unpacked).await?;
        let place = unpacked.join(format!("usr/lib/sterna/{version}"));
        take_in(&place, &folder.join(version.to_string())).map_err(|error| on_disk(&folder, &error))
    }
    .await;
    if let Err(error) = std::fs::remove_dir_all(&half) {
        tracing::warn!(%error, folder = %half.display(), "what is left of a download can't be removed");
    }
    brought?;
    usable(bench, version).await
}

const INSTALL: &str = "Install it there, or say where versions come from: sterna update repository URL --key FILE.";

fn on_disk(place: &Path, error: &io::Error) -> TaskFinding {
    TaskFinding::blocks(format!("{}: {error}", place.display()), "Make room there, and download again.")
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

/// Makes the folder, removes what earlier tries left, and looks whether there is room.
fn prepare(folder: &Path, offered: &Offered) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(HALF) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    let disk = rustix::fs::statvfs(folder)?;
    let (free, needed) = (disk.f_bavail * disk.f_frsize, offered.bytes + offered.installed_bytes + SPARE_BYTES);
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
    if place.exists() {
        std::fs::remove_dir_all(place)?;
    }
    std::fs::rename(unpacked, place)?;
    atomic_file::sync_folder(place.parent().unwrap_or(place))
}
