//! Who leads which partition, kept by a thread of its own that asks the brokers when somebody
//! finds that it is no longer so. It hands out producer ids, too.

use super::bootstrap::Bootstrap;
use super::cold::{self, Cold};
use super::errors;
use crate::clock::backoff;
use crate::trouble::{Outcome, Trouble};
use crate::workload::Workload;
use kafka_wire::metadata_request::MetadataRequestTopic;
use kafka_wire::metadata_response::MetadataResponseTopic;
use kafka_wire::{InitProducerIdRequest, MetadataRequest, MetadataResponse};
use net::access::how::Access;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

const METADATA_VERSION: i16 = 9;
const INIT_PRODUCER_ID_VERSION: i16 = 3;
/// Leaders may move without anybody being told; Kafka's clients look every 5 minutes.
const REFRESH_AT_LEAST: Duration = Duration::from_secs(30);

/// A broker that is stopped takes connections and answers nothing: while a load runs it is waited for no longer.
const ASK_THE_NEXT: Duration = Duration::from_secs(3);

/// One view of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Leaders {
    pub brokers: BTreeMap<i32, SocketAddr>,
    /// By the partition's number among all of the run.
    pub leader: Vec<Option<i32>>,
    /// The epoch in which it leads or led, likewise.
    epoch: Vec<i32>,
}

impl Leaders {
    pub fn all_known(&self) -> bool {
        self.leader.iter().all(Option::is_some)
    }

    /// What a broker said that was behind the times (KIP-320) does not replace what is known.
    fn keep_newer(&mut self, known: &Self) {
        for (partition, epoch) in known.epoch.iter().enumerate() {
            if *epoch <= self.epoch[partition] {
                continue;
            }
            self.epoch[partition] = *epoch;
            self.leader[partition] = known.leader[partition];
            if let Some((id, address)) =
                self.leader[partition].and_then(|id| known.brokers.get_key_value(&id))
            {
                self.brokers.entry(*id).or_insert(*address);
            }
        }
    }
}

/// An idempotent producer's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub id: i64,
    pub epoch: i16,
}

impl Identity {
    pub const NONE: Self = Self { id: -1, epoch: -1 };
}

/// Where a producer id will be.
pub type IdentitySlot = Arc<Mutex<Option<Identity>>>;

#[derive(Debug, Default)]
struct Wanted {
    refresh: bool,
    identities: Vec<IdentitySlot>,
    stop: bool,
}

/// Shared by all threads of a run.
#[derive(Debug)]
pub struct Directory {
    bootstrap: Bootstrap,
    /// What each address is called, as certificates must say.
    hosts: Mutex<BTreeMap<SocketAddr, String>>,
    /// How long an answer may take.
    answer_max: Duration,
    topics: Vec<String>,
    partitions: u32,
    leaders: Mutex<Arc<Leaders>>,
    generation: AtomicU64,
    /// Which of the brokers is asked first: another one each time, since one that is cut off from the others does
    /// not know better.
    turn: AtomicUsize,
    wanted: Mutex<Wanted>,
    wake: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics while it holds this")
}

impl Directory {
    pub fn new(bootstrap: Bootstrap, workload: &Workload) -> Arc<Self> {
        Arc::new(Self {
            bootstrap,
            hosts: Mutex::default(),
            answer_max: Duration::from_secs_f64(workload.timeout_seconds.min(1e6)),
            topics: (0..workload.topics).map(|topic| workload.topic_name(topic)).collect(),
            partitions: workload.partitions,
            leaders: Mutex::default(),
            generation: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
            wanted: Mutex::default(),
            wake: Condvar::new(),
        })
    }

    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    /// Rises with every change of the leaders.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub fn leaders(&self) -> Arc<Leaders> {
        Arc::clone(&lock(&self.leaders))
    }

    /// Somebody found a leader to be another; the thread looks soon.
    pub fn request_refresh(&self) {
        lock(&self.wanted).refresh = true;
        self.wake.notify_one();
    }

    /// Asks for a producer id, which will be in the slot.
    pub fn request_identity(&self) -> IdentitySlot {
        let slot = IdentitySlot::default();
        lock(&self.wanted).identities.push(Arc::clone(&slot));
        self.wake.notify_one();
        slot
    }

    pub fn stop(&self) {
        lock(&self.wanted).stop = true;
        self.wake.notify_one();
    }

    /// The thread's work, until [`Directory::stop`].
    pub fn serve(&self) {
        let mut failures = 0;
        loop {
            let (stop, mut identities) = self.wait(failures);
            if stop {
                return;
            }
            // Each is answered, or stays for the next round.
            let refreshed = self.refresh().is_ok();
            while refreshed && let Some(slot) = identities.pop() {
                match self.identity() {
                    Ok(identity) => *lock(&slot) = Some(identity),
                    Err(_) => {
                        identities.push(slot);
                        break;
                    }
                }
            }
            let unanswered = !identities.is_empty();
            let mut wanted = lock(&self.wanted);
            wanted.identities.append(&mut identities);
            wanted.refresh |= !refreshed || !self.leaders().all_known();
            failures = if refreshed && !unanswered && !wanted.refresh { 0 } else { failures + 1 };
        }
    }

    fn wait(&self, failures: u32) -> (bool, Vec<IdentitySlot>) {
        let pause = backoff(failures.max(1));
        let begun = Instant::now();
        let mut wanted = lock(&self.wanted);
        loop {
            // However often it is asked for, the brokers are not asked without a pause.
            let due = wanted.refresh || !wanted.identities.is_empty();
            let until = if due { pause } else { REFRESH_AT_LEAST };
            let left = until.saturating_sub(begun.elapsed());
            if wanted.stop || left.is_zero() {
                wanted.refresh = false;
                return (wanted.stop, std::mem::take(&mut wanted.identities));
            }
            wanted = self.wake.wait_timeout(wanted, left).expect("no thread panics while it holds this").0;
        }
    }

    /// A connection on which answers come in time.
    pub fn connect(&self, address: &SocketAddr) -> io::Result<Cold> {
        Cold::connect(address, &self.host_of(address), &self.bootstrap.access, self.answer_max)
    }

    /// The first address of `HOST:PORT`.
    pub fn resolve(&self, text: &str) -> io::Result<SocketAddr> {
        let address = cold::resolve(text)?;
        let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        lock(&self.hosts).insert(address, host);
        Ok(address)
    }

    /// What an address is called.
    pub fn host_of(&self, address: &SocketAddr) -> String {
        lock(&self.hosts).get(address).cloned().unwrap_or_else(|| address.ip().to_string())
    }

    pub fn access(&self) -> &Access {
        &self.bootstrap.access
    }

    /// A connection to any broker: those of the command line, then those that they named, from whose turn it is.
    pub fn any_broker(&self) -> io::Result<Cold> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no broker is named");
        let known = self.leaders();
        let named = self.bootstrap.brokers.iter().map(|text| (text.clone(), self.resolve(text)));
        let learned = known.brokers.values().map(|address| (address.to_string(), Ok(*address)));
        let mut order: Vec<_> = named.chain(learned).collect();
        let turn = self.turn.load(Ordering::Relaxed);
        let first = turn.checked_rem(order.len()).unwrap_or(0);
        order.rotate_left(first);
        for (text, address) in order {
            match address.and_then(|address| self.connect(&address)) {
                Ok(cold) => return Ok(cold),
                Err(error) => last = io::Error::new(error.kind(), format!("{text}: {error}")),
            }
        }
        Err(last)
    }

    /// Asks for the leaders now, the next broker in turn.
    pub fn refresh(&self) -> io::Result<()> {
        self.turn.fetch_add(1, Ordering::Relaxed);
        let response =
            self.any_broker()?.within(ASK_THE_NEXT).call(METADATA_VERSION, &metadata_of(&self.topics))?;
        let mut fresh = self.read(&response)?;
        let mut leaders = lock(&self.leaders);
        fresh.keep_newer(&leaders);
        if leaders.brokers != fresh.brokers || leaders.leader != fresh.leader {
            *leaders = Arc::new(fresh);
            self.generation.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    pub fn metadata(&self, topics: &[String]) -> io::Result<MetadataResponse> {
        self.any_broker()?.call(METADATA_VERSION, &metadata_of(topics))
    }

    fn read(&self, response: &MetadataResponse) -> io::Result<Leaders> {
        let mut leaders = Leaders::default();
        for broker in &response.brokers {
            let address = self.resolve(&format!("{}:{}", bracketed(broker.host.as_str()), broker.port))?;
            leaders.brokers.insert(broker.node_id, address);
        }
        leaders.leader.resize(self.topics.len() * self.partitions as usize, None);
        leaders.epoch.resize(leaders.leader.len(), -1);
        for topic in &response.topics {
            let name = topic.name.as_ref().map_or("", |name| name.as_str());
            let Some(number) = self.topic_number(name) else { continue };
            self.read_topic(number, topic, &mut leaders);
        }
        Ok(leaders)
    }

    fn read_topic(&self, number: usize, topic: &MetadataResponseTopic, leaders: &mut Leaders) {
        let first = number * self.partitions as usize;
        for partition in &topic.partitions {
            let within = usize::try_from(partition.partition_index).unwrap_or(usize::MAX);
            if within >= self.partitions as usize {
                continue;
            }
            leaders.epoch[first + within] = partition.leader_epoch;
            // A leader without an address is none yet: it is asked for again.
            if leaders.brokers.contains_key(&partition.leader_id) {
                leaders.leader[first + within] = Some(partition.leader_id);
            }
        }
    }

    pub fn topic_number(&self, name: &str) -> Option<usize> {
        match &self.topics[..] {
            [only] => (only == name).then_some(0),
            // Topics of a run are named PREFIX-NUMBER.
            _ => {
                let number = name.rsplit('-').next()?.parse::<usize>().ok()?;
                (self.topics.get(number).map(String::as_str) == Some(name)).then_some(number)
            }
        }
    }

    fn identity(&self) -> io::Result<Identity> {
        let mut request = InitProducerIdRequest::default();
        request.transactional_id = None;
        request.transaction_timeout_ms = 60_000;
        request.producer_id = -1;
        request.producer_epoch = -1;
        let mut broker = self.any_broker()?.within(ASK_THE_NEXT);
        let response = broker.call(INIT_PRODUCER_ID_VERSION, &request)?;
        if response.error_code != 0 {
            return Err(io::Error::other(errors::name(response.error_code)));
        }
        Ok(Identity { id: response.producer_id, epoch: response.producer_epoch })
    }

    /// Waits until every partition has a leader, at most so long.
    pub fn wait_for_leaders(&self, at_most: Duration) -> Outcome<()> {
        let begun = Instant::now();
        for tries in 1.. {
            let why = match self.refresh() {
                Ok(()) if self.leaders().all_known() => return Ok(()),
                Ok(()) => "some partitions have no leader".to_owned(),
                Err(error) => error.to_string(),
            };
            if begun.elapsed() > at_most {
                let seconds = at_most.as_secs();
                return Err(Trouble::Cluster(format!("the brokers are not ready within {seconds} s: {why}")));
            }
            std::thread::sleep(backoff(tries));
        }
        unreachable!("the loop has no end of its own")
    }
}

/// Never makes a topic.
fn metadata_of(topics: &[String]) -> MetadataRequest {
    let mut request = MetadataRequest::default();
    let wanted = topics.iter().map(|name| {
        let mut topic = MetadataRequestTopic::default();
        topic.name = Some(name.as_str().into());
        topic
    });
    request.topics = Some(wanted.collect());
    request.allow_auto_topic_creation = false;
    request
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::workload::Purpose;
    use kafka_wire::metadata_response::{MetadataResponseBroker, MetadataResponsePartition};
    use std::net::TcpListener;

    fn view(leaders: &[(Option<i32>, i32)]) -> Leaders {
        let brokers = leaders.iter().filter_map(|(leader, _)| *leader);
        let address = |id| (id, SocketAddr::from(([127, 0, 0, 1], id as u16)));
        let (leader, epoch) = leaders.iter().copied().unzip();
        Leaders { brokers: brokers.map(address).collect(), leader, epoch }
    }

    #[test]
    fn a_broker_behind_the_times_does_not_take_back_what_is_known() {
        let known = view(&[(Some(1), 5), (Some(2), 6), (Some(3), 7)]);
        let mut said = view(&[(Some(4), 6), (None, 6), (Some(1), 6)]);
        said.keep_newer(&known);
        assert_eq!(said.leader, [Some(4), None, Some(3)]);
        assert_eq!(said.epoch, [6, 6, 7]);
        assert_eq!(said.brokers.get(&3), known.brokers.get(&3), "a leader that is kept has its address");
    }

    fn of(bootstrap: Vec<String>) -> Arc<Directory> {
        let options = Options { topic: Some("t".into()), partitions: Some(2), ..Options::default() };
        let workload = Workload::resolve(options, Purpose::Produce).expect("a workload");
        Directory::new(Bootstrap { brokers: bootstrap, ..Bootstrap::default() }, &workload)
    }

    /// Takes one connection and closes it; false when none comes for long.
    fn hang_up(listener: &TcpListener) -> bool {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if listener.accept().is_ok() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    #[test]
    fn each_refresh_asks_the_next_broker() {
        let brokers = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        brokers.iter().for_each(|broker| broker.set_nonblocking(true).expect("a socket"));
        let address = |broker: &TcpListener| broker.local_addr().expect("bound").to_string();
        let directory = of(brokers.iter().map(address).collect());
        for broker in [&brokers[1], &brokers[0]] {
            std::thread::scope(|scope| {
                let refreshed = scope.spawn(|| directory.refresh());
                assert!(hang_up(broker), "it is asked");
                assert!(refreshed.join().expect("no panic").is_err());
            });
        }
    }

    #[test]
    fn a_leader_without_an_address_is_none() {
        let directory = of(Vec::new());
        let mut broker = MetadataResponseBroker::default();
        (broker.node_id, broker.host, broker.port) = (1000, "127.0.0.1".into(), 9092);
        let led_by = |(index, leader)| {
            let mut partition = MetadataResponsePartition::default();
            (partition.partition_index, partition.leader_id) = (index, leader);
            partition
        };
        let mut topic = MetadataResponseTopic::default();
        (topic.name, topic.partitions) = (Some("t".into()), [(0, 1000), (1, 2000)].map(led_by).into());
        let mut response = MetadataResponse::default();
        (response.brokers, response.topics) = (vec![broker], vec![topic]);
        let leaders = directory.read(&response).expect("read");
        assert_eq!(leaders.leader, [Some(1000), None]);
        assert!(!leaders.all_known(), "it is asked for again");
    }
}
