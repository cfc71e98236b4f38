//! A bounded table that forgets what was not used lately.

use std::collections::HashMap;
use std::hash::Hash;

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten. So memory is
/// bounded, nothing is ever searched for a victim, and what was used within the last `generation_max` insertions stays.
pub(crate) struct Table<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    generation_max: usize,
}

impl<K: Hash + Eq, V> Table<K, V> {
    pub(crate) fn new(generation_max: usize) -> Self {
        Table { young: HashMap::new(), old: HashMap::new(), generation_max }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// The value for a change; a new one when there is none.
    pub(crate) fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let value = self.remove(&key).unwrap_or_default();
        self.make_room();
        self.young.entry(key).or_insert(value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        self.make_room();
        self.young.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let young = self.young.remove(key);
        let old = self.old.remove(key);
        young.or(old)
    }

    fn make_room(&mut self) {
        if self.young.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let mut table = Table::new(10);
        for n in 0..1000 {
            *table.entry(n) += 1;
            *table.entry(u32::MAX) += 1;
            assert!(table.len() <= 20);
        }
        assert_eq!(table.get(&u32::MAX), Some(&1000));
        assert_eq!(table.get(&0), None);
    }
}
