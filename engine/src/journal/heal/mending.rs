//! The disk work of a repair: what this replica itself still knows of an entry, and the writing of
//! the good bytes in their place.
//!
//! An entry is whole blocks that are its own, so writing it again touches no neighbour. A crash in
//! the middle leaves an entry that is as bad as before: it stands below the bounds, the next start
//! finds it damaged and it is repaired again.

use crate::disk::{DiskError, DiskErrorKind};
use crate::entry::EntryBytes;
use crate::entry::reader::{Expect, check_body, check_head};
use crate::folder;
use crate::ids::{FileId, Index, JournalIdentity};
use crate::journal::context::Context;
use crate::journal::format::hard_state::SyncedBound;
use crate::journal::read::cold::load;
use crate::journal::read::container::Sealed;
use crate::journal::read::index::EntryAt;
use crate::journal::read::place::{Place, located, read_entry};
use crate::journal::read::want::{Located, ReadFault};
use std::rc::Rc;

/// How far behind an entry a header is looked for that knows it committed. It knows what was so when
/// it was sealed, a few entries later as a rule; more than this is not read for one that is mended.
pub const PROOF_ENTRIES_MAX: u64 = 64;

/// Where something may still be known of an entry.
pub enum Source {
    Known(Option<u32>),
    Place(Place),
}

/// Header checksums that an entry may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// What this replica's index says.
    pub own: Option<u32>,
    /// What the entry behind it says.
    pub next: Option<u32>,
    /// The same, where that one proves to continue what is committed.
    pub proven: Option<u32>,
}

/// What lies behind an entry, as far as it may prove it.
#[derive(Default)]
pub struct Behind {
    /// One after the other.
    pub places: Vec<Place>,
    /// The entry that the hard state names, where the commit beside it covers the one in question: both
    /// are of one log.
    pub bound: Option<SyncedBound>,
}

/// Gathers what this replica knows of entry `index`.
pub async fn judge(
    context: Context,
    identity: JournalIdentity,
    index: Index,
    own: Source,
    next: Source,
    behind: Behind,
) -> Judged {
    let proven = prove(&context, identity, index, behind).await;
    let own = match own {
        Source::Known(checksum) => checksum,
        Source::Place(Place::Here(_)) => None,
        Source::Place(Place::Sealed(sealed)) => {
            sealed.index.entry(index).await.ok().flatten().map(|at| at.checksum)
        }
    };
    let next = match next {
        Source::Known(checksum) => checksum,
        Source::Place(place) => {
            let entry = read_entry(context, identity, place, index.next()).await.ok();
            entry.map(|entry| entry.header().previous_checksum.get())
        }
    };
    Judged { own: own.filter(|checksum| *checksum != 0), next, proven }
}

/// The checksum of entry `index`, where one behind it was sealed by a leader that knew `index` to be
/// committed, or is the bound of a log in which it was, and the chain leads from that one down to it. What that leader's log had there is what
/// is committed, also where the entries that tell it are themselves of a tail that is to be cut.
async fn prove(context: &Context, identity: JournalIdentity, index: Index, behind: Behind) -> Option<u32> {
    let (mut named, mut checksum) = (None, None);
    for (place, at) in behind.places.into_iter().zip(index.0 + 1..) {
        let entry = read_entry(context.clone(), identity, place, Index(at)).await.ok()?;
        let header = entry.header();
        let previous = header.previous_checksum.get();
        if header.index() != Index(at) || checksum.is_some_and(|checksum| checksum != previous) {
            return None;
        }
        named = named.or(Some(previous));
        let is_bound =
            |bound: SyncedBound| bound.index == Index(at) && bound.checksum == header.checksum.get();
        if header.commit.get() >= index.0 || behind.bound.is_some_and(is_bound) {
            return named;
        }
        checksum = Some(header.checksum.get());
    }
    None
}

/// Whether these bytes are a whole entry of this journal with this index.
pub fn is_whole(entry: &EntryBytes, identity: &JournalIdentity, index: Index) -> bool {
    let header = entry.header();
    let segment_base = Index(header.segment_base.get());
    let expect = Expect { identity: *identity, segment_base, position: header.position.get() };
    header.index() == index && check_head(&entry.pieces()[0], &expect).is_ok() && check_body(entry).is_ok()
}

/// The file that a repair writes to.
pub enum Target {
    /// Held, so that it is not deleted meanwhile.
    Sealed(Rc<Sealed>),
    Open(FileId),
    /// The segment's file is gone: it is made again, so many bytes long.
    Missing(u64),
}

/// Writes an entry where it says that it belongs, makes it durable and reads it back. False when the
/// medium gives something else than was written.
pub async fn mend(
    context: Context,
    identity: JournalIdentity,
    target: Target,
    entry: EntryBytes,
) -> Result<bool, DiskError> {
    let io = &context.io;
    let base = Index(entry.header().segment_base.get());
    let (file, made) = match &target {
        Target::Sealed(sealed) => (sealed.file, false),
        Target::Open(file) => (*file, false),
        Target::Missing(bytes) => (open_or_make(&context, base, *bytes).await?, true),
    };
    let mut position = entry.header().position.get();
    for piece in entry.pieces() {
        io.write(file, position, piece.clone()).await?;
        position += piece.len() as u64;
    }
    io.sync(file).await?;
    if let Target::Sealed(sealed) = &target {
        let known = sealed.index.entry(entry.header().index()).await;
        let is_known =
            known.is_ok_and(|at| at.is_some_and(|at| at.checksum == entry.header().checksum.get()));
        if !is_known {
            sealed.index.mark_bad();
        }
    }
    let again = load(&context, &identity, &place_in(file, base, &entry)).await;
    if made {
        io.close(file).await?;
        io.sync_dir(&folder::journal_dir(context.journal)).await?;
    }
    match again {
        Ok(again) => {
            let is_same = again.header().checksum == entry.header().checksum;
            // What readers have in memory may be another one.
            context.entries.insert_read(entry);
            Ok(is_same)
        }
        Err(ReadFault::Disk(_) | ReadFault::Unreadable { .. } | ReadFault::Entry { .. }) => Ok(false),
        Err(other) => unreachable!("an entry is read without its index: {other}"),
    }
}

fn place_in(file: FileId, base: Index, entry: &EntryBytes) -> Located {
    let header = entry.header();
    let at = EntryAt {
        index: header.index(),
        term: header.term(),
        position: header.position.get(),
        entry_bytes: header.entry_bytes.get(),
        checksum: header.checksum.get(),
    };
    located(file, base, at)
}

async fn open_or_make(context: &Context, base: Index, bytes: u64) -> Result<FileId, DiskError> {
    let path = folder::segment_path(context.journal, base);
    match context.io.open(&path).await {
        Ok((file, _)) => Ok(file),
        Err(error) if error.kind == DiskErrorKind::NotFound => {
            let file = context.io.create(&path).await?;
            context.io.allocate(file, bytes).await?;
            Ok(file)
        }
        Err(error) => Err(error),
    }
}
