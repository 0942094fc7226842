//! Producers of both versions that crash and come back as others, coordinators that fail over,
//! appends that fail, markers that come late. Whatever happens: a transaction ends one way, that
//! way is what was answered, its markers name all its partitions, epochs never come again, and
//! when faults stop every transaction ends.

use super::super::metadata::is_exhausted;
use super::*;
use crate::rng::Rng;
use std::collections::BTreeSet;

const IDS: usize = 4;

struct Client {
    id: String,
    producer: Option<ProducerEpoch>,
    version: TransactionVersion,
    request: Option<u64>,
    /// Partitions whose adding was answered.
    added: BTreeSet<i32>,
    adding: Option<i32>,
    ending: Option<Ending>,
}

/// What was seen of one transaction: by transactional id, producer and the epoch of its records.
type Key = (String, i64, i16);

#[derive(Default)]
struct Seen {
    /// What clients were answered.
    answered: BTreeMap<Key, Ending>,
    added: BTreeMap<Key, BTreeSet<i32>>,
    /// What markers said, by their own epoch.
    marked: BTreeMap<(i64, i16), (Ending, BTreeSet<i32>)>,
    told: BTreeSet<(i64, i16)>,
}

impl Client {
    fn step(&mut self, world: &mut World, seen: &mut Seen, rng: &mut Rng) {
        match self.request {
            Some(request) => {
                let Some(answer) = world.answer(request) else { return };
                self.request = None;
                self.take(answer, seen);
            }
            None => self.ask(world, rng),
        }
    }

    fn ask(&mut self, world: &mut World, rng: &mut Rng) {
        let Some(producer) = self.producer else {
            self.request = Some(world.init_with(&self.id, None));
            return;
        };
        let is_done = self.added.len() >= 3 || (!self.added.is_empty() && rng.one_in(4));
        self.request = Some(if self.ending.is_some() || is_done {
            let ending = *self.ending.get_or_insert(if rng.one_in(3) { Abort } else { Commit });
            world.ask_end(&self.id, producer, ending, self.version)
        } else {
            let partition = *self.adding.get_or_insert(rng.below(6) as i32);
            let add = AddPartitions { version: self.version, ..adding(&self.id, producer, &[partition]) };
            world.ask(Request::Add(add))
        });
    }

    fn take(&mut self, answer: Answer, seen: &mut Seen) {
        match answer {
            Answer::Initialised(Ok(producer)) => {
                assert!(seen.told.insert((producer.id, producer.epoch)), "{producer:?} was told twice");
                assert!(!is_exhausted(producer.epoch - 1), "{producer:?} is not for clients");
                self.begin(producer);
            }
            Answer::Added(Ok(_)) => {
                let partition = self.adding.take().expect("it was asked");
                self.added.insert(partition);
                let producer = self.producer.expect("it has one");
                let key = (self.id.clone(), producer.id, producer.epoch);
                if self.version == Two {
                    seen.added.entry(key).or_default().insert(partition);
                }
            }
            Answer::Ended(Ok(next)) => {
                let producer = self.producer.expect("it has one");
                let ending = self.ending.expect("it was asked");
                let key = (self.id.clone(), producer.id, producer.epoch);
                if self.version == Two {
                    seen.answered.insert(key, ending);
                }
                self.begin(next);
            }
            Answer::Initialised(Err(_)) => {}
            Answer::Added(Err(error)) | Answer::Ended(Err(error)) => self.refused(error),
            other => panic!("{other:?}"),
        }
    }

    fn begin(&mut self, producer: ProducerEpoch) {
        self.producer = Some(producer);
        (self.added, self.adding, self.ending) = (BTreeSet::new(), None, None);
    }

    fn refused(&mut self, error: TransactionError) {
        match error {
            TransactionError::ConcurrentTransactions
            | TransactionError::NotCoordinator
            | TransactionError::CoordinatorNotAvailable => {}
            // Another took over, or its time was over: it begins anew.
            TransactionError::ProducerFenced
            | TransactionError::InvalidProducerIdMapping
            | TransactionError::InvalidTxnState => self.crash(),
            other => panic!("{other:?} for {}", self.id),
        }
    }

    fn crash(&mut self) {
        (self.producer, self.request, self.ending, self.adding) = (None, None, None, None);
        self.added.clear();
    }
}

impl Seen {
    fn marker(&mut self, markers: &SendMarkers) {
        let partitions: BTreeSet<i32> = markers.partitions.iter().map(|(_, number)| *number).collect();
        let key = (markers.producer.id, markers.producer.epoch);
        if markers.version == Two {
            // The same again after a failover, and nothing else ever.
            let before = self.marked.insert(key, (markers.ending, partitions.clone()));
            let same = (markers.ending, partitions);
            assert!(before.as_ref().is_none_or(|before| *before == same), "{before:?}, then {same:?}");
        }
    }

    fn check(&self) {
        for ((id, producer, epoch), ending) in &self.answered {
            let Some((marked, partitions)) = self.marked.get(&(*producer, epoch + 1)) else {
                panic!("{id}: {producer}/{epoch} was answered {ending:?} and never marked")
            };
            assert_eq!(marked, ending, "{id}: {producer}/{epoch}");
            let added = &self.added[&(id.clone(), *producer, *epoch)];
            assert!(added.is_subset(partitions), "{id}: {added:?} in {partitions:?}");
        }
    }
}

fn run(seed: u64) {
    let mut rng = Rng::new(seed);
    let config = TransactionConfig { history_bytes_min: 8 << 10, ..TransactionConfig::default() };
    let mut world = World::with(config);
    world.commits_at_once = false;
    let mut seen = Seen::default();
    let client = |number: usize| Client {
        id: format!("tx-{}", number % IDS),
        producer: None,
        version: if number.is_multiple_of(IDS) { One } else { Two },
        request: None,
        added: BTreeSet::new(),
        adding: None,
        ending: None,
    };
    // Two for each id: they fence each other.
    let mut clients: Vec<Client> = (0..2 * IDS).map(client).collect();
    for round in 0..6_000 {
        let calm = round >= 5_000;
        let at = rng.below(clients.len() as u64) as usize;
        let is_active = at < IDS || (!calm && rng.one_in(20));
        if is_active {
            clients[at].step(&mut world, &mut seen, &mut rng);
        }
        if !calm && rng.one_in(150) {
            clients[at].crash();
        }
        while !world.appends.is_empty() && (calm || !rng.one_in(4)) {
            match rng.one_in(30) && !calm {
                true => world.fail_first(AppendError::Unavailable),
                false => world.commit_first(),
            }
        }
        while !world.markers.is_empty() && (calm || rng.one_in(3)) {
            let markers = world.mark();
            seen.marker(&markers);
        }
        if !calm && rng.one_in(200) {
            world.fail_over();
        }
        world.pass_ms(if calm { 10 } else { rng.below(40) });
    }
    seen.check();
    assert!(seen.answered.len() > 20, "{} transactions", seen.answered.len());
    let figures = world.coordinator.figures(world.now).machine;
    assert!(figures.oldest_ms <= 11_000, "{figures:?}");
}

#[test]
fn a_transaction_ends_one_way_whatever_happens() {
    (0..20).for_each(run);
}
