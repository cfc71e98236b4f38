//! Debian's Radicale: files in folders, with a flush for each before it acknowledges, as it comes.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::DavServer;
use super::client::Client;
use crate::peers::{free_port, lazy_writes_library, loopback, terminate, wait_for, wait_until_free};

/// A running Radicale.
pub struct Radicale {
    folder: PathBuf,
    http: u16,
    process: Child,
}

impl Radicale {
    /// Writes its configuration and starts it. Everybody may log in as anybody.
    pub fn start(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder.join("collections"))?;
        let http = free_port()?;
        let shown = folder.display();
        let config = format!(
            "[server]\nhosts = 127.0.0.1:{http}\nmax_connections = 100\nmax_content_length = 500000000\ntimeout = 600\n\
             [auth]\ntype = none\n[rights]\ntype = owner_only\n[storage]\nfilesystem_folder = {shown}/collections\n\
             [logging]\nlevel = error\n"
        );
        fs::write(folder.join("config"), config)?;
        let mut process = spawn(folder, false)?;
        wait_for(loopback(http), &mut process)?;
        Ok(Radicale { folder: folder.to_owned(), http, process })
    }
}

fn spawn(folder: &Path, lazy_writes: bool) -> Result<Child> {
    let mut command = Command::new("radicale");
    command.arg("--config").arg(folder.join("config")).stdout(Stdio::null()).stderr(Stdio::null());
    if lazy_writes {
        command.env("LD_PRELOAD", lazy_writes_library()?);
    }
    command.spawn().context("starting radicale; apt-get install radicale")
}

impl DavServer for Radicale {
    fn http(&self) -> SocketAddr {
        loopback(self.http)
    }
    fn login(&self, user: u32) -> (String, String) {
        (format!("u{user}"), "x".to_owned())
    }
    fn calendar(&self, user: u32) -> String {
        format!("/u{user}/calendar/")
    }
    fn book(&self, user: u32) -> String {
        format!("/u{user}/contacts/")
    }
    fn outbox(&self, _user: u32) -> Option<String> {
        None
    }
    fn address(&self, user: u32) -> String {
        format!("u{user}")
    }
    fn prepare(&self, user: u32) -> Result<()> {
        let mut client = Client::new(self.http(), self.login(user));
        client.request("MKCALENDAR", &self.calendar(user), &[], b"")?;
        let book =
            br#"<mkcol xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav"><set><prop><resourcetype><collection/>
            <C:addressbook/></resourcetype></prop></set></mkcol>"#;
        client.request("MKCOL", &self.book(user), &[("Content-Type", "application/xml")], book).map(drop)
    }
    fn takes_whole_collections(&self) -> bool {
        true
    }
    fn restart(&mut self, lazy_writes: bool) -> Result<()> {
        self.stop()?;
        self.process = spawn(&self.folder, lazy_writes)?;
        wait_for(loopback(self.http), &mut self.process)
    }
    fn stop(&mut self) -> Result<()> {
        terminate(&mut self.process)?;
        wait_until_free(self.http)
    }
}
