//! What the tests and benchmarks need from the distribution, installed where we may.

use std::path::Path;

use anyhow::{Result, bail};

use crate::run;

/// Clients that the tests read and write with, the server that ours is held against, and what puts nodes into networks
/// and times of their own.
pub const TESTS: &[&str] = &[
    "isync",
    "swaks",
    "curl",
    "python3",
    "offlineimap3",
    "fetchmail",
    "getmail6",
    "neomutt",
    "interimap",
    "thunderbird",
    "procps",
    "iproute2",
    "util-linux",
    "iputils-arping",
    "nftables",
    "faketime",
    "dovecot-core",
    "dovecot-imapd",
    "dovecot-sieve",
    "postfix",
    "python3-dkim",
    "python3-nacl",
    "unbound",
    "msmtp",
    // What Exim needs, which the tests unpack: Debian lets only one mail server be installed.
    "libdb5.3",
    "libgnutls-dane0",
    "libidn12",
    "libnsl2",
    "vdirsyncer",
    "khal",
    "khard",
    "todoman",
    "python3-caldav",
    "cadaver",
    "litmus",
    // gio and Evolution's data server, in sessions of their own.
    "dbus",
    "libglib2.0-bin",
    "gvfs-backends",
    "evolution-data-server",
    "gir1.2-ecal-2.0",
    "gir1.2-ebook-1.2",
    "gir1.2-ebookcontacts-1.2",
    "gir1.2-edataserver-1.2",
    "python3-gi",
    "clamav-daemon",
    "rspamd",
    "opendkim",
    "openssl",
    "python3-milter",
    "pebble",
    "chromium",
    "slapd",
    "postgresql-15 | postgresql-17",
    "ldap-utils",
    "debootstrap",
    "apt-utils",
    "dpkg-dev",
    "binutils",
    "gpg",
    "gpg-agent",
    "systemd",
];

/// What Cyrus needs, which tests and benchmarks unpack: Debian lets only one IMAP server be installed.
pub const CYRUS: &[&str] = &[
    "libsasl2-modules",
    "libsasl2-2",
    "libical3",
    "libicu72",
    "libjansson4",
    "libkrb5-3",
    "libldap-2.5-0",
    "libpcre3",
    "libpq5",
    "libsqlite3-0",
    "libwrap0",
    "libxapian30",
    "libshp2",
    "libxml2",
    "libzephyr4",
    "libclamav11 | libclamav12",
];

/// The servers that the benchmark compares with, besides what [`CYRUS`] needs.
pub const PEERS: &[&str] = &[
    "dovecot-core",
    "dovecot-imapd",
    "dovecot-lmtpd",
    "dovecot-fts-xapian",
    "postfix",
    "radicale",
    "libeatmydata1",
    "rsync",
    "postgresql-15 | postgresql-17",
];

/// Installs what is missing. Without root it says what is missing and returns false; with CI=true that is an error.
pub fn ensure(packages: &[&str]) -> Result<bool> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !any_installed(package)).collect();
    if missing.is_empty() {
        return Ok(true);
    }
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        let list = missing.join(" ");
        if in_ci() {
            bail!("CI skips nothing, and these packages are missing: {list}");
        }
        println!("skipped: tests that need {list}; install them, or run as root on Debian");
        return Ok(false);
    }
    run::program("apt-get", &["-qq", "update"])?;
    for package in missing {
        let alternatives: Vec<&str> = package.split(" | ").collect();
        let available = alternatives.iter().find(|name| run::has("apt-cache", &["show", name]));
        let Some(name) = available else { bail!("the distribution has no package {package}") };
        run::program("apt-get", &["-qq", "install", "-y", "--no-install-recommends", name])?;
    }
    Ok(true)
}

/// Whether CI runs this: then nothing is skipped.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

fn any_installed(alternatives: &str) -> bool {
    alternatives.split(" | ").any(|name| {
        run::output("dpkg-query", &["-W", "-f", "${Status}", name]).is_ok_and(|status| status.contains("ok installed"))
    })
}

fn is_root() -> bool {
    run::output("id", &["-u"]).is_ok_and(|id| id.trim() == "0")
}
