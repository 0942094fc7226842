//! How the engine's linear disk work is written: as procedures that `step` resumes.
//!
//! Recovery, segment preparation, sealing, checkpoints and cold reads are long sequences of disk
//! operations. Each is an `async fn` over [`Io`], which is a state machine that the compiler
//! writes. Nothing outside polls it: [`Procedures::complete`] hands it the completion that it
//! waits for and runs it up to its next operation, within `step`, without an executor, a waker or
//! a thread. A crash in the simulator drops it between any two operations.

use super::block::IO_BYTES_MAX;
use super::{Buffer, DirEntry, DiskDone, DiskError, DiskRequest, DiskResult, OpId};
use crate::collections::{Map, Set};
use crate::ids::FileId;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::rc::Rc;

#[derive(Default)]
struct IoState {
    next_op: u64,
    next_file: u64,
    issued: Vec<(OpId, DiskRequest)>,
    /// Operations a procedure waits for: `None` until complete.
    awaited: Map<OpId, Option<DiskResult>>,
    /// The procedure that issued each awaited operation.
    owner: Map<OpId, ProcedureId>,
    running: Option<ProcedureId>,
    /// In flight, and whoever issued them is gone.
    abandoned: Set<OpId>,
    /// Reads in flight that others may join, and what they are of.
    joinable: Map<Extent, OpId>,
    extents: Map<OpId, Extent>,
    /// Those who wait for another one's read, as operations that were never issued.
    joined: Map<OpId, Vec<OpId>>,
}

/// What a read is of: file, position, bytes.
type Extent = (FileId, u64, usize);

/// Issues operations. Clones share one queue, that of a shard.
#[derive(Clone, Default)]
pub struct Io(Rc<RefCell<IoState>>);

impl core::fmt::Debug for Io {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Io")
    }
}

/// A running procedure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcedureId(u64);

impl Io {
    pub fn new() -> Self {
        Self::default()
    }

    /// A number for a file about to be opened.
    pub fn file_id(&self) -> FileId {
        let mut state = self.0.borrow_mut();
        state.next_file += 1;
        FileId(state.next_file)
    }

    /// Issues an operation whose completion comes back to the caller of `step`, by its number.
    pub fn issue(&self, request: DiskRequest) -> OpId {
        let mut state = self.0.borrow_mut();
        let op = state.op_id();
        state.issued.push((op, request));
        op
    }

    /// Takes what was issued since the last call, in order.
    pub fn take_issued(&self) -> Vec<(OpId, DiskRequest)> {
        core::mem::take(&mut self.0.borrow_mut().issued)
    }

    /// Takes note of a completion that nobody awaits any more; false when it is not one.
    pub fn completed_abandoned(&self, op: OpId) -> bool {
        let mut state = self.0.borrow_mut();
        state.end_read(op);
        state.abandoned.remove(&op)
    }

    /// Whether operations are in flight that nobody awaits any more.
    pub fn has_abandoned(&self) -> bool {
        !self.0.borrow().abandoned.is_empty()
    }

    /// Issues an operation from within a procedure; it runs whether or not the future is polled.
    pub fn submit(&self, request: DiskRequest) -> Pending {
        let mut state = self.0.borrow_mut();
        let running = state.running.expect("only a procedure may await an operation");
        let op = state.op_id();
        state.issued.push((op, request));
        state.awaited.insert(op, None);
        state.owner.insert(op, running);
        Pending { io: self.clone(), op }
    }

    async fn done(&self, request: DiskRequest) -> Result<(), DiskError> {
        match self.submit(request).await? {
            DiskDone::Done => Ok(()),
            other => panic!("the driver answered {other:?}"),
        }
    }

    /// Opens an existing file; gives its number and length.
    pub async fn open(&self, path: &str) -> Result<(FileId, u64), DiskError> {
        self.open_or_create(path, false).await
    }

    /// Creates a file that must not exist.
    pub async fn create(&self, path: &str) -> Result<FileId, DiskError> {
        Ok(self.open_or_create(path, true).await?.0)
    }

    /// Creates a file that must not exist, under a number taken before.
    pub async fn create_as(&self, file: FileId, path: &str) -> Result<(), DiskError> {
        let request = DiskRequest::Open { file, path: path.to_owned(), create: true };
        self.submit(request).await.map(|_| ())
    }

    async fn open_or_create(&self, path: &str, create: bool) -> Result<(FileId, u64), DiskError> {
        let file = self.file_id();
        let request = DiskRequest::Open { file, path: path.to_owned(), create };
        match self.submit(request).await? {
            DiskDone::Opened { bytes } => Ok((file, bytes)),
            other => panic!("the driver answered {other:?}"),
        }
    }

    pub async fn allocate(&self, file: FileId, bytes: u64) -> Result<(), DiskError> {
        self.done(DiskRequest::Allocate { file, bytes }).await
    }

    pub async fn write(&self, file: FileId, position: u64, buffer: Buffer) -> Result<(), DiskError> {
        self.done(DiskRequest::Write { file, position, buffer, through: false }).await
    }

    /// Reads at most [`IO_BYTES_MAX`].
    pub async fn read(&self, file: FileId, position: u64, bytes: usize) -> Result<Buffer, DiskError> {
        self.read_ahead(file, position, bytes).read().await
    }

    /// Starts a read; several may be in flight.
    pub fn read_ahead(&self, file: FileId, position: u64, bytes: usize) -> Pending {
        assert!(bytes <= IO_BYTES_MAX, "{bytes}");
        self.submit(DiskRequest::Read { file, position, bytes })
    }

    /// Starts a read of what nobody writes, or waits for one of the same bytes that is in flight:
    /// both get the same buffer.
    pub fn join_read(&self, file: FileId, position: u64, bytes: usize) -> Pending {
        let extent = (file, position, bytes);
        let first = self.0.borrow().joinable.get(&extent).copied();
        let Some(first) = first else {
            let pending = self.read_ahead(file, position, bytes);
            let mut state = self.0.borrow_mut();
            state.joinable.insert(extent, pending.op);
            state.extents.insert(pending.op, extent);
            return pending;
        };
        let mut state = self.0.borrow_mut();
        let running = state.running.expect("only a procedure may await an operation");
        let op = state.op_id();
        state.awaited.insert(op, None);
        state.owner.insert(op, running);
        state.joined.entry(first).or_default().push(op);
        Pending { io: self.clone(), op }
    }

    pub async fn sync(&self, file: FileId) -> Result<(), DiskError> {
        self.done(DiskRequest::Sync { file }).await
    }

    pub async fn truncate(&self, file: FileId, bytes: u64) -> Result<(), DiskError> {
        self.done(DiskRequest::Truncate { file, bytes }).await
    }

    pub async fn close(&self, file: FileId) -> Result<(), DiskError> {
        self.done(DiskRequest::Close { file }).await
    }

    pub async fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.done(DiskRequest::Rename { from: from.to_owned(), to: to.to_owned() }).await
    }

    pub async fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.done(DiskRequest::Remove { path: path.to_owned() }).await
    }

    pub async fn create_dir(&self, path: &str) -> Result<(), DiskError> {
        self.done(DiskRequest::CreateDir { path: path.to_owned() }).await
    }

    pub async fn sync_dir(&self, path: &str) -> Result<(), DiskError> {
        self.done(DiskRequest::SyncDir { path: path.to_owned() }).await
    }

    /// Lets everything else that waits have its turn; between the steps of a long computation.
    pub async fn rest(&self) -> Result<(), DiskError> {
        self.done(DiskRequest::Rest).await
    }

    pub async fn list(&self, path: &str) -> Result<Vec<DirEntry>, DiskError> {
        match self.submit(DiskRequest::List { path: path.to_owned() }).await? {
            DiskDone::Listed(entries) => Ok(entries),
            other => panic!("the driver answered {other:?}"),
        }
    }
}

impl IoState {
    fn op_id(&mut self) -> OpId {
        self.next_op += 1;
        OpId(self.next_op)
    }

    /// A read is over; gives those who joined it.
    fn end_read(&mut self, op: OpId) -> Vec<OpId> {
        if let Some(extent) = self.extents.remove(&op) {
            self.joinable.remove(&extent);
        }
        self.joined.remove(&op).unwrap_or_default()
    }

    /// Nobody awaits it any more. One that joined another's read was never issued.
    fn abandon(&mut self, op: OpId) {
        let joined = self.joined.values_mut().find_map(|joined| {
            let at = joined.iter().position(|one| *one == op)?;
            Some((joined, at))
        });
        match joined {
            Some((joined, at)) => drop(joined.swap_remove(at)),
            None => drop(self.abandoned.insert(op)),
        }
    }

    /// Puts a result where its procedure finds it; `None` when that is gone.
    fn hand_over(&mut self, op: OpId, result: DiskResult) -> Option<ProcedureId> {
        let id = *self.owner.get(&op)?;
        *self.awaited.get_mut(&op)? = Some(result);
        Some(id)
    }
}

/// An operation in flight.
#[must_use]
pub struct Pending {
    io: Io,
    op: OpId,
}

impl Pending {
    /// Awaits a read.
    pub async fn read(self) -> Result<Buffer, DiskError> {
        match self.await? {
            DiskDone::Read(buffer) => Ok(buffer),
            other => panic!("the driver answered {other:?}"),
        }
    }
}

impl Future for Pending {
    type Output = DiskResult;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<DiskResult> {
        let mut state = self.io.0.borrow_mut();
        match state.awaited.get_mut(&self.op).expect("polled after completion").take() {
            None => Poll::Pending,
            Some(result) => {
                state.awaited.remove(&self.op);
                state.owner.remove(&self.op);
                Poll::Ready(result)
            }
        }
    }
}

impl Drop for Pending {
    // A procedure may fail with reads in flight: their results have nobody to go to.
    fn drop(&mut self) {
        let mut state = self.io.0.borrow_mut();
        if let Some(None) = state.awaited.remove(&self.op) {
            state.abandon(self.op);
        }
        state.owner.remove(&self.op);
    }
}

type Running<T> = Pin<Box<dyn Future<Output = T>>>;

/// The procedures of a shard, each ending in a `T`.
pub struct Procedures<T> {
    io: Io,
    next: u64,
    running: BTreeMap<ProcedureId, Running<T>>,
}

impl<T> Procedures<T> {
    pub fn new(io: Io) -> Self {
        Self { io, next: 0, running: BTreeMap::new() }
    }

    /// Starts a procedure and runs it to its first operation. A procedure that needed none has
    /// ended already: its result comes back at once.
    pub fn start(&mut self, procedure: impl Future<Output = T> + 'static) -> Option<T> {
        self.next += 1;
        let id = ProcedureId(self.next);
        self.running.insert(id, Box::pin(procedure));
        self.resume(id)
    }

    /// True when `op` belongs to a procedure, or another one waits for the same read.
    pub fn owns(&self, op: OpId) -> bool {
        let state = self.io.0.borrow();
        state.owner.contains_key(&op) || state.joined.get(&op).is_some_and(|joined| !joined.is_empty())
    }

    /// Hands a completion to the procedures that await it; the results of those that it ends.
    /// The completion of an operation that nobody awaits any more is dropped.
    pub fn complete(&mut self, op: OpId, result: DiskResult) -> SmallVec<[T; 1]> {
        let mut resumed: SmallVec<[ProcedureId; 1]> = SmallVec::new();
        {
            let mut state = self.io.0.borrow_mut();
            state.abandoned.remove(&op);
            for joined in state.end_read(op) {
                resumed.extend(state.hand_over(joined, result.clone()));
            }
            if let Some(id) = state.hand_over(op, result) {
                resumed.insert(0, id);
            }
        }
        resumed.into_iter().filter_map(|id| self.resume(id)).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    pub fn len(&self) -> usize {
        self.running.len()
    }

    fn resume(&mut self, id: ProcedureId) -> Option<T> {
        let procedure = self.running.get_mut(&id)?;
        let before = self.io.0.borrow_mut().running.replace(id);
        assert!(before.is_none(), "a procedure resumed another");
        let polled = procedure.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.io.0.borrow_mut().running = None;
        match polled {
            Poll::Pending => None,
            Poll::Ready(result) => {
                self.running.remove(&id);
                Some(result)
            }
        }
    }
}

#[cfg(test)]
#[path = "io_tests.rs"]
mod tests;
