//! Every hand-written decoder, fed with bytes that are nearly right: it comes back, and allocates little. In a process
//! of its own, for every byte that is allocated is counted. `DURAMEN_FUZZ_SECONDS` is how long it may take in all (the
//! nightly form); `DURAMEN_FUZZ_SEED` begins elsewhere.

use engine::rng::Rng;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};
use tests::counting::{self, Counting};
use tests::fuzz::{mutate, targets};
use tests::fuzz_target::Target;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Of each target, where no time is given.
const INPUTS: u64 = 40_000;
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn no_decoder_falls_over_what_is_nearly_right() {
    let seed = number("DURAMEN_FUZZ_SEED").unwrap_or(1);
    what_falls_is_noticed();
    let targets = targets();
    let each =
        number("DURAMEN_FUZZ_SECONDS").map(|seconds| Duration::from_secs(seconds) / targets.len() as u32);
    for (at, target) in targets.iter().enumerate() {
        target.seeds.iter().for_each(|bytes| feed(target, bytes, "a seed"));
        let begun = Instant::now();
        let mut rng = Rng::new(seed ^ (at as u64) << 32);
        let mut inputs = 0;
        while each.map_or(inputs < INPUTS, |each| begun.elapsed() < each) {
            let pick = |rng: &mut Rng| &target.seeds[rng.below(target.seeds.len() as u64) as usize];
            let (one, other) = (pick(&mut rng), pick(&mut rng));
            let bytes = mutate(one, other, &mut rng);
            feed(target, &bytes, &format!("input {inputs} of DURAMEN_FUZZ_SEED={seed}"));
            inputs += 1;
        }
        println!("{}: {inputs} inputs", target.name);
    }
}

/// Here, for a test beside this one would be counted, too.
fn what_falls_is_noticed() {
    let target = |run: fn(&[u8])| Target {
        name: "made to fall",
        run,
        seeds: Vec::new(),
        allocates_times: 4,
        allocates_bytes: 1 << 10,
    };
    let falls = |run: fn(&[u8])| catch_unwind(|| feed(&target(run), &[1, 2, 3], "a test")).is_err();
    assert!(falls(|bytes| panic!("{}", bytes.len())));
    assert!(falls(|bytes| drop(vec![0u8; 1000 * bytes.len()])));
    assert!(!falls(|bytes| drop(vec![0u8; 4 * bytes.len()])));
}

fn feed(target: &Target, bytes: &[u8], which: &str) {
    let before = counting::begin();
    let came_back = catch_unwind(|| (target.run)(bytes));
    let allocated = counting::peak_bytes().saturating_sub(before);
    assert!(came_back.is_ok(), "{} panicked at {which}: {}", target.name, hex(bytes));
    let allowed = target.allocates_bytes + target.allocates_times * bytes.len();
    assert!(
        allocated <= allowed,
        "{} allocated {allocated} bytes for {} at {which}: {}",
        target.name,
        bytes.len(),
        hex(bytes)
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(4096).map(|byte| format!("{byte:02x}")).collect()
}
