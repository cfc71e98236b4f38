//! The signed file and the list of packages, as apt's repositories have them (deb822(5)).

use std::collections::HashMap;

use sterna_base::{Timestamp, Version};
use sterna_cluster::InstalledVersion;

use super::{Offered, PACKAGE_BYTES_MAX};

/// Versions of one list; more are not read.
const VERSIONS_MAX: usize = 1000;

/// Packages of versions are called so, and their version follows.
const PACKAGE: &str = "sterna-";

/// A list that the signed file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// Seen from the suite's folder.
    pub name: String,
    pub sha256: String,
    pub bytes: u64,
}

impl Listed {
    /// The folder that it is in.
    pub fn folder(&self) -> &str {
        self.name.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

/// The signed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release {
    pub date: Timestamp,
    pub valid_until: Timestamp,
    pub withdrawn: Vec<(Version, String)>,
    lists: Vec<Listed>,
}

impl Release {
    /// Reads it; says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields = stanza(text);
        let field = |name: &str| fields.get(name).ok_or_else(|| format!("{name} is missing"));
        let mut lists = Vec::new();
        for line in field("SHA256")?.lines().filter(|line| !line.trim().is_empty()) {
            let parts: Vec<&str> = line.split_whitespace().collect();
            let [sha256, bytes, name] = parts[..] else { return Err(format!("SHA256 has the line {line:?}")) };
            let bytes = bytes.parse().map_err(|_| format!("SHA256 has the line {line:?}"))?;
            lists.push(Listed { name: name.to_owned(), sha256: sha256.to_ascii_lowercase(), bytes });
        }
        let mut withdrawn = Vec::new();
        for line in fields.get("Sterna-Withdrawn").map(String::as_str).unwrap_or_default().lines() {
            let line = line.trim();
            let (version, reason) = line.split_once(' ').unwrap_or((line, ""));
            if !version.is_empty() {
                let version = version.parse().map_err(|error| format!("Sterna-Withdrawn: {error}"))?;
                withdrawn.push((version, reason.trim().to_owned()));
            }
        }
        let (date, valid_until) = (time(field("Date")?)?, time(field("Valid-Until")?)?);
        Ok(Release { date, valid_until, withdrawn, lists })
    }

    /// The list of packages for an architecture.
    pub fn packages(&self, architecture: &str) -> Option<&Listed> {
        let name = format!("main/binary-{architecture}/Packages");
        self.lists.iter().find(|listed| listed.name == name)
    }
}

/// "Sun, 22 Nov 2026 20:25:37 UTC", or "+0000" at its end: programs differ.
fn time(text: &str) -> Result<Timestamp, String> {
    let bad = || format!("{text:?} is no date");
    let text = text.trim().replace("UTC", "+0000");
    let parsed = jiff::fmt::rfc2822::parse(&text).map_err(|_| bad())?;
    Ok(Timestamp(parsed.timestamp().as_millisecond()))
}

/// The fields of the first stanza; lines that go on keep their ends, without the space before them.
fn stanza(text: &str) -> HashMap<String, String> {
    let mut fields: HashMap<String, String> = HashMap::new();
    let mut last = String::new();
    for line in text.lines().skip_while(|line| line.trim().is_empty()).take_while(|line| !line.trim().is_empty()) {
        if line.starts_with([' ', '\t']) {
            if let Some(field) = fields.get_mut(&last) {
                field.push('\n');
                field.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            name.clone_into(&mut last);
            fields.insert(name.to_owned(), value.trim().to_owned());
        }
    }
    fields
}

/// The versions of the program in a list.
pub(super) fn versions(text: &str) -> Result<Vec<Offered>, String> {
    let mut found = Vec::new();
    for text in text.split("\n\n").filter(|text| text.lines().any(|line| line.starts_with("Package: sterna-"))) {
        let fields = stanza(text);
        let name = fields.get("Package").map(String::as_str).unwrap_or_default();
        // Packages of roles are called so as well.
        let Some(Ok(version)) = name.strip_prefix(PACKAGE).map(str::parse::<Version>) else { continue };
        found.push(offered(version, &fields).map_err(|cause| format!("{name}: {cause}"))?);
        if found.len() >= VERSIONS_MAX {
            break;
        }
    }
    Ok(found)
}

fn offered(version: Version, fields: &HashMap<String, String>) -> Result<Offered, String> {
    let field = |name: &str| fields.get(name).cloned().ok_or_else(|| format!("{name} is missing"));
    let number = |name: &str| field(name)?.parse::<u64>().map_err(|_| format!("{name} is no number"));
    let small = |name: &str| u32::try_from(number(name)?).map_err(|_| format!("{name} is too large"));
    let (file, bytes) = (field("Filename")?, number("Size")?);
    if bytes > PACKAGE_BYTES_MAX {
        return Err(format!("Size is {bytes}, and more than {PACKAGE_BYTES_MAX} is not fetched"));
    }
    // It becomes a part of an address.
    if file.starts_with('/') || file.split('/').any(|part| part == "..") {
        return Err(format!("Filename {file:?} leads out of the repository"));
    }
    let installed = InstalledVersion {
        version,
        release: small("Sterna-Release")?,
        store_format: small("Sterna-Store-Format")?,
        directory_format: i64::from(small("Sterna-Directory-Format")?),
    };
    let notes = fields.get("Sterna-Notes").map(String::as_str).unwrap_or_default();
    let notes = notes.lines().map(str::trim).filter(|line| !line.is_empty() && *line != ".").map(str::to_owned);
    Ok(Offered {
        version: installed,
        file,
        bytes,
        installed_bytes: number("Installed-Size").unwrap_or(0).saturating_mul(1024),
        sha256: field("SHA256")?.to_ascii_lowercase(),
        program_sha256: fields.get("Sterna-Program-SHA256").map(|hash| hash.to_ascii_lowercase()),
        notes: notes.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = "Origin: Sterna\nDate: Sun, 22 Nov 2026 20:25:37 UTC\nValid-Until: Sun, 06 Dec 2026 20:25:37 UTC\n\
        Sterna-Withdrawn: 0.1.1 loses mail\n 0.1.2\nSHA256:\n AB 12 main/binary-amd64/Packages\n cd 7 main/binary-amd64/Packages.gz\n";

    #[test]
    fn the_signed_file_is_read() {
        let release = Release::parse(RELEASE).unwrap();
        assert_eq!(release.valid_until.0 - release.date.0, 14 * 24 * 3600 * 1000);
        let list = release.packages("amd64").unwrap();
        assert_eq!((list.sha256.as_str(), list.bytes, list.folder()), ("ab", 12, "main/binary-amd64"));
        assert_eq!(release.packages("arm64"), None);
        let version = |text: &str| text.parse::<Version>().unwrap();
        let withdrawn = vec![(version("0.1.1"), "loses mail".to_owned()), (version("0.1.2"), String::new())];
        assert_eq!(release.withdrawn, withdrawn);
    }

    #[test]
    fn a_signed_file_that_lacks_something_says_what() {
        for (without, says) in [("Valid-Until", "Valid-Until is missing"), ("Date", "Date is missing")] {
            let text: String =
                RELEASE.lines().filter(|line| !line.starts_with(without)).map(|line| format!("{line}\n")).collect();
            assert_eq!(Release::parse(&text).unwrap_err(), says);
        }
        let text = RELEASE.replace("20:25:37 UTC", "25:25:37 UTC");
        assert!(Release::parse(&text).unwrap_err().contains("is no date"));
    }

    const LIST: &str = "Package: sterna\nVersion: 0.2.0\n\nPackage: sterna-data\nVersion: 0.2.0\n\nPackage: sterna-0.2.0\n\
        Version: 0.2.0\nInstalled-Size: 3\nSterna-Release: 2\nSterna-Store-Format: 6\nSterna-Directory-Format: 3\n\
        Sterna-Program-SHA256: FF\nSterna-Notes: Calendars are faster.\n .\n Mail is, too.\n\
        Filename: pool/main/sterna-0.2.0_0.2.0_amd64.deb\nSize: 17\nSHA256: AA\n";

    #[test]
    fn versions_are_found_among_other_packages() {
        let found = versions(LIST).unwrap();
        let [offered] = &found[..] else { panic!("{found:?}") };
        assert_eq!(offered.version.version.to_string(), "0.2.0");
        assert_eq!((offered.version.release, offered.version.store_format), (2, 6));
        assert_eq!((offered.bytes, offered.installed_bytes, offered.sha256.as_str()), (17, 3072, "aa"));
        assert_eq!(offered.notes, ["Calendars are faster.", "Mail is, too."]);
    }

    #[test]
    fn a_package_that_leads_elsewhere_is_refused() {
        let text = LIST.replace("pool/main", "../../etc");
        assert!(versions(&text).unwrap_err().contains("leads out of the repository"));
        let text = LIST.replace("Size: 17\n", "");
        assert!(versions(&text).unwrap_err().contains("Size"), "{:?}", versions(&text));
    }
}
