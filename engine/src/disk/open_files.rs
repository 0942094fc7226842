//! How many descriptors the disk holds, and whether it waits for one. Shared by the shards of a
//! process, which have one limit together.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// Counts for all shards of a process.
#[derive(Debug, Default)]
pub struct OpenFiles {
    open: AtomicUsize,
    waiting: AtomicUsize,
}

impl OpenFiles {
    /// Descriptors that are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Operations that wait because the process may open no more.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub fn opened(self: &Arc<Self>) -> Held {
        Held::new(self, |files| &files.open)
    }

    pub fn waits(self: &Arc<Self>) -> Held {
        Held::new(self, |files| &files.waiting)
    }
}

/// One of a count, until dropped.
#[derive(Debug)]
pub struct Held {
    files: Arc<OpenFiles>,
    count: fn(&OpenFiles) -> &AtomicUsize,
}

impl Held {
    fn new(files: &Arc<OpenFiles>, count: fn(&OpenFiles) -> &AtomicUsize) -> Self {
        count(files).fetch_add(1, Ordering::Relaxed);
        Self { files: Arc::clone(files), count }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let before = (self.count)(&self.files).fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0, "a descriptor is given back once");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_until_it_is_dropped() {
        let files = Arc::new(OpenFiles::default());
        let (first, second, waits) = (files.opened(), files.opened(), files.waits());
        assert_eq!((files.open(), files.waiting()), (2, 1));
        drop((first, waits));
        assert_eq!((files.open(), files.waiting()), (1, 0));
        drop(second);
        assert_eq!(files.open(), 0);
    }
}
