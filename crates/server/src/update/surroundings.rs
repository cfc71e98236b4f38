//! The machine around a node, as far as updates are concerned: the distribution, and what was changed of the service.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use sterna_base::{Clock, SystemClock, Timestamp, atomic_file};
use sterna_cluster::update::TaskFinding;

/// The file in a node's folder that says on which distribution it is.
const DISTRIBUTION: &str = "distribution";

/// Until when distributions get security updates, as they say it: the long support of Debian, the standard one of
/// Ubuntu. One that says so itself (SUPPORT_END of os-release(5)) is believed.
const SUPPORTED_UNTIL: [(&str, &str, &str); 8] = [
    ("debian", "10", "2024-06-30"),
    ("debian", "11", "2026-08-31"),
    ("debian", "12", "2028-06-30"),
    ("debian", "13", "2030-06-30"),
    ("ubuntu", "20.04", "2025-05-31"),
    ("ubuntu", "22.04", "2027-04-30"),
    ("ubuntu", "24.04", "2029-04-30"),
    ("ubuntu", "26.04", "2031-04-30"),
];

/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// The files of the machine, below a folder.
#[derive(Clone, Debug)]
pub struct Surroundings {
    root: PathBuf,
    now: Timestamp,
}

/// What os-release(5) says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Distribution {
    id: String,
    version: String,
    name: String,
    support_end: Option<String>,
}

impl Surroundings {
    /// Of this machine. For tests STERNA_ROOT names a folder that stands for it, in builds with debug assertions.
    pub fn of_machine() -> Self {
        let root = if cfg!(debug_assertions) { std::env::var_os("STERNA_ROOT").map(PathBuf::from) } else { None };
        Surroundings { root: root.unwrap_or_else(|| "/".into()), now: SystemClock.now() }
    }

    /// Notes on which distribution the node in this folder is, the first time.
    pub fn note(&self, folder: &Path) {
        let file = folder.join(DISTRIBUTION);
        if let (false, Some(found)) = (file.exists(), self.distribution())
            && let Err(error) = atomic_file::write(&file, format!("{} {}\n", found.id, found.version).as_bytes(), 0o640)
        {
            tracing::warn!(%error, "the distribution can't be noted");
        }
    }

    /// What is worth knowing before an update of the node in this folder.
    pub fn findings(&self, folder: &Path) -> Vec<TaskFinding> {
        let mut findings = Vec::new();
        if let Some(found) = self.distribution() {
            findings.extend(self.moved(folder, &found));
            findings.extend(self.unsupported(&found));
        }
        findings.extend(self.overrides());
        findings
    }

    /// A distribution that was changed in place is not the one that packages were made for and tried on.
    fn moved(&self, folder: &Path, found: &Distribution) -> Option<TaskFinding> {
        let noted = fs::read_to_string(folder.join(DISTRIBUTION)).ok()?;
        let now = format!("{} {}", found.id, found.version);
        if noted.trim() == now {
            return None;
        }
        let says = format!("the distribution moved underneath: it was {}, and is {} now", noted.trim(), found.name);
        Some(TaskFinding::blocks(
            says,
            format!(
                "Put a new machine with the new distribution in its place (sterna migrate), or, if this one is as it \
                 should be, remove {} and check again.",
                folder.join(DISTRIBUTION).display()
            ),
        ))
    }

    fn unsupported(&self, found: &Distribution) -> Option<TaskFinding> {
        let known = SUPPORTED_UNTIL.iter().find(|(id, version, _)| *id == found.id && *version == found.version);
        let end = found.support_end.as_deref().or(known.map(|(_, _, end)| *end))?;
        let date = end.parse::<jiff::civil::Date>().ok()?;
        let ends = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond() + DAY_MS;
        (self.now.0 >= ends).then(|| {
            let says = format!("{} gets no security updates since {end}", found.name);
            TaskFinding::notes(says, "Put a new machine with a newer distribution in its place: sterna migrate.")
        })
    }

    /// What administrators changed of the service stays as it is; they should know that it is theirs.
    fn overrides(&self) -> Vec<TaskFinding> {
        let units = self.root.join("etc/systemd/system");
        let mut findings = Vec::new();
        let whole = units.join("sterna.service");
        if whole.is_file() {
            let says = format!("{} takes the place of the packages' unit: its changes don't arrive", whole.display());
            findings.push(TaskFinding::notes(says, "Keep only what differs, in a drop-in: systemctl edit sterna."));
        }
        let mut files: Vec<PathBuf> = fs::read_dir(units.join("sterna.service.d"))
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let says = format!("{} changes the service, and stays as it is", file.display());
            // The launcher is what chooses the version, and has the way back.
            let starts_other = text.lines().any(|line| line.trim_start().starts_with("ExecStart="));
            match starts_other && !text.contains("/usr/bin/sterna") {
                true => findings.push(TaskFinding::blocks(
                    format!(
                        "{} starts another program than /usr/bin/sterna, which chooses the version",
                        file.display()
                    ),
                    "Remove ExecStart= from it (systemctl edit sterna).",
                )),
                false => findings.push(TaskFinding::notes(says, "Compare it with the release notes.")),
            }
        }
        findings
    }

    fn distribution(&self) -> Option<Distribution> {
        let text = fs::read_to_string(self.root.join("etc/os-release"))
            .or_else(|_| fs::read_to_string(self.root.join("usr/lib/os-release")))
            .ok()?;
        let unquoted = |value: &str| value.trim().trim_matches(['"', '\'']).to_owned();
        let fields: HashMap<&str, String> =
            text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name, unquoted(value))).collect();
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let found = Distribution {
            id: field("ID"),
            version: field("VERSION_ID"),
            name: field("PRETTY_NAME"),
            support_end: fields.get("SUPPORT_END").cloned(),
        };
        (!found.id.is_empty()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(release: &str, now: &str) -> (tempfile::TempDir, Surroundings) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/systemd/system/sterna.service.d")).unwrap();
        fs::write(root.path().join("etc/os-release"), release).unwrap();
        let now = Timestamp(now.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let surroundings = Surroundings { root: root.path().to_owned(), now };
        (root, surroundings)
    }

    const TWELVE: &str = "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian 12\"\n";

    #[test]
    fn a_distribution_that_moved_underneath_blocks_and_points_to_a_migration() {
        let (root, machine) = machine(TWELVE, "2026-11-22T00:00:00Z");
        machine.note(root.path());
        assert_eq!(machine.findings(root.path()), []);
        fs::write(root.path().join("etc/os-release"), TWELVE.replace("12", "13")).unwrap();
        // What was noted first stays.
        machine.note(root.path());
        let findings = machine.findings(root.path());
        assert!(findings[0].is_blocking && findings[0].says.contains("it was debian 12, and is Debian 13 now"));
        assert!(findings[0].remedy.contains("sterna migrate"), "{findings:?}");
        // As the remedy says.
        fs::remove_file(root.path().join(DISTRIBUTION)).unwrap();
        machine.note(root.path());
        assert_eq!(machine.findings(root.path()), []);
    }

    #[test]
    fn a_distribution_out_of_support_is_told_from_the_day_after() {
        for (now, is_told) in [("2028-06-30T23:00:00Z", false), ("2028-07-01T00:00:00Z", true)] {
            let (root, machine) = machine(TWELVE, now);
            let findings = machine.findings(root.path());
            assert_eq!(!findings.is_empty(), is_told, "{now} {findings:?}");
            assert!(findings.iter().all(|finding| !finding.is_blocking && finding.remedy.contains("sterna migrate")));
        }
        let (root, own_word) = machine(&format!("{TWELVE}SUPPORT_END=2030-01-01\n"), "2029-01-01T00:00:00Z");
        assert_eq!(own_word.findings(root.path()), []);
    }

    #[test]
    fn overrides_of_the_service_are_told_and_stay() {
        let (root, machine) = machine(TWELVE, "2026-11-22T00:00:00Z");
        let units = root.path().join("etc/systemd/system");
        fs::write(units.join("sterna.service.d/10-memory.conf"), "[Service]\nMemoryMax=2G\n").unwrap();
        fs::write(units.join("sterna.service.d/20-other.conf"), "[Service]\nExecStart=\nExecStart=/opt/sterna\n")
            .unwrap();
        fs::write(units.join("sterna.service"), "[Service]\n").unwrap();
        let findings = machine.findings(root.path());
        let blocks: Vec<bool> = findings.iter().map(|finding| finding.is_blocking).collect();
        assert_eq!(blocks, [false, false, true], "{findings:?}");
        assert!(findings[1].says.contains("10-memory.conf") && findings[2].says.contains("20-other.conf"));
        assert!(units.join("sterna.service.d/20-other.conf").exists());
    }
}
