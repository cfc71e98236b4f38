//! Rules of the house that no lint knows. Each finding names its place and what to do.

use std::fs;

use anyhow::{Result, bail};

use crate::{arrows, imap, run};

/// Longest source file before somebody must look for the seam.
const LINES_MAX: usize = 800;

/// Longest line of a comment; rustfmt keeps code within the same.
const COLUMNS_MAX: usize = 120;

/// Words that mean unfinished work. Assembled, so that this file passes itself.
fn leftovers() -> [String; 4] {
    [["FIX", "ME"], ["XX", "X:"], ["TO", "DO"], ["#[ign", "ore"]].map(|parts| parts.concat())
}

/// Checks all tracked files, and the arrows between the crates.
pub fn run() -> Result<()> {
    let mut findings = arrows::check()?;
    findings.extend(imap::check()?);
    for path in run::output("git", &["ls-files", "--cached", "--others", "--exclude-standard"])?.lines() {
        let Ok(text) = fs::read_to_string(path) else { continue };
        check_file(path, &text, &mut findings);
    }
    for finding in &findings {
        println!("tidy: {finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    println!("tidy: all is well");
    Ok(())
}

fn check_file(path: &str, text: &str, findings: &mut Vec<String>) {
    let rust = path.ends_with(".rs");
    if rust && text.lines().count() > LINES_MAX {
        findings.push(format!("{path}: longer than {LINES_MAX} lines; find the seam and split it"));
    }
    if rust && path.contains("/src/") && !text.starts_with("//!") && !text.starts_with("#!") {
        findings.push(format!("{path}: say in a //! comment at the top what this file is"));
    }
    for (number, line) in text.lines().enumerate() {
        let place = || format!("{path}:{}", number + 1);
        // rustfmt sees to code; texts, SQL and dialogs are broken where they read well, not where a column ends.
        if rust && line.trim_start().starts_with("//") && line.chars().count() > COLUMNS_MAX {
            findings.push(format!("{}: longer than {COLUMNS_MAX} columns", place()));
        }
        // The component of iCalendar is none.
        if rust && leftovers().iter().any(|word| line.replace("VTODO", "").contains(word)) {
            findings.push(format!("{}: finish it, or file an issue", place()));
        }
        if rust && line.ends_with([' ', '\t']) {
            findings.push(format!("{}: space at the end of the line", place()));
        }
    }
}
