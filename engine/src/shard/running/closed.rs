//! The shard's part in journals that cannot be opened: they are told, and what they lack is fetched.

use super::Shard;
use crate::clock::Now;
use crate::disk::{DiskError, DiskErrorKind};
use crate::folder::{self, JournalFile};
use crate::framing::replace_file;
use crate::ids::{Index, JournalId, NodeId};
use crate::journal::effects::{Done, Effects};
use crate::journal::format::meta_record::JournalMeta;
use crate::journal::heal::checkpoint_fetch::{CheckpointFetch, Fetched, Next};
use crate::journal::recover::recovery::RecoveryError;
use crate::peer::install::InstallMessage;
use crate::port::{Event, Fatal, Output};
use crate::shard::slot::{Closed, Slot, Stage};
use std::rc::Rc;

impl Shard {
    /// Recovery failed for what the folder holds. False where the node cannot go on without this journal.
    pub(super) fn close_journal(&mut self, id: JournalId, error: &RecoveryError, fx: &mut Effects) -> bool {
        let Some(Slot::Opening { meta, members, .. }) = self.journals.get(&id) else {
            unreachable!("only an opening journal is recovered")
        };
        let (meta, members) = (meta.clone(), members.clone());
        let others = members.iter().map(|(_, node)| *node).filter(|node| *node != self.config.node);
        let others: Vec<NodeId> = others.collect();
        let fetch = match error {
            RecoveryError::NoCheckpoint(missing) if !others.is_empty() => {
                let missing = (**missing).clone();
                Some(CheckpointFetch::new(missing, others, Rc::clone(&self.incoming)))
            }
            _ => None,
        };
        if id == crate::ids::META_JOURNAL && fetch.is_none() {
            return false;
        }
        let (why, fetches) = (error.to_string(), fetch.is_some());
        fx.out.push(Output::Event(Event::NotOpened { journal: id, why, fetches }));
        let closed = Closed { meta, members, fetch, told_too_long: false };
        self.journals.insert(id, Slot::Closed(Box::new(closed)));
        fx.leaders_changed = true;
        true
    }

    /// How many there are.
    pub(super) fn journals_closed(&self) -> u64 {
        self.journals.values().filter(|slot| matches!(slot, Slot::Closed(_))).count() as u64
    }

    pub(super) fn tick_closed(&mut self, now: Now, fx: &mut Effects) {
        for slot in self.journals.values_mut() {
            let Slot::Closed(closed) = slot else { continue };
            let lane = closed.meta.lane;
            let messages = closed.fetch.as_mut().map(|fetch| fetch.tick(now)).unwrap_or_default();
            fx.out.extend(messages.into_iter().map(|(to, message)| Output::Peer { to, lane, message }));
        }
    }

    /// A checkpoint that another node offers or gives; true where it was for a journal that is not open.
    pub(super) fn install_closed(
        &mut self,
        id: JournalId,
        from: NodeId,
        message: &InstallMessage,
        now: Now,
        fx: &mut Effects,
    ) -> bool {
        let Some(Slot::Closed(closed)) = self.journals.get_mut(&id) else { return false };
        let Some(fetch) = &mut closed.fetch else { return true };
        let next = match message {
            InstallMessage::Offer(offer) => {
                fetch.offered(from, offer);
                Next::Nothing
            }
            InstallMessage::Piece { last, position, bytes } => {
                fetch.piece(from, (*last, *position), bytes, now)
            }
            InstallMessage::Read { .. } => Next::Nothing,
        };
        match next {
            Next::Nothing => {}
            Next::Ask(to, message) => fx.out.push(Output::Peer { to, lane: closed.meta.lane, message }),
            Next::TooLong { bytes, bytes_max } => {
                if !core::mem::replace(&mut closed.told_too_long, true) {
                    let event = Event::InstallTooLong { journal: id, from, bytes, bytes_max };
                    fx.out.push(Output::Event(event));
                }
            }
            Next::Whole(fetched) => {
                let meta = closed.meta.clone();
                closed.fetch = None;
                self.store_checkpoint(&meta, fetched, fx);
            }
        }
        true
    }

    fn store_checkpoint(&mut self, meta: &JournalMeta, fetched: Fetched, fx: &mut Effects) {
        let (io, pool, journal, identity) =
            (self.io.clone(), self.pool.clone(), meta.journal, meta.identity());
        fx.start(async move {
            let (dir, last) = (folder::journal_dir(journal), fetched.last);
            let result = match fetched.install {
                None => {
                    let name = JournalFile::Checkpoint(last).name();
                    replace_file(&io, &pool, &dir, &name, &fetched.file).await
                }
                Some(install) => {
                    let bytes = [&install.encode(&identity)[..], &fetched.file].concat();
                    replace_file(&io, &pool, &dir, &JournalFile::Install.name(), &bytes).await
                }
            };
            Done::CheckpointStored { journal, last, result }
        });
    }

    /// It is durable: the journal is opened again. Without room for it that is tried again, and it is
    /// fetched once more.
    pub(super) fn checkpoint_stored(
        &mut self,
        id: JournalId,
        last: Index,
        result: Result<(), DiskError>,
        now: Now,
        fx: &mut Effects,
    ) {
        match result {
            Err(error) if error.kind != DiskErrorKind::NoSpace => {
                return fx.out.push(Output::Fatal(Fatal::Write(error)));
            }
            Err(_) => fx.out.push(Output::Event(Event::DiskFull { journal: id })),
            Ok(()) => fx.out.push(Output::Event(Event::Installed { journal: id, last })),
        }
        let Some(Slot::Closed(closed)) = self.journals.remove(&id) else {
            unreachable!("a closed journal waits for its checkpoint")
        };
        let Closed { meta, members, .. } = *closed;
        self.add_journal(meta, members, Stage::Recover, now, fx);
    }
}
