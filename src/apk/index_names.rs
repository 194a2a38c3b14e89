//! Who provides which name, in one index.
//!
//! A solution asks for a few hundred of an index's seventy thousand names. They are found by hash: every
//! name that a package has, provides or waits for is hashed once, when the index is read; the names themselves stay
//! where they are, in the text. The hash has a seed of its own in every process, so that nobody can write an index
//! whose names all fall together. What comes out is always in the index's order.

use std::hash::{BuildHasher as _, RandomState};

use super::index::Span;

/// A name in the text of an index, by one of its packages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mention {
    hash: u32,
    pub(super) package: u32,
    /// Where the name begins in the text, or the `!` before it.
    pub(super) start: u32,
    /// The next mention whose name may be the same.
    next: u32,
}

/// No mention.
const NONE: u32 = u32::MAX;

/// Mentions by name.
#[derive(Default)]
pub(super) struct Names {
    seed: RandomState,
    mentions: Vec<Mention>,
    /// The first mention of each bucket; empty until all are known.
    buckets: Vec<u32>,
}

impl Names {
    /// No names, with room for some.
    pub(super) fn with_room(mentions: usize) -> Self {
        Self { mentions: Vec::with_capacity(mentions), ..Self::default() }
    }

    /// Notes that `package` mentions `name`, which is at the beginning of `at` in the text.
    pub(super) fn add(&mut self, package: usize, name: &str, at: Span) {
        // An index's text is far below 2^32 bytes, and a package takes more than one of them.
        let package = u32::try_from(package).unwrap_or(u32::MAX);
        self.mentions.push(Mention { hash: self.hash(name), package, start: at.start, next: NONE });
    }

    fn hash(&self, name: &str) -> u32 {
        // The upper half is as good as the lower.
        u32::try_from(self.seed.hash_one(name) >> 32).unwrap_or_default()
    }

    /// Makes them be found. Nothing is before.
    pub(super) fn finish(&mut self) {
        self.mentions.shrink_to_fit();
        self.buckets = vec![NONE; self.mentions.len().next_power_of_two()];
        let mask = self.buckets.len() - 1;
        for (number, mention) in self.mentions.iter_mut().enumerate().rev() {
            if let Some(first) = self.buckets.get_mut(mention.hash as usize & mask) {
                mention.next = std::mem::replace(first, u32::try_from(number).unwrap_or(NONE));
            }
        }
    }

    /// The mentions that may be of `name`, in the order they were added; some may be of another.
    pub(super) fn of<'s>(&'s self, name: &str) -> impl Iterator<Item = Mention> + use<'s> {
        let hash = self.hash(name);
        let bucket = hash as usize & self.buckets.len().saturating_sub(1);
        let first = self.buckets.get(bucket).copied().unwrap_or(NONE);
        let mention = |number: u32| self.mentions.get(number as usize).copied();
        std::iter::successors(mention(first), move |last| mention(last.next))
            .filter(move |mention| mention.hash == hash)
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
                names.add(number, &format!("n{}", number % 7), Span::of(number..number + 1));
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
