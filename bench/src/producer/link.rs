//! One producer's connection to one broker: made when there is something to send, made again after
//! it was lost, with so many requests on it without waiting for answers.

use super::partition::Batch;
use super::{Producer, answers};
use crate::batch::spec::{Body, Composed};
use crate::clock::{backoff, now_ns};
use crate::cluster::cold::CLIENT_ID;
use crate::cluster::dial::dial;
use crate::producer::Link;
use crate::producer::in_flight::Request;
use net::client::any_socket::AnySocket;
use net::kafka::client::{ClientHead, ProduceEncoder};
use std::net::SocketAddr;
use std::rc::Rc;

/// The link's task, until the producer is over.
pub async fn run(producer: Rc<Producer>, link: Rc<Link>) {
    let mut failures = 0;
    while !producer.over.get() {
        if !producer.book.borrow().has_work(link.number, now_ns()) {
            link.bell.wait().await;
            continue;
        }
        let address = producer.shared.directory.leaders().brokers.get(&link.broker).copied();
        match connect(&producer, address).await {
            Ok(socket) => {
                failures = 0;
                link.down_since_ns.set(0);
                serve(&producer, &link, Rc::new(socket)).await;
            }
            Err(kind) => {
                failures += 1;
                if link.down_since_ns.get() == 0 {
                    link.down_since_ns.set(now_ns());
                }
                producer.recorder.lock().error(kind);
                producer.shared.directory.request_refresh();
                // Not woken by more work: a broker that is down is not asked all the time.
                glommio::timer::sleep(backoff(failures)).await;
            }
        }
    }
}

async fn connect(producer: &Producer, address: Option<SocketAddr>) -> Result<AnySocket, String> {
    let address = address.ok_or("connect: the broker is not known")?;
    dial(&producer.shared.directory, address).await
}

/// Sends until the connection is lost or the producer is over; then everything without an answer
/// is to be sent again.
async fn serve(producer: &Rc<Producer>, link: &Rc<Link>, socket: Rc<AnySocket>) {
    link.lost.set(false);
    *link.socket.borrow_mut() = Some(Rc::clone(&socket));
    let reader = answers::read(Rc::clone(producer), Rc::clone(link), Rc::clone(&socket));
    glommio::spawn_local(reader).detach();
    let mut writer = Writer { producer, link, encoder: ProduceEncoder::default(), head: Vec::new() };
    while !link.lost.get() && !producer.over.get() {
        match writer.next_request() {
            Some(bodies) => {
                if let Err(error) = writer.send(&socket, &bodies).await {
                    producer.recorder.lock().error(format!("send: {}", error.kind()));
                    break;
                }
            }
            None => link.bell.wait().await,
        }
    }
    socket.shutdown();
    while !link.lost.get() {
        link.bell.wait().await;
    }
    *link.socket.borrow_mut() = None;
    answers::fail_all(producer, link);
}

struct Writer<'a> {
    producer: &'a Rc<Producer>,
    link: &'a Rc<Link>,
    encoder: ProduceEncoder,
    head: Vec<u8>,
}

/// The encoder has the rest of the request.
struct Bodies(Vec<Body>);

impl Writer<'_> {
    /// Takes what may be sent now, if a request more may be on its way.
    fn next_request(&mut self) -> Option<Bodies> {
        let (producer, link) = (self.producer, self.link);
        if link.in_flight.borrow().len() >= producer.shared.workload.in_flight {
            return None;
        }
        let now = now_ns();
        producer.make_due(now);
        let mut batches = producer.book.borrow_mut().take_request(link.number, now);
        self.wake_idle_links(now);
        if batches.is_empty() {
            return None;
        }
        // A topic's partitions stand together in a request.
        batches.sort_unstable_by_key(|batch| batch.partition);
        let correlation = link.next_correlation();
        let (bodies, bytes) = self.encode(correlation, &batches);
        let retries = batches.iter().filter(|batch| batch.tries > 0).count() as u64;
        if retries > 0 {
            producer.recorder.lock().retries += retries;
        }
        let request = Request { correlation, sent_ns: now, batches, bytes };
        link.in_flight.borrow_mut().push_back(request);
        Some(bodies)
    }

    /// What was made just now may be for others, who wait for nothing else.
    fn wake_idle_links(&self, now_ns: u64) {
        let book = self.producer.book.borrow();
        for other in self.producer.links.borrow().iter() {
            let idle = other.number != self.link.number && other.in_flight.borrow().is_empty();
            if idle && book.has_work(other.number, now_ns) {
                other.bell.ring();
            }
        }
        if self.producer.pace.borrow().is_done() {
            self.producer.bell.ring();
        }
    }

    fn encode(&mut self, correlation: i32, batches: &[Batch]) -> (Bodies, Vec<usize>) {
        let workload = &self.producer.shared.workload;
        let head = ClientHead { correlation, client_id: CLIENT_ID };
        let topic_of = |batch: &Batch| batch.partition / workload.partitions;
        let same = |a: &Batch, b: &Batch| topic_of(a) == topic_of(b);
        let topics = batches.chunk_by(same).count();
        let timeout_ms = (workload.timeout_seconds * 1e3).min(f64::from(i32::MAX)) as i32;
        self.encoder.begin(head, workload.acks, timeout_ms, topics);
        let mut maker = self.producer.maker.borrow_mut();
        let (mut bodies, mut bytes) = (Vec::new(), Vec::with_capacity(batches.len()));
        for of_topic in batches.chunk_by(same) {
            let topic = &self.producer.shared.directory.topics()[topic_of(&of_topic[0]) as usize];
            self.encoder.topic(topic, of_topic.len());
            for batch in of_topic {
                let composed = maker.compose(&self.producer.spec(batch), &mut self.head);
                bytes.push(composed.bytes);
                let number = (batch.partition % workload.partitions) as i32;
                bodies.extend(self.put(number, composed));
            }
        }
        (Bodies(bodies), bytes)
    }

    /// Short bodies are copied: a piece of a gather write costs more.
    fn put(&mut self, number: i32, composed: Composed) -> Option<Body> {
        const COPIED_BYTES_MAX: usize = 4 << 10;
        let Composed { bytes, body } = composed;
        if body.len() > COPIED_BYTES_MAX {
            self.encoder.partition(number, bytes, &self.head);
            return Some(body);
        }
        self.head.extend_from_slice(&body);
        self.encoder.partition(number, bytes, &self.head);
        None
    }

    async fn send(&mut self, socket: &AnySocket, bodies: &Bodies) -> std::io::Result<()> {
        let (text, cuts) = self.encoder.finish();
        let mut pieces: Vec<&[u8]> = Vec::with_capacity(2 * cuts.len() + 1);
        let mut from = 0;
        for (cut, body) in cuts.iter().zip(&bodies.0) {
            pieces.push(&text[from..*cut]);
            pieces.push(body);
            from = *cut;
        }
        pieces.push(&text[from..]);
        socket.write_all(&pieces, |_| {}).await?;
        if self.producer.shared.workload.acks == 0 {
            answers::without_answer(self.producer, self.link);
        }
        Ok(())
    }
}
