//! The process's file descriptors: what the disk and the node itself may need is kept from clients,
//! so that a segment can always be opened, however many connect.

use engine::disk::open_files::OpenFiles;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Kept free for each shard: a segment, its index and a checkpoint at once in several journals, and
/// links to other nodes.
const RESERVE_PER_SHARD: usize = 48;
/// Kept free for the process: HTTP, folders that are synced, files that tools and logs open.
const RESERVE: usize = 64;
/// What a shard's executor takes: three rings, their events and timers, its listeners.
const PER_SHARD: usize = 24;
/// The process's own: its standard streams, HTTP, the lock, signals.
const PER_PROCESS: usize = 32;
/// A node that serves fewer clients than this is no use.
const CLIENTS_MIN: usize = 64;

/// Descriptors that must be allowed for a node with these shards and files.
pub fn needed(shards: u16, files: usize) -> usize {
    PER_PROCESS + usize::from(shards) * PER_SHARD + reserve(shards) + files + CLIENTS_MIN
}

fn reserve(shards: u16) -> usize {
    RESERVE + RESERVE_PER_SHARD * usize::from(shards)
}

/// Who holds them, of all shards together.
#[derive(Debug)]
pub struct Descriptors {
    limit: usize,
    shards: u16,
    pub files: Arc<OpenFiles>,
    clients: AtomicUsize,
    /// What is open besides files and clients once the node is up.
    own: OnceLock<usize>,
}

impl Descriptors {
    pub fn new(limit: usize, shards: u16) -> Arc<Self> {
        let (files, clients, own) = (Arc::default(), AtomicUsize::new(0), OnceLock::new());
        Arc::new(Self { limit, shards, files, clients, own })
    }

    /// Called when all shards are up and before clients come: counts what the node itself holds.
    pub fn count_own(&self) {
        let open = || std::fs::read_dir("/proc/self/fd").map_or(0, |open| open.count());
        self.own.get_or_init(|| open().saturating_sub(self.files.open() + self.clients()));
    }

    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// How many clients there may be now: ever fewer as the files get more.
    pub fn clients_max(&self) -> usize {
        let estimate = PER_PROCESS + usize::from(self.shards) * PER_SHARD;
        let own = self.own.get().copied().unwrap_or(0).max(estimate);
        self.limit.saturating_sub(own + self.files.open() + reserve(self.shards))
    }

    /// A place for one more client, if there is one.
    pub fn take(self: &Arc<Self>) -> Option<ClientPlace> {
        let place = |clients| (clients < self.clients_max()).then_some(clients + 1);
        self.clients.fetch_update(Ordering::Relaxed, Ordering::Relaxed, place).ok()?;
        Some(ClientPlace(Arc::clone(self)))
    }

    /// Clients that must go, of all shards together: files grew into the half of what is kept for
    /// them, or already wait for a descriptor.
    pub fn too_many_clients(&self) -> usize {
        const AT_ONCE: usize = 8;
        let half_gone = self.clients().saturating_sub(self.clients_max() + reserve(self.shards) / 2);
        if self.files.waiting() > 0 { half_gone.max(AT_ONCE) } else { half_gone }
    }
}

/// One client's, given back when dropped.
#[derive(Debug)]
pub struct ClientPlace(Arc<Descriptors>);

impl Drop for ClientPlace {
    fn drop(&mut self) {
        let before = self.0.clients.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0, "a place is given back once");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_find_no_place_where_files_need_it_and_go_when_files_grow() {
        let shards = 1;
        let descriptors = Descriptors::new(needed(shards, 0), shards);
        let mut places: Vec<_> = core::iter::from_fn(|| descriptors.take()).collect();
        assert_eq!(places.len(), CLIENTS_MIN);
        let files: Vec<_> = (0..reserve(shards) / 2 + 3).map(|_| descriptors.files.opened()).collect();
        assert_eq!(descriptors.too_many_clients(), 3);
        places.truncate(60);
        assert!(descriptors.take().is_none() && descriptors.too_many_clients() == 0);
        drop(files);
        assert!(descriptors.take().is_some());
        let waits = descriptors.files.waits();
        assert!(descriptors.too_many_clients() > 0, "a file waits");
        drop(waits);
    }
}
