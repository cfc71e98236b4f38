//! A version comes from a repository: verified on every server, beside what runs, and nothing that was tampered with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sterna_testkit::binary::{have, have_root};
use sterna_testkit::installation::{Installation, errors, succeeded};

use crate::packages::Repository;
use crate::updates::{NEW, OLD, Programs, machine, runs};

const NEEDED: [&str; 7] = ["gpg", "gpgv", "apt-ftparchive", "dpkg-deb", "dpkg-shlibdeps", "faketime", "python3"];

/// What `sterna update` says, as a text and whether it did it.
fn update(installation: &Installation, arguments: &[&str]) -> (bool, String) {
    let output = installation.admin("main", &[&["update"], arguments].concat());
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), errors(&output));
    (output.status.success(), said)
}

fn done(installation: &Installation, arguments: &[&str]) -> String {
    let (is_done, said) = update(installation, arguments);
    assert!(is_done, "{arguments:?}: {said}");
    said
}

fn refused(installation: &Installation, arguments: &[&str], because: &str) {
    let (is_done, said) = update(installation, arguments);
    assert!(!is_done && said.contains(because), "{arguments:?} is refused because {because}: {said}");
}

fn state(installation: &Installation) -> Value {
    serde_json::from_str(&installation.admin_ok("main", &["--json", "update", "status"])).unwrap()
}

/// An installation of one machine that runs 0.1.0, and a repository with 0.2.0 that it knows.
fn with_repository(repository: &Repository, programs: &Programs) -> Installation {
    let installation = machine(programs);
    let key = repository.shown().join("sterna.asc");
    let url = format!("file://{}", repository.shown().display());
    refused(&installation, &["repository", &url], "needs the key");
    done(&installation, &["repository", &url, "--key", &key.to_string_lossy()]);
    done(&installation, &["policy", "pinned", NEW]);
    installation
}

#[test]
fn a_version_comes_from_the_repository_and_runs_and_goes_back() {
    if !have(&NEEDED) || !have_root() {
        return;
    }
    let (repository, programs) = (Repository::new(), Programs::new());
    let packages = repository.pack(NEW);
    succeeded("the repository", &repository.publish(None, &packages));
    let installation = with_repository(&repository, &programs);
    let fetched = installation.node("main").dir.join("versions").join(NEW).join("sterna");
    refused(&installation, &["apply", "--yes"], "nothing is prepared");
    let said = done(&installation, &["prepare"]);
    assert!(said.contains("-  0.1.0\n+  0.2.0") && said.contains("Fingerprint"), "{said}");
    refused(&installation, &["apply", "--yes"], "check of plan 1 is not over");
    done(&installation, &["check"]);
    refused(&installation, &["apply", "--yes"], "download of plan 1 is not over");
    assert!(!fetched.exists());
    done(&installation, &["download"]);
    assert!(fetched.exists());
    runs(&installation, "main", OLD);
    // Somebody puts another program there.
    fs::remove_file(&fetched).unwrap();
    fs::write(&fetched, "#!/bin/sh\nexit 3\n").unwrap();
    Command::new("chmod").arg("755").arg(&fetched).status().unwrap();
    refused(&installation, &["check"], "can't be used");
    refused(&installation, &["apply", "--yes"], "can't be used");
    done(&installation, &["download"]);
    done(&installation, &["check"]);
    refused(&installation, &["apply", "--yes", "--fingerprint", "00"], "another one than 00");
    done(&installation, &["apply", "--yes"]);
    runs(&installation, "main", NEW);
    assert_eq!(state(&installation)["phase"], "rolled");
    refused(&installation, &["resume"], "another time");
    done(&installation, &["rollback", "--yes"]);
    runs(&installation, "main", OLD);
    assert_eq!(state(&installation)["phase"], "rolled-back");
    // Once more, and for good.
    for step in [&["prepare"][..], &["check"], &["download"], &["apply", "--yes"], &["finish", "--yes"]] {
        done(&installation, step);
    }
    runs(&installation, "main", NEW);
    assert_eq!(state(&installation)["phase"], "finished");
    refused(&installation, &["rollback", "--yes"], "another time");
    refused(&installation, &["prepare"], "as the policy wants it");
    let history = done(&installation, &["history"]);
    for what in ["prepare", "check-over", "download-over", "apply", "proven", "rolled-back", "finish"] {
        assert!(history.contains(what), "{what}: {history}");
    }
}

/// A package with a program that does nothing: what is tried is the repository.
fn empty_package(folder: &Path, version: &str) -> PathBuf {
    let root = folder.join(format!("root-{version}"));
    let program = root.join(format!("usr/lib/sterna/{version}/sterna"));
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::create_dir_all(root.join("DEBIAN")).unwrap();
    let architecture = Command::new("dpkg").arg("--print-architecture").output().unwrap().stdout;
    let control = format!(
        "Package: sterna-{version}\nVersion: {version}\nArchitecture: {}\nMaintainer: Sterna <test@tern.test>\n\
         Sterna-Release: 2\nSterna-Store-Format: 99\nSterna-Directory-Format: 99\nDescription: nothing\n",
        String::from_utf8_lossy(&architecture).trim()
    );
    fs::write(root.join("DEBIAN/control"), control).unwrap();
    let package = folder.join(format!("sterna-{version}_{version}.deb"));
    let built = Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&root).arg(&package).output();
    succeeded("dpkg-deb", &built.unwrap());
    package
}

#[test]
fn a_repository_is_believed_only_as_it_was_signed() {
    if !have(&NEEDED) || !have_root() {
        return;
    }
    let (repository, other, programs) = (Repository::new(), Repository::new(), Programs::new());
    let folder = tempfile::tempdir().unwrap();
    let packages = [empty_package(folder.path(), NEW)];
    succeeded("the repository", &repository.publish(None, &packages));
    succeeded("the other one", &other.publish(None, &packages));
    let installation = with_repository(&repository, &programs);
    let prepare = ["prepare"];
    done(&installation, &prepare);
    let shown = |path: &str| repository.shown().join(path);
    let signed = shown("dists/stable/InRelease");
    let good = fs::read(&signed).unwrap();

    // Another key; another text under the signature; no signature.
    fs::copy(other.shown().join("dists/stable/InRelease"), &signed).unwrap();
    refused(&installation, &prepare, "is not signed by the key of this installation");
    fs::write(&signed, String::from_utf8_lossy(&good).replace("Suite: stable", "Suite: hacked")).unwrap();
    refused(&installation, &prepare, "is not signed by the key of this installation");
    fs::copy(shown("dists/stable/Release"), &signed).unwrap();
    refused(&installation, &prepare, "is not signed by the key of this installation");
    fs::write(&signed, &good).unwrap();

    // A list that is not the signed one, under both of its names.
    let architecture = Command::new("dpkg").arg("--print-architecture").output().unwrap().stdout;
    let lists = shown(&format!("dists/stable/main/binary-{}", String::from_utf8_lossy(&architecture).trim()));
    let list = fs::read_to_string(lists.join("Packages")).unwrap();
    let by_hash: Vec<PathBuf> =
        fs::read_dir(lists.join("by-hash/SHA256")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let kept: Vec<(PathBuf, Vec<u8>)> = by_hash.iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    fs::write(lists.join("Packages"), list.replace("Size: ", "Size: 9")).unwrap();
    // Another state is being copied: the list of this one is there by its hash.
    done(&installation, &prepare);
    by_hash.iter().for_each(|path| fs::remove_file(path).unwrap());
    refused(&installation, &prepare, "is not what was signed");
    fs::remove_file(lists.join("Packages")).unwrap();
    refused(&installation, &prepare, "Packages");
    fs::write(lists.join("Packages"), list).unwrap();
    kept.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    done(&installation, &prepare);

    // The package: tampered with, and not copied yet.
    let pool = fs::read_dir(shown("pool/main")).unwrap().next().unwrap().unwrap().path();
    let package = fs::read(&pool).unwrap();
    let mut tampered = package.clone();
    *tampered.last_mut().unwrap() ^= 1;
    fs::write(&pool, tampered).unwrap();
    refused(&installation, &["download"], "is not what was signed");
    fs::remove_file(&pool).unwrap();
    refused(&installation, &["download"], "pool/main");
    fs::write(&pool, package).unwrap();
    // It is what was signed now, and its program is none.
    refused(&installation, &["download"], "can't be used");
    assert!(!installation.node("main").dir.join("versions").join(format!(".half-{NEW}")).exists());

    // An old state, and one whose time is over.
    succeeded("two days ago", &repository.publish(Some("2 days ago"), &[]));
    refused(&installation, &prepare, "was seen before");
    succeeded("a month ago", &repository.publish(Some("30 days ago"), &[]));
    refused(&installation, &prepare, "was good until");

    // Withdrawn, with the reason.
    succeeded("withdrawn", &repository.publish_with(None, &[], &["--withdraw", "0.2.0 loses mail"]));
    refused(&installation, &prepare, "version 0.2.0 was withdrawn by who published it; pin another one (loses mail)");
    runs(&installation, "main", OLD);
}
