//! A member of a group of the consumer protocol (KIP-848): it says what it has, and is told what it is to have.

use super::brokers::{Brokers, Coordinated};
use super::trouble::{NotDone, UNKNOWN_MEMBER_ID};
use kafka_wire::ConsumerGroupHeartbeatRequest;
use kafka_wire::consumer_group_heartbeat_request::TopicPartitions;

const HEARTBEAT_VERSION: i16 = 1;
const REBALANCE_MS: i32 = 30_000;
const FENCED_MEMBER_EPOCH: i16 = 110;
const LEAVES: i32 = -1;

/// See the head of this file.
#[derive(Debug)]
pub struct EpochMember {
    brokers: Brokers,
    group: String,
    member: String,
    topic: String,
    /// 0: it joins.
    pub epoch: i32,
    owned: Vec<TopicPartitions>,
    /// The coordinator does not know what it owns now.
    is_untold: bool,
}

impl EpochMember {
    pub fn new(brokers: Brokers, group: &str, member: &str, topic: &str) -> Self {
        let (group, member, topic) = (group.to_owned(), member.to_owned(), topic.to_owned());
        Self { brokers, group, member, topic, epoch: 0, owned: Vec::new(), is_untold: true }
    }

    /// Partitions that it has.
    pub fn owned(&self) -> usize {
        self.owned.iter().map(|topic| topic.partitions.len()).sum()
    }

    /// One heartbeat; what it is told to have it has at once.
    pub fn beat(&mut self) -> Result<(), NotDone> {
        let mut request = self.request(self.epoch);
        if self.epoch == 0 {
            request.rebalance_timeout_ms = REBALANCE_MS;
            request.subscribed_topic_names = Some(vec![self.topic.as_str().into()]);
        }
        if self.epoch == 0 || self.is_untold {
            request.topic_partitions = Some(self.owned.clone());
        }
        let of = (Coordinated::Group, self.group.as_str());
        let answer = match self
            .brokers
            .call_coordinator(of, HEARTBEAT_VERSION, &request, |answer| answer.error_code)
        {
            Ok(answer) => answer,
            Err(NotDone::Code(FENCED_MEMBER_EPOCH | UNKNOWN_MEMBER_ID)) => {
                (self.epoch, self.is_untold) = (0, true);
                self.owned.clear();
                return Ok(());
            }
            Err(why) => return Err(why),
        };
        assert!(answer.member_epoch > 0, "a member has an epoch: {answer:?}");
        self.epoch = answer.member_epoch;
        self.is_untold = false;
        if let Some(assignment) = answer.assignment {
            let owned = |topic: &kafka_wire::consumer_group_heartbeat_response::TopicPartitions| {
                let mut owned = TopicPartitions::default();
                (owned.topic_id, owned.partitions) = (topic.topic_id, topic.partitions.clone());
                owned
            };
            self.owned = assignment.topic_partitions.iter().map(owned).collect();
            self.is_untold = true;
        }
        Ok(())
    }

    fn request(&self, epoch: i32) -> ConsumerGroupHeartbeatRequest {
        let mut request = ConsumerGroupHeartbeatRequest::default();
        (request.group_id, request.member_id) = (self.group.as_str().into(), self.member.as_str().into());
        (request.member_epoch, request.rebalance_timeout_ms) = (epoch, -1);
        request
    }

    pub fn leave(&mut self) -> Result<(), NotDone> {
        let request = self.request(LEAVES);
        let of = (Coordinated::Group, self.group.as_str());
        self.brokers.call_coordinator(of, HEARTBEAT_VERSION, &request, |answer| answer.error_code).map(drop)
    }
}
