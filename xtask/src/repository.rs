//! `cargo xtask repository`: a signed repository of packages for apt, made by Debian's own programs.
//!
//! What is there stays whole for those who read it while it is made again, and on mirrors that have copied half of it:
//! packages and lists come before the signed file that names them, lists are also there by their hash
//! (Acquire-By-Hash), and the signed file is replaced at once. It says until when it is good (Valid-Until), so that
//! nobody can hold back a release for ever by showing an old one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::run;

/// The one suite and its one component.
const SUITE: &str = "stable";
const COMPONENT: &str = "main";

/// How long a repository is good unless it is signed again.
const VALID_DAYS: u32 = 14;

/// Lists that stay by their hash, for those who have the signed file of before.
const LISTS_KEPT: usize = 6;

/// Puts packages into the repository (`DIR --key FINGERPRINT [--withdraw "VERSION REASON"] [PACKAGE...]`) and signs it;
/// without packages it is only signed again. A version that was withdrawn stays so, and nobody is updated to it.
pub fn run(arguments: &[String]) -> Result<()> {
    let (mut folder, mut key, mut packages, mut withdrawn) = (None, None, Vec::new(), Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--key" => key = arguments.next(),
            "--withdraw" => withdrawn.extend(arguments.next().cloned()),
            other if other.starts_with('-') => bail!("there is no option {other}; there are --key and --withdraw"),
            path if folder.is_none() => folder = Some(PathBuf::from(path)),
            path => packages.push(PathBuf::from(path)),
        }
    }
    let folder = folder.context("name the repository's folder: cargo xtask repository DIR --key FINGERPRINT *.deb")?;
    let key = key.context("name the key to sign with, which gpg has: --key FINGERPRINT")?;
    let architecture = run::output("dpkg", &["--print-architecture"])?.trim().to_owned();
    put(&folder, &packages)?;
    let suite = folder.join("dists").join(SUITE);
    lists(&folder, &suite, &architecture)?;
    let withdrawn = withdraw(&folder, &withdrawn)?;
    release(&folder, &suite, (&architecture, &withdrawn), key)?;
    println!("{} is signed, and good for {VALID_DAYS} days", folder.display());
    Ok(())
}

/// Copies packages into the pool. One that is there already is never another one: who has it would not notice.
fn put(folder: &Path, packages: &[PathBuf]) -> Result<()> {
    let pool = folder.join("pool").join(COMPONENT);
    fs::create_dir_all(&pool)?;
    for package in packages {
        let name = package.file_name().context("a package has a name")?;
        let target = pool.join(name);
        if target.exists() {
            ensure!(
                fs::read(&target)? == fs::read(package)?,
                "{} is in the repository with other contents; a change needs a new version",
                name.to_string_lossy()
            );
            continue;
        }
        let half = pool.join(format!("{}.new", name.to_string_lossy()));
        fs::copy(package, &half).with_context(|| package.display().to_string())?;
        fs::rename(&half, &target)?;
    }
    Ok(())
}

/// The lists of packages, under their names and by their hashes.
fn lists(folder: &Path, suite: &Path, architecture: &str) -> Result<()> {
    let place = suite.join(COMPONENT).join(format!("binary-{architecture}"));
    let by_hash = place.join("by-hash/SHA256");
    fs::create_dir_all(&by_hash)?;
    let packages = run::output_in("apt-ftparchive", &["packages", &format!("pool/{COMPONENT}")], folder)?;
    let (plain, packed) = (place.join("Packages"), place.join("Packages.gz"));
    let new = place.join("Packages.new");
    fs::write(&new, packages)?;
    run::program("gzip", &["-9nkf", &new.to_string_lossy()])?;
    for (made, name) in [(place.join("Packages.new.gz"), packed), (new, plain)] {
        let sum = run::output("sha256sum", &[&made.to_string_lossy()])?;
        let sum = sum.split(' ').next().unwrap_or_default();
        fs::copy(&made, by_hash.join(sum))?;
        fs::rename(&made, &name)?;
    }
    forget_old(&by_hash)
}

/// Removes the oldest lists.
fn forget_old(folder: &Path) -> Result<()> {
    let mut lists = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        lists.push((entry.metadata()?.modified()?, entry.path()));
    }
    lists.sort();
    for (_, path) in lists.iter().rev().skip(LISTS_KEPT) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// The versions that nobody is to be updated to, one a line with the reason; those of before and these.
fn withdraw(folder: &Path, more: &[String]) -> Result<Vec<String>> {
    let file = folder.join("withdrawn");
    let mut all: Vec<String> = match fs::read_to_string(&file) {
        Ok(text) => text.lines().map(str::to_owned).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    for line in more {
        let version = line.split(' ').next().unwrap_or_default();
        let numbers: Vec<&str> = version.split('.').collect();
        let is_version = numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok());
        ensure!(is_version && !line.contains('\n'), "--withdraw takes a version and a reason: \"0.2.0 loses mail\"");
        all.retain(|known| known.split(' ').next() != Some(version));
        all.push(line.clone());
    }
    if !more.is_empty() {
        fs::write(&file, all.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    }
    Ok(all)
}

/// The file that names all others, signed.
fn release(folder: &Path, suite: &Path, (architecture, withdrawn): (&str, &[String]), key: &str) -> Result<()> {
    // It writes Valid-Until of this; a date under that name it passes over without a word.
    let valid_seconds = (VALID_DAYS * 24 * 3600).to_string();
    let fields = [
        ("Origin", "Sterna"),
        ("Label", "Sterna"),
        ("Suite", SUITE),
        ("Codename", SUITE),
        ("Architectures", architecture),
        ("Components", COMPONENT),
        ("Description", "Sterna groupware server"),
        ("Acquire-By-Hash", "yes"),
        ("ValidTime", &valid_seconds),
    ];
    let mut options: Vec<String> = Vec::new();
    for (name, value) in fields {
        options.extend(["-o".to_owned(), format!("APT::FTPArchive::Release::{name}={value}")]);
    }
    // Hashes that nobody should believe any more.
    for hash in ["MD5", "SHA1", "SHA512"] {
        options.extend(["-o".to_owned(), format!("APT::FTPArchive::Release::{hash}=false")]);
    }
    let mut arguments: Vec<&str> = options.iter().map(String::as_str).collect();
    let named = suite.to_string_lossy();
    arguments.extend(["release", &named]);
    let text = run::output("apt-ftparchive", &arguments)?;
    // It lists its own former self, too.
    let is_kept = |line: &&str| !line.starts_with(' ') || line.contains(&format!(" {COMPONENT}/"));
    let mut text: String = text.lines().filter(is_kept).map(|line| format!("{line}\n")).collect();
    if !withdrawn.is_empty() {
        // Behind a field that begins the file: the list of hashes is the last one, and goes on until the end.
        text = format!("Sterna-Withdrawn: {}\n{text}", withdrawn.join("\n "));
    }
    let made = suite.join("Release.new");
    fs::write(&made, text)?;
    let sign = |how: &[&str], to: &Path| {
        let (made, to) = (made.to_string_lossy(), to.to_string_lossy());
        let first = ["--batch", "--yes", "--local-user", key, "--digest-algo", "SHA512", "--output", &to];
        run::program("gpg", &[&first[..], how, &[&made]].concat())
    };
    let (signed, apart) = (suite.join("InRelease.new"), suite.join("Release.gpg.new"));
    sign(&["--clearsign"], &signed)?;
    sign(&["--armor", "--detach-sign"], &apart)?;
    let public = run::output("gpg", &["--batch", "--armor", "--export", key])?;
    fs::write(folder.join("sterna.asc"), public)?;
    fs::rename(&apart, suite.join("Release.gpg"))?;
    fs::rename(&made, suite.join("Release"))?;
    fs::rename(&signed, suite.join("InRelease"))?;
    Ok(())
}
