//! Expunged messages that some session still counts: how many of them lie before a place, as of any modseq, in
//! O(log² n), however long one session lags behind.

use sterna_base::{Modseq, Uid};

/// Expunged messages in the order of their expunges.
///
/// `runs[level]` has the UIDs in blocks of 2^level, each block sorted. The first k expunges are a few whole blocks, one
/// for each bit of k, and each is asked by a binary search. Rejected: one list by UID, where every sequence number
/// costs a walk through it.
#[derive(Debug, Default)]
pub struct Ghosts {
    gone: Vec<Modseq>,
    runs: Vec<Vec<Uid>>,
}

impl Ghosts {
    /// One more; modseqs never go back.
    pub fn push(&mut self, uid: Uid, gone: Modseq) {
        debug_assert!(self.gone.last().is_none_or(|last| *last <= gone));
        self.gone.push(gone);
        self.run(0).push(uid);
        let count = self.gone.len();
        for level in 1..=count.trailing_zeros() as usize {
            let half = 1 << (level - 1);
            let below = &self.runs[level - 1];
            let (first, second) = below[count - 2 * half..].split_at(half);
            let merged = merge(first, second);
            self.run(level).extend(merged);
        }
    }

    fn run(&mut self, level: usize) -> &mut Vec<Uid> {
        if self.runs.len() <= level {
            self.runs.resize_with(level + 1, Vec::new);
        }
        &mut self.runs[level]
    }

    /// How many were expunged up to this modseq.
    pub fn known(&self, told: Modseq) -> usize {
        self.gone.partition_point(|gone| *gone <= told)
    }

    /// How many of those expunged up to this modseq have a UID below this one.
    pub fn before(&self, uid: Uid, told: Modseq) -> usize {
        let (mut left, mut start, mut found) = (self.known(told), 0, 0);
        while left > 0 {
            let level = left.ilog2();
            let size = 1 << level;
            let block = self.runs.get(level as usize).and_then(|run| run.get(start..start + size)).unwrap_or_default();
            found += block.partition_point(|ghost| *ghost < uid);
            start += size;
            left -= size;
        }
        found
    }

    /// UIDs expunged after this modseq, rising.
    pub fn after(&self, told: Modseq) -> Vec<Uid> {
        let mut uids = self.runs.first().map(|all| all[self.known(told)..].to_vec()).unwrap_or_default();
        uids.sort_unstable();
        uids
    }

    /// Forgets those expunged up to this modseq.
    pub fn forget(&mut self, told_everywhere: Modseq) {
        let from = self.known(told_everywhere);
        let Ghosts { gone, runs } = std::mem::take(self);
        let kept = runs.first().into_iter().flatten().zip(gone).skip(from);
        kept.for_each(|(uid, gone)| self.push(*uid, gone));
    }
}

fn merge(first: &[Uid], second: &[Uid]) -> Vec<Uid> {
    let (mut first, mut second) = (first.iter().copied().peekable(), second.iter().copied().peekable());
    let mut merged = Vec::with_capacity(first.len() + second.len());
    loop {
        let smaller = match (first.peek(), second.peek()) {
            (Some(a), Some(b)) if b < a => second.next(),
            (Some(_), _) => first.next(),
            (None, _) => second.next(),
        };
        match smaller {
            Some(uid) => merged.push(uid),
            None => return merged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_a_plain_list() {
        let (mut ghosts, mut list) = (Ghosts::default(), Vec::new());
        let mut random = 7_u64;
        for step in 0..300_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (uid, gone) = (Uid((random >> 33) as u32 % 1000 * 300 + step as u32), Modseq(step / 3));
            ghosts.push(uid, gone);
            list.push((uid, gone));
            if step % 97 == 96 {
                let told = Modseq(step / 6);
                ghosts.forget(told);
                list.retain(|(_, gone)| *gone > told);
            }
            for told in [Modseq(0), Modseq(step / 5), Modseq(step / 4), Modseq(step)] {
                for below in [Uid(0), Uid(1000), Uid(150_000), uid, Uid::MAX] {
                    let plain = list.iter().filter(|(uid, gone)| *uid < below && *gone <= told).count();
                    assert_eq!(ghosts.before(below, told), plain, "step {step}, below {below}, told {told}");
                }
                let mut after: Vec<Uid> = list.iter().filter(|(_, gone)| *gone > told).map(|(uid, _)| *uid).collect();
                after.sort_unstable();
                assert_eq!(ghosts.after(told), after);
            }
        }
    }
}
