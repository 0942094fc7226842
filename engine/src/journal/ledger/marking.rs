//! Markers on their way into an entry.

use crate::batch::{EndMarker, Ending};
use crate::ids::{PartitionId, ProducerId};
use crate::partition::producers::MarkerClaim;
use crate::port::{MarkerAnswer, Markers, Output, RequestId};

/// Markers of one request that go into one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedMarkers {
    pub request: RequestId,
    pub producer: ProducerId,
    pub claim: MarkerClaim,
    pub ending: Ending,
    /// With the slot of each in the request.
    pub partitions: Vec<(u32, PartitionId)>,
}

impl QueuedMarkers {
    /// Those for `partitions` of a request.
    pub fn of(markers: &Markers, partitions: &[(u32, PartitionId)]) -> Self {
        let Markers { epoch, coordinator_epoch, version, .. } = *markers;
        Self {
            request: markers.request,
            producer: markers.producer,
            claim: MarkerClaim { epoch, coordinator_epoch, version },
            ending: markers.ending,
            partitions: partitions.to_vec(),
        }
    }

    /// What each partition gets; only its place there differs.
    pub fn batch(&self, wall_ms: i64) -> Vec<u8> {
        let MarkerClaim { epoch, coordinator_epoch, .. } = self.claim;
        EndMarker { producer: self.producer.0, epoch, ending: self.ending, coordinator_epoch }.encode(wall_ms)
    }

    /// All of them get this answer.
    pub fn answer(self, answer: MarkerAnswer, out: &mut Vec<Output>) {
        let request = self.request;
        out.extend(self.partitions.into_iter().map(|(slot, _)| Output::Marked { request, slot, answer }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::TransactionVersion;

    #[test]
    fn each_slot_is_answered() {
        let markers = Markers {
            request: RequestId(3),
            producer: ProducerId(7),
            epoch: 2,
            version: TransactionVersion::Two,
            coordinator_epoch: 5,
            ending: Ending::Abort,
            partitions: vec![PartitionId(1), PartitionId(2)],
        };
        let queued = QueuedMarkers::of(&markers, &[(1, PartitionId(2))]);
        let said = EndMarker::decode(&queued.batch(9)).expect("a marker");
        assert_eq!((said.producer, said.epoch, said.coordinator_epoch), (7, 2, 5));
        let mut out = Vec::new();
        queued.answer(MarkerAnswer::Full, &mut out);
        let told = &out[..];
        assert!(matches!(
            told,
            [Output::Marked { request: RequestId(3), slot: 1, answer: MarkerAnswer::Full }]
        ));
    }
}
