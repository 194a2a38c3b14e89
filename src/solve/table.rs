//! Tables whose rows are found by a number of their own type.
//!
//! A number is made only by the table it belongs to, and tables never shrink, so looking a number up
//! cannot fail. This is the one place of the solver that relies on it.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// A row number.
pub(super) trait Key: Copy {
    fn from_position(position: u32) -> Self;
    fn position(self) -> usize;
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(super) struct $name(u32);

        impl $crate::solve::table::Key for $name {
            fn from_position(position: u32) -> Self {
                Self(position)
            }

            fn position(self) -> usize {
                self.0 as usize
            }
        }
    };
}
pub(super) use key;

/// Rows found by `K`.
#[derive(Debug, Clone)]
pub(super) struct Table<K, T> {
    rows: Vec<T>,
    key: PhantomData<K>,
}

impl<K: Key, T> Table<K, T> {
    pub(super) fn new() -> Self {
        Self { rows: Vec::new(), key: PhantomData }
    }

    pub(super) fn push(&mut self, row: T) -> K {
        // An index text is below 2^32 bytes and a row takes more than one of them.
        let key = K::from_position(u32::try_from(self.rows.len()).unwrap_or(u32::MAX));
        self.rows.push(row);
        key
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn keys(&self) -> impl DoubleEndedIterator<Item = K> + use<K, T> {
        (0..u32::try_from(self.rows.len()).unwrap_or(u32::MAX)).map(K::from_position)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.keys().zip(&self.rows)
    }

    /// A table with a row for each row of this one.
    pub(super) fn map<U>(&self, row: impl FnMut(&T) -> U) -> Table<K, U> {
        Table { rows: self.rows.iter().map(row).collect(), key: PhantomData }
    }
}

#[expect(clippy::indexing_slicing, reason = "a key is made by its table, which never shrinks")]
impl<K: Key, T> Index<K> for Table<K, T> {
    type Output = T;

    fn index(&self, key: K) -> &T {
        &self.rows[key.position()]
    }
}

#[expect(clippy::indexing_slicing, reason = "a key is made by its table, which never shrinks")]
impl<K: Key, T> IndexMut<K> for Table<K, T> {
    fn index_mut(&mut self, key: K) -> &mut T {
        &mut self.rows[key.position()]
    }
}

/// A list for every key of a table, laid out one after another.
#[derive(Debug)]
pub(super) struct Lists<K, T> {
    /// Where each key's list ends; it begins where the one before ends.
    ends: Vec<usize>,
    items: Vec<T>,
    key: PhantomData<K>,
}

impl<K: Key + Ord, T> Lists<K, T> {
    /// Lists for `keys` keys from pairs, whose order within a list is kept.
    pub(super) fn new(keys: usize, mut pairs: Vec<(K, T)>) -> Self {
        pairs.sort_by_key(|(key, _)| *key);
        let mut ends = Vec::with_capacity(keys);
        let mut at = 0;
        for key in 0..keys {
            while pairs.get(at).is_some_and(|(of, _)| of.position() == key) {
                at += 1;
            }
            ends.push(at);
        }
        Self { ends, items: pairs.into_iter().map(|(_, item)| item).collect(), key: PhantomData }
    }

    pub(super) fn of(&self, key: K) -> &[T] {
        let end = self.ends.get(key.position()).copied().unwrap_or_default();
        let before = key.position().checked_sub(1);
        let start = before.and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.items.get(start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    key!(RowKey);

    #[test]
    fn a_list_holds_what_was_paired_with_its_key_in_order() {
        let mut table: Table<RowKey, ()> = Table::new();
        let keys = [table.push(()), table.push(()), table.push(()), table.push(())];
        let lists = Lists::new(4, vec![(keys[2], 'a'), (keys[0], 'b'), (keys[2], 'c'), (keys[3], 'd')]);
        assert_eq!(keys.map(|key| lists.of(key)), [&['b'][..], &[], &['a', 'c'], &['d']]);
    }
}
