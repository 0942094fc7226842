//! Questions to the engine about the partitions that a request names, and their answers in the
//! request's order, errors found before included.

use crate::kafka::context::Context;
use crate::kafka::errors::{code, refusal_code};
use crate::shard::results::Question;
use engine::control::View;
use engine::ids::PartitionId;
use engine::port::{Answer, QueryKind};

/// Collects one question or error for each partition named.
#[derive(Default)]
pub struct PartitionQuestions {
    questions: Vec<Question>,
    /// Which question it is, or its error.
    asked: Vec<Result<usize, i16>>,
}

impl PartitionQuestions {
    pub fn ask(&mut self, partition: PartitionId, kind: QueryKind) {
        self.asked.push(Ok(self.questions.len()));
        self.questions.push(Question { partition, leader_epoch: -1, kind });
    }

    pub fn refuse(&mut self, code: i16) {
        self.asked.push(Err(code));
    }

    /// One answer or error code for each, in order.
    pub async fn answers(self, context: &Context) -> std::vec::IntoIter<Result<Answer, i16>> {
        let mut answers: Vec<_> = context.query(&self.questions).await.into_iter().map(Some).collect();
        let answer = |asked: Result<usize, i16>| {
            let answer = answers[asked?].take().expect("each question is one partition's");
            answer.map_err(refusal_code)
        };
        let all: Vec<_> = self.asked.into_iter().map(answer).collect();
        all.into_iter()
    }
}

/// A topic's partition by its number.
pub fn find_partition(view: &View, topic: &str, number: i32) -> Result<PartitionId, i16> {
    let found = view.topics.get(topic).and_then(|topic| topic.partitions.get(usize::try_from(number).ok()?));
    found.map(|partition| partition.id).ok_or(code::UNKNOWN_TOPIC_OR_PARTITION)
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;

    #[test]
    fn a_partition_is_found_by_topic_and_number() {
        let view = Cluster::new(1).with_topic("a", 1, 2).view();
        assert_eq!(find_partition(&view, "a", 1), Ok(PartitionId(2)));
        for (topic, number) in [("a", 2), ("a", -1), ("b", 0)] {
            assert_eq!(find_partition(&view, topic, number), Err(code::UNKNOWN_TOPIC_OR_PARTITION));
        }
    }
}
