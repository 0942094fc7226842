//! What the journal says of a run that its leader made: the file's name and sums, what it was made of, and what it has of
//! each partition.

use crate::codec::{Reader, Short, Write};
use crate::ids::{Index, Offset, PartitionId, RunId};
use core::ops::Range;

/// By which rule a run was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RewriteRule {
    /// All that lives, byte for byte.
    Copy = 0,
    /// Of each key the last record.
    Compact = 1,
}

impl RewriteRule {
    pub fn of(number: u8) -> Option<Self> {
        [Self::Copy, Self::Compact].get(usize::from(number)).copied()
    }
}

/// What a run was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunInput {
    Segment { base: Index, last: Index },
    Run(RunId),
}

/// What a run has of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPart {
    pub partition: PartitionId,
    /// The offsets that the run answers for, whether or not a record is left there.
    pub covered: Range<Offset>,
    /// Records below it were compared by their keys; those from it on are as they came.
    pub clean_to: Offset,
    /// Bytes of batches that the inputs had in the covered offsets, and that the run has.
    pub input_bytes: u64,
    pub kept_bytes: u64,
    /// As the run's own row of the partition has it.
    pub checksum: u64,
}

/// A run: the whole of what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunMade {
    pub run: RunId,
    pub rule: RewriteRule,
    /// The maker had applied the journal's entries up to this one.
    pub applied: Index,
    pub file_bytes: u64,
    /// Over all rows of partitions: two files of a run with the same one hold the same.
    pub checksum: u64,
    /// Older runs first, then segments that follow one another.
    pub inputs: Vec<RunInput>,
    /// Ascending.
    pub parts: Vec<RunPart>,
}

/// Why what is said of a run could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunMadeError {
    #[error("{0}")]
    Short(#[from] Short),
    #[error("names a {0} that a newer version knows")]
    Newer(&'static str),
}

/// Behind it no more partitions fit what is said of a run: an item goes into one entry.
pub const RUN_PARTS_MAX: usize = 16_384;
const INPUT_BYTES: usize = 17;
const PART_BYTES: usize = 56;
/// Nor more inputs.
pub const RUN_INPUTS_MAX: usize = 4_096;
const _: () = assert!(
    64 + RUN_INPUTS_MAX * INPUT_BYTES + RUN_PARTS_MAX * PART_BYTES <= super::builder::ITEMS_BYTES_MAX
);

impl RunMade {
    /// The last entry of the segments that it was made of.
    pub fn last_input(&self) -> Option<Index> {
        self.inputs.iter().rev().find_map(|input| match input {
            RunInput::Segment { last, .. } => Some(*last),
            RunInput::Run(_) => None,
        })
    }

    /// The runs that it takes the place of.
    pub fn input_runs(&self) -> impl Iterator<Item = RunId> {
        self.inputs.iter().filter_map(|input| match input {
            RunInput::Run(run) => Some(*run),
            RunInput::Segment { .. } => None,
        })
    }

    pub fn part(&self, partition: PartitionId) -> Option<&RunPart> {
        let at = self.parts.binary_search_by_key(&partition, |part| part.partition);
        at.ok().map(|at| &self.parts[at])
    }

    pub fn encode(&self, to: &mut Vec<u8>) {
        assert!(self.inputs.len() <= RUN_INPUTS_MAX, "{} inputs", self.inputs.len());
        assert!(self.parts.len() <= RUN_PARTS_MAX, "{} partitions", self.parts.len());
        assert!(self.parts.iter().all(|part| part.covered.start <= part.covered.end));
        to.put_u64(self.run.0);
        to.put_u8(self.rule as u8);
        for number in [self.applied.0, self.file_bytes, self.checksum] {
            to.put_u64(number);
        }
        to.put_count(self.inputs.len());
        for input in &self.inputs {
            let (kind, first, last) = match input {
                RunInput::Segment { base, last } => (0, base.0, last.0),
                RunInput::Run(run) => (1, run.0, 0),
            };
            to.put_u8(kind);
            to.put_u64(first);
            to.put_u64(last);
        }
        to.put_count(self.parts.len());
        for part in &self.parts {
            to.put_u64(part.partition.0);
            for offset in [part.covered.start, part.covered.end, part.clean_to] {
                to.put_i64(offset.0);
            }
            for number in [part.input_bytes, part.kept_bytes, part.checksum] {
                to.put_u64(number);
            }
        }
    }

    /// Reads one off the front.
    pub fn decode(from: &mut Reader<'_>) -> Result<Self, RunMadeError> {
        let run = RunId(from.u64()?);
        let rule = RewriteRule::of(from.u8()?).ok_or(RunMadeError::Newer("rule"))?;
        let (applied, file_bytes, checksum) = (Index(from.u64()?), from.u64()?, from.u64()?);
        let mut inputs = Vec::new();
        for _ in 0..from.count(INPUT_BYTES)? {
            let (kind, first, last) = (from.u8()?, from.u64()?, from.u64()?);
            inputs.push(match kind {
                0 => RunInput::Segment { base: Index(first), last: Index(last) },
                1 => RunInput::Run(RunId(first)),
                _ => return Err(RunMadeError::Newer("input")),
            });
        }
        let mut parts = Vec::new();
        for _ in 0..from.count(PART_BYTES)? {
            parts.push(RunPart {
                partition: PartitionId(from.u64()?),
                covered: Offset(from.i64()?)..Offset(from.i64()?),
                clean_to: Offset(from.i64()?),
                input_bytes: from.u64()?,
                kept_bytes: from.u64()?,
                checksum: from.u64()?,
            });
        }
        Ok(Self { run, rule, applied, file_bytes, checksum, inputs, parts })
    }
}

#[cfg(test)]
pub mod samples {
    use super::*;

    /// A run of these segments, made of the runs before.
    pub fn run_made(run: u64, runs: &[u64], segments: &[(u64, u64)]) -> RunMade {
        let runs = runs.iter().map(|run| RunInput::Run(RunId(*run)));
        let segments =
            segments.iter().map(|(base, last)| RunInput::Segment { base: Index(*base), last: Index(*last) });
        RunMade {
            run: RunId(run),
            rule: RewriteRule::Compact,
            applied: Index(70),
            file_bytes: 5 * 4096,
            checksum: 0xabc,
            inputs: runs.chain(segments).collect(),
            parts: vec![RunPart {
                partition: PartitionId(9),
                covered: Offset(0)..Offset(15),
                clean_to: Offset(12),
                input_bytes: 150,
                kept_bytes: 50,
                checksum: 7,
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::run_made;
    use super::*;

    #[test]
    fn a_run_comes_back_as_it_was_told_and_no_cut_passes() {
        let made = run_made(3, &[2], &[(1, 9), (10, 12)]);
        let mut bytes = Vec::new();
        made.encode(&mut bytes);
        assert_eq!(RunMade::decode(&mut Reader(&bytes)), Ok(made.clone()));
        for cut in 0..bytes.len() {
            assert!(RunMade::decode(&mut Reader(&bytes[..cut])).is_err(), "cut at {cut}");
        }
        bytes[8] = 9;
        assert_eq!(RunMade::decode(&mut Reader(&bytes)), Err(RunMadeError::Newer("rule")));
        assert_eq!(made.last_input(), Some(Index(12)));
        assert_eq!(made.input_runs().collect::<Vec<_>>(), [RunId(2)]);
        assert!(made.part(PartitionId(9)).is_some() && made.part(PartitionId(8)).is_none());
    }
}
