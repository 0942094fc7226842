//! Loops that read, process and write exactly once: each copies a topic to the next one in transactions, some with two
//! producers that fence each other. The first topic is written to outside of transactions.

mod copier;
mod maker;
mod names;
mod open;
mod reader;
mod source;

pub use copier::Copier;
pub use maker::Maker;
pub use reader::Reader;
pub use source::Source;

use super::Client;
use super::apart::TOPICS;
use engine::rng::Rng;

/// All of them.
pub fn clients(rng: &mut Rng) -> Vec<Box<dyn Client>> {
    let mut clients: Vec<Box<dyn Client>> =
        vec![Box::new(Maker::default()), Box::new(Source::default()), Box::new(Reader::default())];
    for of in 0..TOPICS.len() - 1 {
        clients.push(Box::new(Copier::new(of, true, rng)));
        if rng.one_in(2) {
            clients.push(Box::new(Copier::new(of, false, rng)));
        }
    }
    clients
}
