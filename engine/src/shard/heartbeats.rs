//! Heartbeats of all journals of a lane in one message: with a frame each, an idle cluster would
//! spend its time on frames.
//!
//! Leaders of a shard send theirs in the same tick ([`crate::journal`] sees to it), so what one
//! step says to a node is gathered here; the answers come out of one step on the other side, too.

use crate::ids::{LaneId, NodeId};
use crate::peer::message::{Heartbeat, PeerMessage, is_heartbeat};
use crate::port::Output;

/// What one message may hold: 49 bytes each, within a frame's bound of 1 MiB.
const HEARTBEATS_MAX: usize = 16 << 10;

/// Puts the heartbeats of one step that go the same way into one message each, in the place of
/// the first. No message of the same journal is overtaken by more than a heartbeat, which promises
/// nothing that an earlier one did not: its commit is one that the receiver has.
pub fn gather(out: &mut Vec<Output>) {
    let heartbeat = |output: &Output| matches!(output, Output::Peer { message: PeerMessage::Raft { message, .. }, .. } if is_heartbeat(message));
    if out.iter().filter(|output| heartbeat(output)).nth(1).is_none() {
        return;
    }
    let mut gathered: Vec<Output> = Vec::with_capacity(out.len());
    // Nodes are few: the place of each way's message is found by looking.
    let mut places: Vec<((NodeId, LaneId), usize)> = Vec::new();
    for output in out.drain(..) {
        match output {
            Output::Peer { to, lane, message: PeerMessage::Raft { journal, message } }
                if is_heartbeat(&message) =>
            {
                let one = Heartbeat { journal, message };
                let place = places.iter().rfind(|(way, _)| *way == (to, lane)).map(|(_, at)| *at);
                match place.map(|at| &mut gathered[at]) {
                    Some(Output::Peer { message: PeerMessage::Heartbeats(all), .. })
                        if all.len() < HEARTBEATS_MAX =>
                    {
                        all.push(one);
                    }
                    _ => {
                        places.push(((to, lane), gathered.len()));
                        gathered.push(Output::Peer { to, lane, message: PeerMessage::Heartbeats(vec![one]) });
                    }
                }
            }
            other => gathered.push(other),
        }
    }
    *out = gathered;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Index, JournalId, RaftId, Term};
    use crate::peer::{RaftKind, RaftMessage};

    fn raft(to: u32, lane: u16, journal: u64, kind: RaftKind) -> Output {
        let message = RaftMessage { from: RaftId(1), to: RaftId(u64::from(to)), term: Term(3), kind };
        let message = PeerMessage::Raft { journal: JournalId(journal), message };
        Output::Peer { to: NodeId(to), lane: LaneId(lane), message }
    }

    fn beat(to: u32, lane: u16, journal: u64) -> Output {
        raft(to, lane, journal, RaftKind::Heartbeat { commit: Index(journal) })
    }

    fn told(out: &[Output]) -> Vec<(u32, u16, Vec<u64>)> {
        let journals = |message: &PeerMessage| match message {
            PeerMessage::Heartbeats(all) => all.iter().map(|one| one.journal.0).collect(),
            PeerMessage::Raft { journal, .. } => vec![journal.0],
            _ => Vec::new(),
        };
        let peer = |output: &Output| match output {
            Output::Peer { to, lane, message } => (to.0, lane.0, journals(message)),
            _ => (0, 0, Vec::new()),
        };
        out.iter().map(peer).collect()
    }

    #[test]
    fn what_goes_the_same_way_goes_together_and_the_rest_keeps_its_order() {
        let append = raft(2, 0, 9, RaftKind::TimeoutNow);
        let mut out = vec![beat(2, 0, 1), append, beat(3, 0, 1), Output::Room, beat(2, 0, 2), beat(2, 1, 4)];
        gather(&mut out);
        let expected =
            [(2, 0, vec![1, 2]), (2, 0, vec![9]), (3, 0, vec![1]), (0, 0, vec![]), (2, 1, vec![4])];
        assert_eq!(told(&out), expected);
    }

    #[test]
    fn one_heartbeat_stays_as_it_is_and_many_are_bounded() {
        let mut one = vec![Output::Room, beat(2, 0, 1)];
        gather(&mut one);
        assert!(matches!(&one[1], Output::Peer { message: PeerMessage::Raft { .. }, .. }));
        let mut many: Vec<Output> =
            (0..HEARTBEATS_MAX as u64 + 1).map(|journal| beat(2, 0, journal)).collect();
        gather(&mut many);
        let counts: Vec<usize> = told(&many).iter().map(|(_, _, journals)| journals.len()).collect();
        assert_eq!(counts, [HEARTBEATS_MAX, 1]);
    }
}
