//! Doing the same to many things at once, with a result that does not depend on how many threads did it.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::error::FetchError;
use crate::report::Reporter;

/// Applies `work` to every item with up to `jobs` threads; results in the items' order.
///
/// After a failure no more items are begun. As items are begun in order, every item before one that failed
/// is finished too, and so the failure that is returned is always the first in order.
pub(super) fn map<T: Sync, U: Send>(
    items: &[T],
    jobs: NonZeroUsize,
    reporter: &dyn Reporter,
    work: impl Fn(&T) -> Result<U, FetchError> + Sync,
) -> Result<Vec<U>, FetchError> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let run = || {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else { break };
            let result = if reporter.interrupted() { Err(FetchError::Interrupted) } else { work(item) };
            if result.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            done.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..jobs.get().min(items.len()) {
            // Without more threads the work is done by fewer.
            let _ = thread::Builder::new().spawn_scoped(scope, run);
        }
        run();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Silent;

    fn jobs(number: usize) -> NonZeroUsize {
        NonZeroUsize::new(number).unwrap()
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        for number in [1, 2, 7, 200] {
            let doubled = map(&items, jobs(number), &Silent, |item| Ok(item * 2)).unwrap();
            assert!(doubled.iter().zip(&items).all(|(double, item)| *double == item * 2));
        }
        assert!(map(&[] as &[u32], jobs(4), &Silent, |_| Ok(())).unwrap().is_empty());
    }

    #[test]
    fn of_several_failures_the_first_in_order_is_told() {
        let items: Vec<u32> = (0..64).collect();
        for _ in 0..50 {
            let error = map(&items, jobs(8), &Silent, |item| {
                if item % 5 == 3 {
                    return Err(FetchError::NoBase { location: item.to_string() });
                }
                Ok(())
            })
            .unwrap_err();
            assert!(matches!(error, FetchError::NoBase { location } if location == "3"));
        }
    }
}
