//! The `sterna` program as a user would run it.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The built program. Builds it first, so that a test never runs yesterday's; `STERNA_BINARY` names another one.
///
/// # Panics
/// When it can't be built.
pub fn sterna() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(build).clone()
}

fn build() -> PathBuf {
    if let Some(path) = std::env::var_os("STERNA_BINARY") {
        return path.into();
    }
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "sterna-server"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "sterna-server builds");
    let test = std::env::current_exe().unwrap_or_default();
    let folder = test.parent().and_then(|deps| deps.parent()).map(|folder| folder.join("sterna"));
    folder.filter(|path| path.exists()).unwrap_or_else(|| panic!("no sterna beside {}", test.display()))
}

/// Runs `sterna` with these arguments to its end.
///
/// # Panics
/// When it can't be started.
pub fn run(arguments: &[&str]) -> Output {
    let output = Command::new(sterna()).args(arguments).output();
    output.unwrap_or_else(|error| panic!("sterna {arguments:?}: {error}"))
}

/// Whether the programs are there. With CI=true nothing is skipped: a missing one is a failure.
///
/// # Panics
/// In CI, when one is missing.
pub fn have(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        !std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    });
    missing.is_none_or(|program| skip(&format!("{program} is not installed")))
}

/// Whether we may make networks, mount and set clocks. With CI=true nothing is skipped: there we must be able to.
///
/// # Panics
/// In CI, without root.
pub fn have_root() -> bool {
    rustix::process::geteuid().is_root() || skip("it needs root")
}

/// Whether this machine has IPv6, and addresses can be added to its loopback.
#[must_use]
pub fn have_ipv6() -> bool {
    (std::path::Path::new("/proc/net/if_inet6").exists() || skip("it needs IPv6")) && have_root() && have(&["ip"])
}

/// Says why a test does nothing, where that is allowed.
fn skip(reason: &str) -> bool {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI skips nothing, and {reason}");
    #[allow(clippy::print_stderr)] // whoever runs the tests must see what was not tested
    {
        eprintln!("skipped: {reason}");
    }
    false
}
