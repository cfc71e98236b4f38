//! The procedure that is known: hot and cold rsync of Cyrus' folders, dump and restore of the databases.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use sterna_testkit::postgres::Postgres;

use super::{OBJECT_BYTES, Options, Took, addresses};
use crate::client::Imap;
use crate::eprint_progress;
use crate::moves::copy::{deliver, empty_caches, sync};
use crate::peers::cyrus::Cyrus;
use crate::peers::{Server, USERS};

/// Characters of a hash.
const HASH_CHARACTERS: u32 = 32;

/// Measures it.
pub fn run(folder: &Path, options: &Options) -> Result<Took> {
    let (old, new) = (folder.join("old"), folder.join("new"));
    std::fs::create_dir_all(&old)?;
    eprint_progress("procedure: filling");
    let postgres = Postgres::start();
    postgres.create("groupware", &objects(options.objects()));
    let mut cyrus = Cyrus::start(&old)?;
    cyrus.make(USERS..options.users.max(USERS))?;
    cyrus.restart(true)?;
    let addresses = addresses(&cyrus, options.users);
    let messages = u64::from(options.messages);
    deliver(cyrus.lmtp(), &addresses, 0..messages)?;
    cyrus.restart(false)?;

    empty_caches()?;
    let began = Instant::now();
    rsync(&old, &new)?;
    sync()?;
    let hot = began.elapsed().as_secs_f64();
    println!("\nrsync, stop, rsync, dump, restore, start");
    println!("  hot synchronisation (rsync -a, caches empty)            {hot:>8.1} s");
    deliver(cyrus.lmtp(), &addresses, messages..messages + u64::from(options.changes()))?;

    empty_caches()?;
    let began = Instant::now();
    cyrus.stop()?;
    rsync(&old, &new)?;
    let cold = began.elapsed().as_secs_f64();
    let dump = folder.join("groupware.sql");
    postgres.dump("groupware", &[], &dump);
    postgres.restore("restored", &dump);
    sync()?;
    let databases = began.elapsed().as_secs_f64() - cold;
    let mut moved = cyrus.moved_to(&new)?;
    let (login, password) = moved.login(0);
    Imap::login(moved.imap(), &login, &password)?.messages("INBOX")?;
    let outage = began.elapsed().as_secs_f64();
    println!("  outage of everybody                                     {outage:>8.1} s");
    println!("    of which the cold synchronisation {cold:.1} s, dump and restore {databases:.1} s");
    moved.stop()?;
    std::fs::remove_dir_all(folder)?;
    Ok(Took { hot, outage })
}

/// Calendar objects as rows of text that doesn't compress.
fn objects(count: u32) -> String {
    let hashes = OBJECT_BYTES / HASH_CHARACTERS;
    format!(
        "CREATE TABLE object (id integer PRIMARY KEY, container integer NOT NULL, content text NOT NULL);\n\
         INSERT INTO object SELECT i, i % 400, (SELECT string_agg(md5(i::text || '-' || j::text), '') \
         FROM generate_series(1, {hashes}) j) FROM generate_series(1, {count}) i;\n\
         CREATE INDEX object_container ON object (container);\nCHECKPOINT;\n"
    )
}

fn rsync(from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("rsync");
    command.args(["-a", "--delete"]);
    for own in ["program", "run", "imapd.conf", "cyrus.conf", "conf/socket", "conf/proc", "conf/lock"] {
        command.args(["--exclude", &format!("/{own}/***"), "--exclude", &format!("/{own}")]);
    }
    let status = command.arg(from.join("")).arg(to).status().context("running rsync")?;
    // 24: files vanished while it ran, as they do on a server that is used.
    ensure!(status.success() || status.code() == Some(24), "rsync ended with {status}");
    for part in ["conf/socket", "conf/proc", "conf/lock"] {
        std::fs::create_dir_all(to.join(part))?;
        Command::new("chown").arg("cyrus").arg(to.join(part)).status()?;
    }
    Ok(())
}
