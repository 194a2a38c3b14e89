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
