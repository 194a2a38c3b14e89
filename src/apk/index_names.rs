//! Who provides which name, in one index.
//!
//! A solution asks for a few hundred of an index's seventy thousand names. They are found by hash: every
//! name that a package has, provides or waits for is hashed once, when the index is read, and laid out in
//! buckets; the names themselves stay where they are, in the text. The hash has a seed of its own in every process, so
//! that nobody can write an index whose names all fall together. What comes out is always in the index's order.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;

/// A name in the text of an index, by one of its packages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mention {
    hash: u32,
    pub(super) package: u32,
    /// Where the name begins in the text, and what belongs to it ends.
    start: u32,
    end: u32,
}

impl Mention {
    /// The name and what belongs to it: a version, a bound.
    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Mentions by name.
#[derive(Default)]
pub(super) struct Names {
    seed: RandomState,
    mentions: Vec<Mention>,
    /// Where each bucket begins, and the last ends; empty until all are known.
    buckets: Vec<u32>,
    shift: u32,
}

impl Names {
    /// Notes that `package` mentions `name`, which with all that belongs to it is at `range` of the text.
    pub(super) fn add(&mut self, package: usize, name: &str, range: Range<usize>) {
        // An index's text is far below 2^32 bytes, and a package takes more than one of them.
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let hash = self.hash(name);
        let (start, end) = (number(range.start), number(range.end));
        self.mentions.push(Mention { hash, package: number(package), start, end });
    }

    fn hash(&self, name: &str) -> u32 {
        // The upper half is as good as the lower.
        u32::try_from(self.seed.hash_one(name) >> 32).unwrap_or_default()
    }

    fn bucket(&self, hash: u32) -> usize {
        hash.checked_shr(self.shift).unwrap_or_default() as usize
    }

    /// Lays them out. Nothing is found before.
    pub(super) fn finish(&mut self) {
        let bits = self.mentions.len().max(1).ilog2().saturating_sub(1);
        self.shift = 32 - bits;
        let mut begins = vec![0_u32; (1 << bits) + 1];
        for mention in &self.mentions {
            if let Some(count) = begins.get_mut(self.bucket(mention.hash) + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for begin in &mut begins {
            sum += *begin;
            *begin = sum;
        }
        let mut at = begins.clone();
        let mut laid_out = self.mentions.clone();
        for mention in &self.mentions {
            let bucket = at.get_mut(self.bucket(mention.hash));
            if let Some(slot) = bucket.and_then(|at| {
                let slot = laid_out.get_mut(*at as usize);
                *at += 1;
                slot
            }) {
                *slot = *mention;
            }
        }
        (self.mentions, self.buckets) = (laid_out, begins);
    }

    /// The mentions that may be of `name`, in the order they were added; some may be of another.
    pub(super) fn of<'s>(&'s self, name: &str) -> impl Iterator<Item = Mention> + use<'s> {
        let hash = self.hash(name);
        let bucket = self.bucket(hash);
        let range = match self.buckets.get(bucket..) {
            Some([begin, end, ..]) => *begin as usize..*end as usize,
            _ => 0..0,
        };
        let mentions = self.mentions.get(range).unwrap_or_default();
        mentions.iter().copied().filter(move |mention| mention.hash == hash)
    }

    /// All mentions, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = Mention> {
        self.mentions.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_where_it_was_mentioned_in_order() {
        for count in [0, 1, 2, 3, 10, 1000] {
            let mut names = Names::default();
            for number in 0..count {
                names.add(number, &format!("n{}", number % 7), number..number + 1);
            }
            names.finish();
            for name in 0..8 {
                let expected = (0..count).filter(|number| number % 7 == name);
                let expected: Vec<usize> = expected.collect();
                let found = names.of(&format!("n{name}")).map(|mention| mention.package as usize);
                // Others may have the same hash; seven names hardly do.
                assert_eq!(found.collect::<Vec<_>>(), expected, "{count} {name}");
            }
            assert_eq!(names.all().count(), count);
        }
    }
}
