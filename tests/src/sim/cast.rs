//! Who takes part in a run.

use crate::workload::Client;
use crate::workload::admin::Admin;
use crate::workload::fetcher::Fetcher;
use crate::workload::producer::Producer;
use crate::workload::verifier::Verifier;
use crate::workload::{compaction, groups, transactions};
use engine::port::Acks;
use engine::rng::Rng;

/// What a run carries beside the usual; each makes it another run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loads {
    pub transactions: bool,
    pub compaction: bool,
}

/// The clients of a run; the verifier is the last.
pub fn clients(rng: &mut Rng) -> Vec<Box<dyn Client>> {
    let mut clients: Vec<Box<dyn Client>> = vec![Box::new(Admin::default())];
    for _ in 0..1 + rng.below(3) {
        clients.push(Box::new(Producer::new(Acks::All, true)));
    }
    for _ in 0..1 + rng.below(3) {
        let acks = [Acks::All, Acks::Leader, Acks::None][rng.below(3) as usize];
        clients.push(Box::new(Producer::new(acks, false)));
    }
    for _ in 0..1 + rng.below(3) {
        clients.push(Box::new(Fetcher::default()));
    }
    clients.push(Box::new(Verifier::default()));
    clients
}

/// The clients of some groups, before the verifier.
pub fn add_groups(clients: &mut Vec<Box<dyn Client>>, rng: &mut Rng) {
    let verifier = clients.pop().expect("the last");
    clients.extend(groups::clients(rng));
    clients.push(verifier);
}

/// Those of transactions.
pub fn add_transactions(clients: &mut Vec<Box<dyn Client>>, rng: &mut Rng) {
    let verifier = clients.pop().expect("the last");
    clients.extend(transactions::clients(rng));
    clients.push(verifier);
}

/// Those of compacted topics.
pub fn add_compaction(clients: &mut Vec<Box<dyn Client>>, rng: &mut Rng) {
    let verifier = clients.pop().expect("the last");
    clients.extend(compaction::clients(rng));
    clients.push(verifier);
}

/// The administrator gives topics more copies, by these numbers.
pub fn let_grow(clients: &mut [Box<dyn Client>], numbers: Rng) {
    clients[0] = Box::new(Admin::growing(numbers));
}
