//! The whole batches of a fetched piece of a partition. The last one may be cut: it comes again.

use net::kafka::client::batch::BatchHeader;

/// Gives each whole batch with its header, and what is left: a cut batch, or something that is none.
#[derive(Debug)]
pub struct Batches<'a> {
    pub rest: &'a [u8],
}

impl<'a> Iterator for Batches<'a> {
    type Item = (&'a BatchHeader, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = BatchHeader::of(self.rest)?;
        let bytes = usize::try_from(header.declared_bytes()).ok()?;
        if bytes < size_of::<BatchHeader>() {
            return None;
        }
        let (batch, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some((header, batch))
    }
}

/// The offset behind a batch.
pub fn next_offset(header: &BatchHeader) -> i64 {
    header.base_offset.get() + i64::from(header.last_offset_delta.get()) + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::kafka::client::batch::{BatchBuilder, NewRecord};

    #[test]
    fn whole_batches_are_given_and_a_cut_one_is_left() {
        let mut builder = BatchBuilder::new(1);
        builder.base_offset(7).push(NewRecord::value(b"one")).push(NewRecord::value(b"two"));
        let batch = builder.build();
        let bytes = [&batch[..], &batch, &batch[..30]].concat();
        let mut batches = Batches { rest: &bytes };
        let offsets: Vec<i64> = batches.by_ref().map(|(header, _)| next_offset(header)).collect();
        assert_eq!((offsets, batches.rest.len()), (vec![9, 9], 30));
    }
}
