//! The named limits of a move. Times are in milliseconds.

/// Most rows that a copy may lack when a cut-over begins.
pub const LAG_ROWS_MAX: u64 = 64;
/// Most bytes of contents that a copy may lack when a cut-over begins.
pub const LAG_BYTES_MAX: u64 = 256 * 1024;
/// How long a cut-over may take at most; an administrator may allow less. Clients wait so long:
/// [`crate::limits::HOLD_MS_MAX`].
pub const CUT_OVER_MS: i64 = 2_000;
/// How old an answer may be when a cut-over is begun on its strength, and how often a copy is asked how far it is.
pub const FRESH_MS: i64 = 1_000;
/// How long to wait after a call of a cut-over that was not answered. Before it, [`FRESH_MS`].
pub const FAILED_PAUSE_MS: i64 = 50;
/// First pause after a cut-over was given up; doubles up to [`BACK_OFF_MAX_MS`].
pub const BACK_OFF_MIN_MS: i64 = 60_000;
/// Longest pause after a cut-over was given up.
pub const BACK_OFF_MAX_MS: i64 = 3_600_000;
/// Doublings after which the pause is the longest.
pub const BACK_OFF_DOUBLINGS_MAX: u32 = 6;
/// The pause after so many cut-overs were given up.
pub fn back_off_ms(attempts: u32) -> i64 {
    let doublings = attempts.saturating_sub(1).min(BACK_OFF_DOUBLINGS_MAX);
    (BACK_OFF_MIN_MS << doublings).min(BACK_OFF_MAX_MS)
}

/// Cut-overs that are tried before a move is given up.
pub const ATTEMPTS_MAX: u32 = 10;

/// How often what differs is copied again, before the whole copy is made anew.
pub const REPAIRS_MAX: u32 = 3;
/// How long a copy pauses after a failure; doubles up to [`FOLLOW_PAUSE_MAX_MS`].
pub const FOLLOW_PAUSE_MIN_MS: i64 = 50;
/// Longest pause of a copy after failures.
pub const FOLLOW_PAUSE_MAX_MS: i64 = 3_000;

const _: () = assert!(CUT_OVER_MS as u64 <= crate::limits::HOLD_MS_MAX);
const _: () = assert!(BACK_OFF_MIN_MS << BACK_OFF_DOUBLINGS_MAX >= BACK_OFF_MAX_MS);
