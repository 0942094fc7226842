//! Messages between the shards of a node: control requests to the meta journal's shard and their
//! answers, metadata views to all, who lives and who leads which journal. Nothing here is on the path of a
//! record.
//!
//! Every ordered pair of shards has a bounded channel of its own. Receivers live as long as
//! their executor and sending never blocks: what finds its channel full waits in an outbox.

use crate::peer::links::Identity;
use crate::shard::leaders::Leadership;
use engine::control::{Command, ControlRefusal, Outcome, View};
use engine::ids::{JournalId, LaneId, NodeId, ShardId, TopicId};
use engine::port::{Entry, Errand, ErrandAnswer};
use engine::register::Register;
use glommio::channels::shared_channel::{self, ConnectedSender, SharedReceiver, SharedSender};
use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

/// Messages in a channel; more wait in the sender's outbox. Above the number of control requests
/// that a shard's connections have in flight in practice.
const CHANNEL_MAIL_MAX: usize = 256;

/// One message.
#[derive(Debug)]
pub enum Mail {
    /// To the meta journal's shard; `id` is the sender's.
    Control {
        id: u64,
        command: Command,
    },
    /// The answer, once every shard has the view that includes it.
    ControlDone {
        id: u64,
        result: Result<Outcome, ControlRefusal>,
    },
    /// The metadata changed; `number` comes back when it was applied.
    View {
        number: u64,
        view: Arc<View>,
    },
    ViewApplied {
        number: u64,
    },
    /// Topics were just made: the answer is [`Mail::Settled`] when they can be used on the receiver,
    /// or after the time.
    Settle {
        id: u64,
        topics: Arc<[TopicId]>,
        wait_ns: u64,
    },
    Settled {
        id: u64,
    },
    /// An operator wants the preferred node to lead a journal of the receiver's lanes.
    Elect {
        journal: JournalId,
    },
    /// An errand for the shard that leads a journal of a lane of the receiver's: on this node, or another.
    Errand {
        id: u64,
        node: NodeId,
        lane: LaneId,
        errand: Errand,
    },
    ErrandDone {
        id: u64,
        answer: ErrandAnswer,
    },
    /// Who leads a journal of the sender's lanes.
    Leader {
        journal: JournalId,
        leadership: Leadership,
    },
    /// The other nodes that this one is linked to.
    Living {
        nodes: BTreeSet<NodeId>,
    },
    /// Other nodes that the first shard wrote down.
    Members {
        nodes: Vec<NodeId>,
    },
    /// Who this node is, as the first shard read in the data folder.
    Identity(Identity),
    /// What this node has, as the first shard wrote it down.
    Register(Arc<Register>),
    /// To be written down by the first shard.
    Enter(Entry),
    /// Another node met a later process of this folder: to the first shard.
    OldCopy {
        by: NodeId,
        seen: u64,
    },
}

/// The unconnected ends of one shard, made before its thread starts.
pub struct Ends {
    /// To and from each other shard, by shard; `None` for the own one.
    to: Vec<Option<SharedSender<Mail>>>,
    from: Vec<Option<SharedReceiver<Mail>>>,
}

/// The ends of all shards, connected pairwise.
pub fn ends(shards: u16) -> Vec<Ends> {
    let shards = usize::from(shards);
    let mut all: Vec<Ends> = (0..shards)
        .map(|_| Ends { to: (0..shards).map(|_| None).collect(), from: (0..shards).map(|_| None).collect() })
        .collect();
    for from in 0..shards {
        for to in (0..shards).filter(|to| *to != from) {
            let (sender, receiver) = shared_channel::new_bounded(CHANNEL_MAIL_MAX);
            all[from].to[to] = Some(sender);
            all[to].from[from] = Some(receiver);
        }
    }
    all
}

/// A shard's receiving side, before it listens.
pub struct Incoming(Vec<Option<SharedReceiver<Mail>>>);

impl Incoming {
    /// `deliver` is given what arrives: at once, when another shard was faster.
    pub fn deliver_to(self, deliver: impl Fn(ShardId, Mail) + Clone + 'static) {
        for (from, receiver) in self.0.into_iter().enumerate() {
            let (Some(receiver), deliver) = (receiver, deliver.clone()) else { continue };
            glommio::spawn_local(async move {
                let receiver = receiver.connect().await;
                while let Some(mail) = receiver.recv().await {
                    deliver(ShardId(from as u16), mail);
                }
            })
            .detach();
        }
    }
}

#[derive(Default)]
struct Outbox {
    channel: Option<ConnectedSender<Mail>>,
    waiting: VecDeque<Mail>,
}

/// A shard's sending side.
pub struct Mailbox(Vec<Rc<RefCell<Outbox>>>);

impl Mailbox {
    /// Connects a shard's ends, each in a task of its own (both ends of a channel wait for the
    /// other, and no two shards do it in the same order). Nothing arrives before
    /// [`Incoming::deliver_to`].
    pub fn connect(ends: Ends) -> (Self, Incoming) {
        (Self(ends.to.into_iter().map(connect_sender).collect()), Incoming(ends.from))
    }

    /// Sends without blocking, in order.
    pub fn send(&self, to: ShardId, mail: Mail) {
        let mut outbox = self.0[usize::from(to.0)].borrow_mut();
        outbox.waiting.push_back(mail);
        outbox.flush();
    }

    /// Sends what found its channel full; called on the shard's tick.
    pub fn flush(&self) {
        for outbox in &self.0 {
            outbox.borrow_mut().flush();
        }
    }
}

fn connect_sender(sender: Option<SharedSender<Mail>>) -> Rc<RefCell<Outbox>> {
    let outbox = Rc::new(RefCell::new(Outbox::default()));
    if let Some(sender) = sender {
        let outbox = Rc::clone(&outbox);
        glommio::spawn_local(async move {
            let channel = sender.connect().await;
            let mut outbox = outbox.borrow_mut();
            outbox.channel = Some(channel);
            outbox.flush();
        })
        .detach();
    }
    outbox
}

impl Outbox {
    fn flush(&mut self) {
        let Some(channel) = &self.channel else { return };
        while let Some(mail) = self.waiting.pop_front() {
            match channel.try_send(mail) {
                Ok(()) => {}
                Err(glommio::GlommioError::WouldBlock(glommio::ResourceType::Channel(mail))) => {
                    self.waiting.push_front(mail);
                    return;
                }
                // The other shard has ended: the process is about to.
                Err(_) => {
                    self.waiting.clear();
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::LocalExecutor;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// More than a channel holds, sent before anybody listens: all of it arrives, in order, and the other way, too.
    #[test]
    fn what_finds_its_channel_full_waits_and_arrives_in_order() {
        const MAIL: u64 = 3 * CHANNEL_MAIL_MAX as u64;
        let done = Arc::new(AtomicUsize::new(0));
        let shard = |own: u16, ends: Ends| {
            let done = Arc::clone(&done);
            move || {
                LocalExecutor::default().run(async move {
                    let other = ShardId(1 - own);
                    let (mailbox, receivers) = Mailbox::connect(ends);
                    (0..MAIL).for_each(|id| mailbox.send(other, Mail::Settled { id }));
                    let got = Rc::new(RefCell::new(Vec::new()));
                    let into = Rc::clone(&got);
                    receivers.deliver_to(move |from, mail| {
                        assert_eq!(from, other);
                        let Mail::Settled { id } = mail else { panic!("{mail:?}") };
                        into.borrow_mut().push(id);
                    });
                    let is_sent = || mailbox.0.iter().all(|outbox| outbox.borrow().waiting.is_empty());
                    while !is_sent() || got.borrow().len() < MAIL as usize {
                        mailbox.flush();
                        super::super::pace::rest().await;
                    }
                    assert!(got.borrow().iter().copied().eq(0..MAIL));
                    // A shard lives as long as the process: this one until the other has all, too.
                    done.fetch_add(1, Ordering::Relaxed);
                    while done.load(Ordering::Relaxed) < 2 {
                        super::super::pace::rest().await;
                    }
                });
            }
        };
        let mut both = ends(2).into_iter();
        let (first, second) = (both.next().expect("two"), both.next().expect("two"));
        let one = std::thread::spawn(shard(0, first));
        let two = std::thread::spawn(shard(1, second));
        one.join().expect("the first shard ends well");
        two.join().expect("the second shard ends well");
    }
}
