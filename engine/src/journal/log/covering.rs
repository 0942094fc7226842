//! Which checkpoints cover a front that is to be deleted: two that were just read and are good, so that
//! the one that rots next loses nothing.
//!
//! ```text
//! dead front ─▶ read the newest checkpoints ─▶ delete up to the second newest good one
//!                       └── only one reaches that far, and the disk is full: write another, of now
//! ```
//! A file that was good when it was written may be bad when it is needed. Reading costs little beside a
//! segment that goes.

use crate::folder;
use crate::ids::{Index, JournalIdentity};
use crate::journal::context::Context;
use crate::journal::format::checkpoint_file;

/// So many good checkpoints must reach to the end of what is deleted.
pub const COVERING: usize = 2;

/// What was found of checkpoints, newest first; reading ends when enough are good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covering {
    /// Up to where good ones cover, descending.
    pub good: Vec<Index>,
    pub bad: Vec<Index>,
}

impl Covering {
    /// Up to here all may be deleted that is not needed otherwise.
    pub fn covered(&self) -> Index {
        self.good.get(COVERING - 1).copied().unwrap_or(Index::NONE)
    }

    fn note(&mut self, good: Index) {
        self.good.push(good);
        self.good.sort_unstable_by(|a, b| b.cmp(a));
    }
}

/// Reads the newest of these checkpoints (ascending), and the one of a stop.
pub async fn prove(context: &Context, identity: &JournalIdentity, checkpoints: &[Index]) -> Covering {
    let mut covering = Covering::default();
    let path = folder::local_checkpoint_path(context.journal);
    if let Ok(local) = checkpoint_file::read(&context.io, &path, identity).await {
        covering.note(local.last);
    }
    let mut read = 0;
    for last in checkpoints.iter().rev() {
        let path = folder::checkpoint_path(context.journal, *last);
        match checkpoint_file::read(&context.io, &path, identity).await {
            Ok(checkpoint) if checkpoint.last == *last => {
                covering.note(*last);
                read += 1;
            }
            _ => covering.bad.push(*last),
        }
        if read == COVERING {
            break;
        }
    }
    covering
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covering(good: &[u64]) -> Covering {
        let mut covering = Covering::default();
        good.iter().for_each(|last| covering.note(Index(*last)));
        covering
    }

    #[test]
    fn one_good_checkpoint_is_not_enough() {
        assert_eq!(covering(&[]).covered(), Index::NONE);
        assert_eq!(covering(&[9]).covered(), Index::NONE);
    }

    #[test]
    fn the_second_newest_counts_wherever_it_lies() {
        assert_eq!(covering(&[20, 10]).covered(), Index(10));
        // The one of a stop, read first, is older than both, between them, or the newest.
        assert_eq!(covering(&[5, 20, 10]).covered(), Index(10));
        assert_eq!(covering(&[15, 20, 10]).covered(), Index(15));
        assert_eq!(covering(&[25, 20, 10]).covered(), Index(20));
    }
}
