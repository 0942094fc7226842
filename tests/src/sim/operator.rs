//! The operator of a run: accepts what nobody else can settle.

use super::run::Run;
use super::survey::journals;
use engine::ids::JournalId;

const SECOND: u64 = 1_000_000_000;
/// How long a cluster has to settle by itself what can be settled.
const PATIENCE_NS: u64 = 30 * SECOND;

impl Run {
    /// What a start of this node is told to accept.
    pub(super) fn accepted_losses(&mut self, node: usize) -> Vec<JournalId> {
        if self.world.nodes.len() == 1 {
            return self.model.damage.heads_reported.iter().copied().collect();
        }
        // Said once, on the command line.
        std::mem::take(&mut self.accepts[node])
    }

    /// A lone node's journal that lost descriptors takes batches again only once the operator says so.
    pub(super) fn accept_losses(&mut self) {
        if self.world.nodes.len() > 1 {
            self.accept_doubts();
        }
        self.until("all nodes are ready", Self::all_serve);
        let accepted =
            |run: &Self| run.world.nodes[0].accept_loss.len() == run.model.damage.heads_reported.len();
        if self.world.nodes.len() == 1 && !accepted(self) {
            self.world.stop(0);
            self.until("the loss is accepted", |run| run.all_serve() && accepted(run));
        }
    }

    /// One voter lost its disk, or there is only one while others learn, and the power failed another in a write of
    /// which no proof is left that it was never synced: nobody can tell whether that entry was acknowledged but who
    /// knows that the other disk is good. No disk of such a run lies, so nothing that was acknowledged goes.
    fn accept_doubts(&mut self) {
        let until_ns = self.world.now_ns + PATIENCE_NS;
        while !self.all_serve() && self.world.now_ns < until_ns {
            self.step();
        }
        if self.all_serve() || !(self.world.loses_disks || self.is_growing) {
            return;
        }
        for node in 0..self.world.nodes.len() {
            let here = &self.world.nodes[node];
            let is_in_doubt = |id: &JournalId| {
                let mut open = here.shards.iter().filter_map(|slot| slot.shard.journal(*id));
                open.any(|journal| journal.doubt().is_some())
            };
            let doubts: Vec<JournalId> =
                journals(here).iter().map(|identity| identity.journal).filter(is_in_doubt).collect();
            if !doubts.is_empty() {
                self.world.counts.add("a doubt that only the operator could settle");
                self.accepts[node] = doubts;
                self.world.stop(node);
            }
        }
    }
}
