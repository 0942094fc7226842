//! Makes the index file of a sealed segment again from its entries: at a start where it is
//! missing or bad, and while serving when a look-up meets a bad block.

use super::scan::Scanner;
use super::walk::{Walk, Walked};
use crate::disk::DiskError;
use crate::entry::reader::Link;
use crate::folder::{self, JournalFile};
use crate::framing::replace_file;
use crate::ids::{FileId, Index, JournalIdentity, Term};
use crate::journal::context::Context;
use crate::journal::read::container::Sealed;
use crate::journal::read::index::ActiveIndex;
use crate::journal::read::sealed_index::SealedIndex;
use std::rc::Rc;

/// A sealed segment, as far as its index does not matter.
#[derive(Clone, Copy, Debug)]
pub struct Entries {
    pub base: Index,
    pub last: Index,
    pub file: FileId,
    pub bytes: u64,
}

/// Walks the segment and writes its index file. Entries that are bad are told by the walk.
pub async fn rebuild(
    context: &Context,
    identity: JournalIdentity,
    entries: Entries,
) -> Result<Walk, DiskError> {
    let Entries { base, last, file, bytes } = entries;
    let before = Link { index: Index(base.0 - 1), term: Term(0), checksum: 0 };
    let mut walk = Walk::new(identity, before, last);
    walk.any_first();
    let mut scanner = Scanner::new(context.io.clone(), context.pool.clone(), file, bytes);
    walk.segment(&mut scanner, Walked::new(base, file, bytes)).await?;
    if walk.last().index < last {
        walk.lose_end(last, 0);
    }
    let index: &ActiveIndex = &walk.segments[0].index;
    let encoded = index.encode_sealed(&identity);
    let dir = folder::journal_dir(context.journal);
    let name = JournalFile::Index(base).name();
    replace_file(&context.io, &context.pool, &dir, &name, &encoded).await?;
    Ok(walk)
}

/// The same segment with a new index; `None` when even that cannot be read back.
pub async fn with_new_index(
    context: Context,
    identity: JournalIdentity,
    old: Rc<Sealed>,
) -> Result<Option<Rc<Sealed>>, DiskError> {
    let Sealed { base, last, bytes, file, .. } = *old;
    rebuild(&context, identity, Entries { base, last, file, bytes }).await?;
    let path = folder::index_path(context.journal, base);
    let opened = SealedIndex::open(context.io.clone(), context.blocks.clone(), path, identity, base).await;
    let new = |index| Sealed { base, last, bytes, file, index: Rc::new(index), replaced: Some(old) };
    Ok(opened.ok().map(|index| Rc::new(new(index))))
}
