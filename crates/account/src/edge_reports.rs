//! What edges tell each other of what their reports to other domains say (DMARC, TLS): one of them makes those of a
//! day for the whole installation. It lies here because nodes carry it, and neither those who count nor those who
//! carry know the other.

use serde::{Deserialize, Serialize};

/// Most rows in one answer.
pub const ROWS_MAX: usize = 1000;

/// What somebody wants to know of a day, behind a row that they have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenQuestion {
    /// The day: days since 1970, UTC.
    pub day: i64,
    /// The kind of the last row that is known.
    #[serde(default)]
    pub kind: u8,
    /// Its domain.
    #[serde(default)]
    pub domain: String,
    /// What was seen in it.
    #[serde(default)]
    pub what: String,
}

/// What an edge has seen on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenAnswer {
    /// Whether the day is over there, and all of it written down.
    pub is_over: bool,
    /// Whether this edge makes the reports of that day, or has made them.
    pub is_maker: bool,
    /// In the order of kind, domain, and what was seen.
    pub rows: Vec<SeenRow>,
    /// Whether there are more rows.
    #[serde(default)]
    pub has_more: bool,
}

/// One thing that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRow {
    /// Which reports it is for.
    pub kind: u8,
    /// The domain.
    pub domain: String,
    /// It, as those who count write it down.
    pub what: String,
    /// How often.
    pub count: u64,
}
