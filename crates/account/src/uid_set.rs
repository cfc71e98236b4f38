//! A set of UIDs as rising ranges: what commands name, without one entry for each number.

use serde::{Deserialize, Serialize};
use sterna_base::Uid;

/// Rising, disjoint, inclusive ranges of UIDs. `1:4294967295` is one range, not four thousand million numbers.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UidSet(Vec<(Uid, Uid)>);

impl UidSet {
    /// The empty set.
    pub fn new() -> Self {
        UidSet::default()
    }

    /// One range; the ends may come in either order.
    pub fn range(a: Uid, b: Uid) -> Self {
        UidSet(vec![(a.min(b), a.max(b))])
    }

    /// One number.
    pub fn one(uid: Uid) -> Self {
        UidSet(vec![(uid, uid)])
    }

    /// Every UID there can be.
    pub fn all() -> Self {
        UidSet::range(Uid(1), Uid::MAX)
    }

    /// Ranges in any order, overlapping or not.
    pub fn from_ranges(mut ranges: Vec<(Uid, Uid)>) -> Self {
        for range in &mut ranges {
            *range = (range.0.min(range.1), range.0.max(range.1));
        }
        ranges.sort_unstable();
        let mut merged: Vec<(Uid, Uid)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match merged.last_mut() {
                Some(last) if low.0 <= last.1.0.saturating_add(1) => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        UidSet(merged)
    }

    /// Adds a number that is larger than all in the set; equal to the last is allowed and changes nothing.
    pub fn push(&mut self, uid: Uid) {
        match self.0.last_mut() {
            Some(last) if uid.0 == last.1.0.saturating_add(1) => last.1 = uid,
            Some(last) if uid <= last.1 => debug_assert!(uid == last.1, "UIDs are pushed rising"),
            _ => self.0.push((uid, uid)),
        }
    }

    /// Whether the number is in the set.
    pub fn contains(&self, uid: Uid) -> bool {
        let at = self.0.partition_point(|range| range.1 < uid);
        self.0.get(at).is_some_and(|range| range.0 <= uid)
    }

    /// The ranges, rising.
    pub fn ranges(&self) -> &[(Uid, Uid)] {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers the ranges span.
    pub fn span(&self) -> u64 {
        self.0.iter().map(|(low, high)| u64::from(high.0 - low.0) + 1).sum()
    }

    /// Every number, rising. Only for sets made from existing items: a client's `1:*` spans thousands of millions.
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.0.iter().flat_map(|(low, high)| (low.0..=high.0).map(Uid))
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        UidSet::from_ranges(uids.into_iter().map(|uid| (uid, uid)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u32, u32)]) -> UidSet {
        UidSet::from_ranges(ranges.iter().map(|&(a, b)| (Uid(a), Uid(b))).collect())
    }

    #[test]
    fn ranges_are_ordered_and_merged() {
        assert_eq!(set(&[(9, 7), (1, 2), (3, 4)]).ranges(), [(Uid(1), Uid(4)), (Uid(7), Uid(9))]);
        assert_eq!(set(&[(1, u32::MAX), (u32::MAX, 5)]).ranges().len(), 1);
    }

    #[test]
    fn contains_looks_into_ranges() {
        let set = set(&[(2, 3), (7, 9)]);
        let inside: Vec<u32> = (0..12).filter(|&n| set.contains(Uid(n))).collect();
        assert_eq!(inside, [2, 3, 7, 8, 9]);
        assert_eq!(set.span(), 5);
    }
}
