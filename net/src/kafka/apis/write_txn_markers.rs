//! WriteTxnMarkers: an operator ends what hangs open in some partitions (`kafka-transactions.sh abort`). Coordinators do
//! not come this way: what they decided reaches leaders between shards.
//!
//! Only aborts, and only with a coordinator epoch that a coordinator had: one of 2^31 − 1 would fence each later marker
//! of that producer, and what it ended would stay open for ever.

use super::partition_questions::find_partition;
use crate::kafka::codec::wire::write_txn_markers_request::WritableTxnMarker;
use crate::kafka::codec::wire::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use crate::kafka::transactions::highest_coordinator_epoch;
use crate::shard::errands::ErrandTicket;
use core::ops::RangeInclusive;
use engine::batch::Ending;
use engine::control::View;
use engine::ids::{JournalId, PartitionId, ProducerId};
use engine::port::{Errand, ErrandAnswer, MarkerAnswer, Markers, RequestId, TransactionVersion};
use kafka_wire::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use std::collections::BTreeMap;

pub struct WriteTxnMarkers;

impl Handler for WriteTxnMarkers {
    type Request = WriteTxnMarkersRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=2;

    fn named(request: &Self::Request) -> usize {
        let topics = request.markers.iter().flat_map(|marker| &marker.topics);
        request.markers.len() + topics.map(|topic| 1 + topic.partition_indexes.len()).sum::<usize>()
    }

    fn merge(request: &mut Self::Request) {
        for marker in &mut request.markers {
            repeats::keep_first_partitions(
                &mut marker.topics,
                |topic| (topic.name.clone(), &mut topic.partition_indexes),
                |number| *number,
            );
        }
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: WriteTxnMarkersRequest,
    ) -> WriteTxnMarkersResponse {
        let mut response = WriteTxnMarkersResponse::default();
        for marker in request.markers {
            let view = context.view();
            let places = places(&view, &marker);
            let answers = match check(&marker, highest_coordinator_epoch(context, &view)) {
                Ok(()) => write(context, &marker, &places).await,
                Err(why) => {
                    tracing::warn!(producer = marker.producer_id, "a client's marker is refused: {why}");
                    vec![code::INVALID_REQUEST; places.len()]
                }
            };
            response.markers.push(answered(marker, answers));
        }
        response
    }
}

/// What no client may ask for, in words.
fn check(marker: &WritableTxnMarker, highest_epoch: i32) -> Result<(), String> {
    if marker.transaction_result {
        return Err("only its coordinator commits a transaction".to_owned());
    }
    if marker.producer_id < 0 || marker.producer_epoch < 0 {
        return Err("it names no producer".to_owned());
    }
    if !(0..=highest_epoch).contains(&marker.coordinator_epoch) {
        let asked = marker.coordinator_epoch;
        return Err(format!("no coordinator had epoch {asked}, the highest is {highest_epoch}"));
    }
    Ok(())
}

type Place = Result<(JournalId, PartitionId), i16>;

/// Where each partition named is, in the request's order.
fn places(view: &View, marker: &WritableTxnMarker) -> Vec<Place> {
    let place = |topic: &str, number| {
        let id = find_partition(view, topic, number)?;
        let span = view.partition(id).and_then(|(_, partition)| partition.spans.last());
        span.map(|span| (span.journal, id)).ok_or(code::UNKNOWN_TOPIC_OR_PARTITION)
    };
    let topics = marker.topics.iter();
    topics
        .flat_map(|topic| topic.partition_indexes.iter().map(|number| place(&topic.name, *number)))
        .collect()
}

/// Asks the leaders of all journals at once; one error code for each place.
async fn write(context: &Context, marker: &WritableTxnMarker, places: &[Place]) -> Vec<i16> {
    let mut by_journal: BTreeMap<JournalId, Vec<(usize, PartitionId)>> = BTreeMap::new();
    let mut codes = vec![code::NONE; places.len()];
    for (at, place) in places.iter().enumerate() {
        match place {
            Ok((journal, id)) => by_journal.entry(*journal).or_default().push((at, *id)),
            Err(error_code) => codes[at] = *error_code,
        }
    }
    let mut begun = Vec::with_capacity(by_journal.len());
    for (journal, partitions) in by_journal {
        let markers = markers(marker, partitions.iter().map(|(_, id)| *id).collect());
        begun.push((context.shard.begin_errand(journal, Errand::Mark(markers)), partitions));
    }
    for (ticket, partitions) in begun {
        let answers = ended(context, ticket, partitions.len()).await;
        for ((at, _), answer) in partitions.into_iter().zip(answers) {
            codes[at] = marker_code(answer);
        }
    }
    codes
}

async fn ended(context: &Context, ticket: Option<ErrandTicket>, partitions: usize) -> Vec<MarkerAnswer> {
    let answer = match ticket {
        Some(ticket) => context.shard.end_errand(ticket).await,
        None => None,
    };
    match answer {
        Some(ErrandAnswer::Marked(answers)) if answers.len() == partitions => answers,
        _ => vec![MarkerAnswer::Moved; partitions],
    }
}

fn markers(marker: &WritableTxnMarker, partitions: Vec<PartitionId>) -> Markers {
    let is_newest = marker.transaction_version >= 2;
    Markers {
        request: RequestId(0),
        producer: ProducerId(marker.producer_id),
        epoch: marker.producer_epoch,
        version: if is_newest { TransactionVersion::Two } else { TransactionVersion::One },
        coordinator_epoch: marker.coordinator_epoch,
        ending: Ending::Abort,
        partitions,
    }
}

fn marker_code(answer: MarkerAnswer) -> i16 {
    match answer {
        MarkerAnswer::Done => code::NONE,
        // Asked again, with newer metadata; one that was written before does no harm.
        MarkerAnswer::Moved => code::NOT_LEADER_OR_FOLLOWER,
        MarkerAnswer::Full => code::KAFKA_STORAGE_ERROR,
        MarkerAnswer::OldEpoch => code::INVALID_PRODUCER_EPOCH,
        MarkerAnswer::OldCoordinator => code::TRANSACTION_COORDINATOR_FENCED,
    }
}

/// The answer to one marker, with a code for each partition in the request's order.
pub fn answered(marker: WritableTxnMarker, codes: Vec<i16>) -> WritableTxnMarkerResult {
    let mut codes = codes.into_iter();
    let mut result = WritableTxnMarkerResult::default();
    result.producer_id = marker.producer_id;
    for topic in marker.topics {
        let mut answered = WritableTxnMarkerTopicResult::default();
        for number in topic.partition_indexes {
            let mut partition = WritableTxnMarkerPartitionResult::default();
            partition.partition_index = number;
            partition.error_code = codes.next().expect("one for each partition");
            answered.partitions.push(partition);
        }
        answered.name = topic.name;
        result.topics.push(answered);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use crate::kafka::codec::wire::write_txn_markers_request::WritableTxnMarkerTopic;

    fn marker() -> WritableTxnMarker {
        let mut topic = WritableTxnMarkerTopic::default();
        (topic.name, topic.partition_indexes) = ("a".into(), vec![1, 7]);
        let mut marker = WritableTxnMarker::default();
        (marker.producer_id, marker.producer_epoch, marker.coordinator_epoch) = (9, 3, 2);
        marker.topics.push(topic);
        marker
    }

    #[test]
    fn a_crafted_marker_is_refused() {
        assert_eq!(check(&marker(), 2), Ok(()));
        assert!(check(&marker(), 1).is_err_and(|why| why.contains("the highest is 1")));
        let crafted = |change: fn(&mut WritableTxnMarker)| {
            let mut crafted = marker();
            change(&mut crafted);
            check(&crafted, 2).is_err()
        };
        assert!(crafted(|it| it.transaction_result = true));
        assert!(crafted(|it| it.coordinator_epoch = i32::MAX));
        assert!(crafted(|it| it.coordinator_epoch = -1));
        assert!(crafted(|it| it.producer_id = -1));
        assert!(crafted(|it| it.producer_epoch = -1));
    }

    #[test]
    fn each_partition_has_its_place_or_its_error_and_its_own_code() {
        let view = Cluster::new(1).with_topic("a", 1, 2).view();
        let places = places(&view, &marker());
        assert!(matches!(places[0], Ok((_, PartitionId(2)))), "{places:?}");
        assert_eq!(places[1], Err(code::UNKNOWN_TOPIC_OR_PARTITION));
        let result = answered(marker(), vec![0, 3]);
        let codes = result.topics[0].partitions.iter().map(|one| (one.partition_index, one.error_code));
        assert_eq!(codes.collect::<Vec<_>>(), [(1, 0), (7, 3)]);
        assert_eq!(markers(&marker(), Vec::new()).version, TransactionVersion::One);
        let mut newest = marker();
        newest.transaction_version = 2;
        assert_eq!(markers(&newest, Vec::new()).version, TransactionVersion::Two);
        assert_eq!(marker_code(MarkerAnswer::OldCoordinator), 52);
    }
}
