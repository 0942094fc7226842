//! Where an entry is on disk, and how it is read from there.

use super::cold::load;
use super::container::Sealed;
use super::index::{EntryAt, Item};
use super::want::{Located, ReadFault};
use crate::entry::EntryBytes;
use crate::ids::{FileId, Index, JournalIdentity, Offset, PartitionId};
use crate::journal::context::Context;
use std::rc::Rc;

/// Where an entry is on disk.
pub enum Place {
    Here(Located),
    Sealed(Rc<Sealed>),
}

pub fn located(file: FileId, base: Index, at: EntryAt) -> Located {
    let item = Item {
        partition: PartitionId(0),
        first_offset: Offset(0),
        entry: at.index,
        position: at.position,
        entry_bytes: at.entry_bytes,
        max_timestamp: 0,
    };
    Located { file, base, item }
}

/// Reads and checks one entry.
pub async fn read_entry(
    context: Context,
    identity: JournalIdentity,
    place: Place,
    index: Index,
) -> Result<EntryBytes, ReadFault> {
    // A sealed segment is held until the read has ended: it could be deleted meanwhile.
    let located = match &place {
        Place::Here(located) => *located,
        Place::Sealed(sealed) => {
            let at = sealed.index.entry(index).await?.ok_or(ReadFault::Missing(index))?;
            located(sealed.file, sealed.base, at)
        }
    };
    load(&context, &identity, &located).await
}
