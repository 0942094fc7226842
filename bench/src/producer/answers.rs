//! What comes back on a producer's connection, and what becomes of each batch.

use super::Producer;
use super::in_flight::{Link, Request};
use super::partition::Batch;
use crate::clock::{backoff, now_ns, ns};
use crate::cluster::errors::{self, Remedy};
use crate::stats::interval::Interval;
use crate::stats::spread::Intended;
use net::client::any_socket::AnySocket;
use net::kafka::client::{ProducedPart, read_produced};
use std::rc::Rc;

/// Answers to produce are short; 10,000 partitions take about 400 KiB.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const BUFFER_BYTES: usize = 64 << 10;

/// How one batch ended.
#[derive(Clone, Copy, Debug)]
struct Answer {
    code: i16,
    base_offset: i64,
}

/// Reads answers until the connection ends.
pub async fn read(producer: Rc<Producer>, link: Rc<Link>, socket: Rc<AnySocket>) {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut filled = 0;
    let ended = loop {
        match socket.read(&mut buffer[filled..], || {}).await {
            Ok(0) => break "the broker closed the connection".to_owned(),
            Err(error) => break format!("receive: {}", error.kind()),
            Ok(bytes) => filled += bytes,
        }
        match take_frames(&producer, &link, &buffer[..filled]) {
            Ok(used) => {
                buffer.copy_within(used..filled, 0);
                filled -= used;
            }
            Err(what) => break what,
        }
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
        link.bell.ring();
    };
    if !producer.over.get() {
        producer.recorder.lock().error(ended);
    }
    socket.shutdown();
    link.lost.set(true);
    link.bell.ring();
}

/// Handles all whole answers; returns their bytes.
fn take_frames(producer: &Producer, link: &Link, bytes: &[u8]) -> Result<usize, String> {
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        if length > ANSWER_BYTES_MAX {
            return Err("an answer is too long to be one".into());
        }
        let Some((frame, behind)) = behind.split_at_checked(length) else { break };
        rest = behind;
        take_answer(producer, link, frame)?;
    }
    Ok(bytes.len() - rest.len())
}

fn take_answer(producer: &Producer, link: &Link, frame: &[u8]) -> Result<(), String> {
    let request = link.in_flight.borrow_mut().pop_front();
    let Some(request) = request else { return Err("an answer to no request".into()) };
    let mut answers = vec![None; request.batches.len()];
    let mut next = 0;
    let correlation = read_produced(frame, |part| {
        if let Some(at) = find(producer, &request, next, &part) {
            answers[at] = Some(Answer { code: part.error_code, base_offset: part.base_offset });
            next = at + 1;
        }
    });
    if correlation != Ok(request.correlation) {
        link.in_flight.borrow_mut().push_front(request);
        return Err("an answer cannot be read or is to another request".into());
    }
    settle(producer, request, &answers);
    Ok(())
}

/// The place of a partition's batch in its request; mostly the one behind the last.
fn find(producer: &Producer, request: &Request, next: usize, part: &ProducedPart<'_>) -> Option<usize> {
    let topic = producer.shared.directory.topic_number(part.topic)?;
    let partitions = producer.shared.workload.partitions;
    let number = topic as u32 * partitions + u32::try_from(part.number).ok()?;
    if request.batches.get(next).is_some_and(|batch| batch.partition == number) {
        return Some(next);
    }
    request.batches.iter().position(|batch| batch.partition == number)
}

fn settle(producer: &Producer, request: Request, answers: &[Option<Answer>]) {
    let now = now_ns();
    let mut counted = producer.recorder.lock();
    counted.produced.requests += 1;
    let before = counted.produced.records;
    let sent_ns = request.sent_ns;
    for ((batch, bytes), answer) in request.batches.into_iter().zip(request.bytes).zip(answers) {
        let Some(answer) = answer else {
            counted.error("no answer for a partition");
            again(producer, batch, now);
            continue;
        };
        if answer.code == 0 {
            count(producer, &mut counted, &batch, bytes, sent_ns, now);
            acked(producer, &batch, answer.base_offset);
            continue;
        }
        counted.error(errors::name(answer.code));
        match remedy(producer, &batch, answer.code) {
            Remedy::Acked => {
                count(producer, &mut counted, &batch, bytes, sent_ns, now);
                acked(producer, &batch, -1);
            }
            Remedy::Again => again(producer, batch, now),
            Remedy::NewProducer => give_up(producer, &mut counted, &batch, now),
            Remedy::Fatal => {
                give_up(producer, &mut counted, &batch, now);
                producer.shared.fail(format!("the broker refuses a batch: {}", errors::name(answer.code)));
            }
        }
    }
    producer.shared.note(counted.produced.records - before, 0, now);
    // The last answer of a run is what the driver waits for.
    if producer.shared.is_stopping() || producer.pace.borrow().is_done() {
        producer.bell.ring();
    }
}

/// A sequence out of order behind a batch that failed is that one's fault.
fn remedy(producer: &Producer, batch: &Batch, code: i16) -> Remedy {
    let found = errors::remedy(code);
    let book = producer.book.borrow();
    let one = book.partition(batch.partition);
    let earlier_failed = one.is_held() && one.ready.front().is_some_and(|first| first.record < batch.record);
    if found == Remedy::NewProducer && earlier_failed { Remedy::Again } else { found }
}

fn acked(producer: &Producer, batch: &Batch, base_offset: i64) {
    producer.book.borrow_mut().acked(batch);
    if let Some(log) = &producer.acks {
        log.acked(producer.number, batch, base_offset);
    }
}

fn count(
    producer: &Producer,
    counted: &mut Interval,
    batch: &Batch,
    bytes: usize,
    sent_ns: u64,
    now_ns: u64,
) {
    let workload = &producer.shared.workload;
    let produced = &mut counted.produced;
    produced.records += u64::from(batch.count);
    produced.record_bytes += u64::from(batch.count) * (workload.record_bytes + workload.key_bytes) as u64;
    produced.batches += 1;
    produced.batch_bytes += bytes as u64;
    let Batch { count, first_ns, last_ns, .. } = *batch;
    counted.latency.record_batch(Intended { first_ns, last_ns, count }, now_ns);
    counted.service.record(now_ns - sent_ns, u64::from(count));
}

fn again(producer: &Producer, batch: Batch, now_ns: u64) {
    let until_ns = now_ns + ns(backoff(batch.tries + 1));
    producer.book.borrow_mut().again(batch, now_ns, until_ns);
    producer.shared.directory.request_refresh();
}

fn give_up(producer: &Producer, counted: &mut Interval, batch: &Batch, now_ns: u64) {
    counted.failed += u64::from(batch.count);
    producer.book.borrow_mut().given_up(batch, now_ns);
}

/// The connection is gone: nobody knows what became of these.
pub fn fail_all(producer: &Producer, link: &Link) {
    let requests = std::mem::take(&mut *link.in_flight.borrow_mut());
    let now = now_ns();
    for batch in requests.into_iter().flat_map(|request| request.batches) {
        again(producer, batch, now);
    }
    producer.bell.ring();
}

/// With acks=0 nobody answers: what is sent counts as acked.
pub fn without_answer(producer: &Producer, link: &Link) {
    let request = link.in_flight.borrow_mut().pop_back().expect("it was sent just now");
    let answers = vec![Some(Answer { code: 0, base_offset: -1 }); request.batches.len()];
    settle(producer, request, &answers);
}
