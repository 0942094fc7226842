//! Record batches, made as cheaply as can be: what they look like, and who makes them.

pub mod payload;
pub mod proof;
pub mod shift;
pub mod spec;
pub mod stamp;
pub mod template;

use crate::batch::spec::{Composed, Spec};
use proof::Prover;
use template::Template;

/// Who makes the batches of a run.
#[derive(Debug)]
pub enum Maker {
    Template(Template),
    Prover(Prover),
}

impl Maker {
    pub fn compose(&mut self, spec: &Spec, head: &mut Vec<u8>) -> Composed {
        match self {
            Self::Template(template) => template.compose(spec, head),
            Self::Prover(prover) => prover.compose(spec, head),
        }
    }
}
