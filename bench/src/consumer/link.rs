//! One consumer's connection to one broker: asks for all partitions that this broker leads, takes
//! what comes, asks again.

use super::batches::{Batches, next_offset};
use super::{Consumer, Position};
use crate::clock::{backoff, now_ns};
use crate::cluster::cold::CLIENT_ID;
use crate::cluster::dial::dial;
use crate::cluster::errors;
use net::client::any_socket::AnySocket;
use net::kafka::client::{ClientHead, FetchAsk, FetchBounds, FetchedPart, batch, read_fetched, write_fetch};
use std::rc::Rc;
use std::time::Duration;

/// An answer may be longer than what was asked for by one batch.
const ANSWER_BYTES_MAX: usize = 512 << 20;
const BUFFER_BYTES_MIN: usize = 256 << 10;
const IDLE: Duration = Duration::from_millis(5);
const OFFSET_OUT_OF_RANGE: i16 = 1;

/// The task of a consumer for a broker, until the consumer is over.
pub async fn run(consumer: Rc<Consumer>, broker: i32) {
    let mut link = Link { consumer, broker, asks: Vec::new(), turn: 0, request: Vec::new() };
    link.request.reserve(4096);
    let mut buffer = vec![0; BUFFER_BYTES_MIN];
    let mut failures = 0;
    while !link.consumer.is_over() {
        if !link.choose() {
            glommio::timer::sleep(IDLE).await;
            continue;
        }
        match link.converse(&mut buffer, &mut failures).await {
            Ok(()) => {}
            Err(kind) => {
                failures += 1;
                link.trouble(kind);
                glommio::timer::sleep(backoff(failures)).await;
            }
        }
    }
}

/// A partition that is asked for.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// Its place among the consumer's positions.
    at: usize,
    partition: u32,
    ask: FetchAsk,
}

struct Link {
    consumer: Rc<Consumer>,
    broker: i32,
    asks: Vec<Wanted>,
    /// Who is asked for first changes: those who got nothing last time, so that all get on alike.
    turn: usize,
    request: Vec<u8>,
}

/// What came of one round.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    failed: bool,
    /// Partitions that gave something.
    served: usize,
}

impl Link {
    fn trouble(&self, kind: String) {
        let consumer = &self.consumer;
        consumer.recorder.lock().error(kind);
        if consumer.troubled_since_ns.get() == 0 {
            consumer.troubled_since_ns.set(now_ns());
        }
        consumer.shared.directory.request_refresh();
    }

    /// Fetches over one connection until it fails, or there is nothing to ask this broker for.
    async fn converse(&mut self, buffer: &mut Vec<u8>, failures: &mut u32) -> Result<(), String> {
        let address = self.consumer.shared.directory.leaders().brokers.get(&self.broker).copied();
        let address = address.ok_or("fetch: the broker is not known")?;
        let workload = &self.consumer.shared.workload;
        let waiting = Duration::from_millis(workload.fetch_wait_ms.max(0) as u64);
        let in_time = Duration::from_nanos(workload.timeout_ns()) + waiting;
        let socket = within(in_time, dial(&self.consumer.shared.directory, address)).await?;
        let mut correlation = 0;
        while !self.consumer.is_over() && self.choose() {
            correlation += 1;
            self.encode(correlation);
            let exchange = async {
                let sent = socket.write_all(&[&self.request], |_| {}).await;
                sent.map_err(|error| format!("send: {}", error.kind()))?;
                receive(&socket, buffer).await
            };
            let length = within(in_time, exchange).await?;
            let round = self.take(&buffer[4..4 + length], correlation)?;
            if round.failed {
                *failures += 1;
                self.consumer.shared.directory.request_refresh();
                glommio::timer::sleep(backoff(*failures)).await;
            } else {
                *failures = 0;
                self.consumer.troubled_since_ns.set(0);
            }
        }
        Ok(())
    }

    /// Chooses what to ask for; false when this broker leads nothing that is wanted.
    fn choose(&mut self) -> bool {
        self.asks.clear();
        let workload = &self.consumer.shared.workload;
        let positions = self.consumer.positions.borrow();
        let wanted = |one: &Position| one.leader == Some(self.broker) && !one.is_done();
        for (at, position) in positions.iter().enumerate().filter(|(_, one)| wanted(one)) {
            let partition = position.partition;
            let number = (partition % workload.partitions) as i32;
            let max_bytes = workload.partition_fetch_bytes;
            let ask = FetchAsk { number, offset: position.next_offset, max_bytes };
            self.asks.push(Wanted { at, partition, ask });
        }
        let all = self.asks.len().max(1);
        self.asks.rotate_left(self.turn % all);
        !self.asks.is_empty()
    }

    fn encode(&mut self, correlation: i32) {
        let shared = &self.consumer.shared;
        let workload = &shared.workload;
        let topic_of = |partition: u32| (partition / workload.partitions) as usize;
        let same = |a: &Wanted, b: &Wanted| topic_of(a.partition) == topic_of(b.partition);
        let of_topics: Vec<(usize, Vec<FetchAsk>)> = self
            .asks
            .chunk_by(same)
            .map(|asks| (topic_of(asks[0].partition), asks.iter().map(|one| one.ask).collect()))
            .collect();
        let names = shared.directory.topics();
        let topics: Vec<(&str, &[FetchAsk])> =
            of_topics.iter().map(|(topic, asks)| (names[*topic].as_str(), &asks[..])).collect();
        let bounds = FetchBounds {
            max_wait_ms: workload.fetch_wait_ms,
            min_bytes: 1,
            max_bytes: workload.fetch_bytes,
        };
        write_fetch(&mut self.request, ClientHead { correlation, client_id: CLIENT_ID }, bounds, &topics);
    }

    fn take(&mut self, frame: &[u8], correlation: i32) -> Result<Round, String> {
        let mut round = Round::default();
        let mut next = 0;
        let head = read_fetched(frame, |part| {
            let at = self.place(next, &part);
            if let Some(at) = at {
                next = at + 1;
                round.failed |= !self.take_part(self.asks[at], &part);
                round.served += usize::from(!part.records.is_empty());
            }
        });
        let head = head.map_err(|error| format!("fetch: {error}"))?;
        if head.correlation != correlation {
            return Err("fetch: an answer to another request".into());
        }
        if head.error_code != 0 {
            return Err(errors::name(head.error_code));
        }
        self.consumer.recorder.lock().consumed.requests += 1;
        let all_served = round.served >= self.asks.len();
        self.turn = self.turn.wrapping_add(if all_served { 1 } else { round.served.max(1) });
        Ok(round)
    }

    fn place(&self, next: usize, part: &FetchedPart<'_>) -> Option<usize> {
        let shared = &self.consumer.shared;
        let topic = shared.directory.topic_number(part.topic)? as u32;
        let number = topic * shared.workload.partitions + u32::try_from(part.number).ok()?;
        if self.asks.get(next).is_some_and(|one| one.partition == number) {
            return Some(next);
        }
        self.asks.iter().position(|one| one.partition == number)
    }

    /// False when the partition has to be asked for again a little later.
    fn take_part(&self, wanted: Wanted, part: &FetchedPart<'_>) -> bool {
        let partition = wanted.partition;
        let mut positions = self.consumer.positions.borrow_mut();
        let position = &mut positions[wanted.at];
        if part.error_code == OFFSET_OUT_OF_RANGE {
            self.consumer.recorder.lock().error(errors::name(part.error_code));
            // What was there is deleted: go on with the oldest that is left.
            let moved = part.log_start > position.next_offset;
            position.next_offset = position.next_offset.max(part.log_start);
            self.consumer.moved_ns.set(now_ns());
            return moved;
        }
        if part.error_code != 0 {
            let name = errors::name(part.error_code);
            if errors::remedy(part.error_code) != errors::Remedy::Again {
                self.consumer.shared.fail(format!("a fetch of partition {partition} is refused: {name}"));
            }
            self.consumer.recorder.lock().error(name);
            return false;
        }
        let mut sink = self.consumer.sink.borrow_mut();
        for (header, batch) in (Batches { rest: part.records }) {
            if header.crc.get() != batch::batch_crc(batch) {
                self.consumer.recorder.lock().error("a batch with a wrong CRC");
            }
            sink.take(partition, batch);
            position.next_offset = position.next_offset.max(next_offset(header));
            self.consumer.moved_ns.set(now_ns());
        }
        true
    }
}

/// Gives up what takes too long; the connection is closed with it.
async fn within<T>(in_time: Duration, done: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = async {
        glommio::timer::sleep(in_time).await;
        Err("fetch: no answer in time".to_owned())
    };
    futures_lite::future::or(done, late).await
}

/// Reads one answer with its length in front; gives its length.
async fn receive(socket: &AnySocket, buffer: &mut Vec<u8>) -> Result<usize, String> {
    let (mut filled, mut wanted) = (0, 4);
    while filled < wanted {
        let read = socket.read(&mut buffer[filled..], || {}).await;
        match read.map_err(|error| format!("receive: {}", error.kind()))? {
            0 => return Err("the broker closed the connection".into()),
            bytes => filled += bytes,
        }
        if wanted == 4 && filled >= 4 {
            let length = u32::from_be_bytes(buffer[..4].try_into().expect("four bytes")) as usize;
            if length > ANSWER_BYTES_MAX {
                return Err("an answer is too long to be one".into());
            }
            wanted = 4 + length;
            if buffer.len() < wanted {
                buffer.resize(wanted.next_power_of_two(), 0);
            }
        }
    }
    Ok(wanted - 4)
}
