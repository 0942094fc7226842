//! The network between the world's nodes: links per pair of nodes and lane, in order, with delays;
//! they break and come up again, and what is on its way then is lost.
//!
//! As over a socket, a message is bytes: encoded by its sender, decoded into the receiver's own
//! buffers.

use engine::disk::{BLOCK, BufferPool, IO_BYTES_MAX};
use engine::entry::EntryBytes;
use engine::formation::Report;
use engine::peer::PeerMessage;
use engine::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};

const MS: u64 = 1_000_000;
/// A packet takes up to this, and now and then a millisecond more.
const DELAY_NS: u64 = 200_000;

/// What is on its way.
pub enum Content {
    Message { body: Vec<u8>, entry: Vec<u8> },
    Report(Vec<u8>),
}

pub struct Packet {
    pub from: usize,
    pub lane: u16,
    content: Content,
    /// The life of the link that it was sent over.
    life: u64,
}

/// What a packet is when it arrives.
pub enum Arrived {
    Message(PeerMessage),
    Report(Report),
}

#[derive(Default)]
pub struct Network {
    /// Pairs that cannot reach each other.
    blocked: BTreeSet<(usize, usize)>,
    up: BTreeSet<(usize, usize)>,
    lives: BTreeMap<(usize, usize), u64>,
    /// When the last packet of a direction and lane arrives: those behind it come later.
    last_ns: BTreeMap<(usize, usize, u16), u64>,
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl Network {
    pub fn block(&mut self, a: usize, b: usize) {
        self.blocked.insert(pair(a, b));
    }

    pub fn unblock(&mut self, a: usize, b: usize) {
        self.blocked.remove(&pair(a, b));
    }

    pub fn is_blocked(&self, a: usize, b: usize) -> bool {
        self.blocked.contains(&pair(a, b))
    }

    pub fn is_up(&self, a: usize, b: usize) -> bool {
        self.up.contains(&pair(a, b))
    }

    /// A link begins to come up; gives the life in which it will.
    pub fn begin(&mut self, a: usize, b: usize) -> u64 {
        let life = self.lives.entry(pair(a, b)).or_default();
        *life += 1;
        *life
    }

    /// The link is up, if nothing came between. False when it is not.
    pub fn came_up(&mut self, a: usize, b: usize, life: u64) -> bool {
        let is_it = self.lives.get(&pair(a, b)) == Some(&life) && !self.is_blocked(a, b);
        is_it && self.up.insert(pair(a, b))
    }

    /// The link breaks. True when it was up.
    pub fn cut(&mut self, a: usize, b: usize) -> bool {
        *self.lives.entry(pair(a, b)).or_default() += 1;
        self.up.remove(&pair(a, b))
    }

    /// Sends; gives when it arrives, or nothing where there is no link.
    pub fn send(
        &mut self,
        (from, to): (usize, usize),
        lane: u16,
        content: Content,
        now_ns: u64,
        rng: &mut Rng,
    ) -> Option<(u64, Packet)> {
        if !self.is_up(from, to) {
            return None;
        }
        let delay_ns = 20_000 + rng.below(DELAY_NS) + if rng.one_in(200) { MS } else { 0 };
        let last_ns = self.last_ns.entry((from, to, lane)).or_default();
        *last_ns = (*last_ns + 1).max(now_ns + delay_ns);
        let life = self.lives[&pair(from, to)];
        Some((*last_ns, Packet { from, lane, content, life }))
    }

    /// Takes a packet off its link; `None` when the link broke meanwhile.
    pub fn arrive(&self, to: usize, packet: Packet, pool: &BufferPool) -> Option<Arrived> {
        if !self.is_up(packet.from, to) || self.lives[&pair(packet.from, to)] != packet.life {
            return None;
        }
        Some(match packet.content {
            Content::Report(bytes) => Arrived::Report(Report::decode(&bytes).expect("just encoded")),
            Content::Message { body, entry } => {
                let entry = (!entry.is_empty()).then(|| received(&entry, pool));
                Arrived::Message(PeerMessage::decode(&body, entry).expect("just encoded"))
            }
        })
    }
}

impl Content {
    pub fn of(message: &PeerMessage) -> Self {
        let entry = message.entry().map_or_else(Vec::new, |entry| entry.copy(0..entry.len()));
        Self::Message { body: message.encode(), entry }
    }
}

fn received(bytes: &[u8], pool: &BufferPool) -> EntryBytes {
    assert!(bytes.len().is_multiple_of(BLOCK), "{} bytes of an entry", bytes.len());
    let pieces = bytes.chunks(IO_BYTES_MAX).map(|piece| pool.copy_of(piece)).collect();
    EntryBytes::received(pieces).expect("just taken from an entry")
}
