//! Whether what a shard does stays as cheap when much is kept: each operation beside a journal of 40 segments and 100
//! partitions and one of 4,000 and 10,000. `cargo bench -p duramen-bench --bench flat`.

mod disk;
mod node;
mod operations;

use disk::Disk;
use node::{Cost, Node};
use operations::{Grown, Size, measure};

const SMALL: Size = Size { segments: 40, partitions: 100, producers: 0 };
const LARGE: Size = Size { segments: 4000, partitions: 10_000, producers: 0 };

/// What each operation cost.
fn costs(size: Size) -> Vec<(&'static str, Cost)> {
    let mut grown = Grown::new(Node::new(Disk::default(), Node::begin()), size);
    let g = &mut grown;
    // What the growth left to be looked at.
    g.retention_pass();
    let mut all = vec![
        ("an entry of 16 batches", measure(g, 200, |g, _| g.entry(false))),
        ("a segment: written, rolled, sealed, entered", measure(g, 20, |g, _| g.segment())),
        ("cold read of a partition", measure(g, 50, |g, at| g.read_cold(at * 7))),
        ("look-up by time", measure(g, 50, |g, at| g.find_time(at * 7))),
        ("fetch of 100 partitions at their end", measure(g, 50, |g, _| g.fetch_many(0))),
        ("fetch of 100 partitions, one batch each", measure(g, 50, |g, _| g.fetch_many(1))),
        ("pass of retention, nothing to delete", measure(g, 5, |g, _| g.retention_pass())),
        ("metrics", measure(g, 50, |g, _| g.metrics())),
        ("one topic more: command, view, opened", measure(g, 20, |g, _| g.publish())),
        ("a third of the segments goes", measure(g, 1, |g, _| g.expire())),
    ];
    let (disk, now, stop) = grown.node.stop();
    all.push(("stop", stop));
    let mut node = Node::new(disk, now);
    node.start();
    all.push(("start", node.cost));
    all
}

fn main() {
    // Cargo says `--bench`; a filter of criterion's means another bench.
    if std::env::args().skip(1).any(|argument| !argument.starts_with("--")) {
        return;
    }
    let (small, large) = (costs(SMALL), costs(LARGE));
    println!(
        "| operation | 40 segments, 100 partitions: all of it, longest step (µs) | 4,000 and 10,000 | longest came of |"
    );
    println!("|---|---:|---:|---|");
    let micros = |cost: &Cost| {
        let (total, longest) = (cost.total.as_secs_f64() * 1e6, cost.longest.as_secs_f64() * 1e6);
        format!("{total:.0}, {longest:.0}")
    };
    for ((name, small), (_, large)) in small.iter().zip(&large) {
        println!("| {name} | {} | {} | {} |", micros(small), micros(large), large.input);
    }
}
