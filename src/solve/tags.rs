//! Tags as sets of bits: which tagged repositories a package is in, and which of them it may come from.

use crate::apk::dependency::Tag;

/// A set of tags; the absence of a tag is one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TagSet(u64);

impl TagSet {
    pub(super) const EMPTY: Self = Self(0);
    pub(super) const UNTAGGED: Self = Self(1);

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The tags of the repositories, numbered.
#[derive(Debug)]
pub(super) struct Tags<'a> {
    known: Vec<&'a Tag>,
}

impl<'a> Tags<'a> {
    /// How many tags repositories may have together.
    pub(super) const LIMIT: usize = 63;

    /// Numbers the tags; `None` if there are more than [`Tags::LIMIT`].
    pub(super) fn new(tags: impl Iterator<Item = &'a Tag>) -> Option<Self> {
        let mut known = Vec::new();
        for tag in tags {
            if !known.contains(&tag) {
                known.push(tag);
            }
        }
        (known.len() <= Self::LIMIT).then_some(Self { known })
    }

    pub(super) fn known(&self) -> &[&'a Tag] {
        &self.known
    }

    /// The set of just this tag; empty if no repository has it.
    pub(super) fn set_of(&self, tag: Option<&Tag>) -> TagSet {
        let Some(tag) = tag else { return TagSet::UNTAGGED };
        match self.known.iter().position(|known| *known == tag) {
            Some(number) => TagSet(2 << number),
            None => TagSet::EMPTY,
        }
    }
}
