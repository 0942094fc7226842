//! The entry that the synced bound names, against the one that stands there.

use super::walk::Walk;
use crate::folder;
use crate::ids::JournalId;
use crate::journal::format::hard_state::SyncedBound;
use crate::journal::read::container::Sealed;
use crate::port::{Damage, DamageKind};
use std::collections::VecDeque;
use std::rc::Rc;

/// The bound names an entry by its checksum. Another one in its place is as lost as one that cannot be
/// read: with peers, the one that is named is fetched from them.
pub async fn other(
    journal: JournalId,
    walk: &Walk,
    sealed: &VecDeque<Rc<Sealed>>,
    synced: SyncedBound,
) -> Option<Damage> {
    let index = synced.index;
    let in_sealed = sealed.iter().find(|segment| (segment.base..=segment.last).contains(&index));
    let (at, base) = match in_sealed {
        Some(segment) => (segment.index.entry(index).await.ok().flatten(), segment.base),
        None => {
            let walked = walk.segments.iter().rfind(|segment| segment.base <= index)?;
            (walked.index.entry(index), walked.base)
        }
    };
    // No checksum is none that is known.
    let is_other = |found: u32| found != 0 && synced.checksum != 0 && found != synced.checksum;
    let at = at.filter(|at| is_other(at.checksum))?;
    Some(Damage {
        journal,
        first: index,
        last: index,
        term: Some(synced.term),
        file: folder::segment_path(journal, base),
        position: at.position,
        bytes: u64::from(at.entry_bytes),
        kind: DamageKind::Head,
    })
}
