//! Pages that the server renders: the setup of an installation, and what else is shown before somebody signed in.
//!
//! They are made in Rust, work without JavaScript, need nothing from the network and no data to exist. What they do is
//! done by whoever stands behind [`setup::Installation`]: this crate knows texts, forms, sessions of the setup and the
//! order of its steps, and no store. Their texts are in `i18n/` at the top of the repository, which the console shares
//! (decision 45).

mod assets;
mod code;
mod form;
pub mod i18n;
pub mod notices;
mod page;
pub mod qr;
pub mod setup;

pub use i18n::Lang;

/// Who asks, as far as the connection tells; whoever serves the pages puts it among a request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The address at the other end.
    pub address: std::net::IpAddr,
}
