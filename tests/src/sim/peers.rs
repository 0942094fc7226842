//! The world's side of messages between nodes: carried as the bytes that `net` would send, over
//! links that come up and break.

use super::network::Way;
use super::world::{Due, World};
use crate::sim::parcel::{Carried, Parcel};
use engine::disk::BufferPool;
use engine::entry::EntryBytes;
use engine::formation::Report;
use engine::ids::{LaneId, NodeId};
use engine::peer::PeerMessage;
use engine::port::{Entry, Input};
use engine::register::Meeting;

const MS: u64 = 1_000_000;
/// Links are tried again after up to this long.
const DIAL_NS_MAX: u64 = 60 * MS;
/// A link over which nothing comes is given up after this.
const SILENCE_NS: u64 = 1_500 * MS;

fn node_id(node: usize) -> NodeId {
    NodeId(node as u32)
}

impl World {
    /// A message of a shard, to the shard of the same lane elsewhere.
    pub(super) fn send_message(&mut self, node: usize, to: NodeId, lane: LaneId, message: &PeerMessage) {
        let pieces = message
            .entry()
            .map_or(Vec::new(), |entry| entry.pieces().iter().map(|piece| piece.to_vec()).collect());
        let what = Carried::Message { lane, body: message.encode(), pieces };
        self.send((node, to.0 as usize), what);
    }

    pub(super) fn send_report(&mut self, node: usize, to: NodeId, report: &Report) {
        self.send((node, to.0 as usize), Carried::Formation(report.encode()));
    }

    fn send(&mut self, way: Way, what: Carried) {
        let Some(session) = self.network.session(way) else { return };
        let at_ns = self.network.arrival_ns(way, self.now_ns, &mut self.rng);
        self.schedule.add(at_ns, Due::Parcel(Parcel { way, session, what }));
    }

    /// Something arrives, unless its link broke meanwhile.
    pub(super) fn arrive(&mut self, parcel: Parcel) {
        let (from, to) = parcel.way;
        if self.network.session(parcel.way) != Some(parcel.session) {
            return;
        }
        if self.network.is_blocked(parcel.way) {
            self.schedule.add(self.now_ns + 10 * MS, Due::Parcel(parcel));
            return;
        }
        if self.nodes[to].paused_until_ns > self.now_ns {
            self.schedule.add(self.nodes[to].paused_until_ns, Due::Parcel(parcel));
            return;
        }
        match parcel.what {
            Carried::Message { lane, body, pieces } => {
                let shard = lane.shard(self.nodes[to].shards.len() as u16).0;
                let pool = self.nodes[to].shards[shard as usize].pool.clone();
                let entry = received(&pool, &pieces);
                let message = PeerMessage::decode(&body, entry).expect("as it was encoded");
                self.input(to, shard, Input::Peer { from: node_id(from), message });
            }
            Carried::Formation(bytes) => {
                let report = Report::decode(&bytes).expect("as it was encoded");
                self.input(to, 0, Input::Formation(report));
            }
        }
    }

    /// A process began: it calls all others.
    pub(super) fn dial_all(&mut self, node: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.dial_later((node, other));
        }
    }

    fn dial_later(&mut self, way: Way) {
        let after_ns = self.rng.below(DIAL_NS_MAX);
        self.schedule.add(self.now_ns + after_ns, Due::Dial(way));
    }

    /// One node calls another; it does so again until it comes through.
    pub(super) fn dial(&mut self, (from, to): Way) {
        let is_up =
            |node: usize| self.nodes[node].is_running() && self.nodes[node].paused_until_ns <= self.now_ns;
        if !self.nodes[from].is_running() || self.network.session((from, to)).is_some() {
            return;
        }
        let know = self.nodes[from].knows(to) && self.nodes[to].knows(from);
        if !know || !is_up(from) || !is_up(to) || !self.network.is_open((from, to)) {
            return self.dial_later((from, to));
        }
        let meets = [(from, to), (to, from)].map(|(here, other)| self.meets(here, other));
        if meets != [true, true] {
            return self.dial_later((from, to));
        }
        let session = self.network.connect((from, to));
        self.counts.add("link up");
        self.tell_link((from, to), true);
        self.watch((from, to), session);
    }

    /// Whether a node lets another one in: the process that calls, or is called, must be written down.
    fn meets(&mut self, here: usize, other: usize) -> bool {
        let Some(met) = self.nodes[other].process() else { return false };
        let is_running = |node: usize| self.nodes[node].is_running();
        if !is_running(here) || !is_running(other) {
            return false;
        }
        let register = self.nodes[here].shards[0].shard.register();
        match register.map(|register| register.meet(&met)) {
            None => {}
            Some(Meeting::Known) => return true,
            Some(Meeting::New) => self.input(here, 0, Input::Enter(Entry::Met(met))),
            Some(Meeting::Old { seen }) => {
                self.counts.add("old copy refused");
                self.input(other, 0, Input::OldCopy { by: node_id(here), seen });
            }
        }
        false
    }

    fn tell_link(&mut self, (one, other): Way, up: bool) {
        self.trace.line(self.now_ns, format_args!("link n{one} n{other} up {up}"));
        self.tell_node(one, other, up);
        self.tell_node(other, one, up);
    }

    /// Each shard of `node` hears of its lanes' links with `peer`, as long as the node lives.
    fn tell_node(&mut self, node: usize, peer: usize, up: bool) {
        let run = self.nodes[node].run;
        let process = if up { self.nodes[peer].process().map(|met| met.run) } else { None };
        for lane in 0..self.options.shards {
            if self.nodes[node].is_running() && self.nodes[node].run == run {
                let lane = LaneId(lane);
                let shard = lane.shard(self.nodes[node].shards.len() as u16).0;
                self.input(node, shard, Input::Link { node: node_id(peer), lane, run: process });
            }
        }
    }

    /// The link between two nodes breaks; both hear of it, and call again.
    pub fn break_link(&mut self, way: Way) {
        if self.network.disconnect(way) {
            self.counts.add("link broken");
            self.tell_link(way, false);
            self.dial_later(way);
            self.dial_later((way.1, way.0));
        }
    }

    /// Two nodes cannot reach each other until [`World::heal`].
    pub fn part(&mut self, one: usize, other: usize) {
        self.network.set_blocked((one, other), true);
        self.network.set_blocked((other, one), true);
        self.break_link((one, other));
    }

    pub fn heal(&mut self, one: usize, other: usize) {
        self.network.set_blocked((one, other), false);
        self.network.set_blocked((other, one), false);
    }

    /// A process is gone. Its machine says so at once, or says nothing when its power failed.
    pub(super) fn peers_lost(&mut self, node: usize, at_once: bool) {
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            if self.network.disconnect((node, other)) {
                let after_ns = if at_once { self.rng.below(MS) } else { SILENCE_NS };
                let run = self.nodes[other].run;
                self.schedule.add(self.now_ns + after_ns, Due::Hangup { node: other, run, peer: node });
                self.dial_later((other, node));
            }
        }
    }

    /// A node notices that another one is gone.
    pub(super) fn hang_up(&mut self, node: usize, peer: usize) {
        if self.network.session((node, peer)).is_some() {
            // A new link came up before the old one's end was noticed, which said as much.
            return;
        }
        self.tell_node(node, peer, false);
    }

    /// Looks after a link: one that is blocked in a direction is given up for silence.
    fn watch(&mut self, way: Way, session: u64) {
        self.schedule.add(self.now_ns + SILENCE_NS, Due::Watch { way, session });
    }

    pub(super) fn watched(&mut self, way: Way, session: u64) {
        if self.network.session(way) != Some(session) {
            return;
        }
        if self.network.is_open(way) {
            self.watch(way, session);
        } else {
            self.break_link(way);
        }
    }
}

/// What was received, in buffers of the receiver.
fn received(pool: &BufferPool, pieces: &[Vec<u8>]) -> Option<EntryBytes> {
    if pieces.is_empty() {
        return None;
    }
    let pieces = pieces.iter().map(|piece| pool.copy_of(piece)).collect();
    Some(EntryBytes::received(pieces).expect("as it was sent"))
}
