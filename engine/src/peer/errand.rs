//! The bytes of errands and their answers.

use super::decode::{DecodeError, flag};
use crate::batch::Ending;
use crate::codec::{Reader, Write};
use crate::ids::{PartitionId, ProducerId};
use crate::port::{
    Errand, ErrandAnswer, JoinRefusal, JoinTransaction, MarkerAnswer, Markers, RequestId, TransactionVersion,
};
use std::sync::Arc;

const MARK: u8 = 1;
const JOIN: u8 = 2;

const MARKER_ANSWERS: [MarkerAnswer; 5] = [
    MarkerAnswer::Done,
    MarkerAnswer::Moved,
    MarkerAnswer::Full,
    MarkerAnswer::OldEpoch,
    MarkerAnswer::OldCoordinator,
];

/// 0 is none.
const JOIN_REFUSALS: [JoinRefusal; 6] = [
    JoinRefusal::Concurrent,
    JoinRefusal::NotInTransaction,
    JoinRefusal::OldEpoch,
    JoinRefusal::OtherProducer,
    JoinRefusal::UnknownPartition,
    JoinRefusal::Unavailable,
];

pub fn write(to: &mut Vec<u8>, errand: &Errand) {
    match errand {
        Errand::Mark(markers) => {
            to.put_u8(MARK);
            to.put_i64(markers.producer.0);
            to.put_i16(markers.epoch);
            to.put_u8((markers.version == TransactionVersion::Two).into());
            to.put_i32(markers.coordinator_epoch);
            to.put_u8((markers.ending == Ending::Commit).into());
            to.put_count(markers.partitions.len());
            markers.partitions.iter().for_each(|partition| to.put_u64(partition.0));
        }
        Errand::Join(join) => {
            to.put_u8(JOIN);
            to.sized(join.transactional_id.as_bytes());
            to.put_i64(join.producer.0);
            to.put_i16(join.epoch);
            to.put_u8(join.adds.into());
            to.put_count(join.partitions.len());
            for (topic, partition) in &join.partitions {
                to.sized(topic.as_bytes());
                to.put_i32(*partition);
            }
        }
    }
}

pub fn read(from: &mut Reader<'_>) -> Result<Errand, DecodeError> {
    Ok(match from.u8()? {
        MARK => Errand::Mark(Markers {
            request: RequestId(0),
            producer: ProducerId(from.i64()?),
            epoch: from.i16()?,
            version: if flag(from)? { TransactionVersion::Two } else { TransactionVersion::One },
            coordinator_epoch: from.i32()?,
            ending: if flag(from)? { Ending::Commit } else { Ending::Abort },
            partitions: {
                let count = from.count(8)?;
                (0..count).map(|_| from.u64().map(PartitionId)).collect::<Result<_, _>>()?
            },
        }),
        JOIN => Errand::Join(JoinTransaction {
            transactional_id: text(from)?,
            producer: ProducerId(from.i64()?),
            epoch: from.i16()?,
            adds: flag(from)?,
            partitions: {
                let count = from.count(8)?;
                let one = |from: &mut Reader<'_>| Ok::<_, DecodeError>((text(from)?, from.i32()?));
                (0..count).map(|_| one(from)).collect::<Result<_, _>>()?
            },
        }),
        number => return Err(DecodeError::Unknown { what: "errand", number }),
    })
}

pub fn write_answer(to: &mut Vec<u8>, answer: &ErrandAnswer) {
    match answer {
        ErrandAnswer::Marked(answers) => {
            to.put_u8(MARK);
            to.put_count(answers.len());
            for answer in answers {
                let number = MARKER_ANSWERS.iter().position(|one| one == answer).expect("all are listed");
                to.put_u8(number as u8);
            }
        }
        ErrandAnswer::Joined(results) => {
            to.put_u8(JOIN);
            to.put_count(results.len());
            for result in results {
                let number_of = |refusal: &JoinRefusal| {
                    1 + JOIN_REFUSALS.iter().position(|one| one == refusal).expect("all are listed")
                };
                to.put_u8(result.as_ref().err().map_or(0, number_of) as u8);
            }
        }
    }
}

pub fn read_answer(from: &mut Reader<'_>) -> Result<ErrandAnswer, DecodeError> {
    Ok(match from.u8()? {
        MARK => {
            let count = from.count(1)?;
            ErrandAnswer::Marked((0..count).map(|_| marker_answer(from)).collect::<Result<_, _>>()?)
        }
        JOIN => {
            let count = from.count(1)?;
            ErrandAnswer::Joined((0..count).map(|_| join_result(from)).collect::<Result<_, _>>()?)
        }
        number => return Err(DecodeError::Unknown { what: "answer to an errand", number }),
    })
}

fn marker_answer(from: &mut Reader<'_>) -> Result<MarkerAnswer, DecodeError> {
    let number = from.u8()?;
    let unknown = DecodeError::Unknown { what: "answer to a marker", number };
    MARKER_ANSWERS.get(usize::from(number)).copied().ok_or(unknown)
}

fn join_result(from: &mut Reader<'_>) -> Result<Result<(), JoinRefusal>, DecodeError> {
    let number = from.u8()?;
    let Some(at) = usize::from(number).checked_sub(1) else { return Ok(Ok(())) };
    let unknown = DecodeError::Unknown { what: "why a partition may not join", number };
    JOIN_REFUSALS.get(at).copied().map(Err).ok_or(unknown)
}

fn text(from: &mut Reader<'_>) -> Result<Arc<str>, DecodeError> {
    Ok(str::from_utf8(from.sized()?).map_err(|_| DecodeError::Text)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errands() -> [Errand; 2] {
        let markers = Markers {
            request: RequestId(0),
            producer: ProducerId(7),
            epoch: 3,
            version: TransactionVersion::Two,
            coordinator_epoch: 9,
            ending: Ending::Commit,
            partitions: vec![PartitionId(1), PartitionId(1 << 40)],
        };
        let join = JoinTransaction {
            transactional_id: "tx".into(),
            producer: ProducerId(7),
            epoch: 3,
            adds: true,
            partitions: vec![("t".into(), 0), ("other".into(), 5)],
        };
        [Errand::Mark(markers), Errand::Join(join)]
    }

    #[test]
    fn errands_and_answers_come_back_and_every_cut_is_told() {
        for errand in errands() {
            let mut bytes = Vec::new();
            write(&mut bytes, &errand);
            assert_eq!(read(&mut Reader(&bytes)), Ok(errand));
            (0..bytes.len()).for_each(|cut| assert!(read(&mut Reader(&bytes[..cut])).is_err(), "{cut}"));
        }
        let joined = [Ok(())].into_iter().chain(JOIN_REFUSALS.map(Err)).collect();
        for answer in [ErrandAnswer::Marked(MARKER_ANSWERS.to_vec()), ErrandAnswer::Joined(joined)] {
            let mut bytes = Vec::new();
            write_answer(&mut bytes, &answer);
            assert_eq!(read_answer(&mut Reader(&bytes)), Ok(answer));
            *bytes.last_mut().expect("an answer") = 99;
            assert!(read_answer(&mut Reader(&bytes)).is_err());
            (0..bytes.len())
                .for_each(|cut| assert!(read_answer(&mut Reader(&bytes[..cut])).is_err(), "{cut}"));
        }
    }
}
