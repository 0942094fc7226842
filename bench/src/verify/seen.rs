//! Which records of one producer are in one partition, and where: runs of numbers, not numbers.

use std::collections::BTreeMap;

/// A run of records whose numbers and offsets both go up by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    end: u64,
    offset: i64,
}

/// What a record is, given those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    InOrder,
    /// It was not seen yet, but later ones were.
    Late,
    Again,
}

#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// By the first number. They do not overlap.
    spans: BTreeMap<u64, Span>,
    pub records: u64,
}

impl Seen {
    fn span_of(&self, number: u64) -> Option<(u64, Span)> {
        let (first, span) = self.spans.range(..=number).next_back()?;
        (number < span.end).then_some((*first, *span))
    }

    /// Where the record is.
    pub fn offset_of(&self, number: u64) -> Option<i64> {
        self.span_of(number).map(|(first, span)| span.offset + (number - first) as i64)
    }

    pub fn add(&mut self, number: u64, offset: i64) -> Place {
        if self.span_of(number).is_some() {
            return Place::Again;
        }
        self.records += 1;
        let last = self.spans.iter_mut().next_back();
        let place = match last {
            Some((_, span)) if span.end > number => Place::Late,
            Some((first, span)) if span.end == number && span.offset + (number - first) as i64 == offset => {
                span.end += 1;
                return Place::InOrder;
            }
            _ => Place::InOrder,
        };
        self.spans.insert(number, Span { end: number + 1, offset });
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_is_placed() {
        let mut seen = Seen::default();
        assert_eq!(seen.add(0, 10), Place::InOrder);
        assert_eq!(seen.add(1, 11), Place::InOrder);
        assert_eq!(seen.add(5, 20), Place::InOrder);
        assert_eq!(seen.add(3, 21), Place::Late);
        assert_eq!(seen.add(1, 22), Place::Again);
        assert_eq!(seen.add(5, 23), Place::Again);
        assert_eq!(seen.add(6, 30), Place::InOrder);
        let offsets: Vec<_> = (0..8).map(|number| seen.offset_of(number)).collect();
        assert_eq!(offsets, [Some(10), Some(11), None, Some(21), None, Some(20), Some(30), None]);
        assert_eq!(seen.records, 5);
    }
}
