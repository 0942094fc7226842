//! ElectLeaders: a journal goes to its preferred node now, not when leaders drift back.

use super::Shard;
use crate::clock::Now;
use crate::ids::JournalId;
use crate::journal::effects::Effects;
use crate::peer::PeerMessage;
use crate::port::Output;
use crate::shard::elect::Asking;
use crate::shard::slot::Slot;

/// How far behind the preferred node may be: at 10,000 entries a second some 10 ms, in which
/// produce waits for the hand-over.
const LAG_ENTRIES_MAX: u64 = 100;

impl Shard {
    /// Hands a journal over that is led here, or tells its leader to.
    pub(super) fn elect(&mut self, id: JournalId, asking: Asking, now: Now, fx: &mut Effects) {
        let Some(view) = self.view.journals.get(&id) else { return };
        let (preferred, lane, own) = (view.replicas[0], view.lane, self.config.node);
        let journal = self.journals.get_mut(&id).and_then(Slot::journal_mut);
        if let Some(journal) = journal.filter(|journal| journal.is_leader()) {
            if preferred != own && !self.lifecycle.stopping {
                journal.drift(preferred, LAG_ENTRIES_MAX, now, fx);
            }
            return;
        }
        let leader = self.peers.known.get(&id).and_then(|known| known.leader).filter(|leader| *leader != own);
        if let Some(to) = leader.filter(|_| asking == Asking::Operator) {
            fx.out.push(Output::Peer { to, lane, message: PeerMessage::Elect { journal: id } });
        }
    }
}
