//! Sterna itself: one node with all roles, as an administrator would set it up on one machine.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, bail};

use super::Server;

/// A running Sterna.
pub struct Sterna;

impl Sterna {
    pub fn start(_folder: &Path) -> Result<Self> {
        bail!("not yet")
    }
}
impl Server for Sterna {
    fn name(&self) -> &'static str {
        "sterna"
    }
    fn imap(&self) -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }
    fn lmtp(&self) -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }
    fn login(&self, _user: u32) -> (String, String) {
        Default::default()
    }
    fn address(&self, _user: u32) -> String {
        String::new()
    }
    fn restart(&mut self, _lazy_writes: bool) -> Result<()> {
        Ok(())
    }
    fn process(&self) -> u32 {
        0
    }
    fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}
