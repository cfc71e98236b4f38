//! Versions of the program: which one this is, and how two compare.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// A version of the program, `X.Y.Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct Version {
    /// Grows when what was there is given up.
    pub major: u32,
    /// Grows with every release.
    pub minor: u32,
    /// Grows when a release is mended.
    pub patch: u32,
}

/// What is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version; one is three numbers, as in 0.1.0")]
pub struct NoVersion(String);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        // What is read is written the same again: such a version is a name of folders and packages.
        let number = |part: &str| part.parse::<u32>().ok().filter(|number| number.to_string() == part);
        let mut parts = text.split('.');
        let mut next = || parts.next().and_then(number);
        match (next(), next(), next(), parts.next()) {
            (Some(major), Some(minor), Some(patch), None) => Ok(Version { major, minor, patch }),
            _ => Err(NoVersion(text.to_owned())),
        }
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

impl TryFrom<String> for Version {
    type Error = NoVersion;

    fn try_from(text: String) -> Result<Self, NoVersion> {
        text.parse()
    }
}

/// The version of this program.
///
/// In builds with debug assertions it is the name of the folder that the program lies in, if that is a version: tests
/// of updates install one build as several versions, instead of building the program for each.
pub fn own() -> Version {
    static OWN: LazyLock<Version> = LazyLock::new(|| pretended().unwrap_or_else(built));
    *OWN
}

/// [`own`] as a text, for what wants one that lives for ever.
pub fn own_text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| own().to_string());
    &TEXT
}

fn built() -> Version {
    let zero = Version { major: 0, minor: 0, patch: 0 };
    env!("CARGO_PKG_VERSION").parse().unwrap_or(zero)
}

#[cfg(debug_assertions)]
fn pretended() -> Option<Version> {
    let program = std::env::current_exe().ok()?;
    program.parent()?.file_name()?.to_str()?.parse().ok()
}

#[cfg(not(debug_assertions))]
fn pretended() -> Option<Version> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_plain_numbers_are_a_version() {
        let version: Version = "0.12.3".parse().unwrap();
        assert_eq!((version.to_string().as_str(), version.minor), ("0.12.3", 12));
        for text in ["", "1", "1.2", "1.2.3.4", "1.2.x", "01.2.3", "+1.2.3", "1.2.3 ", "1..3", "-1.2.3", "../../x"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_compare_and_not_letters() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("0.10.0") > version("0.9.9"));
        assert!(version("1.0.0") > version("0.99.99"));
    }

    #[test]
    fn the_build_has_a_version() {
        assert_eq!(built().to_string(), env!("CARGO_PKG_VERSION"));
    }
}
