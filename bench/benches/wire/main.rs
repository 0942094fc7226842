//! What the wire's hot steps cost: `cargo bench -p duramen-bench --bench wire`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use net::client::budget::FrameBudget;
use net::client::frame::{Frame, FrameBuffers};
use net::kafka::api::{Api, PRODUCE};
use net::kafka::codec::cursor::Writer;
use net::kafka::codec::header::{Opened, open};
use net::kafka::hot::produce_codec::ProduceRequest;
use std::hint::black_box;

const VERSION: i16 = 11;
const APIS: [Api; 1] = [Api { key: PRODUCE, min: 0, max: VERSION, flexible_from: 9 }];

/// A produce request of `partitions` batches of `batch_bytes` each, without its length.
fn request(partitions: usize, batch_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer { to: &mut bytes, flexible: false };
    writer.i16(PRODUCE);
    writer.i16(VERSION);
    writer.i32(7);
    writer.nullable_string(Some("bench"));
    writer.flexible = true;
    writer.no_tags();
    writer.nullable_string(None);
    writer.i16(-1);
    writer.i32(30_000);
    writer.length(1);
    writer.string("topic");
    writer.length(partitions);
    for partition in 0..partitions {
        writer.i32(partition as i32);
        writer.length(batch_bytes);
        writer.to.resize(writer.to.len() + batch_bytes, 1);
        writer.no_tags();
    }
    writer.no_tags();
    writer.no_tags();
    bytes
}

fn frame_decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame decode");
    for (partitions, batch_bytes) in [(1, 1 << 10), (1, 1 << 20), (100, 16 << 10)] {
        let frame = request(partitions, batch_bytes);
        let name = BenchmarkId::new("produce", format!("{partitions} x {batch_bytes}"));
        group.bench_with_input(name, &frame, |bencher, frame| {
            bencher.iter(|| {
                let Ok(Opened::Request { header, body }) = open(black_box(frame), &APIS) else {
                    panic!("a good header")
                };
                let request = ProduceRequest::decode(body, header.version).expect("a good request");
                assert_eq!(request.partitions.len(), partitions);
            })
        });
    }
    group.finish();
}

/// Bytes into a frame's buffer as they arrive, a socket's worth at a time.
fn frame_receive(criterion: &mut Criterion) {
    const ARRIVING_BYTES: usize = 64 << 10;
    let mut group = criterion.benchmark_group("frame receive");
    let (budget, buffers) = (FrameBudget::new(1 << 30), FrameBuffers::new(16 << 20));
    for bytes in [1 << 10, 1 << 20] {
        let arriving = vec![3u8; ARRIVING_BYTES.min(bytes)];
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
            bencher.iter(|| {
                let mut frame = Frame::begin(bytes, &buffers, budget.begin());
                while !frame.is_whole() {
                    assert!(frame.make_room(bytes));
                    let place = frame.unfilled();
                    let arrived = place.len().min(arriving.len());
                    place[..arrived].copy_from_slice(&arriving[..arrived]);
                    frame.advance(arrived);
                }
                black_box(frame.len())
            })
        });
    }
    group.finish();
}

criterion_group!(benches, frame_decode, frame_receive);
criterion_main!(benches);
