//! What is kept in memory for the next who asks, until it is too much together.

use std::collections::HashMap;
use std::hash::Hash;

/// Values by key. The ones that were asked for last stay.
pub struct Kept<K, V> {
    values: HashMap<K, Slot<V>>,
    /// Of all values.
    weight: usize,
    weight_max: usize,
    /// Questions so far: the age of a value.
    uses: u64,
}

struct Slot<V> {
    used: u64,
    weight: usize,
    value: V,
}

impl<K: Clone + Eq + Hash, V> Kept<K, V> {
    /// Of values that weigh so much together at most.
    pub fn new(weight_max: usize) -> Self {
        Kept { values: HashMap::new(), weight: 0, weight_max, uses: 0 }
    }

    /// A value.
    pub fn get(&mut self, key: &K) -> Option<&V> {
        self.uses += 1;
        let slot = self.values.get_mut(key)?;
        slot.used = self.uses;
        Some(&slot.value)
    }

    /// A value, which is not kept any more.
    pub fn take(&mut self, key: &K) -> Option<V> {
        let slot = self.values.remove(key)?;
        self.weight -= slot.weight;
        Some(slot.value)
    }

    /// Keeps a value in the place of the one that was there. What is too much goes, the oldest first.
    pub fn keep(&mut self, key: K, value: V, weight: usize) {
        self.uses += 1;
        self.take(&key);
        self.weight += weight;
        self.values.insert(key, Slot { used: self.uses, weight, value });
        if self.weight <= self.weight_max {
            return;
        }
        // Many at once, so that not every call has to look for the oldest.
        let mut by_age: Vec<(u64, K)> = self.values.iter().map(|(key, slot)| (slot.used, key.clone())).collect();
        by_age.sort_unstable_by_key(|(used, _)| *used);
        for (_, oldest) in by_age {
            if self.weight <= self.weight_max / 4 * 3 {
                break;
            }
            self.take(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_when_they_are_too_much() {
        let mut kept = Kept::new(80);
        for key in 1..=8 {
            kept.keep(key, (), 10);
        }
        assert_eq!((kept.values.len(), kept.weight), (8, 80));
        assert!(kept.get(&1).is_some());
        // One that takes another's place adds nothing.
        kept.keep(3, (), 10);
        assert_eq!((kept.values.len(), kept.weight), (8, 80));
        kept.keep(9, (), 1);
        let mut left: Vec<i32> = kept.values.keys().copied().collect();
        left.sort_unstable();
        assert_eq!(left, [1, 3, 6, 7, 8, 9]);
        assert_eq!(kept.weight, 51);
        assert_eq!((kept.take(&1), kept.take(&1), kept.weight), (Some(()), None, 41));
    }

    #[test]
    fn one_that_is_too_heavy_alone_is_not_kept() {
        let mut kept = Kept::new(80);
        kept.keep(1, (), 10);
        kept.keep(2, (), 81);
        assert_eq!((kept.values.len(), kept.weight), (0, 0));
    }
}
