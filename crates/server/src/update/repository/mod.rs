//! The repository that versions come from: apt's layout, as `cargo xtask repository` makes it (decisions 54 and 59).
//!
//! What is believed is believed because of one signature: that of the pinned key under `InRelease`, which names the
//! lists by their hashes, which name the packages by theirs. What can't be believed is named with its place, because
//! a mirror that copied half is mended by other people than one that was tampered with.

mod lists;
mod mirror;
mod signature;

use std::path::Path;

use sterna_base::{Timestamp, Version};
use sterna_cluster::InstalledVersion;
use sterna_directory::Repository;

use lists::Release;
use mirror::Mirror;

/// The signed file, seen from the repository's folder.
const SIGNED: &str = "dists/stable/InRelease";

/// Largest signed file, in bytes.
const SIGNED_BYTES_MAX: u64 = 1024 * 1024;

/// Largest list of packages, in bytes.
const LIST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Largest package, in bytes.
const PACKAGE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// A version in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// What it is.
    pub version: InstalledVersion,
    /// Its package, seen from the repository's folder.
    pub file: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// What it takes when it is unpacked, in bytes.
    pub installed_bytes: u64,
    /// The package's hash (SHA-256, hexadecimal).
    pub sha256: String,
    /// The hash of the program in it.
    pub program_sha256: Option<String>,
    /// What is new, for people.
    pub notes: Vec<String>,
}

/// What a repository says, and that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    /// When it was signed.
    pub listed_at: Timestamp,
    /// Until when it is good.
    pub valid_until: Timestamp,
    /// Its versions for this machine, the oldest first.
    pub versions: Vec<Offered>,
    /// Versions that were taken back, and why.
    pub withdrawn: Vec<(Version, String)>,
}

impl Catalogue {
    /// A version that is there and was not taken back.
    pub fn version(&self, version: Version) -> Option<&Offered> {
        self.versions.iter().find(|offered| offered.version.version == version)
    }
}

/// Why a repository is not believed. The text is for administrators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryError {
    /// It can't be reached, or a file is not there.
    #[error("{url}: {cause}")]
    Unreachable {
        /// Which file.
        url: String,
        /// Why.
        cause: String,
    },
    /// The signature is missing, by another key, or over something else.
    #[error("{url} is not signed by the key of this installation: {cause}")]
    Signature {
        /// Which file.
        url: String,
        /// What the verifier says.
        cause: String,
    },
    /// Its time is over.
    #[error("{url} was good until {until} only: the mirror is not kept up to date, or somebody shows an old state")]
    Expired {
        /// Which file.
        url: String,
        /// Until when.
        until: String,
    },
    /// It was seen newer.
    #[error("{url} is from {date}, and a newer one, from {seen}, was seen before: the mirror went back")]
    Older {
        /// Which file.
        url: String,
        /// When it was signed.
        date: String,
        /// The newest that was seen.
        seen: String,
    },
    /// A file isn't the one that was signed.
    #[error("{url} is not what was signed ({cause}): the mirror copied half of a change, or it was tampered with")]
    Tampered {
        /// Which file.
        url: String,
        /// What differs.
        cause: String,
    },
    /// A signed file that isn't as it must be.
    #[error("{url} can't be understood: {cause}")]
    Unreadable {
        /// Which file.
        url: String,
        /// What is wrong.
        cause: String,
    },
}

impl RepositoryError {
    /// What to do next.
    pub fn remedy(&self) -> &'static str {
        match self {
            RepositoryError::Unreachable { .. } => "Look at the address (sterna update repository) and at the network.",
            RepositoryError::Signature { .. } => {
                "Believe nothing from there. If the publisher changed the key, pin the new one: sterna update \
                 repository URL --key FILE."
            }
            RepositoryError::Expired { .. } => "Let the mirror be copied again, or use another one.",
            RepositoryError::Older { .. } => {
                "Use the mirror that was used before, or wait until this one has caught up."
            }
            RepositoryError::Tampered { .. } => "Let the mirror be copied again (dists last), and try again.",
            RepositoryError::Unreadable { .. } => "Tell who publishes it.",
        }
    }
}

/// Reads and verifies what there is. `seen` is the date of the newest list that was believed before.
///
/// # Errors
/// [`RepositoryError`]
pub async fn read(
    repository: &Repository,
    seen: Option<Timestamp>,
    now: Timestamp,
) -> Result<Catalogue, RepositoryError> {
    let mirror = Mirror::of(&repository.url)?;
    let url = mirror.url(SIGNED);
    let signed = mirror.bytes(SIGNED, SIGNED_BYTES_MAX).await?;
    let text = signature::verified(&signed, &repository.key).await;
    let text = text.map_err(|cause| RepositoryError::Signature { url: url.clone(), cause })?;
    let release = Release::parse(&text).map_err(|cause| RepositoryError::Unreadable { url: url.clone(), cause })?;
    fresh(&release, &url, seen, now)?;
    let list = release.packages(architecture());
    let list = list.ok_or_else(|| RepositoryError::Unreadable {
        url: url.clone(),
        cause: format!("it names no packages for {}", architecture()),
    })?;
    // By its hash it is the right one also while another state is being copied.
    let by_hash = format!("dists/stable/{}/by-hash/SHA256/{}", list.folder(), list.sha256);
    let plain = format!("dists/stable/{}", list.name);
    let (place, bytes) = match mirror.bytes(&by_hash, LIST_BYTES_MAX).await {
        Ok(bytes) => (by_hash, bytes),
        Err(_) => (plain.clone(), mirror.bytes(&plain, LIST_BYTES_MAX).await?),
    };
    let tampered = |cause: String| RepositoryError::Tampered { url: mirror.url(&place), cause };
    if bytes.len() as u64 != list.bytes {
        return Err(tampered(format!("it has {} bytes instead of {}", bytes.len(), list.bytes)));
    }
    if mirror::sha256(&bytes) != list.sha256 {
        return Err(tampered("another hash".to_owned()));
    }
    let unreadable = |cause: String| RepositoryError::Unreadable { url: mirror.url(&place), cause };
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is no text".to_owned()))?;
    let withdrawn = release.withdrawn;
    let mut versions = lists::versions(&text).map_err(unreadable)?;
    versions.retain(|offered| !withdrawn.iter().any(|(version, _)| *version == offered.version.version));
    versions.sort_by_key(|offered| offered.version.version);
    Ok(Catalogue { listed_at: release.date, valid_until: release.valid_until, versions, withdrawn })
}

fn fresh(release: &Release, url: &str, seen: Option<Timestamp>, now: Timestamp) -> Result<(), RepositoryError> {
    let url = url.to_owned();
    if now > release.valid_until {
        return Err(RepositoryError::Expired { url, until: crate::admin::time(release.valid_until) });
    }
    match seen.filter(|seen| release.date < *seen) {
        Some(seen) => {
            Err(RepositoryError::Older { url, date: crate::admin::time(release.date), seen: crate::admin::time(seen) })
        }
        None => Ok(()),
    }
}

/// Fetches a package into a file, and verifies it on the way. `told` hears how many bytes are there.
///
/// # Errors
/// [`RepositoryError`]; the file is then worthless.
pub async fn fetch(
    repository: &Repository,
    offered: &Offered,
    into: &Path,
    told: impl Fn(u64) + Send,
) -> Result<(), RepositoryError> {
    let mirror = Mirror::of(&repository.url)?;
    let fetched = mirror.save(&offered.file, offered.bytes, into, told).await?;
    match fetched == offered.sha256 {
        true => Ok(()),
        false => {
            let cause = "another hash".to_owned();
            Err(RepositoryError::Tampered { url: mirror.url(&offered.file), cause })
        }
    }
}

/// As Debian names it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

pub use mirror::sha256_of_file;

/// Whether this is an address of a repository; nobody is asked.
///
/// # Errors
/// Why not.
pub fn is_address(url: &str) -> Result<(), String> {
    match Mirror::of(url) {
        Ok(_) => Ok(()),
        Err(RepositoryError::Unreachable { cause, .. }) => Err(cause),
        Err(other) => Err(other.to_string()),
    }
}

/// Whether this is a key that lists can be verified with, for who pins it.
///
/// # Errors
/// Why not.
pub fn is_key(armored: &str) -> Result<(), String> {
    signature::dearmored(armored).map(drop)
}
