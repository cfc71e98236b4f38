//! Sequence sets (RFC 9051 section 9, `sequence-set`).

/// What a client names: numbers, `*`, or the result of its last search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequenceSet {
    /// Ranges of numbers; `None` is `*`. The ends may stand in either order.
    Ranges(Vec<(Option<u32>, Option<u32>)>),
    /// `$` (RFC 5182)
    Saved,
}

impl SequenceSet {
    /// The ranges as rising pairs, with `*` as this number.
    pub fn resolve(&self, star: u32) -> Vec<(u32, u32)> {
        let SequenceSet::Ranges(ranges) = self else { return Vec::new() };
        let end = |end: &Option<u32>| end.unwrap_or(star);
        ranges.iter().map(|(a, b)| (end(a).min(end(b)), end(a).max(end(b)))).collect()
    }
}
