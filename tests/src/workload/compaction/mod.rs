//! Writers and a reader of compacted topics: few keys that come again and again, some of them deleted, in transactions
//! and outside of them.

mod keyed;
mod maker;
mod reader;
mod transactor;
mod writer;

pub use maker::Maker;
pub use reader::Reader;
pub use transactor::Transactor;
pub use writer::Writer;

use super::Client;
use engine::rng::Rng;

/// All of them.
pub fn clients(rng: &mut Rng) -> Vec<Box<dyn Client>> {
    let mut clients: Vec<Box<dyn Client>> = vec![Box::new(Maker::new(rng)), Box::new(Reader::default())];
    for _ in 0..1 + rng.below(3) {
        clients.push(Box::new(Writer::default()));
    }
    for _ in 0..rng.below(3) {
        clients.push(Box::new(Transactor::default()));
    }
    clients
}
