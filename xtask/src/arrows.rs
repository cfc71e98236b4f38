//! The architecture diagram as a test: a dependency between two of our crates that is not on this list is a finding.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run;

/// Who may know whom, besides `base`, which everybody may. Dependencies of tests are free, except that `base`,
/// `formats` and `account` stay below everything.
const ARROWS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("formats", &[]),
    ("account", &["formats"]),
    ("engines", &["formats", "account"]),
    ("directory", &["formats", "account"]),
    ("cluster", &["formats", "account"]),
    ("mailflow", &["formats", "account"]),
    ("migration", &["formats", "account"]),
    ("protocols", &["formats", "account"]),
    ("web", &["formats", "account", "directory"]),
    ("webui", &[]),
    (
        "server",
        &[
            "formats",
            "account",
            "engines",
            "directory",
            "cluster",
            "mailflow",
            "migration",
            "protocols",
            "web",
            "webui",
        ],
    ),
    ("testkit", &["formats", "account", "engines"]),
    ("tests", &[]),
    ("bench", &["testkit"]),
    ("xtask", &[]),
];

/// The dependencies that should not be.
pub fn check() -> Result<Vec<String>> {
    let metadata = run::output("cargo", &["metadata", "--format-version", "1", "--no-deps", "--locked"])?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let mut findings = Vec::new();
    for package in packages {
        let name = short(&package["name"]);
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            findings.push(format!("crate {name} is not in xtask/src/arrows.rs: say there whom it may know"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let target = short(&dependency["name"]);
            let ours = ARROWS.iter().any(|(known, _)| *known == target);
            let for_tests = dependency["kind"] == "dev";
            if ours && !for_tests && target != "base" && !allowed.contains(&target.as_str()) {
                findings.push(format!("crate {name} must not know crate {target} (ARCHITECTURE.md, \"Arrows\")"));
            }
        }
    }
    Ok(findings)
}

fn short(name: &Value) -> String {
    let name = name.as_str().unwrap_or_default();
    name.strip_prefix("sterna-").unwrap_or(name).to_owned()
}
