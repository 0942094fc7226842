//! A journal whose lost entries were repaired is closed and opened anew: recovery, which judged it,
//! judges it again.

use super::Shard;
use crate::clock::Now;
use crate::ids::JournalId;
use crate::journal::effects::{Done, Effects};
use crate::journal::recover::recovery::{RecoveryError, recover};
use crate::shard::slot::{Slot, Stage};

impl Shard {
    pub(super) fn reopen_repaired(&mut self, now: Now, fx: &mut Effects) {
        let is_due = |slot: &Slot| slot.journal().is_some_and(|journal| journal.opens_anew());
        let due: Vec<JournalId> =
            self.journals.iter().filter(|(_, slot)| is_due(slot)).map(|(id, _)| *id).collect();
        if !self.lifecycle.stopping {
            due.into_iter().for_each(|id| self.reopen(id, now, fx));
        }
    }

    fn reopen(&mut self, id: JournalId, now: Now, fx: &mut Effects) {
        let Some(Slot::Running(journal)) = self.journals.remove(&id) else { unreachable!("it is due") };
        *self.repaired.entry(id).or_default() += journal.repaired_entries();
        let (meta, members, open) = journal.take_apart();
        let (since_ns, stage) = (now.mono_ns, Stage::Recover);
        let opening =
            Slot::Opening { meta, members, since_ns, stage, created: false, recovered: None, retry_ns: None };
        self.journals.insert(id, opening);
        let context = self.context(id);
        fx.start(async move {
            let result = match open.close(&context.io).await {
                Ok(()) => recover(context).await,
                Err(error) => Err(RecoveryError::Disk(error)),
            };
            Done::Recovered { journal: id, result: Box::new(result) }
        });
    }
}
